import Document
import Glibc
import Linux
import Testing

@testable import Images

@Suite struct ImageDefinitionTests {
    @Test(arguments: [
        ("kind: Pod", "line 1, column 1: kind: use 'Image'"), ("name: A", "repository must be lowercase"),
        ("kind: Image", "the image has no 'name'"), ("name: a\ncolour: red", "line 2, column 1: colour: unknown field"),
        ("name: a\npackages: [--allow-unauthenticated]", "is no package's name"),
        ("name: a\nfiles: [{path: etc, text: x}]", "must be an absolute path"),
        ("name: a\nfiles: [{path: /../x, text: x}]", "must be an absolute path"),
        ("name: a\nfiles: [{path: /x, text: x, link: z}]", "exactly one of"),
        ("name: a\nfiles: [{path: /x, text: x, mode: 644}]", "octal digits in quotes"),
        ("name: a\nfiles: [{path: /x, text: x, owner: root}]", "must be \"UID:GID\""),
        ("name: a\nusers: [{name: 'x:y', uid: 1}]", "cannot stand in /etc/passwd"),
        ("name: a\nconfig: {command: [x]}", "config.command: unknown field"), ("name: [", "f.yaml: "),
    ])
    func refuses(text: String, words: String) {
        let error = #expect(throws: ImageError.self) { try ImageDefinition(yaml: Array(text.utf8), file: "f.yaml") }
        #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
    }

    @Test func namesOfArchivesComeFromAptsList() {
        let line = "'http://deb.debian.org/debian/pool/r/redis/redis_7.deb' redis_5%3a7_amd64.deb 900 SHA256:ab"
        #expect(DebianPackages.archive(in: line[...]) == "redis_5%3a7_amd64.deb")
        #expect(DebianPackages.archive(in: "'x' ../../etc/a.deb 9") == nil)
        #expect(DebianPackages.archive(in: "Reading package lists...") == nil)
    }
}

@Suite(.enabled(if: isRoot, "unpacking layers takes root")) struct MakeTests {
    private func definition(_ text: String) throws -> ImageDefinition {
        try ImageDefinition(yaml: Array(text.utf8), file: "test.yaml")
    }

    @Test func filesBecomeALayerAndTheSameOneAgain() throws {
        let scratch = try Scratch()
        let store = try scratch.store()
        try Files.makeDirectories("\(scratch.path)/dist/sub")
        try Files.write(Array("data".utf8), to: "\(scratch.path)/dist/sub/file")
        try #require(symlink("sub/file", "\(scratch.path)/dist/link") == 0)
        let text = """
            apiVersion: lab.dev/v1
            kind: Image
            name: test/made:1
            users: [{name: app, uid: 1000, home: /app}]
            files:
            - {path: /app, source: dist, owner: "1000:1000"}
            - {path: /etc/motd, text: "hello\\n", mode: "0600"}
            - {path: /bin, to: tool, links: [b, a]}
            - {path: /data, directory: true, owner: "7:8", mode: "1777"}
            config: {entrypoint: [/bin/a], env: {A: b}, ports: ["80"], user: app, stopSignal: SIGINT}
            """
        let image = try store.make(try definition(text), relativeTo: scratch.path, cache: "\(scratch.path)/cache")
        #expect(image.names == ["docker.io/test/made:1"])
        #expect(image.config.list("Entrypoint").map(\.string) == ["/bin/a"])
        #expect(image.config.at("ExposedPorts", "80/tcp") != nil)
        #expect(image.config.list("Env").map(\.string) == ["A=b"])
        let root = image.layerDirectories[0]
        #expect(try Files.text("\(root)/app/link") == "data")
        #expect(try status("\(root)/app/sub/file").st_uid == 1000)
        #expect(try status("\(root)/etc/motd").st_mode & 0o7777 == 0o600)
        let data = try status("\(root)/data")
        #expect(data.st_mode & 0o7777 == 0o1777 && data.st_uid == 7 && data.st_gid == 8)
        #expect(try Files.text("\(root)/etc/passwd").contains("app:x:1000:1000:app:/app:"))
        let again = try store.make(try definition(text), relativeTo: scratch.path, cache: "\(scratch.path)/cache")
        #expect(again.digest == image.digest)
        #expect(try Files.list(store.layout.temporary).isEmpty)

        let upper = try store.make(
            try definition("{name: test/upper, from: 'test/made:1', files: [{path: /new, text: x}]}"),
            relativeTo: scratch.path, cache: "\(scratch.path)/cache")
        #expect(upper.layerDirectories.count == 2)
        #expect(upper.layerDirectories[1] == root)
        #expect(upper.config.text("User") == "app")
        #expect(throws: ImageError.self) {
            try store.make(
                try definition("{name: test/x, from: absent}"), relativeTo: scratch.path, cache: "\(scratch.path)/cache"
            )
        }
    }

    @Test func packagesAreLaidOutAsOnADebianMachine() throws {
        let scratch = try Scratch()
        try Files.makeDirectories("\(scratch.path)/deb")
        let data = try scratch.tar(
            "deb/data.tar",
            [
                entry("./", .directory), entry("./bin/", .directory), file("./bin/tool", "tool", mode: 0o755),
                file("./usr/share/man/man1/tool.1", "x"), file("./usr/share/doc/tool/README", "x"),
                file("./usr/share/doc/tool/copyright", "free"), entry("./bin/alias", .hardLink, target: "./bin/tool"),
            ])
        let bytes = try Files.read(data)
        func member(_ name: String, _ bytes: [UInt8]) -> [UInt8] {
            func pad(_ text: String, _ width: Int) -> String {
                text + String(repeating: " ", count: width - text.utf8.count)
            }
            let head =
                pad(name, 16) + pad("0", 12) + pad("0", 6) + pad("0", 6) + pad("100644", 8)
                + pad(String(bytes.count), 10)
                + "`\n"
            return Array(head.utf8) + bytes + (bytes.count % 2 == 1 ? [10] : [])
        }
        let package = Array("!<arch>\n".utf8) + member("debian-binary", Array("2.0\n".utf8)) + member("data.tar", bytes)
        try Files.write(package, to: "\(scratch.path)/tool_1_all.deb")
        var builder = try LayerBuilder("\(scratch.path)/out.tar")
        try builder.addBase()
        try builder.add(package: "\(scratch.path)/tool_1_all.deb")
        try builder.finish()
        let out = "\(scratch.path)/root"
        try Files.makeDirectories(out)
        try LayerUnpacker.unpack(try FileSource("\(scratch.path)/out.tar"), into: out, name: "test")
        #expect(try Files.text("\(out)/bin/tool") == "tool")
        #expect(try status("\(out)/usr/bin/alias").st_ino == status("\(out)/usr/bin/tool").st_ino)
        #expect(try status("\(out)/tmp").st_mode & 0o7777 == 0o1777)
        #expect(!Files.exists("\(out)/usr/share/man"))
        #expect(try Files.list("\(out)/usr/share/doc/tool") == ["copyright"])
        try Files.write(Array("no package".utf8), to: "\(scratch.path)/bad.deb")
        #expect(throws: ImageError.self) { try builder.add(package: "\(scratch.path)/bad.deb") }
    }
}
