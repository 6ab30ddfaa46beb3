import Basics
import Document
import Kinds
import Synchronization
import Wire

/// What goes wrong on purpose for some of a server's clients, while somebody tries how they bear it. A request pays for
/// it with one look at a number, as long as there is no rule.
public final class ClientFaults: Sendable {
    /// One fault, as its description says.
    public struct Rule: Sendable, Equatable {
        public enum Effect: Sendable, Equatable {
            /// Requests wait that long before they are looked at.
            case slow(Duration)
            /// So many of a hundred requests fail.
            case error(percent: Int)
            /// Watches end when they have something to tell.
            case watchDrop
            /// What watches tell comes that much later.
            case watchLag(Duration)
            /// Watches tell nothing until it is over.
            case watchStale
        }

        public enum Clients: Sendable, Equatable {
            case everybody
            case user(String)
            /// By the beginning of their `User-Agent`.
            case agent(String)
        }

        public var name: String
        public var effect: Effect
        public var clients: Clients
        public var until: Timestamp?

        public init(name: String, effect: Effect, clients: Clients, until: Timestamp? = nil) {
            self.name = name
            self.effect = effect
            self.clients = clients
            self.until = until
        }

        /// Nil where it is no rule.
        public init?(name: String, _ document: Document) {
            let delay = Duration.milliseconds(document.number("delayMilliseconds") ?? 0)
            switch document.text("kind") {
            case "api-slow": effect = .slow(delay)
            case "api-error": effect = .error(percent: document.number("percent") ?? 100)
            case "watch-drop": effect = .watchDrop
            case "watch-lag": effect = .watchLag(delay)
            case "watch-stale": effect = .watchStale
            default: return nil
            }
            guard let clients = Clients(document.text("at")) else { return nil }
            self.clients = clients
            self.name = name
            until = document.text("until").flatMap { Timestamp(rfc3339: $0) }
        }

        var concernsWatches: Bool {
            switch effect {
            case .slow, .error: false
            case .watchDrop, .watchLag, .watchStale: true
            }
        }

        func isMeant(user: String, agent: String, now: Timestamp) -> Bool {
            if let until, until <= now { return false }
            switch clients {
            case .everybody: return true
            case .user(let name): return user == name
            case .agent(let prefix): return agent.hasPrefix(prefix)
            }
        }
    }

    /// Whoever puts faults in and takes them away is spared, or else nobody could end a fault for everybody.
    public static let sparedAgent = "lab-fault"

    private let rules = Mutex<[Rule]>([])
    private let count = Atomic(0)
    private let clock: any WorldClock
    private let random: any Randomness

    /// Between two looks whether a stale watch may go on, which nobody does without such a fault.
    private static let pause: Duration = .milliseconds(50)

    public init(clock: any WorldClock, random: any Randomness) {
        self.clock = clock
        self.random = random
    }

    public func replace(_ rules: [Rule]) {
        self.rules.withLock { $0 = rules }
        count.store(rules.count, ordering: .releasing)
    }

    var isQuiet: Bool { count.load(ordering: .relaxed) == 0 }

    private func meant(user: String, agent: String, watches: Bool) -> [Rule] {
        if isQuiet || agent.hasPrefix(Self.sparedAgent) { return [] }
        let now = clock.now
        return rules.withLock { rules in
            rules.filter { $0.concernsWatches == watches && $0.isMeant(user: user, agent: agent, now: now) }
        }
    }

    /// Before a request is looked at. Throws where it is to fail.
    func disturb(user: String, agent: String) async throws {
        for rule in meant(user: user, agent: agent, watches: false) {
            switch rule.effect {
            case .slow(let delay): try await clock.sleep(for: delay)
            case .error(let percent) where random.below(100) < percent:
                throw APIStatus(
                    code: 500, reason: "InternalError", message: "the fault \"\(rule.name)\" lets this request fail")
            default: continue
            }
        }
    }

    /// The answer to a watch, whose events pass by the rules of their time.
    func watching(_ response: Response, user: String, agent: String) -> Response {
        guard case .stream(let produce) = response.body else { return response }
        var response = response
        response.body = .stream { writer in
            try await produce(DisturbedWriter(writer: writer, faults: self, user: user, agent: agent))
        }
        return response
    }

    struct Dropped: Error {}

    fileprivate func hold(user: String, agent: String) async throws {
        for rule in meant(user: user, agent: agent, watches: true) {
            switch rule.effect {
            case .watchDrop: throw Dropped()
            case .watchLag(let delay): try await clock.sleep(for: delay)
            case .watchStale:
                while meant(user: user, agent: agent, watches: true).contains(where: { $0.effect == .watchStale }) {
                    try await clock.sleep(for: Self.pause)
                }
            default: continue
            }
        }
    }
}

extension ClientFaults.Rule.Clients {
    /// `user/NAME`, `agent/PREFIX`; nothing is everybody. Nil for what is none of them.
    public init?(_ text: String?) {
        guard let text, !text.isEmpty else {
            self = .everybody
            return
        }
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, !parts[1].isEmpty else { return nil }
        switch parts[0] {
        case "user": self = .user(parts[1])
        case "agent": self = .agent(parts[1])
        default: return nil
        }
    }
}

private struct DisturbedWriter: BodyWriter {
    let writer: any BodyWriter
    let faults: ClientFaults
    let user: String
    let agent: String

    func write(_ piece: [UInt8]) async throws {
        if !faults.isQuiet { try await faults.hold(user: user, agent: agent) }
        try await writer.write(piece)
    }
}
