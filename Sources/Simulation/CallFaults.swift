import Basics
import Document
import Kinds
import Synchronization
import Wire

/// What goes wrong with one call to the API.
public enum CallFault: String, Sendable, CaseIterable {
    /// 500; nothing happened.
    case serverError
    /// 409: another writer was faster; nothing happened.
    case conflict
    /// 429 with `Retry-After`; nothing happened.
    case tooManyRequests
    /// The connection broke on the way there; nothing happened.
    case cutBefore
    /// The connection broke on the way back: what was asked for has happened, and the caller does not know.
    case cutAfter
    /// No answer for half a minute; nothing happened.
    case timeOut

    /// Those that can happen to a request that changes nothing.
    static let ofReads: [CallFault] = [.serverError, .tooManyRequests, .cutBefore, .timeOut]
}

/// Numbers the calls that pass, and lets one of them fail.
public final class CallFaults: Transport {
    public struct Planned: Sendable, Equatable, CustomStringConvertible {
        /// Counted from 0.
        public var call: Int
        public var fault: CallFault

        public init(call: Int, fault: CallFault) {
            self.call = call
            self.fault = fault
        }

        public var description: String { "\(fault) at call \(call)" }
    }

    /// What a caller sees of a connection that broke or stayed silent.
    public struct Broken: Error, Sendable, CustomStringConvertible {
        public let description: String
    }

    private struct State {
        var calls: [String] = []
        var isCounting = true
    }

    private static let patience = Duration.seconds(30)
    private let base: any Transport
    private let planned: Planned?
    private let clock: any WorldClock
    private let state = Mutex(State())

    public init(_ base: any Transport, failing planned: Planned? = nil, clock: any WorldClock) {
        self.base = base
        self.planned = planned
        self.clock = clock
    }

    /// Every call so far, as `METHOD TARGET`.
    public var calls: [String] { state.withLock { $0.calls } }

    /// Calls from now on are neither counted nor failed.
    public func stopCounting() { state.withLock { $0.isCounting = false } }

    public func send(_ request: Request) async throws -> any ResponseStream {
        let number = state.withLock { state -> Int? in
            guard state.isCounting else { return nil }
            state.calls.append("\(request.method) \(request.target)")
            return state.calls.count - 1
        }
        guard let planned, planned.call == number else { return try await base.send(request) }
        switch planned.fault {
        case .serverError:
            return Self.refusal(APIStatus(code: 500, reason: "InternalError", message: "an injected fault"))
        case .conflict:
            return Self.refusal(APIStatus(code: 409, reason: "Conflict", message: "an injected fault"))
        case .tooManyRequests:
            var status = APIStatus(code: 429, reason: "TooManyRequests", message: "an injected fault")
            status.retryAfterSeconds = 1
            return Self.refusal(status)
        case .cutBefore:
            throw Broken(description: "the connection broke before the request was sent")
        case .cutAfter:
            try await base.send(request).cancel()
            throw Broken(description: "the connection broke before the answer came")
        case .timeOut:
            try await clock.sleep(for: Self.patience)
            throw Broken(description: "no answer within \(Self.patience)")
        }
    }

    private static func refusal(_ status: APIStatus) -> any ResponseStream {
        var headers = Headers([("Content-Type", "application/json")])
        if let seconds = status.retryAfterSeconds { headers.add("Retry-After", String(seconds)) }
        return Refusal(status: status.code, headers: headers, body: status.document.json)
    }

    private final class Refusal: ResponseStream {
        let status: Int
        let headers: Headers
        private let body: Mutex<[UInt8]?>

        init(status: Int, headers: Headers, body: [UInt8]) {
            self.status = status
            self.headers = headers
            self.body = Mutex(body)
        }

        func next() async throws -> [UInt8]? {
            body.withLock { body in
                defer { body = nil }
                return body
            }
        }

        func cancel() { body.withLock { $0 = nil } }
    }
}
