import Document
import Synchronization
import Wire

/// Takes a streamed body apart into its lines, and refuses more once it has enough.
final class LineCollector: BodyWriter {
    struct Enough: Error {}

    private let limit: Int
    private let state = Mutex<[UInt8]>([])

    init(limit: Int = .max) { self.limit = limit }

    var lines: [Document] {
        state.withLock { $0 }.split(separator: 10).compactMap { try? Document(json: $0) }
    }

    func write(_ piece: [UInt8]) async throws {
        state.withLock { $0 += piece }
        if lines.count >= limit { throw Enough() }
    }
}
