import Basics
import Document
import Wire

/// Issues and checks the tokens that say "I am this service account": JSON web tokens, signed with the cluster's key,
/// bound to an audience, an expiry and (usually) a pod.
public struct ServiceAccountTokens: Sendable {
    /// What a token is bound to beside its service account: it ends when that object does.
    public struct Binding: Sendable, Equatable {
        public var kind: String
        public var name: String
        public var uid: String

        public init(kind: String, name: String, uid: String) {
            self.kind = kind
            self.name = name
            self.uid = uid
        }
    }

    public struct Claims: Sendable, Equatable {
        public var id: String
        public var namespace: String
        public var serviceAccount: String
        public var serviceAccountUID: String
        public var audiences: [String]
        public var issuedAt: Int64
        public var expiresAt: Int64
        public var bindings: [Binding]
        /// The Secret that holds a token of the old kind, which has no end of its own.
        public var legacySecret: String?

        public var user: UserInfo {
            var extra: [String: [String]] = [:]
            if !id.isEmpty { extra["authentication.kubernetes.io/credential-id"] = ["JTI=\(id)"] }
            for binding in bindings where ["Pod", "Node"].contains(binding.kind) {
                let kind = binding.kind.lowercased()
                extra["authentication.kubernetes.io/\(kind)-name"] = [binding.name]
                extra["authentication.kubernetes.io/\(kind)-uid"] = [binding.uid]
            }
            return UserInfo(
                name: "system:serviceaccount:\(namespace):\(serviceAccount)", uid: serviceAccountUID,
                groups: [
                    "system:serviceaccounts", "system:serviceaccounts:\(namespace)", "system:authenticated",
                ], extra: extra)
        }
    }

    public enum Rejection: Error, Sendable, Equatable {
        /// Not one of ours: another authenticator may know it.
        case foreign
        case invalid(String)
    }

    public let issuer: String
    /// The audience of tokens that ask for none: the API server itself.
    public var apiAudiences: [String] { [issuer] }
    private let signing: SigningKey

    /// `key` gives the private key in PEM; it is asked once, when a token is first issued or checked.
    public init(issuer: String, key: @escaping @Sendable () throws -> [UInt8]) {
        self.issuer = issuer
        signing = SigningKey(source: key)
    }

    public func issue(
        namespace: String, serviceAccount: String, uid: String, audiences: [String], bindings: [Binding],
        now: Timestamp, lifetime: Duration, id: String
    ) throws -> String {
        var kubernetes: Document = ["namespace": Document(namespace)]
        for binding in bindings {
            kubernetes[binding.kind.lowercased()] = ["name": Document(binding.name), "uid": Document(binding.uid)]
        }
        kubernetes["serviceaccount"] = ["name": Document(serviceAccount), "uid": Document(uid)]
        let claims: Document = [
            "aud": Document(audiences.isEmpty ? apiAudiences : audiences),
            "exp": Document(now.seconds + lifetime.wholeSeconds), "iat": Document(now.seconds), "iss": Document(issuer),
            "jti": Document(id), "kubernetes.io": kubernetes, "nbf": Document(now.seconds),
            "sub": Document("system:serviceaccount:\(namespace):\(serviceAccount)"),
        ]
        return try signed(claims)
    }

    /// A token of the old kind: without an end, for a Secret of type `kubernetes.io/service-account-token`.
    public func legacyToken(
        namespace: String, serviceAccount: String, uid: String, secret: String
    ) throws -> String {
        let prefix = "kubernetes.io/serviceaccount/"
        return try signed(
            Document(
                members: [
                    ("iss", Document(Self.legacyIssuer)), (prefix + "namespace", Document(namespace)),
                    (prefix + "secret.name", Document(secret)),
                    (prefix + "service-account.name", Document(serviceAccount)),
                    (prefix + "service-account.uid", Document(uid)),
                    ("sub", Document("system:serviceaccount:\(namespace):\(serviceAccount)")),
                ]))
    }

    private func signed(_ claims: Document) throws -> String {
        let signing = try signing.material()
        let header: Document = ["alg": Document(signing.algorithm), "kid": Document(signing.id)]
        let text = Base64.encode(header.json, url: true) + "." + Base64.encode(claims.json, url: true)
        return text + "." + Base64.encode(try signing.key.sign(Array(text.utf8)), url: true)
    }

    /// The issuer of the tokens that live in Secrets.
    public static let legacyIssuer = "kubernetes/serviceaccount"
    /// Clocks of two machines may differ by this much.
    private static let leeway: Int64 = 60

