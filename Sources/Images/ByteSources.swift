import Glibc
import Linux

/// A file from its beginning to its end.
final class FileSource: ByteSource {
    private let descriptor: Int32
    private let path: String
    private let buffer: UnsafeMutableRawBufferPointer

    /// What is thrown once every member has its value runs `deinit` too, which closes and frees.
    init(_ path: String) throws {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SystemError("open", path, errno: errno) }
        self.descriptor = descriptor
        buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 16)
        self.path = path
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT != S_IFDIR else {
            throw SystemError("read", path, errno: EISDIR)
        }
    }

    deinit {
        buffer.deallocate()
        close(descriptor)
    }

    func next() throws -> UnsafeRawBufferPointer {
        while true {
            let count = read(descriptor, buffer.baseAddress, buffer.count)
            if count >= 0 { return UnsafeRawBufferPointer(rebasing: buffer[..<count]) }
            guard errno == EINTR else { throw SystemError("read", path, errno: errno) }
        }
    }
}

/// Passes another source on and digests what goes by.
final class DigestingSource: ByteSource {
    private let source: any ByteSource
    private let digest = RunningDigest()
    private(set) var count: Int64 = 0
    private let limit: Int64
    private let name: String

    init(_ source: any ByteSource, limit: Int64, name: String) {
        self.source = source
        self.limit = limit
        self.name = name
    }

    func next() throws -> UnsafeRawBufferPointer {
        let bytes = try source.next()
        digest.add(bytes)
        count += Int64(bytes.count)
        guard count <= limit else { throw ImageError(name, "more than \(limit) bytes when unpacked") }
        return bytes
    }

    /// Reads what the consumer left, such as the padding after a tar archive's end, and gives the digest of all.
    func finish() throws -> Digest {
        while try !next().isEmpty {}
        return digest.finish()
    }
}
