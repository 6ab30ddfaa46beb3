import Document
import Glibc
import Linux

/// Where an image's files are written: a tar archive, or a directory.
private protocol ImageSink {
    func add(_ name: String, _ bytes: [UInt8]) throws
    func add(_ name: String, contentOf file: String) throws
    func finish() throws
}

private struct ArchiveSink: ImageSink {
    let writer: ArchiveWriter

    private func entry(_ name: String) -> ArchiveEntry { ArchiveEntry(path: name, kind: .file, mode: 0o644) }
    func add(_ name: String, _ bytes: [UInt8]) throws { try writer.add(entry(name), bytes) }
    func add(_ name: String, contentOf file: String) throws { try writer.add(entry(name), contentOf: file) }
    func finish() throws { try writer.finish() }
}

private struct DirectorySink: ImageSink {
    let path: String

    private func place(_ name: String) throws -> String {
        let path = "\(path)/\(name)"
        try Files.makeDirectories(String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)]))
        return path
    }

    func add(_ name: String, _ bytes: [UInt8]) throws { try Files.write(bytes, to: try place(name)) }
    func add(_ name: String, contentOf file: String) throws { try Files.copy(file, to: try place(name)) }
    func finish() throws {}
}

extension ImageStore {
    /// Writes images as an OCI layout in a tar archive, which `load` here and other tools read.
    public func save(_ references: [String], to path: String) throws {
        try replacing(path) { try writeLayout(references, to: ArchiveSink(writer: try ArchiveWriter($0))) }
    }

    /// Writes images as an OCI layout into a new directory.
    public func save(_ references: [String], asLayout path: String) throws {
        guard !Files.exists(path) else { throw SystemError("create", path, errno: EEXIST) }
        try replacing(path) { try writeLayout(references, to: DirectorySink(path: $0)) }
    }

    /// Writes images as `docker save` does. Its layers are plain, as programs of that time expect.
    public func save(_ references: [String], asDockerArchive path: String) throws {
        try replacing(path) { try writeDockerArchive(references, to: ArchiveSink(writer: try ArchiveWriter($0))) }
    }

    /// The result appears under its name when it is whole.
    private func replacing(_ path: String, _ body: (String) throws -> Void) throws {
        let lock = try StoreLock(layout.contentLock, .shared)
        defer { withExtendedLifetime(lock) {} }
        let partial = "\(path).partial.\(getpid())"
        do {
            try body(partial)
            guard rename(partial, path) == 0 else { throw SystemError("rename", path, errno: errno) }
        } catch {
            try? Files.removeTree(partial)
            throw error
        }
    }

    private func found(_ reference: String) throws -> (Image, Digest) {
        guard let image = try resolve(reference), let digest = Digest(image.digest) else {
            throw Self.absent(reference)
        }
        return (image, digest)
    }

    private func writeLayout(_ references: [String], to sink: any ImageSink) throws {
        try sink.add("oci-layout", (["imageLayoutVersion": "1.0.0"] as Document).json)
        var written: Set<Digest> = []
        var manifests: [Document] = []
        for reference in references {
            let (image, digest) = try found(reference)
            let bytes = try content.bytes(digest, for: reference)
            let document = try content.document(digest, for: reference)
            let manifest = try Manifest(document, in: reference)
            for blob in [digest, manifest.config.digest] + manifest.layers.map(\.digest)
            where written.insert(blob).inserted {
                try sink.add("blobs/sha256/\(blob.hex)", contentOf: layout.blob(blob))
            }
            var descriptor = Descriptor(
                digest: digest, size: Int64(bytes.count),
                mediaType: document.text("mediaType") ?? Manifest.impliedMediaType(document)
            ).document
            let name = Digest(reference) == nil ? try Self.normalize(reference) : image.names.first
            if let name {
                descriptor["annotations"] = [
                    "io.containerd.image.name": Document(name), "org.opencontainers.image.ref.name": Document(name),
                ]
            }
            manifests.append(descriptor)
        }
        try sink.add("index.json", (["schemaVersion": 2, "manifests": Document(manifests)] as Document).json)
        try sink.finish()
    }

    private func writeDockerArchive(_ references: [String], to sink: any ImageSink) throws {
        var entries: [Document] = []
        var written: Set<String> = []
        let workspace = try Workspace(in: layout)
        for reference in references {
            let (image, digest) = try found(reference)
            let manifest = try manifest(digest)
            let config = "\(manifest.config.digest.hex).json"
            if written.insert(config).inserted {
                try sink.add(config, contentOf: layout.blob(manifest.config.digest))
            }
            let configuration = try ImageConfiguration(
                try content.document(manifest.config.digest, for: reference), in: reference)
            var layers: [String] = []
            for (layer, diffID) in zip(manifest.layers, configuration.diffIDs) {
                let name = "\(diffID.hex)/layer.tar"
                layers.append(name)
                guard written.insert(name).inserted else { continue }
                let plain = "\(workspace.path)/layer.tar"
                try Self.decompress(layout.blob(layer.digest), to: plain)
                try sink.add(name, contentOf: plain)
                unlink(plain)
            }
            entries.append([
                "Config": Document(config), "Layers": Document(layers),
                "RepoTags": Document(image.names.map { Self.familiar($0) }),
            ])
        }
        try sink.add("manifest.json", Document(entries).json)
        try sink.finish()
    }

    /// Docker's own programs look images up by the short names that people type.
    private static func familiar(_ name: String) -> String {
        for prefix in ["docker.io/library/", "docker.io/"] where name.hasPrefix(prefix) {
            return String(name.dropFirst(prefix.count))
        }
        return name
    }

    private static func decompress(_ blob: String, to path: String) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw SystemError("create", path, errno: errno) }
        defer { close(file) }
        let source = try ArchiveReader.decompressed(try FileSource(blob), name: blob)
        while true {
            let bytes = try source.next()
            if bytes.isEmpty { return }
            try Files.writeAll(Array(bytes), to: file, name: path)
        }
    }
}
