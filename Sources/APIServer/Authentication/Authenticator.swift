import Basics
import Document
import Kinds
import Wire

/// Finds out who makes a request: a client certificate, a bearer token, or nobody.
public struct Authenticator: Sendable {
    /// An object of a plural, namespace and name.
    public typealias Lookup =
        @Sendable (_ plural: String, _ namespace: String, _ name: String) async throws -> Document?

    /// Why a token is not accepted. The client of a request does not hear it, that of a review does.
    struct Rejection: Error {
        /// Nil where no part of the server knows the token at all.
        var reason: String?

        /// What a review says: the reason stands behind the answer of those who did not know the token.
        var text: String {
            reason.map { "[invalid bearer token, \($0)]" } ?? "invalid bearer token"
        }
    }

    let tokens: ServiceAccountTokens
    /// Tokens that were configured, with their users.
    let staticTokens: [String: UserInfo]
    let anonymousAllowed: Bool
    let bootstrapTokensAllowed: Bool
    let clock: any WorldClock
    let lookup: Lookup
    /// Secrets whose tokens were used for the first time on a day.
    let legacyUses: LegacyTokenUses
    private let certificates = CertificateUsers()

    public init(
        tokens: ServiceAccountTokens, staticTokens: [String: UserInfo] = [:], anonymousAllowed: Bool,
        bootstrapTokensAllowed: Bool = true, clock: any WorldClock, lookup: @escaping Lookup
    ) {
        self.tokens = tokens
        self.staticTokens = staticTokens
        self.anonymousAllowed = anonymousAllowed
        self.bootstrapTokensAllowed = bootstrapTokensAllowed
        self.clock = clock
        self.lookup = lookup
        legacyUses = LegacyTokenUses()
    }

    public static let unauthorized = APIStatus(code: 401, reason: "Unauthorized", message: "Unauthorized")

    /// A credential that is given and wrong is refused, never taken as anonymous.
    public func authenticate(_ request: Request) async throws(APIStatus) -> UserInfo {
        if let certificate = request.peer.certificate {
            guard let user = certificates.user(certificate, now: clock.now) else { throw Self.unauthorized }
            return user
        }
        if let token = Self.bearerToken(request.headers) {
            do { return try await user(forToken: token, audiences: tokens.apiAudiences).user } catch {
                throw Self.unauthorized
            }
        }
        guard anonymousAllowed else { throw Self.unauthorized }
        return .anonymous
    }

    // MARK: Tokens in requests

    /// Browsers cannot set headers when they open a WebSocket, so a token may come as one of its protocols.
    static let tokenProtocolPrefix = "base64url.bearer.authorization.k8s.io."

    private static func bearerToken(_ headers: Headers) -> String? {
        if let header = headers["Authorization"] {
            let parts = header.split(separator: " ")
            if parts.count >= 2, parts[0].lowercased() == "bearer" { return String(parts[1]) }
        }
        guard headers["Upgrade"]?.lowercased() == "websocket" else { return nil }
        for value in headers.all("Sec-WebSocket-Protocol") {
            for part in value.split(separator: ",") {
                let name = part.filter { $0 != " " }
                guard name.hasPrefix(tokenProtocolPrefix),
                    let bytes = Base64.decode(name.dropFirst(tokenProtocolPrefix.count), url: true)
                else { continue }
                return String(decoding: bytes, as: UTF8.self)
            }
        }
        return nil
    }

    /// The user behind a token, and the audiences that token and caller share; for reviews too.
    func user(
        forToken token: String, audiences: [String]
    ) async throws(Rejection) -> (user: UserInfo, audiences: [String]) {
        let given = Array(token.utf8)
        for (known, user) in staticTokens where Digest.equal(Array(known.utf8), given) {
            return (Self.authenticated(user), try shared(audiences))
        }
        if bootstrapTokensAllowed, let bootstrap = BootstrapToken(token), let user = try await user(of: bootstrap) {
            return (Self.authenticated(user), try shared(audiences))
        }
        let claims: ServiceAccountTokens.Claims
        do { claims = try tokens.verify(token, audiences: audiences, now: clock.now) } catch {
            switch error {
            case .foreign: throw Rejection(reason: nil)
            case .invalid(let reason): throw Rejection(reason: reason)
            }
        }
        try await check(claims, token)
        return (claims.user, claims.audiences)
    }

