import Basics
import Client
import Document
import Synchronization
import Wire

/// Who may ask the node agent what.
public enum ServerAuthorization: Sendable, Equatable {
    /// Everybody whose client certificate the transport has verified.
    case anyCertificate
    /// Whoever the API server says may do it: a SubjectAccessReview about this node, for the name in the certificate or
    /// for whom a TokenReview finds behind a bearer token.
    case reviews
}

/// Asks the API server about callers, and remembers for a while what it said.
final class ServerAccess: Sendable {
    struct Caller: Sendable, Hashable {
        var name: String
        var groups: [String]
        var uid = ""
    }

    private struct Question: Hashable {
        var caller: Caller
        var verb: String
        var subresource: String
    }

    private struct Answer<Value: Sendable>: Sendable {
        var value: Value
        var until: Duration
    }

    private struct State {
        var callers: [String: Answer<Caller?>] = [:]
        var decisions: [Question: Answer<Bool>] = [:]
    }

    private let mode: ServerAuthorization
    private let nodeName: String
    private let client: APIClient
    private let clock: any WorldClock
    private let state = Mutex(State())

    private static let tokenTime = Duration.seconds(120)
    private static let allowedTime = Duration.seconds(300)
    private static let deniedTime = Duration.seconds(30)
    /// Of each kind of answer; beyond it all are asked for again.
    private static let mostAnswers = 1024

    init(mode: ServerAuthorization, nodeName: String, client: APIClient, clock: any WorldClock) {
        self.mode = mode
        self.nodeName = nodeName
        self.client = client
        self.clock = clock
    }

    /// Nil where the caller may go on, else the answer that it gets.
    func refusal(_ request: Request, path: [String]) async -> Response? {
        if mode == .anyCertificate {
            return request.peer.certificate == nil ? KubeletServer.text(401, "Unauthorized") : nil
        }
        do {
            guard let caller = try await caller(of: request) else { return KubeletServer.text(401, "Unauthorized") }
            let verb = Self.verbs[request.method] ?? ""
            let subresources = Self.subresources(of: path)
            for subresource in subresources
            where try await isAllowed(Question(caller: caller, verb: verb, subresource: subresource)) { return nil }
            return KubeletServer.text(
                403,
                "Forbidden (user=\(caller.name), verb=\(verb), resource=nodes, "
                    + "subresource(s)=[\(subresources.joined(separator: " "))])")
        } catch {
            return KubeletServer.text(500, "Authorization error: \(error)")
        }
    }

    static let verbs = [
        "GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete",
    ]

    /// What of a node the path is about; any one of them is enough, the narrow one is asked about first.
    static func subresources(of path: [String]) -> [String] {
        switch path.first {
        case "stats": ["stats"]
        case "metrics": ["metrics"]
        case "logs": ["log"]
        case "checkpoint": ["checkpoint"]
        case "healthz": ["healthz", "proxy"]
        case "pods", "runningpods": ["pods", "proxy"]
        case "configz": ["configz", "proxy"]
        default: ["proxy"]
        }
    }

    // MARK: Who

    private func caller(of request: Request) async throws -> Caller? {
        if let der = request.peer.certificate, let certificate = try? X509Certificate(der: der),
            let name = certificate.commonName, !name.isEmpty
        {
            return Caller(name: name, groups: certificate.organizations + ["system:authenticated"])
        }
        let words = (request.headers["Authorization"] ?? "").split(separator: " ")
        guard words.count == 2, words[0].lowercased() == "bearer" else { return nil }
        let token = String(words[1])
        // Tokens are not kept, only what tells them apart.
        let key = Hex.encode(Digest.sha256(Array(token.utf8)))
        let now = clock.uptime
        if let known = state.withLock({ $0.callers[key] }), known.until > now { return known.value }
        let review: Document = [
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": ["token": Document(token)],
        ]
        let status = try await client.create(.tokenReviews, review)["status"] ?? .emptyObject
        var found: Caller?
        if status.flag("authenticated") == true {
            found = Caller(
                name: status.text("user", "username") ?? "",
                groups: status.list("user", "groups").compactMap(\.string), uid: status.text("user", "uid") ?? "")
        }
        let answer = Answer(value: found, until: now + (found == nil ? Self.deniedTime : Self.tokenTime))
        state.withLock { state in
            if state.callers.count >= Self.mostAnswers { state.callers = [:] }
            state.callers[key] = answer
        }
        return found
    }

    // MARK: May

    private func isAllowed(_ question: Question) async throws -> Bool {
        let now = clock.uptime
        if let known = state.withLock({ $0.decisions[question] }), known.until > now { return known.value }
        let review: Document = [
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
            "spec": [
                "user": Document(question.caller.name), "groups": Document(question.caller.groups),
                "uid": Document(question.caller.uid),
                "resourceAttributes": [
                    "verb": Document(question.verb), "version": "v1", "resource": "nodes",
                    "subresource": Document(question.subresource), "name": Document(nodeName),
                ],
            ],
        ]
        let answer = try await client.create(.subjectAccessReviews, review)
        let allowed = answer.flag("status", "allowed") == true
        state.withLock { state in
            if state.decisions.count >= Self.mostAnswers { state.decisions = [:] }
            state.decisions[question] = Answer(
                value: allowed, until: now + (allowed ? Self.allowedTime : Self.deniedTime))
        }
        return allowed
    }
}
