import Basics
import Document
import Kinds
import Synchronization
import Wire

/// Lets the API server decide who may use another server, such as a component's own metrics port:
/// tokens are asked about by TokenReview, rights by SubjectAccessReview.
public struct DelegatedAccess: Sendable {
    public struct Caller: Sendable, Hashable {
        public var name: String
        public var uid = ""
        public var groups: [String] = []
        public var extra: [String: [String]] = [:]

        public static let anonymous = Caller(name: "system:anonymous", groups: ["system:unauthenticated"])
        fileprivate static let everyone = "system:authenticated"
    }

    private struct Question: Hashable {
        var caller: Caller
        var verb: String
        var path: String
    }

    /// Answers are good for a moment, and so many are kept.
    private struct Answers<Key: Hashable & Sendable, Value: Sendable>: Sendable {
        var entries: [Key: (value: Value, until: Duration)] = [:]

        func fresh(_ key: Key, at now: Duration) -> Value? {
            guard let entry = entries[key], entry.until > now else { return nil }
            return entry.value
        }

        mutating func keep(_ value: Value, for key: Key, at now: Duration) {
            if entries.count >= 256 { entries = [:] }
            entries[key] = (value, now + .seconds(10))
        }
    }

    private final class Memory: Sendable {
        /// By the digest of a token; an empty answer is a token that is no good.
        let callers = Mutex(Answers<[UInt8], Caller?>())
        let verdicts = Mutex(Answers<Question, Bool>())
    }

    private let client: APIClient
    private let clock: any WorldClock
    private let memory = Memory()

    public init(client: APIClient, clock: any WorldClock) {
        self.client = client
        self.clock = clock
    }

    /// Who makes the request; nil where its credentials are no good. The transport has verified a certificate.
    public func caller(of request: Request) async throws -> Caller? {
        if let der = request.peer.certificate {
            guard let certificate = try? X509Certificate(der: der), let name = certificate.commonName else {
                return nil
            }
            return Caller(name: name, groups: certificate.organizations + [Caller.everyone])
        }
        guard let header = request.headers["Authorization"] else { return .anonymous }
        let words = header.split(separator: " ")
        guard words.count == 2, words[0].lowercased() == "bearer" else { return nil }
        return try await caller(presenting: String(words[1]))
    }

    private func caller(presenting token: String) async throws -> Caller? {
        let digest = Digest.sha256(Array(token.utf8))
        let now = clock.uptime
        if let known = memory.callers.withLock({ $0.fresh(digest, at: now) }) { return known }
        let review = try await client.create(
            .tokenReviews,
            [
                "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": ["token": Document(token)],
            ])
        var caller: Caller?
        if review.flag("status", "authenticated") == true, let name = review.text("status", "user", "username") {
            var found = Caller(name: name)
            found.uid = review.text("status", "user", "uid") ?? ""
            found.groups = review.list("status", "user", "groups").compactMap(\.string)
            for member in review.at("status", "user", "extra")?.members ?? [] {
                found.extra[String(member.key)] = member.value.elements.compactMap(\.string)
            }
            caller = found
        }
        let answer = caller
        memory.callers.withLock { $0.keep(answer, for: digest, at: now) }
        return answer
    }

    /// Whether the caller may use a path that is no API object.
    public func allows(_ caller: Caller, _ verb: String, path: String) async throws -> Bool {
        if caller.groups.contains("system:masters") { return true }
        let question = Question(caller: caller, verb: verb, path: path)
        let now = clock.uptime
        if let known = memory.verdicts.withLock({ $0.fresh(question, at: now) }) { return known }
        var spec: Document = [
            "user": Document(caller.name), "groups": Document(caller.groups),
            "nonResourceAttributes": ["path": Document(path), "verb": Document(verb)],
        ]
        if !caller.uid.isEmpty { spec["uid"] = Document(caller.uid) }
        if !caller.extra.isEmpty {
            let extra = caller.extra.sorted { $0.key < $1.key }
            spec["extra"] = Document(members: extra.map { ($0.key, Document($0.value)) })
        }
        let review = try await client.create(
            .subjectAccessReviews,
            ["apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec])
        let verdict = review.flag("status", "allowed") == true
        memory.verdicts.withLock { $0.keep(verdict, for: question, at: now) }
        return verdict
    }
}
