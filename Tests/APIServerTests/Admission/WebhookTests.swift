import Basics
import Document
import Glibc
import Kinds
import Store
import Synchronization
import Testing
import Wire

@testable import APIServer

/// Webhooks, asked over TLS through a network in memory.
@Suite struct WebhookTests {
    /// A webhook server whose answers a test decides; it keeps what it was asked.
    private final class Hook: Sendable {
        let asked = Mutex<[Document]>([])
        let answer: @Sendable (Document) -> Document

        init(_ answer: @escaping @Sendable (Document) -> Document) { self.answer = answer }

        var handler: Handler {
            { [self] request in
                let review = (try? Document(json: request.body)) ?? .null
                asked.withLock { $0.append(review["request"] ?? .null) }
                var response = answer(review["request"] ?? .null)
                if response["uid"] == nil { response["uid"] = review.at("request", "uid") ?? "" }
                let body: Document = [
                    "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": response,
                ]
                return Response(
                    status: 200, headers: Headers([("Content-Type", "application/json")]), body: .bytes(body.json))
            }
        }

        var requests: [Document] { asked.withLock { $0 } }
    }

    private static let endpoint = Endpoint.ip(.loopback, port: 8443)

    /// Certificates are checked by the real time of day.
    private static let identity: Result<(authority: String, server: IssuedCertificate), any Error> = Result {
        let now = Timestamp(seconds: Int64(time(nil)) - 60)
        let authority = try CertificateAuthority.create(commonName: "hooks", now: now, validity: .seconds(3_600))
        let server = try authority.issue(
            commonName: "hook", dnsNames: ["hook.default.svc"], ipAddresses: [.loopback], usage: .server, now: now,
            validity: .seconds(3_600))
        return (Base64.encode(authority.certificatePEM), server)
    }

    /// Runs `body` against an API server that reaches `hook` at 127.0.0.1:8443.
    private func with(_ hook: Hook, _ body: @escaping @Sendable (Harness) async throws -> Void) async throws {
        let identity = try Self.identity.get()
        let network = MemoryNetwork()
        let harness = try await Harness(network: network)
        let tls = try TLSServerContext(
            certificatePEM: identity.server.certificatePEM, keyPEM: identity.server.keyPEM)
        let server = HTTPServer(
            listener: try await network.listen(on: Self.endpoint), tls: tls, clock: harness.clock,
            handler: hook.handler)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            group.addTask { try await body(harness) }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private func register(
        _ harness: Harness, _ kind: String, name: String = "a.hook.example",
        _ change: (inout Document) -> Void = { _ in }
    ) async throws {
        var hook: Document = [
            "name": Document(name),
            "clientConfig": [
                "url": "https://127.0.0.1:8443/check", "caBundle": Document(try Self.identity.get().authority),
            ],
            "rules": [
                [
                    "operations": ["CREATE", "DELETE"], "apiGroups": [""], "apiVersions": ["v1"],
                    "resources": ["configmaps"],
                ]
            ],
            "sideEffects": "None", "admissionReviewVersions": ["v1"],
        ]
        change(&hook)
        try await harness.create(
            "/apis/admissionregistration.k8s.io/v1/\(kind.lowercased())webhookconfigurations",
            [
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": Document("\(kind)WebhookConfiguration"), "metadata": ["name": Document(name)],
                "webhooks": [hook],
            ])
    }

    private static let path = "/api/v1/namespaces/default/configmaps"

    @Test func aWebhookSeesTheRequestAndMayRefuse() async throws {
        let hook = Hook { _ in ["allowed": false, "status": ["message": "no", "code": 418], "warnings": ["careful"]] }
        try await with(hook) { harness in
            try await register(harness, "Validating")
            let reply = try await harness.send(
                "POST", Self.path + "?fieldManager=m", Harness.configMap("c", data: ["a": "b"]), as: "jane",
                groups: ["system:masters"])
            #expect(reply.status == 418)
            #expect(reply.body.text("message") == "admission webhook \"a.hook.example\" denied the request: no")
            #expect(reply.headers.all("Warning") == ["299 - \"careful\""])
            let request = try #require(hook.requests.first)
            #expect(request.text("operation") == "CREATE")
            #expect(request.text("name") == "c")
            #expect(request.text("namespace") == "default")
            #expect(request.text("userInfo", "username") == "jane")
            #expect(request.text("object", "data", "a") == "b")
            #expect(request["oldObject"]?.isNull == true)
            #expect(request.text("kind", "kind") == "ConfigMap")
            #expect(request.text("resource", "resource") == "configmaps")
            #expect(request.text("options", "fieldManager") == "m")
            #expect(request.flag("dryRun") == false)
            #expect(try await harness.send("GET", Self.path + "/c").status == 404)
        }
    }

    @Test func aPatchChangesWhatIsStored() async throws {
        let patch = Base64.encode(
            Array("[{\"op\":\"add\",\"path\":\"/metadata/labels\",\"value\":{\"x\":\"y\"}}]".utf8))
        let hook = Hook { _ in ["allowed": true, "patchType": "JSONPatch", "patch": Document(patch)] }
        try await with(hook) { harness in
            try await register(harness, "Mutating")
            let made = try await harness.create(Self.path, Harness.configMap("c"))
            #expect(made.text("metadata", "labels", "x") == "y")
        }
    }

    @Test func aPatchThatBreaksTheFormIsTheWebhooksFault() async throws {
        let patch = Base64.encode(Array("[{\"op\":\"add\",\"path\":\"/data\",\"value\":5}]".utf8))
        let hook = Hook { _ in ["allowed": true, "patchType": "JSONPatch", "patch": Document(patch)] }
        try await with(hook) { harness in
            try await register(harness, "Mutating")
            let reply = try await harness.send("POST", Self.path, Harness.configMap("c"))
            #expect(reply.status == 500)
            #expect(
                reply.body.text("message")
                    == "Internal error occurred: json: cannot unmarshal number into Go struct field ConfigMap.data of "
                    + "type map[string]string")
        }
    }

