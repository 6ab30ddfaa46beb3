import Basics
import Synchronization
import Wire

/// Calls a server's handler in the same process.
///
/// Whole answers need nothing more. Streamed ones (watches, logs) are produced by tasks of the transport's own,
/// so `run()` must be running; a stream asked for before that waits for it.
public final class InProcessTransport: Transport {
    private let handler: Handler
    private let identity: PeerIdentity
    private let pending = Mutex<[StreamChannel]>([])
    private let arrival = Wakeup()

    public init(handler: @escaping Handler, identity: PeerIdentity = PeerIdentity()) {
        self.handler = handler
        self.identity = identity
    }

    public func send(_ request: Request) async throws -> any ResponseStream {
        try Task.checkCancellation()
        var request = request
        request.peer = identity
        let response = await handler(request)
        switch response.body {
        case .bytes(let bytes):
            return WholeResponse(response, [bytes])
        case .pieces(let pieces):
            return WholeResponse(response, pieces)
        case .stream(let produce):
            let channel = StreamChannel(response, produce)
            pending.withLock { $0.append(channel) }
            arrival.wake()
            return channel
        case .upgrade:
            throw InProcessTransportError.upgrade
        }
    }

    /// Produces the streamed answers until cancelled.
    public func run() async throws {
        try await withThrowingDiscardingTaskGroup { group in
            while true {
                let ticket = arrival.ticket
                let channels = pending.withLock { pending in
                    defer { pending = [] }
                    return pending
                }
                for channel in channels { group.addTask { await channel.produceAll() } }
                if channels.isEmpty { try await arrival.wait(since: ticket) }
            }
        }
    }
}

public enum InProcessTransportError: Error, Sendable, CustomStringConvertible {
    case upgrade
    case readerGone

    public var description: String {
        switch self {
        case .upgrade: "a protocol upgrade needs a real connection, not a call in the same process"
        case .readerGone: "the reader gave the stream up"
        }
    }
}

private final class WholeResponse: ResponseStream {
    let status: Int
    let headers: Headers
    private let pieces: Mutex<ArraySlice<[UInt8]>>

    init(_ response: Response, _ pieces: [[UInt8]]) {
        status = response.status
        headers = response.headers
        self.pieces = Mutex(pieces.filter { !$0.isEmpty }[...])
    }

    func next() async throws -> [UInt8]? { pieces.withLock { $0.popFirst() } }
    func cancel() { pieces.withLock { $0 = [] } }
}

/// The bounded way between the task that produces a body and the one that reads it.
private final class StreamChannel: ResponseStream, BodyWriter {
    private struct State {
        var pieces: [[UInt8]] = []
        var isFinished = false
        var failure: (any Error)?
        var isCancelled = false
    }

    /// So many pieces may lie unread before the producer has to wait.
    private static let capacity = 64

    let status: Int
    let headers: Headers
    private let produce: @Sendable (any BodyWriter) async throws -> Void
    private let state = Mutex(State())
    private let change = Wakeup()

    init(_ response: Response, _ produce: @escaping @Sendable (any BodyWriter) async throws -> Void) {
        status = response.status
        headers = response.headers
        self.produce = produce
    }

    func next() async throws -> [UInt8]? {
        while true {
            let ticket = change.ticket
            enum Step { case piece([UInt8]), end((any Error)?), wait }
            let step: Step = state.withLock { state in
                if state.isCancelled { return .end(nil) }
                if !state.pieces.isEmpty { return .piece(state.pieces.removeFirst()) }
                return state.isFinished ? .end(state.failure) : .wait
            }
            switch step {
            case .piece(let piece):
                change.wake()
                return piece
            case .end(let failure):
                if let failure { throw failure }
                return nil
            case .wait:
                try await change.wait(since: ticket)
            }
        }
    }

    func cancel() {
        state.withLock { state in
            state.isCancelled = true
            state.pieces = []
        }
        change.wake()
    }

    func write(_ piece: [UInt8]) async throws {
        guard !piece.isEmpty else { return }
        while true {
            let ticket = change.ticket
            let isTaken = try state.withLock { state in
                if state.isCancelled { throw InProcessTransportError.readerGone }
                if state.pieces.count >= Self.capacity { return false }
                state.pieces.append(piece)
                return true
            }
            if isTaken { return change.wake() }
            try await change.wait(since: ticket)
        }
    }

    /// Runs the producer to its end; a reader that goes away cancels it.
    func produceAll() async {
        let failure = await withTaskGroup(of: (any Error)?.self) { group -> (any Error)? in
            group.addTask {
                do {
                    try await self.produce(self)
                    return nil
                } catch { return error }
            }
            group.addTask {
                do { try await self.waitForCancel() } catch { return error }
                return nil
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
        state.withLock { state in
            state.isFinished = true
            state.failure = failure
        }
        change.wake()
    }

    private func waitForCancel() async throws {
        while true {
            let ticket = change.ticket
            if state.withLock({ $0.isCancelled || $0.isFinished }) { return }
            try await change.wait(since: ticket)
        }
    }
}
