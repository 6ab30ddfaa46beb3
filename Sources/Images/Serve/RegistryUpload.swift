import Basics
import Glibc
import Linux
import Synchronization
import Wire

/// A blob on its way in: a file named by the upload, and a lock for as long as somebody adds to it.
///
/// The methods are called one after the other.
final class RegistryUpload: BodyTaker, @unchecked Sendable {
    /// Bytes gathered before they are handed to a thread that may block.
    private static let batch = 512 << 10
    static let mostBytes: Int64 = 64 << 30

    let id: String
    let path: String
    private let descriptor: Int32
    private let blocking: BlockingPool
    private var gathered: [UInt8] = []
    private(set) var size: Int64
    private(set) var failure: (any Error)?

    /// Begins one, or goes on with one; throws where it is unknown, or somebody else is at it.
    init(_ id: String, isNew: Bool, in layout: StoreLayout, blocking: BlockingPool) throws {
        let path = "\(layout.uploads)/\(id)"
        let descriptor = open(path, O_RDWR | O_APPEND | O_CLOEXEC | (isNew ? O_CREAT | O_EXCL : 0), 0o644)
        guard descriptor >= 0 else {
            if errno == ENOENT { throw RegistryProblem.uploadUnknown(id) }
            throw SystemError("open", path, errno: errno)
        }
        var status = stat()
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0, fstat(descriptor, &status) == 0 else {
            close(descriptor)
            throw RegistryProblem.uploadInvalid("another request adds to the upload \(id)")
        }
        self.id = id
        self.path = path
        self.blocking = blocking
        self.descriptor = descriptor
        size = Int64(status.st_size)
    }

    deinit { close(descriptor) }

    func take(_ piece: [UInt8]) async {
        guard failure == nil else { return }
        if gathered.isEmpty { gathered = piece } else { gathered += piece }
        if gathered.count >= Self.batch { await flush() }
    }

    private func flush() async {
        let bytes = gathered
        gathered = []
        guard failure == nil, !bytes.isEmpty else { return }
        guard size + Int64(bytes.count) <= Self.mostBytes else {
            failure = RegistryProblem.uploadInvalid("more than \(Self.mostBytes) bytes")
            return
        }
        do {
            try await blocking.run { [descriptor, path] in try Files.writeAll(bytes, to: descriptor, name: path) }
            size += Int64(bytes.count)
        } catch { failure = error }
    }

    /// What was taken is in the file; throws what went wrong on the way.
    func finishTaking() async throws {
        await flush()
        unlock()
        guard let failure else { return }
        // Half a piece may be in the file: what the client believes is there is not what is there.
        unlink(path)
        throw failure
    }

    /// The digest of everything.
    func digest() async throws -> Digest {
        try await blocking.run { [path] in
            let source = try FileSource(path)
            let hash = RunningDigest()
            while true {
                let bytes = try source.next()
                if bytes.isEmpty { return hash.finish() }
                hash.add(bytes)
            }
        }
    }

    func discard() { unlink(path) }

    /// The next request may come before this one's value has gone.
    func unlock() { flock(descriptor, LOCK_UN) }

    /// Removes what nobody has added to for a day.
    static func sweep(_ layout: StoreLayout) throws {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        for name in try Files.list(layout.uploads) {
            var status = stat()
            let path = "\(layout.uploads)/\(name)"
            if stat(path, &status) == 0, now.tv_sec - status.st_mtim.tv_sec > 86_400 { unlink(path) }
        }
    }
}