    @Test func whatAPatchAddsBeyondTheTypeStaysOut() async throws {
        let patch = Base64.encode(Array("[{\"op\":\"add\",\"path\":\"/odd\",\"value\":5}]".utf8))
        let hook = Hook { _ in ["allowed": true, "patchType": "JSONPatch", "patch": Document(patch)] }
        try await with(hook) { harness in
            try await register(harness, "Mutating")
            #expect(try await harness.create(Self.path, Harness.configMap("c"))["odd"] == nil)
        }
    }

    @Test func whoIsWillingIsAskedAgainAfterAChange() async throws {
        let hook = Hook { request in
            // The second webhook of the configurations changes the object, once.
            guard request.text("object", "metadata", "labels", "by") == nil,
                request.text("object", "data", "seen") != nil
            else {
                let first = "[{\"op\":\"add\",\"path\":\"/data\",\"value\":{\"seen\":\"1\"}}]"
                return request.text("object", "data", "seen") == nil
                    ? ["allowed": true, "patchType": "JSONPatch", "patch": Document(Base64.encode(Array(first.utf8)))]
                    : ["allowed": true]
            }
            let second = "[{\"op\":\"add\",\"path\":\"/metadata/labels\",\"value\":{\"by\":\"second\"}}]"
            return ["allowed": true, "patchType": "JSONPatch", "patch": Document(Base64.encode(Array(second.utf8)))]
        }
        try await with(hook) { harness in
            try await register(harness, "Mutating") { $0["reinvocationPolicy"] = "IfNeeded" }
            try await register(harness, "Mutating", name: "b.hook.example")
            let made = try await harness.create(Self.path, Harness.configMap("c"))
            #expect(made.text("metadata", "labels", "by") == "second")
            #expect(hook.requests.count == 3)
        }
    }

