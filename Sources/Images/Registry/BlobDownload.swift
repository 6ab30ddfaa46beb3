import Basics
import Glibc
import Linux
import Synchronization
import Wire

/// A blob on its way into the store: a file named by its digest, which outlives an interruption, and a lock that does
/// not. Whoever holds the lock adds bytes; all are digested as they come.
///
/// Its methods block and are called one after the other.
final class PartialBlob: @unchecked Sendable {
    private let descriptor: Int32
    let path: String
    private var digest = RunningDigest()
    private(set) var size: Int64 = 0

    /// Nil while another process, or another pull of this one, holds the blob.
    init?(_ digest: Digest, in layout: StoreLayout) throws {
        let path = "\(layout.partials)/\(digest.hex)"
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw SystemError("open", path, errno: errno) }
        // The last holder may have moved the file into the store while we opened it.
        var mine = stat()
        var there = stat()
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0, fstat(descriptor, &mine) == 0, stat(path, &there) == 0,
            mine.st_ino == there.st_ino
        else {
            close(descriptor)
            return nil
        }
        // Only now: an initialiser that fails later than this runs `deinit`, which closes once more.
        self.path = path
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// Digests what an earlier attempt left; gives its size.
    func resume() throws -> Int64 {
        digest = RunningDigest()
        size = 0
        guard lseek(descriptor, 0, Int32(SEEK_SET)) == 0 else { throw SystemError("seek", path, errno: errno) }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 16)
        defer { buffer.deallocate() }
        while true {
            let count = read(descriptor, buffer.baseAddress, buffer.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw SystemError("read", path, errno: errno)
            }
            if count == 0 { return size }
            digest.add(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            size += Int64(count)
        }
    }

    func append(_ bytes: [UInt8]) throws {
        try Files.writeAll(bytes, to: descriptor, name: path)
        bytes.withUnsafeBytes { digest.add($0) }
        size += Int64(bytes.count)
    }

    func startOver() throws {
        guard ftruncate(descriptor, 0) == 0, lseek(descriptor, 0, Int32(SEEK_SET)) == 0 else {
            throw SystemError("truncate", path, errno: errno)
        }
        digest = RunningDigest()
        size = 0
    }

    /// The digest of everything; nothing is added afterwards.
    func finish() -> Digest { digest.finish() }

    func discard() { unlink(path) }
}

/// Brings one blob from a registry into the store, from where an earlier attempt stopped.
struct BlobDownload: Sendable {
    /// Bytes gathered before they are handed to a thread that may block.
    static let batch = 512 << 10

    let client: RegistryClient
    let store: ImageStore
    let blocking: BlockingPool
    /// How long no byte may come before the transfer counts as broken.
    var stall: Duration = .seconds(30)

    /// Returns once the store has the blob. `told` hears how many of its bytes are here.
    func run(
        _ descriptor: Descriptor, from places: [RegistryClient.Place], told: @escaping @Sendable (Int64) -> Void
    ) async throws {
        guard let partial = try await claim(descriptor.digest) else { return told(descriptor.size) }
        do {
            try await client.firstOf(places) { place in
                try await client.plan.run(clock: client.clock, random: client.random) { _ in
                    try await transfer(descriptor, place, partial, told)
                }
                try await check(descriptor, partial)
            }
        } catch {
            // What is here helps the next attempt, but not on a disk that is full.
            if let full = error as? SystemError, full.errno == ENOSPC || full.errno == EDQUOT { partial.discard() }
            throw error
        }
        try await blocking.run { try store.adopt(partial.path, as: descriptor.digest) }
    }

    /// Nil where the store has the blob already, perhaps because somebody else has just brought it.
    private func claim(_ digest: Digest) async throws -> PartialBlob? {
        var pause = Duration.milliseconds(5)
        while true {
            if store.content.has(digest) { return nil }
            if let partial = try PartialBlob(digest, in: store.layout) {
                if !store.content.has(digest) { return partial }
                partial.discard()
                return nil
            }
            try await client.clock.sleep(for: pause)
            pause = min(pause * 2, .milliseconds(250))
        }
    }

    private func check(_ descriptor: Descriptor, _ partial: PartialBlob) async throws {
        let found = partial.finish()
        guard found != descriptor.digest else { return }
        try await blocking.run { try partial.startOver() }
        throw RegistryFailure("the blob \(descriptor.digest) has the wrong content, with the digest \(found)")
    }

    private func transfer(
        _ descriptor: Descriptor, _ place: RegistryClient.Place, _ partial: PartialBlob,
        _ told: @escaping @Sendable (Int64) -> Void
    ) async throws {
        var start = try await blocking.run { try partial.resume() }
        if start > descriptor.size {
            try await blocking.run { try partial.startOver() }
            start = 0
        }
        told(start)
        if start == descriptor.size, start > 0 || descriptor.size == 0 { return }
        var headers = Headers()
        if start > 0 { headers.add("Range", "bytes=\(start)-") }
        let response = try await client.send("GET", place.address("blobs/\(descriptor.digest)"), in: place, headers)
        switch response.status {
        case 206 where Self.begin(of: response.headers["Content-Range"]) == start: break
        case 200: if start > 0 { try await blocking.run { try partial.startOver() } }
        case 206, 416:
            // It has another idea of the blob than we: from the beginning, then.
            response.cancel()
            try await blocking.run { try partial.startOver() }
            throw RegistryFailure.Interrupted(description: "\(place.endpoint): cannot go on at byte \(start)")
        default:
            throw await RegistryFailure(refusal: response, of: "\(place.endpoint): blob \(descriptor.digest)")
        }
        try await receive(response, descriptor, partial, told)
    }

    /// The first byte of `bytes 5-9/10`.
    private static func begin(of range: String?) -> Int64? {
        guard let range, range.hasPrefix("bytes ") else { return nil }
        return Int64(range.dropFirst(6).prefix { $0 != "-" })
    }

    private func receive(
        _ response: any ResponseStream, _ descriptor: Descriptor, _ partial: PartialBlob,
        _ told: @escaping @Sendable (Int64) -> Void
    ) async throws {
        let arrived = Arrived()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                var gathered: [UInt8] = []
                var total = partial.size
                while let piece = try await response.next() {
                    total += Int64(piece.count)
                    arrived.count.add(piece.count, ordering: .relaxed)
                    guard total <= descriptor.size else {
                        try await blocking.run { try partial.startOver() }
                        throw RegistryFailure(
                            "the blob \(descriptor.digest) is longer than its \(descriptor.size) bytes")
                    }
                    gathered += piece
                    guard gathered.count >= Self.batch else { continue }
                    let batch = gathered
                    gathered.removeAll(keepingCapacity: true)
                    try await blocking.run { try partial.append(batch) }
                    told(total)
                }
                let rest = gathered
                try await blocking.run { try partial.append(rest) }
                told(total)
                guard total == descriptor.size else {
                    throw RegistryFailure.Interrupted(
                        description: "the blob \(descriptor.digest) ended after \(total) of \(descriptor.size) bytes")
                }
            }
            group.addTask {
                var last = -1
                while true {
                    let now = arrived.count.load(ordering: .relaxed)
                    guard now != last else {
                        response.cancel()
                        throw RegistryFailure.Interrupted(
                            description: "no byte of the blob \(descriptor.digest) came for \(stall.wholeSeconds) s")
                    }
                    last = now
                    try await client.clock.sleep(for: stall)
                }
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private final class Arrived: Sendable {
        let count = Atomic(0)
    }
}
