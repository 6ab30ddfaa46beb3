import CArchive
import Document
import Glibc
import Linux
import Testing

@testable import Images

@Suite("Image references")
struct ReferenceTests {
    @Test(arguments: [
        ("nginx", "docker.io/library/nginx:latest"), ("nginx:1.27", "docker.io/library/nginx:1.27"),
        ("a/b", "docker.io/a/b:latest"), ("localhost/x", "localhost/x:latest"), ("host:5000/x:y", "host:5000/x:y"),
        ("registry.k8s.io/pause:3.9", "registry.k8s.io/pause:3.9"),
        ("index.docker.io/nginx", "docker.io/library/nginx:latest"),
        ("lab.local/testbox", "lab.local/testbox:latest"), ("a__b/c--d.e", "docker.io/a__b/c--d.e:latest"),
        (
            "x@sha256:\(String(repeating: "a", count: 64))",
            "docker.io/library/x@sha256:\(String(repeating: "a", count: 64))"
        ),
    ])
    func normalizes(text: String, full: String) throws {
        #expect(try ImageStore.normalize(text) == full)
    }

    @Test(arguments: [
        "", "Nginx", "a//b", "a:", "a:-x", "a..b", "a_", "-a", "a@sha256:12", "a___b", "a b", "é", "a:t@md5:1",
        String(repeating: "a", count: 64), String(repeating: "a/", count: 130) + "a",
    ])
    func refuses(text: String) {
        #expect(throws: ImageError.self) { try ImageStore.normalize(text) }
    }
}

@Suite("Image store", .enabled(if: isRoot, "unpacking layers needs root"))
struct ImageStoreTests {
    private func layer(_ scratch: Scratch, _ entries: [(ArchiveEntry, [UInt8])]) throws -> [UInt8] {
        try Files.read(scratch.tar("layer.tar", entries))
    }

    private func unpack(_ scratch: Scratch, _ entries: [(ArchiveEntry, [UInt8])]) throws -> String {
        let tar = try scratch.tar("layer.tar", entries)
        let target = "\(scratch.path)/out"
        try Files.makeDirectories(target)
        try LayerUnpacker.unpack(FileSource(tar), into: target, name: "layer")
        return target
    }