    @Test func failuresFollowThePolicy() async throws {
        let hook = Hook { _ in ["allowed": true, "uid": "wrong"] }
        try await with(hook) { harness in
            try await register(harness, "Validating")
            let refused = try await harness.send("POST", Self.path, Harness.configMap("c"))
            #expect(refused.status == 500)
            let message = refused.body.text("message") ?? ""
            #expect(
                message.hasPrefix(
                    "Internal error occurred: failed calling webhook \"a.hook.example\": received invalid webhook "
                        + "response: expected response.uid="))
            _ = try await harness.send(
                "PATCH",
                "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/a.hook.example",
                [["op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"]],
                type: "application/json-patch+json")
            #expect(try await harness.send("POST", Self.path, Harness.configMap("c")).status == 201)
        }
    }

    @Test func nobodyThereIsAFailureToo() async throws {
        let harness = try await Harness(network: MemoryNetwork())
        try await register(harness, "Validating")
        let refused = try await harness.send("POST", Self.path, Harness.configMap("c"))
        #expect(
            refused.body.text("message")
                == "Internal error occurred: failed calling webhook \"a.hook.example\": failed to call webhook: Post "
                + "\"https://127.0.0.1:8443/check?timeout=10s\": dial tcp 127.0.0.1:8443: connect: connection refused")
    }

    @Test func theServerStartsWhereWebhooksFail() async throws {
        let store = MemoryStore()
        let first = try await Harness(store: store, network: MemoryNetwork())
        try await register(first, "Validating") {
            $0["rules"] = [["operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]]]
        }
        #expect(try await first.send("POST", Self.path, Harness.configMap("c")).status == 500)
        // Nobody would be left to mend it if the server waited for what it is to serve.
        let second = try await Harness(store: store, network: MemoryNetwork())
        let removed = try await second.send(
            "DELETE", "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/a.hook.example")
        #expect(removed.status == 200)
        #expect(try await second.send("POST", Self.path, Harness.configMap("c")).status == 201)
    }

    @Test func silenceEndsWithTheTimeout() async throws {
        let network = MemoryNetwork()
        let harness = try await Harness(network: network)
        // Accepts connections and never says a word.
        let listener = try await network.listen(on: Self.endpoint)
        defer { listener.close() }
        try await register(harness, "Validating") { $0["timeoutSeconds"] = 2 }
        let reply = try await withThrowingTaskGroup(of: Harness.Reply?.self) { group in
            group.addTask { try await harness.send("POST", Self.path, Harness.configMap("c")) }
            group.addTask {
                _ = try await listener.accept()
                harness.clock.advance(by: .seconds(3))
                return nil
            }
            var reply: Harness.Reply?
            while let next = try await group.next() { reply = next ?? reply }
            return reply
        }
        #expect(reply?.body.text("message")?.hasSuffix("context deadline exceeded") == true)
    }

    @Test func selectorsAndRulesChooseTheRequests() async throws {
        let hook = Hook { _ in ["allowed": true] }
        try await with(hook) { harness in
            try await register(harness, "Validating") { $0["objectSelector"] = ["matchLabels": ["watched": "yes"]] }
            try await harness.create(Self.path, Harness.configMap("c"))
            #expect(hook.requests.isEmpty)
            try await harness.create(Self.path, Harness.configMap("d", labels: ["watched": "yes"]))
            #expect(hook.requests.count == 1)
            _ = try await harness.send("DELETE", Self.path + "/d")
            let deletion = try #require(hook.requests.last)
            #expect(deletion.text("operation") == "DELETE")
            #expect(deletion["object"]?.isNull == true)
            #expect(deletion.text("oldObject", "metadata", "name") == "d")
            #expect(deletion.text("options", "kind") == "DeleteOptions")
        }
    }

    @Test func servicesLeadToTheirAddress() async throws {
        let hook = Hook { _ in ["allowed": false] }
        try await with(hook) { harness in
            try await register(harness, "Validating") {
                $0.set(nil, at: "clientConfig", "url")
                $0.set(["namespace": "default", "name": "hook", "port": 8443], at: "clientConfig", "service")
            }
            let missing = try await harness.send("POST", Self.path, Harness.configMap("c"))
            #expect(
                missing.body.text("message")?.hasSuffix(
                    "Post \"https://hook.default.svc:8443?timeout=10s\": service \"hook\" not found") == true)
            try await harness.create(
                "/api/v1/namespaces/default/services",
                [
                    "apiVersion": "v1", "kind": "Service", "metadata": ["name": "hook"],
                    "spec": ["type": "ExternalName", "externalName": "localhost"],
                ])
            let refused = try await harness.send("POST", Self.path, Harness.configMap("c"))
            #expect(
                refused.body.text("message")
                    == "admission webhook \"a.hook.example\" denied the request without explanation")
        }
    }

    @Test func aDryRunIsNotShownToThoseWithEffects() throws {
        let hook = Webhook(["name": "h", "sideEffects": "Some"], configuration: "c", index: 0)
        #expect(!hook.canDryRun)
        let refusal = try WebhookVerdict(
            ["response": ["allowed": false, "status": ["reason": "Odd", "code": 200]]], uid: "", version: "v1beta1",
            mutating: false
        ).refusal("h")
        #expect(refusal.code == 400)
        #expect(refusal.message == "admission webhook \"h\" denied the request: Odd")
    }

    @Test(arguments: [
        ("{\"kind\":\"X\"}", "webhook response was absent"),
        (
            "{\"apiVersion\":\"v1\",\"kind\":\"Y\",\"response\":{\"uid\":\"u\"}}",
            "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got /v1, Kind=Y"
        ),
        (Self.review("\"patch\":\"W10=\""), "webhook returned response.patch but not response.patchType"),
        (Self.review("\"patchType\":\"JSONPatch\""), "webhook returned response.patchType but not response.patch"),
        (
            Self.review("\"patch\":\"W10=\",\"patchType\":\"Odd\""),
            "webhook returned invalid response.patchType of \"Odd\""
        ),
    ])
    func malformedAnswersAreNamed(answer: String, text: String) throws {
        let review = try Document(json: Array(answer.utf8))
        #expect(throws: WebhookVerdict.Malformed(description: text)) {
            try WebhookVerdict(review, uid: "u", version: "v1", mutating: true)
        }
    }

    private static func review(_ rest: String) -> String {
        "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"response\":{\"uid\":\"u\",\(rest)}}"
    }
}
