import Basics
import CArchive
import Document
import Glibc
import Linux
import Testing
import Wire

@testable import Images

private func has(_ programs: String...) -> Bool {
    programs.allSatisfy { Command.run(["sh", "-c", "command -v \($0)"]).code == 0 }
}

/// Debian's `docker-registry` on the loopback, with a certificate and a user of our own where wanted.
private final class RegistryProcess {
    let port: UInt16
    let authority: String?
    private let process: Command

    static let user = RegistryCredentials(username: "ann", password: "s3cret:x")

    var host: String { "localhost:\(port)" }

    init(_ directory: String, secure: Bool) throws {
        port = try Self.freePort()
        try Files.makeDirectories(directory)
        var http: Document = ["addr": Document("127.0.0.1:\(port)")]
        var configuration: Document = [
            "version": "0.1", "log": ["level": "error"],
            "storage": ["filesystem": ["rootdirectory": Document("\(directory)/data")]],
        ]
        if secure {
            let now = Timestamp(seconds: Int64(time(nil)))
            let issuer = try CertificateAuthority.create(commonName: "test", now: now, validity: .seconds(86_400))
            let issued = try issuer.issue(
                commonName: "localhost", dnsNames: ["localhost"], usage: .server, now: now, validity: .seconds(86_400))
            try Files.write(issued.certificatePEM, to: "\(directory)/tls.crt")
            try Files.write(issued.keyPEM, to: "\(directory)/tls.key")
            try Files.makeDirectories("\(directory)/certs")
            try Files.write(issuer.certificatePEM, to: "\(directory)/certs/ca.crt")
            http["tls"] = [
                "certificate": Document("\(directory)/tls.crt"), "key": Document("\(directory)/tls.key"),
            ]
            let users = Command.run(["htpasswd", "-Bbn", "-C", "4", Self.user.username, Self.user.password])
            try Files.write(Array(users.out.utf8), to: "\(directory)/users")
            configuration["auth"] = ["htpasswd": ["realm": "test", "path": Document("\(directory)/users")]]
        }
        configuration["http"] = http
        try Files.write(configuration.yaml, to: "\(directory)/config.yml")
        authority = secure ? "\(directory)/certs/ca.crt" : nil
        process = Command(["docker-registry", "serve", "\(directory)/config.yml"])
        try waitUntilItListens()
    }

    deinit {
        kill(process.pid, SIGKILL)
        _ = process.wait()
    }

    private static func address(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        address.sin_port = port.bigEndian
        return address
    }

    private static func with<T>(_ port: UInt16, _ body: (Int32, UnsafePointer<sockaddr>, socklen_t) throws -> T)
        rethrows -> T
    {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = address(port)
        return try withUnsafePointer(to: &address) {
            try $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                try body(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    private static func freePort() throws -> UInt16 {
        try with(0) { descriptor, address, length in
            guard bind(descriptor, address, length) == 0 else { throw SystemError("bind", errno: errno) }
            var bound = sockaddr_in()
            var size = socklen_t(MemoryLayout<sockaddr_in>.size)
            _ = withUnsafeMutablePointer(to: &bound) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &size) }
            }
            return UInt16(bigEndian: bound.sin_port)
        }
    }

    private func waitUntilItListens() throws {
        for _ in 0..<600 {
            if Self.with(port, { connect($0, $1, $2) == 0 }) { return }
            usleep(50_000)
        }
        throw SystemError("wait for docker-registry", errno: ETIMEDOUT)
    }

    var settings: RegistrySettings {
        var settings = RegistrySettings()
        if authority != nil { settings.credentials = CredentialSet(host: host, Self.user) }
        settings.set(registry: host, authorities: authority, insecure: false)
        return settings
    }

    /// The flags by which skopeo reaches it as `src` or `dest`.
    func flags(_ side: String) -> [String] {
        guard let authority else { return ["--\(side)-tls-verify=false"] }
        let folder = authority.dropLast("/ca.crt".count)
        return ["--\(side)-cert-dir=\(folder)", "--\(side)-creds=\(Self.user.username):\(Self.user.password)"]
    }
}

