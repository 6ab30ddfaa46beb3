import Basics
import Document
import Testing
import Wire

@testable import APIServer

/// Tokens of every kind, and acting as somebody else.
@Suite struct CredentialTests {
    private static let secret: Document = [
        "metadata": ["name": "bootstrap-token-abcdef"], "type": "bootstrap.kubernetes.io/token",
        "data": Document(
            members: [
                ("token-id", "abcdef"), ("token-secret", "0123456789abcdef"),
                ("usage-bootstrap-authentication", "true"),
                ("auth-extra-groups", "system:bootstrappers:x"), ("expiration", "2030-01-01T00:00:00Z"),
            ].map { ($0.0, Document(Base64.encode(Array($0.1.utf8)))) }),
    ]

    @Test func aCertificateEndsWithItsTimeAlsoOnAnOpenConnection() async throws {
        let harness = try await Harness()
        #expect(try await harness.send("GET", "/api/v1/namespaces").status == 200)
        harness.clock.advance(by: .seconds(86_401))
        #expect(try await harness.send("GET", "/api/v1/namespaces").status == 401)
    }

    @Test func bootstrapTokensAreWhatTheirSecretSays() throws {
        let now = try #require(Timestamp(rfc3339: "2029-12-31T23:59:59Z"))
        let token = try #require(BootstrapToken("abcdef.0123456789abcdef"))
        let user = try #require(token.user(from: Self.secret, now: now))
        #expect(user.name == "system:bootstrap:abcdef")
        #expect(user.groups == ["system:bootstrappers", "system:bootstrappers:x"])
        let later = try #require(Timestamp(rfc3339: "2030-01-01T00:00:00Z"))
        #expect(token.user(from: Self.secret, now: later) == nil)
        let wrong = try #require(BootstrapToken("abcdef.0123456789abcdee"))
        #expect(wrong.user(from: Self.secret, now: now) == nil)
        var unused = Self.secret
        unused.set(.none, at: "data", "usage-bootstrap-authentication")
        #expect(token.user(from: unused, now: now) == nil)
        for text in ["abcdef", "abcde.0123456789abcdef", "abcdef.0123456789ABCDEF", "a.b.c", ""] {
            #expect(BootstrapToken(text) == nil, "\(text)")
        }
    }

    private func harness() async throws -> Harness {
        let harness = try await Harness()
        try await harness.create(
            "/api/v1/namespaces/default/serviceaccounts",
            ["apiVersion": "v1", "kind": "ServiceAccount", "metadata": ["name": "default"]])
        return harness
    }

