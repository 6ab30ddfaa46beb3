import Basics
import Client
import Document

/// Service account tokens bound to pods, kept until four fifths of their life are over.
actor TokenSource {
    struct Token: Sendable {
        var token: String
        var refreshAt: Timestamp
    }

    private struct Key: Hashable {
        var pod: String
        var audience: String
        var seconds: Int
    }

    private let client: APIClient
    private let clock: any WorldClock
    private var known: [Key: Token] = [:]

    init(_ client: APIClient, clock: any WorldClock) {
        self.client = client
        self.clock = clock
    }

    func token(for pod: Document, _ source: Document) async throws -> Token {
        let uid = pod.text("metadata", "uid") ?? ""
        let seconds = source.number("expirationSeconds") ?? 3600
        let audience = source.text("audience") ?? ""
        let key = Key(pod: uid, audience: audience, seconds: seconds)
        if let token = known[key], clock.now < token.refreshAt { return token }
        var specification: Document = [
            "expirationSeconds": Document(seconds),
            "boundObjectRef": [
                "kind": "Pod", "apiVersion": "v1", "name": Document(pod.text("metadata", "name") ?? ""),
                "uid": Document(uid),
            ],
        ]
        specification["audiences"] = audience.isEmpty ? .emptyArray : [Document(audience)]
        let account = pod.text("spec", "serviceAccountName") ?? "default"
        let request: Document = [
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": specification,
        ]
        let now = clock.now
        let answer = try await client.create(
            .serviceAccounts, namespace: pod.text("metadata", "namespace") ?? "default", request, name: account,
            subresource: "token")
        guard let text = answer.text("status", "token") else {
            throw VolumeProblem("the token request for service account \(account) got no token")
        }
        // Whoever asked at the same time and was faster has shown its token already, and files that change for nothing
        // disturb their readers.
        if let token = known[key], clock.now < token.refreshAt { return token }
        let expiry = answer.text("status", "expirationTimestamp").flatMap { Timestamp(rfc3339: $0) }
        let life = expiry.map { $0 - now } ?? .seconds(seconds)
        let token = Token(token: text, refreshAt: now + min(life * 4 / 5, .seconds(86_400)))
        known[key] = token
        return token
    }

    func forget(pod uid: String) { known = known.filter { $0.key.pod != uid } }
}