/// Everything about a tree that an unpacked image must have alike, whoever unpacked it.
private func snapshot(_ root: String) throws -> [String] {
    try tree(root).map { path in
        let whole = "\(root)/\(path.hasSuffix("/") ? String(path.dropLast()) : path)"
        let status = try status(whole)
        var line = "\(path) \(String(status.st_mode, radix: 8)) \(status.st_uid):\(status.st_gid) \(status.st_rdev)"
        switch status.st_mode & S_IFMT {
        case S_IFREG:
            line += " \(status.st_size) \(ImageDigest.of(try Files.read(whole))) links \(status.st_nlink)"
            line += " at \(status.st_mtim.tv_sec)"
        case S_IFLNK:
            var buffer = [CChar](repeating: 0, count: 4096)
            let count = max(0, readlink(whole, &buffer, buffer.count))
            line += " → " + String(decoding: buffer.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self)
        default: break
        }
        for name in ["user.note", "security.capability"] {
            var value = [UInt8](repeating: 0, count: 256)
            guard status.st_mode & S_IFMT == S_IFREG else { continue }
            let file = open(whole, O_RDONLY | O_CLOEXEC)
            defer { close(file) }
            let count = fgetxattr(file, name, &value, value.count)
            if count >= 0 { line += " \(name)=\(Hex.encode(value.prefix(count)))" }
        }
        return line
    }
}

@Suite(
    .enabled(
        if: isRoot && has("docker-registry", "skopeo", "umoci", "htpasswd"),
        "needs root, docker-registry, skopeo, umoci and htpasswd (apache2-utils)"))
struct InteropTests {
    let scratch: Scratch

    init() throws { scratch = try Scratch() }