    private func token(_ harness: Harness, _ spec: Document) async throws -> String {
        let made = try await harness.create(
            "/api/v1/namespaces/default/serviceaccounts/default/token",
            ["apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec])
        return try #require(made.text("status", "token"))
    }

    private func review(_ harness: Harness, _ token: String, _ audiences: Document = .emptyArray) async throws
        -> Document
    {
        try await harness.create(
            "/apis/authentication.k8s.io/v1/tokenreviews",
            [
                "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
                "spec": ["token": Document(token), "audiences": audiences],
            ])["status"] ?? .null
    }

    @Test func aTokenHoldsForItsAudienceAndItsTime() async throws {
        let harness = try await harness()
        let own = try await token(harness, ["expirationSeconds": 600])
        #expect(try await harness.send("GET", "/api", token: own).status == 200)
        let foreign = try await token(harness, ["audiences": ["elsewhere"]])
        #expect(try await harness.send("GET", "/api", token: foreign).status == 401)
        #expect(try await review(harness, foreign, ["elsewhere", "x"]).list("audiences") == ["elsewhere"])
        #expect(try await review(harness, own + "x").text("error")?.hasPrefix("[invalid bearer token, ") == true)
        #expect(try await review(harness, "nonsense").text("error") == "invalid bearer token")
        harness.clock.advance(by: .seconds(661))
        #expect(try await harness.send("GET", "/api", token: own).status == 401)
        #expect(
            try await review(harness, own).text("error")
                == "[invalid bearer token, service account token has expired]")
    }

    @Test func aTokenEndsWithWhatItIsBoundTo() async throws {
        let harness = try await harness()
        try await harness.create(
            "/api/v1/namespaces/default/secrets", ["apiVersion": "v1", "kind": "Secret", "metadata": ["name": "s"]])
        let bound = try await token(
            harness, ["boundObjectRef": ["kind": "Secret", "apiVersion": "v1", "name": "s"]])
        #expect(try await review(harness, bound).flag("authenticated") == true)
        #expect(try await harness.send("DELETE", "/api/v1/namespaces/default/secrets/s").status == 200)
        #expect(
            try await review(harness, bound).text("error")
                == "[invalid bearer token, service account token has been invalidated]")
        let plain = try await token(harness, [:])
        #expect(try await harness.send("DELETE", "/api/v1/namespaces/default/serviceaccounts/default").status == 200)
        #expect(
            try await review(harness, plain).text("error")
                == "[invalid bearer token, serviceaccounts \"default\" not found]")
    }

    @Test func aSecretHoldsATokenWithoutEnd() async throws {
        let harness = try await harness()
        let account = try await harness.send("GET", "/api/v1/namespaces/default/serviceaccounts/default").body
        let token = try harness.server.tokens.legacyToken(
            namespace: "default", serviceAccount: "default", uid: account.text("metadata", "uid") ?? "", secret: "t")
        #expect(
            try await review(harness, token).text("error") == "[invalid bearer token, Token has been invalidated]")
        try await harness.create(
            "/api/v1/namespaces/default/secrets",
            [
                "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
                "metadata": [
                    "name": "t",
                    "annotations": Document(members: [("kubernetes.io/service-account.name", Document("default"))]),
                ],
                "data": ["token": Document(Base64.encode(Array(token.utf8)))],
            ])
        let status = try await review(harness, token)
        #expect(status.text("user", "username") == "system:serviceaccount:default:default")
    }

    @Test func constrainedRightsLetActAsOneIdentityOnly() async throws {
        let harness = try await Harness()
        let rbac = "/apis/rbac.authorization.k8s.io/v1"
        try await harness.create(
            rbac + "/clusterroles",
            [
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": ["name": "act"],
                "rules": [
                    [
                        "apiGroups": ["authentication.k8s.io"], "resources": ["users"], "resourceNames": ["panda"],
                        "verbs": ["impersonate:user-info"],
                    ],
                    ["apiGroups": [""], "resources": ["pods"], "verbs": ["impersonate-on:user-info:list"]],
                ],
            ])
        func attributes(_ verb: String) -> AccessAttributes {
            var attributes = AccessAttributes(user: UserInfo(name: "deputy"), verb: verb)
            attributes.resource = "pods"
            return attributes
        }
        try await harness.create(
            rbac + "/clusterrolebindings",
            [
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
                "metadata": ["name": "act"],
                "roleRef": ["apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "act"],
                "subjects": [["kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "deputy"]],
            ])
        let resources = harness.server.resources
        func acting(as name: String, _ verb: String) async throws -> UserInfo {
            let wanted = try #require(
                try Impersonation(Headers([("Impersonate-User", name)]), by: UserInfo(name: "deputy")))
            return try await wanted.user(for: attributes(verb)) { need in
                let decision = try await resources.access.decide(need, resources)
                guard decision.allowed else { throw AccessControl.refusal(need, reason: decision.reason) }
            }
        }
        #expect(try await acting(as: "panda", "list").groups == ["system:authenticated"])
        await #expect(throws: (any Error).self) { try await acting(as: "panda", "delete") }
        await #expect(throws: (any Error).self) { try await acting(as: "tiger", "list") }
        await #expect(throws: (any Error).self) { try await acting(as: "system:node:n", "list") }
    }
}