    /// Checks form, issuer, signature, times and audience. Whether the account and the bound objects
    /// still exist is the caller's to look up.
    public func verify(_ token: String, audiences: [String], now: Timestamp) throws(Rejection) -> Claims {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let head = Self.decoded(parts[0]), let body = Self.decoded(parts[1]),
            let from = body.text("iss"), from == issuer || from == Self.legacyIssuer,
            let signing = try? signing.material(), head.text("kid").map({ $0 == signing.id }) ?? true
        else { throw .foreign }
        guard head.text("alg") == signing.algorithm, let signature = Base64.decode(parts[2], url: true),
            signing.publicKey.verify(Array("\(parts[0]).\(parts[1])".utf8), signature: signature)
        else { throw .invalid("go-jose/go-jose: error in cryptographic primitive") }
        let given = body.at("aud")?.string.map { [$0] } ?? body.list("aud").compactMap(\.string)
        // A token without an audience is one of the old kind, and meant for this server.
        let own = given.isEmpty ? apiAudiences : given
        let accepted = own.filter(audiences.contains)
        guard !accepted.isEmpty else {
            throw .invalid(
                "token audiences \(Self.quoted(own)) is invalid for the target audiences \(Self.quoted(audiences))")
        }
        return from == issuer
            ? try boundClaims(body, accepted, now: now) : try Self.legacyClaims(body, accepted)
    }

    private static func quoted(_ names: [String]) -> String {
        "[" + names.map { Document($0).jsonText }.joined(separator: " ") + "]"
    }

    private func boundClaims(
        _ body: Document, _ audiences: [String], now: Timestamp
    ) throws(Rejection) -> Claims {
        let expires = body.number("exp").map(Int64.init)
        if let expires, now.seconds > expires + Self.leeway {
            throw .invalid("service account token has expired")
        }
        guard Int64(body.number("nbf") ?? 0) <= now.seconds + Self.leeway else {
            throw .invalid("service account token is not valid yet")
        }
        guard let kubernetes = body["kubernetes.io"], let namespace = kubernetes.text("namespace"),
            let name = kubernetes.text("serviceaccount", "name"), let uid = kubernetes.text("serviceaccount", "uid")
        else { throw .invalid("the token's claims are incomplete") }
        let bindings = ["Pod", "Node", "Secret"].compactMap { kind -> Binding? in
            guard let entry = kubernetes[kind.lowercased()], let name = entry.text("name"),
                let uid = entry.text("uid")
            else { return nil }
            return Binding(kind: kind, name: name, uid: uid)
        }
        return Claims(
            id: body.text("jti") ?? "", namespace: namespace, serviceAccount: name, serviceAccountUID: uid,
            audiences: audiences, issuedAt: Int64(body.number("iat") ?? 0), expiresAt: expires ?? .max,
            bindings: bindings)
    }

    private static func legacyClaims(_ body: Document, _ audiences: [String]) throws(Rejection) -> Claims {
        func claim(_ name: String) -> String { body[("kubernetes.io/serviceaccount/" + name)]?.string ?? "" }
        let subject = body.text("sub") ?? ""
        let (namespace, secret) = (claim("namespace"), claim("secret.name"))
        let (account, uid) = (claim("service-account.name"), claim("service-account.uid"))
        for (value, name) in [
            (subject, "sub"), (namespace, "namespace"), (secret, "secretName"), (account, "serviceAccountName"),
            (uid, "serviceAccountUID"),
        ] where value.isEmpty { throw .invalid("\(name) claim is missing") }
        guard subject == "system:serviceaccount:\(namespace):\(account)" else { throw .invalid("sub claim is invalid") }
        return Claims(
            id: "", namespace: namespace, serviceAccount: account, serviceAccountUID: uid, audiences: audiences,
            issuedAt: 0, expiresAt: .max, bindings: [], legacySecret: secret)
    }

    private static func decoded(_ part: Substring) -> Document? {
        Base64.decode(part, url: true).flatMap { try? Document(json: $0) }
    }

    // MARK: Published, so that others can check the tokens

    /// `GET /.well-known/openid-configuration`
    public func discovery(jwksURI: String) throws -> Document {
        [
            "issuer": Document(issuer), "jwks_uri": Document(jwksURI), "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [Document(try signing.material().algorithm)],
        ]
    }

    /// `GET /openid/v1/jwks`
    public func keySet() throws -> Document {
        let signing = try signing.material()
        var entry: Document = ["use": "sig", "kid": Document(signing.id), "alg": Document(signing.algorithm)]
        if let point = signing.publicKey.coordinates() {
            entry["kty"] = "EC"
            entry["crv"] = "P-256"
            entry["x"] = Document(Base64.encode(point.x, url: true))
            entry["y"] = Document(Base64.encode(point.y, url: true))
        } else if let number = signing.publicKey.modulusAndExponent() {
            entry["kty"] = "RSA"
            entry["n"] = Document(Base64.encode(number.n, url: true))
            entry["e"] = Document(Base64.encode(number.e, url: true))
        }
        return ["keys": [entry]]
    }
}