    /// Two layers with all that layers may hold.
    private func layers() throws -> [[UInt8]] {
        func made(_ path: String, _ kind: ArchiveEntry.Kind, _ change: (inout ArchiveEntry) -> Void = { _ in }) -> (
            ArchiveEntry, [UInt8]
        ) {
            var entry = ArchiveEntry(path: path, kind: kind, mode: kind == .directory ? 0o755 : 0o644)
            entry.modified.tv_sec = 1_700_000_000
            change(&entry)
            return (entry, [])
        }
        let noise = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 7) }
        let lower: [(ArchiveEntry, [UInt8])] = [
            made("usr/", .directory), made("usr/bin/", .directory),
            (made("usr/bin/tool", .file) { $0.mode = 0o4755 }.0, noise),
            made("usr/bin/same", .hardLink) { $0.target = "usr/bin/tool" },
            made("bin", .symbolicLink) { $0.target = "usr/bin" },
            (made("owned", .file) { ($0.owner, $0.group) = (70_000, 70_001) }.0, Array("x".utf8)),
            (made("noted", .file) { $0.attributes = [("user.note", Array("hello".utf8))] }.0, []),
            made("null", .characterDevice) { $0.device = (1, 3) }, made("pipe", .fifo),
            made("tmp/", .directory) { $0.mode = 0o1777 }, made("gone", .file), made("old/", .directory),
            made("old/hidden", .file), made("old/deep/", .directory), made("old/deep/hidden", .file),
            made("was-directory/", .directory), made("was-directory/inner", .file), made("was-file", .file),
        ]
        let upper: [(ArchiveEntry, [UInt8])] = [
            made(".wh.gone", .file), made("old/", .directory), made("old/.wh..wh..opq", .file), made("old/new", .file),
            made(".wh.was-directory", .file), (made("was-directory", .file).0, Array("file".utf8)),
            made(".wh.was-file", .file), made("was-file/", .directory), made("was-file/inner", .file),
            made("ümläut 文", .file), made(String(repeating: "long/", count: 40) + "path", .file),
        ]
        return try [("lower.tar", lower), ("upper.tar", upper)].map {
            try Files.read(try scratch.tar($0.0, $0.1))
        }
    }

    /// The image's layers as a container sees them.
    private func mounted(_ image: Image, _ body: (String) throws -> [String]) throws -> [String] {
        let target = "\(scratch.path)/mounted"
        try Files.makeDirectories(target)
        let options = "lowerdir=\(image.layerDirectories.joined(separator: ":"))"
        guard mount("overlay", target, "overlay", UInt(MS_RDONLY), options) == 0 else {
            throw SystemError("mount overlay", target, errno: errno)
        }
        defer { umount2(target, Int32(MNT_DETACH)) }
        return try body(target)
    }

    @Test(arguments: [false, true])
    func pushPullAndUnpackAgree(secure: Bool) async throws {
        let registry = try RegistryProcess("\(scratch.path)/registry", secure: secure)
        let store = try scratch.store()
        var sample = SampleLayout()
        let entry = try sample.image(try layers(), compression: .gzip)
        let archive = try scratch.tar("image.tar", sample.entries(index: [named(entry, "test/all:v1")]))
        let loaded = try #require(try store.load(archive: archive).first)
        let (settings, name) = (registry.settings, "\(registry.host)/team/all")
        let pushed = try await EventLoop.runOnThread { loop in
            let client = RegistryClient(settings: settings, world: .live(loop))
            let pusher = ImagePusher(store: store, client: client, blocking: BlockingPool())
            let first = try await pusher.push("test/all:v1", to: "\(name):v1")
            // Another repository gets the blobs without their being sent.
            _ = try await pusher.push("test/all:v1", to: "\(name)-too:v1")
            return first
        }
        #expect(pushed == loaded.digest)

        // skopeo sees the same manifest, and umoci unpacks what we do.
        let layout = "\(scratch.path)/layout"
        let copied = Command.run(
            ["skopeo", "copy"] + registry.flags("src") + ["docker://\(name):v1", "oci:\(layout):v1"])
        #expect(copied.code == 0, "\(copied)")
        let unpacked = Command.run(["umoci", "unpack", "--image", "\(layout):v1", "\(scratch.path)/bundle"])
        #expect(unpacked.code == 0, "\(unpacked)")
        let theirs = try snapshot("\(scratch.path)/bundle/rootfs")
        let ours = try mounted(loaded) { try snapshot($0) }
        #expect(ours == theirs)

        // What skopeo pushes in Docker's format, we pull.
        let converted = Command.run(
            ["skopeo", "copy", "--format", "v2s2"] + registry.flags("dest")
                + ["oci:\(layout):v1", "docker://\(name):docker"])
        #expect(converted.code == 0, "\(converted)")
        let fresh = try ImageStore(root: "\(scratch.path)/fresh")
        let images = try await EventLoop.runOnThread { loop in
            let client = RegistryClient(settings: settings, world: .live(loop))
            let puller = ImagePuller(store: fresh, client: client, blocking: BlockingPool())
            return [
                try await puller.pull("\(name):docker").image, try await puller.pull("\(name)-too@\(pushed)").image,
            ]
        }
        #expect(images[1].digest == pushed)
        #expect(images[1].id == loaded.id)
        for image in images {
            let pulled = try mounted(image) { try snapshot($0) }
            #expect(pulled == theirs)
        }
    }

    @Test func withoutCredentialsNothingIsGiven() async throws {
        let registry = try RegistryProcess("\(scratch.path)/registry", secure: true)
        let store = try scratch.store()
        let good = registry.settings
        var strangers: [(RegistrySettings, String)] = []
        var settings = good
        settings.credentials = CredentialSet()
        strangers.append((settings, "authorization"))
        settings.credentials = CredentialSet(host: registry.host, RegistryCredentials(username: "ann", password: "no"))
        strangers.append((settings, "authorization"))
        settings = good
        settings.set(registry: registry.host, authorities: nil, insecure: false)
        settings.authorities = AuthorityBundle.path(named: nil)
        strangers.append((settings, "certificate"))
        for (settings, words) in strangers {
            let name = "\(registry.host)/a:v1"
            let error = await #expect(throws: (any Error).self) {
                try await EventLoop.runOnThread { loop in
                    let client = RegistryClient(settings: settings, world: .live(loop))
                    _ = try await ImagePuller(store: store, client: client, blocking: BlockingPool()).pull(name)
                }
            }
            #expect("\(error.map { "\($0)" } ?? "")".contains(words), "\(error.map { "\($0)" } ?? "")")
        }
    }

    @Test func archivesGoBothWays() throws {
        let store = try scratch.store()
        var sample = SampleLayout()
        let entry = try sample.image(try layers(), compression: .gzip)
        let archive = try scratch.tar("image.tar", sample.entries(index: [named(entry, "test/all:v1")]))
        let loaded = try #require(try store.load(archive: archive).first)
        try store.save(["test/all:v1"], to: "\(scratch.path)/out.oci.tar")
        try store.save(["test/all:v1"], asLayout: "\(scratch.path)/out.oci")
        try store.save(["test/all:v1"], asDockerArchive: "\(scratch.path)/out.docker.tar")
        for source in ["oci-archive:out.oci.tar", "oci:out.oci", "docker-archive:out.docker.tar"] {
            let (kind, file) = (source.prefix { $0 != ":" }, source.drop { $0 != ":" }.dropFirst())
            let from = "\(kind):\(scratch.path)/\(file)"
            let seen = Command.run(["skopeo", "inspect", "--raw", "--config", from])
            #expect(try Document(json: seen.out).list("rootfs", "diff_ids").count == 2, "\(seen)")
            for target in ["oci-archive", "docker-archive", "oci"] {
                let path = "\(scratch.path)/back-\(kind)-\(target)"
                let copied = Command.run(["skopeo", "copy", from, "\(target):\(path):test/back:v1"])
                #expect(copied.code == 0, "\(copied)")
                let fresh = try ImageStore(root: "\(path)-store")
                let back = try #require(try fresh.load(archive: path).first)
                #expect(
                    back.layerDirectories.map { $0.split(separator: "/").last }
                        == loaded.layerDirectories.map { $0.split(separator: "/").last })
            }
        }
    }
}
