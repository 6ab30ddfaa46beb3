import Document
import Kinds
import Synchronization
import Wire

public enum WatchEvent: Sendable, Equatable {
    case added(Document)
    case modified(Document)
    case deleted(Document)
    /// Nothing happened up to the object's resource version.
    case bookmark(Document)

    public var object: Document {
        switch self {
        case .added(let object), .modified(let object), .deleted(let object), .bookmark(let object): object
        }
    }
}

/// The events of one watch: JSON documents, one after the other, on lines of their own.
public final class WatchStream: Sendable {
    private let stream: any ResponseStream
    private let lines = Mutex(LineFramer())

    init(_ stream: any ResponseStream) { self.stream = stream }

    /// The next event; nil where the server ended the stream. Throws what the server says in an `ERROR` event.
    /// One task at a time may wait here.
    public func next() async throws -> WatchEvent? {
        while true {
            if let line = try lines.withLock({ try $0.next() }) { return try Self.event(line) }
            guard let piece = try await stream.next() else { return nil }
            lines.withLock { $0.append(piece) }
        }
    }

    public func cancel() { stream.cancel() }

    static func event(_ line: [UInt8]) throws -> WatchEvent {
        let event = try Document(json: line)
        let object = event["object"] ?? .null
        switch event.text("type") {
        case "ADDED": return .added(object)
        case "MODIFIED": return .modified(object)
        case "DELETED": return .deleted(object)
        case "BOOKMARK": return .bookmark(object)
        case "ERROR":
            throw APIStatus(object) ?? APIStatus(code: 500, reason: "InternalError", message: object.jsonText)
        default:
            throw APIStatus(
                code: 500, reason: "InternalError", message: "unknown watch event type \(event.text("type") ?? "")")
        }
    }
}

/// Cuts a stream of pieces at its newlines. Bounded by the longest line that is allowed.
struct LineFramer {
    static let longestLine = 64 << 20

    private var buffer: [UInt8] = []
    private var start = 0
    /// Up to here no newline was found.
    private var scanned = 0

    mutating func append(_ piece: [UInt8]) {
        if start == buffer.count {
            buffer = piece
            start = 0
            scanned = 0
        } else {
            if start > 1 << 16 {
                buffer.removeFirst(start)
                scanned -= start
                start = 0
            }
            buffer += piece
        }
    }

    /// The next line that is not empty, without its newline.
    mutating func next() throws -> [UInt8]? {
        while let end = buffer[scanned...].firstIndex(of: 10) {
            let line = buffer[start..<end]
            start = end + 1
            scanned = start
            if !line.isEmpty { return Array(line) }
        }
        scanned = buffer.count
        if buffer.count - start > Self.longestLine { throw BodyTooLarge(limit: Self.longestLine) }
        return nil
    }
}
