import Basics
import Document
import Kinds
import Wire

/// Finds out who makes a request: a client certificate, a bearer token, or nobody.
public struct Authenticator: Sendable {
    /// Whether an object of that kind, namespace, name and uid exists (and is not a finished leftover).
    public typealias Lookup =
        @Sendable (_ kind: String, _ namespace: String, _ name: String, _ uid: String) async -> Bool

    let tokens: ServiceAccountTokens
    /// Tokens that were configured, with their users.
    let staticTokens: [String: UserInfo]
    let anonymousAllowed: Bool
    let clock: any WorldClock
    let lookup: Lookup

    public init(
        tokens: ServiceAccountTokens, staticTokens: [String: UserInfo] = [:], anonymousAllowed: Bool,
        clock: any WorldClock, lookup: @escaping Lookup
    ) {
        self.tokens = tokens
        self.staticTokens = staticTokens
        self.anonymousAllowed = anonymousAllowed
        self.clock = clock
        self.lookup = lookup
    }

    public static let unauthorized = APIStatus(code: 401, reason: "Unauthorized", message: "Unauthorized")

    /// A credential that is given and wrong is refused, never taken as anonymous.
    public func authenticate(_ request: Request) async throws(APIStatus) -> UserInfo {
        if let certificate = request.peer.certificate {
            // The transport has verified it against the clients' authority; only its name is read here.
            guard let parsed = try? X509Certificate(der: certificate), let name = parsed.commonName else {
                throw Self.unauthorized
            }
            return UserInfo(name: name, groups: parsed.organizations + ["system:authenticated"])
        }
        if let header = request.headers["Authorization"] {
            let parts = header.split(separator: " ", maxSplits: 1)
            guard parts.count == 2, parts[0].lowercased() == "bearer" else {
                throw Self.unauthorized
            }
            return try await user(forToken: String(parts[1])).user
        }
        guard anonymousAllowed else { throw Self.unauthorized }
        return .anonymous
    }

    /// The user behind a token, and the audiences that token and caller share; for TokenReview too.
    public func user(
        forToken token: String, audiences: [String] = []
    ) async throws(APIStatus) -> (user: UserInfo, audiences: [String]) {
        let given = Array(token.utf8)
        for (known, user) in staticTokens where Digest.equal(Array(known.utf8), given) {
            var user = user
            if !user.groups.contains("system:authenticated") { user.groups.append("system:authenticated") }
            return (user, audiences.isEmpty ? tokens.apiAudiences : audiences)
        }
        let claims: ServiceAccountTokens.Claims
        do { claims = try tokens.verify(token, audiences: audiences, now: clock.now) } catch {
            throw Self.unauthorized
        }
        guard
            await lookup("ServiceAccount", claims.namespace, claims.serviceAccount, claims.serviceAccountUID)
        else { throw Self.unauthorized }
        for binding in claims.bindings {
            let namespace = binding.kind == "Node" ? "" : claims.namespace
            // A node that is named beside a pod is information; only an object that binds alone ends the token.
            if binding.kind == "Node", claims.bindings.contains(where: { $0.kind == "Pod" }) { continue }
            guard await lookup(binding.kind, namespace, binding.name, binding.uid) else { throw Self.unauthorized }
        }
        return (claims.user, claims.audiences)
    }
}
