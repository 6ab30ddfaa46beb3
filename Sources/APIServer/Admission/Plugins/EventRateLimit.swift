import Basics
import Document
import Kinds
import Schema
import Synchronization

/// How many events may be written, and by what they are counted.
public struct EventRateLimitRule: Sendable {
    public enum Scope: Sendable {
        case server, namespace, user, sourceAndObject

        var name: String {
            switch self {
            case .server: "Server"
            case .namespace: "Namespace"
            case .user: "User"
            case .sourceAndObject: "SourceAndObject"
            }
        }
    }

    public var scope: Scope
    /// Events a second, in the long run.
    public var perSecond: Int
    /// Events at once.
    public var burst: Int
    /// Counters kept; with more, those used least recently are forgotten.
    public var cacheSize = 4_096

    public init(scope: Scope, perSecond: Int, burst: Int) {
        self.scope = scope
        self.perSecond = perSecond
        self.burst = burst
    }
}

/// Tokens that come back with time.
struct TokenBucket: Sendable {
    private(set) var tokens: Double
    private var filledAt: Duration

    init(burst: Int, now: Duration) {
        tokens = Double(burst)
        filledAt = now
    }

    mutating func take(_ rule: EventRateLimitRule, now: Duration) -> Bool {
        let seconds = (now - filledAt) / .seconds(1)
        tokens = min(Double(rule.burst), tokens + max(0, seconds) * Double(rule.perSecond))
        filledAt = now
        guard tokens >= 1 else { return false }
        tokens -= 1
        return true
    }
}

/// Floods of events are refused before they fill the store.
final class EventRateLimit: AdmissionPlugin {
    private let rules: [EventRateLimitRule]
    private let buckets: Mutex<[[String: TokenBucket]]>

    init(rules: [EventRateLimitRule]) {
        self.rules = rules
        buckets = Mutex(Array(repeating: [:], count: rules.count))
    }

    func validate(_ object: Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        guard context.resource.plural == "events", [.create, .update].contains(context.operation), !context.dryRun
        else { return }
        let now = resources.world.clock.uptime
        let refused = buckets.withLock { buckets in
            var refused: [String] = []
            // Every rule counts the event, also where another has refused it.
            for (index, rule) in rules.enumerated() {
                let key = Self.key(rule.scope, object, context)
                if buckets[index][key] == nil, buckets[index].count >= rule.cacheSize { buckets[index].removeAll() }
                var bucket = buckets[index][key] ?? TokenBucket(burst: rule.burst, now: now)
                if !bucket.take(rule, now: now) {
                    refused.append("limit reached on type \(rule.scope.name) for key \(key)")
                }
                buckets[index][key] = bucket
            }
            return refused
        }
        if refused.isEmpty { return }
        throw APIStatus.failure(
            429, "TooManyRequests", refused.count == 1 ? refused[0] : "[\(refused.joined(separator: ", "))]")
    }

    private static func key(_ scope: EventRateLimitRule.Scope, _ event: Document, _ context: AdmissionContext) -> String
    {
        switch scope {
        case .server: return ""
        case .namespace: return context.namespace
        case .user: return context.user.name
        case .sourceAndObject:
            let source = event["source"] ?? event["deprecatedSource"] ?? .emptyObject
            let object = event["involvedObject"] ?? event["regarding"] ?? .emptyObject
            let parts =
                ["component", "host"].map { source.text($0) ?? "" }
                + ["kind", "namespace", "name", "uid", "apiVersion"].map { object.text($0) ?? "" }
            return parts.joined()
        }
    }
}