    @Test(arguments: [Compression.none, .gzip, .zstd])
    func loadsALayoutOnceAndForAll(compression: Compression) throws {
        let scratch = try Scratch()
        var layout = SampleLayout()
        let base = try layer(scratch, [entry("bin/", .directory), file("bin/sh", "#!", mode: 0o4755)])
        let top = try layer(scratch, [entry("bin/", .directory), file("bin/.wh.sh"), file("etc/name", "top")])
        let image = try layout.image([base, top], compression: compression)
        let archive = try scratch.tar("image.tar", layout.entries(index: [named(image, "demo:1")]))
        let store = try scratch.store()
        for _ in 0..<2 {
            let loaded = try store.load(archive: archive)
            #expect(loaded.map(\.names) == [["docker.io/library/demo:1"]])
        }
        let found = try #require(try store.resolve("demo:1"))
        #expect(found.config.list("Cmd") == ["run"])
        #expect(found.layerDirectories.count == 2)
        #expect(try tree(found.layerDirectories[0]) == ["bin/", "bin/sh", "etc/", "etc/name"])
        let whiteout = try status(found.layerDirectories[0] + "/bin/sh")
        #expect(whiteout.st_mode & (S_IFMT as mode_t) == (S_IFCHR as mode_t) && whiteout.st_rdev == 0)
        #expect(try status(found.layerDirectories[1] + "/bin/sh").st_mode & 0o7777 == 0o4755)
        #expect(try store.resolve(found.id)?.names == found.names)
        #expect(try store.resolve("docker.io/library/demo@\(found.digest)")?.id == found.id)
        #expect(try store.resolve("demo:2") == nil)
        #expect(try Files.list("\(scratch.path)/store/tmp") == [])
        try store.remove("demo:1")
        #expect(try store.list().isEmpty)
        #expect(
            try Files.list("\(scratch.path)/store/layers") == []
                && Files.list("\(scratch.path)/store/blobs/sha256") == [])
    }

    @Test func choosesThisMachinesPlatform() throws {
        let scratch = try Scratch()
        var layout = SampleLayout()
        let foreign = Platform.here.architecture == "amd64" ? "arm64" : "amd64"
        let other = try layout.image([try layer(scratch, [file("a", "other")])], architecture: foreign)
        let mine = try layout.image([try layer(scratch, [file("a", "mine")])], architecture: Platform.here.architecture)
        let index = layout.add((["manifests": [other, mine]] as Document).json)
        let nested = Descriptor(digest: index.digest, size: index.size, mediaType: "index").document
        let archive = try scratch.tar("both.tar", layout.entries(index: [named(nested, "both")]))
        let image = try #require(try scratch.store().load(archive: archive).first)
        #expect(image.names == ["docker.io/library/both:both"])
        #expect(try Files.text(image.layerDirectories[0] + "/a") == "mine")
        let only = try scratch.tar("foreign.tar", layout.entries(index: [named(other, "x:1")]))
        #expect(throws: ImageError(only, "no image for \(Platform.here), only [\"linux/\(foreign)\"]")) {
            try scratch.store().load(archive: only)
        }
    }

    @Test func loadsDockerArchivesWithLinkedLayers() throws {
        let scratch = try Scratch()
        let plain = try layer(scratch, [file("hello", "world")])
        let config: Document = [
            "config": ["Cmd": ["x"]],
            "rootfs": ["diff_ids": Document([Digest.of(plain), Digest.of(plain)].map { Document($0.description) })],
        ]
        let manifest: Document = [
            ["Config": "c.json", "RepoTags": ["demo:old", "demo:new"], "Layers": ["one/layer.tar", "two/layer.tar"]]
        ]
        let archive = try scratch.tar(
            "docker.tar",
            [
                file("c.json", config.jsonText), (ArchiveEntry(path: "one/layer.tar", kind: .file), plain),
                entry("two/layer.tar", .symbolicLink, target: "../one/layer.tar"),
                file("manifest.json", manifest.jsonText),
            ])
        let image = try #require(try scratch.store().load(archive: archive).first)
        #expect(image.names == ["docker.io/library/demo:new", "docker.io/library/demo:old"])
        #expect(try Files.text(image.layerDirectories[0] + "/hello") == "world")
    }

    @Test func damagedArchivesLeaveNothing() throws {
        let scratch = try Scratch()
        var layout = SampleLayout()
        let base = try layer(scratch, [file("data", String(repeating: "x", count: 200_000))])
        let image = try layout.image([base], compression: .gzip)
        let archive = try scratch.tar("good.tar", layout.entries(index: [named(image, "demo:1")]))
        let good = try Files.read(archive)
        let store = try scratch.store()
        for cut in stride(from: 512, to: good.count - 1_024, by: 512) {
            let path = "\(scratch.path)/cut.tar"
            try Files.write(Array(good[..<cut]), to: path)
            #expect(throws: ImageError.self) { try store.load(archive: path) }
        }
        for place in stride(from: 700, to: good.count - 12_000, by: 997) {
            var bad = good
            bad[place] ^= 0x55
            try Files.write(bad, to: "\(scratch.path)/bad.tar")
            _ = try? store.load(archive: "\(scratch.path)/bad.tar")
        }
        for image in try store.list() { try store.remove(image.id) }
        #expect(try Files.list("\(scratch.path)/store/tmp") == [])
        #expect(try Files.list("\(scratch.path)/store/layers") == [])
    }

    @Test func aLayerMustHaveTheDigestThatItsConfigurationNames() throws {
        let scratch = try Scratch()
        var layout = SampleLayout()
        let right = try layer(scratch, [file("a", "right")])
        _ = try layout.image([right])
        let wrong = try layer(scratch, [file("a", "wrong")])
        var manifest = try #require(
            layout.blobs.compactMap { try? Document(json: $0.1) }.first { $0["layers"] != nil })
        let blob = layout.add(wrong)
        manifest["layers"] = [Descriptor(digest: blob.digest, size: blob.size, mediaType: "layer").document]
        let bad = layout.add(manifest.json)
        let entry = Descriptor(digest: bad.digest, size: bad.size, mediaType: Manifest.mediaType).document
        let archive = try scratch.tar("x.tar", layout.entries(index: [named(entry, "x:1")]))
        let error = #expect(throws: ImageError.self) { try scratch.store().load(archive: archive) }
        #expect(error?.message == "its content has the digest \(Digest.of(wrong))")
    }

    @Test func unpacksEveryKindOfEntry() throws {
        let scratch = try Scratch()
        var device = ArchiveEntry(path: "dev/null", kind: .characterDevice, mode: 0o666)
        device.device = (1, 3)
        var owned = ArchiveEntry(path: "été/plain", kind: .file, mode: 0o640)
        (owned.owner, owned.group) = (70_000, 12)
        owned.modified = timespec(tv_sec: 1_000_000_000, tv_nsec: 0)
        owned.attributes = [("user.note", Array("hi".utf8)), ("trusted.overlay.opaque", Array("y".utf8))]
        let out = try unpack(
            scratch,
            [
                (device, []), (owned, Array("text".utf8)), entry("été/hard", .hardLink, target: "été/plain"),
                entry("soft", .symbolicLink, target: "/etc/passwd"), entry("pipe", .fifo),
                entry("d/", .directory, mode: 0o1777),
                file("d/.wh..wh..opq"), file("old", "1"), file("old", "2"), entry("swap/", .directory), file("swap/x"),
                file("swap", "now a file"), file(".wh.gone"), entry("gone/", .directory), file("gone/new"),
            ])
        #expect(try status(out + "/dev/null").st_rdev == 0x103)
        let plain = try status(out + "/été/plain")
        #expect(plain.st_uid == 70_000 && plain.st_gid == 12 && plain.st_mode & 0o7777 == 0o640 && plain.st_nlink == 2)
        #expect(plain.st_mtim.tv_sec == 1_000_000_000)
        #expect(try status(out + "/été/hard").st_ino == plain.st_ino)
        #expect(getxattr(out + "/été/plain", "user.note", nil, 0) == 2)
        #expect(getxattr(out + "/été/plain", "trusted.overlay.opaque", nil, 0) == -1)
        #expect(getxattr(out + "/d", "trusted.overlay.opaque", nil, 0) == 1)
        #expect(getxattr(out + "/gone", "trusted.overlay.opaque", nil, 0) == 1)
        #expect(try status(out + "/d").st_mode & 0o7777 == 0o1777)
        #expect(try Files.text(out + "/old") == "2" && Files.text(out + "/swap") == "now a file")
        #expect(try status(out + "/soft").st_mode & (S_IFMT as mode_t) == (S_IFLNK as mode_t))
        #expect(try status(out + "/pipe").st_mode & (S_IFMT as mode_t) == (S_IFIFO as mode_t))
    }

    @Test(arguments: [
        [file("../outside", "x")], [file("a/../../outside", "x")],
        [entry("link", .symbolicLink, target: ".."), file("link/outside", "x")],
        [entry("link", .symbolicLink, target: "/"), file("link/outside", "x")],
        [entry("link", .hardLink, target: "../outside")], [entry("link", .hardLink, target: "/absent")],
        [entry("up", .symbolicLink, target: ".."), entry("link", .hardLink, target: "up/store")],
        [entry("up", .symbolicLink, target: ".."), file("up/.wh.layer.tar")], [file("x/.wh...")],
        [entry("up", .symbolicLink, target: ".."), file("up/.wh..wh..opq")],
    ])
    func nothingReachesOutside(entries: [(ArchiveEntry, [UInt8])]) throws {
        let scratch = try Scratch()
        #expect(throws: ImageError.self) { try unpack(scratch, entries) }
        #expect(try Files.list(scratch.path) == ["layer.tar", "out"])
    }

    @Test func anEntryMayReplaceALinkButNotGoThroughIt() throws {
        let scratch = try Scratch()
        try Files.write([1], to: "\(scratch.path)/outside")
        let out = try unpack(
            scratch, [entry("x", .symbolicLink, target: "../outside"), file("x", "inside")])
        #expect(try Files.text(out + "/x") == "inside")
        #expect(try Files.read("\(scratch.path)/outside") == [1])
    }

    @Test func namesMoveAndSavedImagesLoadAgain() throws {
        let scratch = try Scratch()
        var layout = SampleLayout()
        let one = try layout.image([try layer(scratch, [file("a", "one")])])
        let two = try layout.image([try layer(scratch, [file("a", "two")])])
        let archive = try scratch.tar("i.tar", layout.entries(index: [named(one, "demo:1"), named(two, "demo:2")]))
        let store = try scratch.store()
        _ = try store.load(archive: archive)
        try store.tag("demo:2", as: "other.example/demo:1")
        try store.tag("demo:2", as: "demo:1")
        #expect(try store.resolve("demo:1")?.id == store.resolve("demo:2")?.id)
        let saved = "\(scratch.path)/saved.tar"
        try store.save(["demo:1", "other.example/demo:1"], to: saved)
        let second = try ImageStore(root: "\(scratch.path)/second")
        _ = try second.load(archive: saved)
        #expect(try second.list().map(\.names) == [["docker.io/library/demo:1", "other.example/demo:1"]])
        #expect(try second.resolve("demo:1")?.digest == store.resolve("demo:2")?.digest)
    }

    @Test func manyLoadersMeet() async throws {
        let scratch = try Scratch()
        var layout = SampleLayout()
        let image = try layout.image([try layer(scratch, (0..<200).map { file("f\($0)", "x") })])
        let archive = try scratch.tar("i.tar", layout.entries(index: [named(image, "demo:1")]))
        let root = "\(scratch.path)/store"
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<8 {
                group.addTask {
                    // Stores of their own hold locks of their own, as processes do.
                    let store = try ImageStore(root: root)
                    _ = try store.load(archive: archive)
                    try store.tag("demo:1", as: "demo:tag\(number)")
                }
            }
            try await group.waitForAll()
        }
        let images = try ImageStore(root: root).list()
        #expect(images.count == 1 && images[0].names.count == 9)
        #expect(try Files.list("\(root)/tmp") == [])
    }

    @Test func theTestImageIsMadeOfABinaryOnce() throws {
        let scratch = try Scratch()
        let store = try scratch.store()
        let binary = "\(scratch.path)/binary"
        try Files.write(Array("program".utf8), to: binary, mode: 0o755)
        let made = try store.ensureTestbox(binary: binary)
        #expect(made.map(\.names) == ImageStore.testboxNames.map { [$0] })
        #expect(Set(made.map(\.id)).count == 3 && Set(made.flatMap(\.layerDirectories)).count == 1)
        #expect(made[0].config.list("Entrypoint") == ["/bin/testbox"])
        let directory = made[0].layerDirectories[0]
        #expect(try Files.text(directory + "/bin/testbox") == "program")
        #expect(try status(directory + "/tmp").st_mode & 0o7777 == 0o1777)
        let before = try status("\(scratch.path)/store/images.json").st_ino
        #expect(try store.ensureTestbox(binary: binary).map(\.id) == made.map(\.id))
        #expect(try status("\(scratch.path)/store/images.json").st_ino == before)
        // A pod that runs from one of the old images keeps that one.
        try store.use(made[1], owner: "node", user: "pod")
        try Files.write(Array("newer".utf8), to: binary, mode: 0o755)
        let newer = try store.ensureTestbox(binary: binary)
        #expect(try Files.text(newer[0].layerDirectories[0] + "/bin/lab") == "newer")
        #expect(try store.list().map(\.id).sorted() == (newer + [made[1]]).map(\.id).sorted())
        #expect(try Files.text(directory + "/bin/lab") == "program")
        try store.release(owner: "node", user: "pod")
        #expect(try store.prune(all: false).removed == [made[1].digest])
        #expect(!Files.exists(directory))
        try Files.write(Array("newest".utf8), to: binary, mode: 0o755)
        let newest = try store.ensureTestbox(binary: binary)
        #expect(try store.list().map(\.id).sorted() == newest.map(\.id).sorted())
        #expect(!Files.exists(newer[0].layerDirectories[0]))
    }

    @Test func whatADeadProcessLeftIsSwept() throws {
        let scratch = try Scratch()
        _ = try scratch.store()
        try Files.makeDirectories("\(scratch.path)/store/tmp/work.dead/layer")
        _ = try scratch.store()
        #expect(try Files.list("\(scratch.path)/store/tmp") == [])
    }
}
