import Document
import Glibc
import Linux

/// Blobs and unpacked layers. Everything is made in a workspace and renamed into place when it is whole, so what has
/// a digest for its name is complete, whoever made it.
struct ContentStore: Sendable {
    /// Manifests, indexes and configurations are small; what claims to be one and is not is refused.
    static let mostMetadata: Int64 = 8 << 20
    /// The most that one layer may unpack to.
    static let mostUnpacked: Int64 = 64 << 30

    let layout: StoreLayout

    func has(_ digest: Digest) -> Bool { Files.exists(layout.blob(digest)) }

    func hasLayer(_ diffID: Digest) -> Bool { Files.exists(layout.layer(diffID)) }

    /// At most `count` bytes of a blob from `start` on.
    func piece(of digest: Digest, at start: Int64, _ count: Int) throws -> [UInt8] {
        let path = layout.blob(digest)
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw SystemError("open", path, errno: errno) }
        defer { close(file) }
        var problem: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, used in
            while used < count {
                let read = pread(file, buffer.baseAddress.map { $0 + used }, count - used, off_t(start) + off_t(used))
                if read < 0, errno == EINTR { continue }
                if read < 0 { problem = errno }
                if read <= 0 { return }
                used += read
            }
        }
        guard problem == 0 else { throw SystemError("read", path, errno: problem) }
        return bytes
    }

    /// The bytes of a blob, which must have the digest that they go by.
    func bytes(_ digest: Digest, for object: String) throws -> [UInt8] {
        guard has(digest) else { throw ImageError(object, "the blob \(digest) is missing") }
        let bytes = try Files.read(layout.blob(digest), limit: Int(Self.mostMetadata))
        guard Digest.of(bytes) == digest else { throw ImageError(object, "the blob \(digest) is damaged") }
        return bytes
    }

    func document(_ digest: Digest, for object: String) throws -> Document {
        do {
            return try Document(json: bytes(digest, for: object), deepest: Document.deepestInput)
        } catch let error as DocumentError {
            throw ImageError(object, "the blob \(digest) is no JSON: \(error)")
        }
    }

    @discardableResult
    func add(_ bytes: [UInt8]) throws -> Digest {
        let digest = Digest.of(bytes)
        if !has(digest) { try layout.replace(layout.blob(digest), with: bytes) }
        return digest
    }

    /// Moves a finished file of a workspace to its place; another process may have been faster.
    func adopt(_ path: String, as digest: Digest) throws {
        guard rename(path, layout.blob(digest)) == 0 else { throw SystemError("rename", path, errno: errno) }
    }

    /// Unpacks the layer once; nothing is done where it is there already.
    func unpack(_ blob: String, diffID: Digest, in workspace: Workspace, for object: String) throws {
        let target = layout.layer(diffID)
        if Files.exists(target) { return }
        let directory = "\(workspace.path)/layer.\(diffID.hex)"
        guard mkdir(directory, 0o755) == 0 else { throw SystemError("mkdir", directory, errno: errno) }
        chmod(directory, 0o755)
        let name = "\(object): layer \(diffID)"
        let plain = DigestingSource(
            try ArchiveReader.decompressed(try FileSource(blob), name: name), limit: Self.mostUnpacked, name: name)
        try LayerUnpacker.unpack(plain, into: directory, name: name)
        let found = try plain.finish()
        guard found == diffID else { throw ImageError(name, "its content has the digest \(found)") }
        if rename(directory, target) == 0 { return }
        guard errno == EEXIST || errno == ENOTEMPTY else { throw SystemError("rename", directory, errno: errno) }
    }
}
