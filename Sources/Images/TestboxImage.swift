import Document
import Glibc
import Linux

extension ImageStore {
    /// The names of the test image; `v1` and `v2` are for roll-outs.
    public static let testboxNames = ["lab.local/testbox:latest", "lab.local/testbox:v1", "lab.local/testbox:v2"]

    /// Makes the test image of this very program: one layer with the static binary at /bin/lab. The tags differ in
    /// one environment variable, so that each is an image of its own.
    ///
    /// Nothing is done where the images were made of the same file already. Those of another file go, unless they run.
    @discardableResult
    public func ensureTestbox(binary path: String) throws -> [Image] {
        let origin = try Self.origin(of: path)
        let index = try ImageIndex.read(layout)
        let existing = Self.testboxNames.compactMap { index.entry(named: $0) }
        if existing.count == Self.testboxNames.count, existing.allSatisfy({ $0.origin == origin }) {
            return try existing.map { try image($0) }
        }
        try makeTestbox(binary: path, origin: origin)
        try removeFormerPrograms()
        return try Self.testboxNames.compactMap { try resolve($0) }
    }

    private func makeTestbox(binary path: String, origin: String) throws {
        let lock = try StoreLock(layout.contentLock, .shared)
        defer { withExtendedLifetime(lock) {} }
        let workspace = try Workspace(in: layout)
        let tar = "\(workspace.path)/testbox.tar"
        try Self.writeTestboxLayer(binary: path, to: tar)
        let plain = DigestingSource(try FileSource(tar), limit: ContentStore.mostUnpacked, name: tar)
        let layer = try plain.finish()
        try content.unpack(tar, diffID: layer, in: workspace, for: "testbox")
        try content.adopt(tar, as: layer)
        let descriptor = Descriptor(
            digest: layer, size: plain.count, mediaType: "application/vnd.oci.image.layer.v1.tar")
        var made: [(name: String, manifest: Digest)] = []
        for name in Self.testboxNames {
            let version = name.split(separator: ":").last.map(String.init) ?? ""
            let config = Self.testboxConfiguration(layer: layer, version: version).json
            let manifest = Manifest(
                config: Descriptor(
                    digest: try content.add(config), size: Int64(config.count),
                    mediaType: "application/vnd.oci.image.config.v1+json"), layers: [descriptor])
            made.append((name, try content.add(manifest.document.json)))
        }
        try ImageIndex.change(layout) { index in
            for image in made { index.add(image.manifest, names: [image.name], origin: origin) }
        }
    }

    /// Tells the same file again without reading it.
    private static func origin(of path: String) throws -> String {
        var status = stat()
        guard stat(path, &status) == 0 else { throw SystemError("stat", path, errno: errno) }
        return "\(status.st_dev):\(status.st_ino):\(status.st_size):\(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec)"
    }

    private static func writeTestboxLayer(binary: String, to path: String) throws {
        let writer = try ArchiveWriter(path)
        for (name, mode) in [("bin", mode_t(0o755)), ("etc", 0o755), ("tmp", 0o1777)] {
            try writer.add(ArchiveEntry(path: "\(name)/", kind: .directory, mode: mode))
        }
        try writer.add(ArchiveEntry(path: "bin/lab", kind: .file, mode: 0o755), contentOf: binary)
        try writer.add(ArchiveEntry(path: "bin/testbox", kind: .hardLink, target: "bin/lab", mode: 0o755))
        let accounts = "root:x:0:0:root:/:/bin/testbox\nnobody:x:65534:65534:nobody:/:/bin/testbox\n"
        try writer.add(ArchiveEntry(path: "etc/passwd", kind: .file, mode: 0o644), Array(accounts.utf8))
        try writer.add(
            ArchiveEntry(path: "etc/group", kind: .file, mode: 0o644), Array("root:x:0:\nnogroup:x:65534:\n".utf8))
        try writer.finish()
    }

    private static func testboxConfiguration(layer: Digest, version: String) -> Document {
        [
            "architecture": Document(Platform.here.architecture), "os": Document(Platform.here.os),
            "config": [
                "Entrypoint": ["/bin/testbox"], "WorkingDir": "/",
                "Env": ["PATH=/bin", Document("TESTBOX_VERSION=\(version)")],
            ],
            "rootfs": ["type": "layers", "diff_ids": [Document(layer.description)]],
        ]
    }
}
