import Document
import Glibc
import Linux

extension ImageStore {
    /// Writes images as an OCI layout in a tar archive, which `load` here and other tools read.
    public func save(_ references: [String], to path: String) throws {
        let lock = try StoreLock(layout.contentLock, .shared)
        defer { withExtendedLifetime(lock) {} }
        let partial = "\(path).partial.\(getpid())"
        do {
            try writeLayout(references, to: partial)
            guard rename(partial, path) == 0 else { throw SystemError("rename", path, errno: errno) }
        } catch {
            unlink(partial)
            throw error
        }
    }

    private func writeLayout(_ references: [String], to path: String) throws {
        let writer = try ArchiveWriter(path)
        func add(_ name: String, _ document: Document) throws {
            try writer.add(ArchiveEntry(path: name, kind: .file, mode: 0o644), document.json)
        }
        try add("oci-layout", ["imageLayoutVersion": "1.0.0"])
        var written: Set<Digest> = []
        var manifests: [Document] = []
        for reference in references {
            guard let image = try resolve(reference), let digest = Digest(image.digest) else {
                throw ImageError(reference, "no such image")
            }
            let bytes = try content.bytes(digest, for: reference)
            let manifest = try Manifest(try content.document(digest, for: reference), in: reference)
            for blob in [digest, manifest.config.digest] + manifest.layers.map(\.digest)
            where written.insert(blob).inserted {
                let entry = ArchiveEntry(path: "blobs/sha256/\(blob.hex)", kind: .file, mode: 0o644)
                try writer.add(entry, contentOf: layout.blob(blob))
            }
            var descriptor = Descriptor(
                digest: digest, size: Int64(bytes.count), mediaType: Manifest.mediaType
            ).document
            let name = Digest(reference) == nil ? try Self.normalize(reference) : image.names.first
            if let name {
                descriptor["annotations"] = [
                    "io.containerd.image.name": Document(name), "org.opencontainers.image.ref.name": Document(name),
                ]
            }
            manifests.append(descriptor)
        }
        try add("index.json", ["schemaVersion": 2, "manifests": Document(manifests)])
        try writer.finish()
    }
}