    private static func authenticated(_ user: UserInfo) -> UserInfo {
        var user = user
        if !user.groups.contains("system:authenticated") { user.groups.append("system:authenticated") }
        return user
    }

    /// Tokens that bear no audience are meant for this server.
    private func shared(_ audiences: [String]) throws(Rejection) -> [String] {
        let common = tokens.apiAudiences.filter(audiences.contains)
        if common.isEmpty { throw Rejection(reason: nil) }
        return common
    }

    private func found(_ plural: String, _ namespace: String, _ name: String) async throws(Rejection) -> Document? {
        do { return try await lookup(plural, namespace, name) } catch { throw Rejection(reason: "\(error)") }
    }

    private func user(of token: BootstrapToken) async throws(Rejection) -> UserInfo? {
        guard let secret = try await found("secrets", "kube-system", token.secretName) else { return nil }
        return token.user(from: secret, now: clock.now)
    }

    // MARK: What a token is bound to

    /// Things that were marked for deletion this long ago no longer stand behind a token.
    private static let leeway = Duration.seconds(60)

    private func isGone(_ object: Document) -> Bool {
        guard let text = object.text("metadata", "deletionTimestamp"), let time = Timestamp(rfc3339: text) else {
            return false
        }
        return time + Self.leeway < clock.now
    }

    private func check(_ claims: ServiceAccountTokens.Claims, _ token: String) async throws(Rejection) {
        if let secret = claims.legacySecret { try await checkLegacy(secret, claims, token) }
        let path = "\(claims.namespace)/\(claims.serviceAccount)"
        guard let account = try await found("serviceaccounts", claims.namespace, claims.serviceAccount) else {
            throw Rejection(reason: "serviceaccounts \"\(claims.serviceAccount)\" not found")
        }
        if isGone(account) { throw Rejection(reason: "service account \(path) has been deleted") }
        let uid = account.text("metadata", "uid") ?? ""
        if uid != claims.serviceAccountUID {
            throw Rejection(
                reason: "service account UID (\(uid)) does not match claim (\(claims.serviceAccountUID))")
        }
        for binding in claims.bindings { try await check(binding, claims) }
    }

    private func check(
        _ binding: ServiceAccountTokens.Binding, _ claims: ServiceAccountTokens.Claims
    ) async throws(Rejection) {
        // A node that is named beside a pod is information; only an object that binds alone ends the token.
        if binding.kind == "Node", claims.bindings.contains(where: { $0.kind == "Pod" }) { return }
        let plurals = ["Pod": "pods", "Secret": "secrets", "Node": "nodes"]
        let namespace = binding.kind == "Node" ? "" : claims.namespace
        guard let plural = plurals[binding.kind], let object = try await found(plural, namespace, binding.name),
            !isGone(object)
        else { throw Rejection(reason: "service account token has been invalidated") }
        let uid = object.text("metadata", "uid") ?? ""
        if uid != binding.uid {
            let kind = binding.kind.lowercased()
            throw Rejection(
                reason: "\(kind) UID (\(uid)) does not match service account \(kind) ref claim (\(binding.uid))")
        }
    }

    /// Tokens of the old kind live in a Secret, and with it.
    private func checkLegacy(
        _ name: String, _ claims: ServiceAccountTokens.Claims, _ token: String
    ) async throws(Rejection) {
        guard let secret = try await found("secrets", claims.namespace, name),
            secret.text("metadata", "deletionTimestamp") == nil
        else { throw Rejection(reason: "Token has been invalidated") }
        let stored = secret.text("data", "token").flatMap { Base64.decode($0) } ?? []
        guard Digest.equal(stored, Array(token.utf8)) else {
            throw Rejection(reason: "Token does not match server's copy")
        }
        let mark = "kubernetes.io/legacy-token-invalid-since"
        if let since = secret.text("metadata", "labels", mark), !since.isEmpty {
            throw Rejection(
                reason: "the token in secret \(claims.namespace)/\(name) for service account "
                    + "\(claims.namespace)/\(claims.serviceAccount) has been marked invalid. Use tokens from the "
                    + "TokenRequest API or manually created secret-based tokens, or remove the '\(mark)' label from "
                    + "the secret to temporarily allow use of this token")
        }
        legacyUses.note(secret, now: clock.now)
    }
}
