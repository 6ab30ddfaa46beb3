import Basics
import Document
import Kinds
import Schema
import Store
import Testing
import Wire

@testable import APIServer

/// What definitions and other servers add, where it meets the rest.
@Suite struct ExtensionTests {
    private static let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    private static let registrations = "/apis/admissionregistration.k8s.io/v1"

    private static let definition: Document = [
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": ["name": "gadgets.x.example.com"],
        "spec": [
            "group": "x.example.com", "scope": "Namespaced", "names": ["plural": "gadgets", "kind": "Gadget"],
            "versions": [
                [
                    "name": "v1", "served": true, "storage": true,
                    "schema": ["openAPIV3Schema": ["type": "object", "x-kubernetes-preserve-unknown-fields": true]],
                ],
                [
                    "name": "v2", "served": true, "storage": false,
                    "schema": ["openAPIV3Schema": ["type": "object", "x-kubernetes-preserve-unknown-fields": true]],
                ],
            ],
        ],
    ]

    private static func gadget(_ name: String, _ version: String, size: Int) -> Document {
        [
            "apiVersion": Document("x.example.com/\(version)"), "kind": "Gadget", "metadata": ["name": Document(name)],
            "size": Document(size),
        ]
    }

    private func running(_ body: @escaping @Sendable (Harness) async throws -> Void) async throws {
        let harness = try await Harness()
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await harness.server.run()
                return false
            }
            group.addTask {
                try await body(harness)
                return true
            }
            defer { group.cancelAll() }
            while let isDone = try await group.next(), !isDone {}
        }
    }

    private func eventually(_ harness: Harness, _ target: String, _ status: Int) async throws {
        for _ in 0..<20_000 {
            if try await harness.send("GET", target).status == status { return }
            await Task.yield()
        }
        Issue.record("\(target) never answered \(status)")
    }

    /// A policy about one version judges what is written in another, unless it wants that version exactly.
    @Test(arguments: ["Equivalent", "Exact"]) func otherVersionsOfADefinitionCount(match: String) async throws {
        try await running { harness in
            try await harness.create(Self.definitions, Self.definition)
            try await eventually(harness, "/apis/x.example.com/v2/namespaces/default/gadgets", 200)
            try await harness.create(
                Self.registrations + "/validatingadmissionpolicies",
                [
                    "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
                    "metadata": ["name": "p"],
                    "spec": [
                        "failurePolicy": "Fail",
                        "matchConstraints": [
                            "matchPolicy": Document(match),
                            "resourceRules": [
                                [
                                    "apiGroups": ["x.example.com"], "apiVersions": ["v1"], "operations": ["CREATE"],
                                    "resources": ["gadgets"],
                                ]
                            ],
                        ],
                        "validations": [
                            ["expression": "object.apiVersion == 'x.example.com/v1' && object.size < 10"]
                        ],
                    ],
                ])
            try await harness.create(
                Self.registrations + "/validatingadmissionpolicybindings",
                [
                    "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
                    "metadata": ["name": "b"], "spec": ["policyName": "p", "validationActions": ["Deny"]],
                ])
            let cases: [(version: String, size: Int, status: Int)] = [
                ("v1", 1, 201), ("v1", 11, 422), ("v2", 2, 201), ("v2", 12, match == "Exact" ? 201 : 422),
            ]
            for (version, size, status) in cases {
                let reply = try await harness.send(
                    "POST", "/apis/x.example.com/\(version)/namespaces/default/gadgets",
                    Self.gadget("g\(version)\(size)", version, size: size))
                #expect(reply.status == status, "\(version) \(size): \(reply.text)")
            }
        }
    }

    /// No object is left behind by whoever was creating it while the definition was deleted.
    @Test func creationsUnderWayAreNoHindrance() async throws {
        try await running { harness in
            for round in 0..<5 {
                try await harness.create(Self.definitions, Self.definition)
                let place = "/apis/x.example.com/v1/namespaces/default/gadgets"
                try await eventually(harness, place, 200)
                await withTaskGroup(of: Void.self) { group in
                    for number in 0..<20 {
                        group.addTask {
                            let reply = try? await harness.send(
                                "POST", place, Self.gadget("g\(round)-\(number)", "v1", size: number))
                            #expect([201, 404, 405].contains(reply?.status ?? 0), "\(reply?.text ?? "")")
                        }
                    }
                    group.addTask {
                        _ = try? await harness.send("DELETE", Self.definitions + "/gadgets.x.example.com")
                    }
                }
                try await eventually(harness, Self.definitions + "/gadgets.x.example.com", 404)
                let left = try await harness.server.store.list(
                    prefix: "/gadgets.x.example.com/", after: nil, limit: nil, at: nil)
                #expect(left.records.isEmpty)
            }
        }
    }

    @Test func gateWaitsForThoseInside() async throws {
        let gate = CreationGate()
        #expect(gate.enter())
        #expect(gate.enter())
        gate.set(closed: true)
        #expect(!gate.enter())
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await gate.emptied() }
            gate.leave()
            gate.leave()
            try await group.waitForAll()
        }
        try await gate.emptied()
        gate.set(closed: false)
        #expect(gate.enter())
    }

    /// Clients read there how objects can be patched, and do it that way.
    @Test func onlyDeclaredTypesOfferStrategicMerges() async throws {
        try await running { harness in
            try await harness.create(Self.definitions, Self.definition)
            try await eventually(harness, "/apis/x.example.com/v1/namespaces/default/gadgets", 200)
            let custom = try await harness.send("GET", "/openapi/v3/apis/x.example.com/v1")
            #expect(custom.text.contains("application/merge-patch+json"))
            #expect(!custom.text.contains("strategic"))
            let declared = try await harness.send("GET", "/openapi/v3/apis/apps/v1")
            #expect(declared.text.contains("application/strategic-merge-patch+json"))
        }
    }

    @Test func repeatedFieldsOfPatchesAreFound() async throws {
        let harness = try await Harness()
        let place = "/api/v1/namespaces/default/configmaps"
        try await harness.create(place, Harness.configMap("m"))
        let cases: [(type: String, body: String, finding: String)] = [
            (
                "application/merge-patch+json", #"{"data": {"a": "1", "a": "2"}}"#, #"duplicate field "data.a""#
            ),
            (
                "application/strategic-merge-patch+json", #"{"data": {"a": "1", "a": "2"}}"#,
                #"duplicate field "data.a""#
            ),
            (
                "application/json-patch+json",
                #"[{"op": "add", "path": "/data", "value": {}, "op": "add"}]"#,
                #"json patch duplicate field "[0].op""#
            ),
        ]
        for (type, body, finding) in cases {
            let target = "\(place)/m?fieldValidation="
            let strict = try await harness.send("PATCH", target + "Strict", type: type, bytes: Array(body.utf8))
            #expect(strict.status == 422 && (strict.body.text("message") ?? "").contains(finding), "\(strict.text)")
            let warned = try await harness.send("PATCH", target + "Warn", type: type, bytes: Array(body.utf8))
            let escaped = finding.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\\\"")
            #expect(warned.status == 200 && warned.headers["Warning"]?.contains(escaped) == true, "\(warned.headers)")
            let ignored = try await harness.send("PATCH", target + "Ignore", type: type, bytes: Array(body.utf8))
            #expect(ignored.status == 200 && ignored.headers["Warning"] == nil)
        }
    }

    /// By what other servers know the one in front is published for them.
    @Test func frontProxyIsPublished() async throws {
        guard let services = CIDR("10.96.0.0/16"), let address = IPAddress("10.89.0.2") else { return }
        var configuration = APIServerConfiguration(
            serviceCIDR: services, advertiseAddress: address, clientCA: Array("clients".utf8),
            serviceAccountKey: { [] })
        configuration.proxyClient = .init(authority: Array("front".utf8), certificatePEM: [], keyPEM: [])
        let server = try APIServer(
            configuration: configuration, store: MemoryStore(),
            world: World(clock: ManualClock(), random: SeededRandomness(7), network: NoNetwork()), log: .silent)
        try await server.bootstrap()
        let object = try await server.resources.object(
            "configmaps", namespace: "kube-system", name: "extension-apiserver-authentication")
        let expected: Document = [
            "client-ca-file": "clients", "requestheader-client-ca-file": "front",
            "requestheader-allowed-names": #"["front-proxy-client"]"#,
            "requestheader-extra-headers-prefix": #"["X-Remote-Extra-"]"#,
            "requestheader-group-headers": #"["X-Remote-Group"]"#, "requestheader-uid-headers": #"["X-Remote-Uid"]"#,
            "requestheader-username-headers": #"["X-Remote-User"]"#,
        ]
        #expect(object?["data"]?.means(expected) == true, "\(object?.jsonText ?? "")")
        // A server that starts again with the same writes nothing.
        let revision = object?.text("metadata", "resourceVersion")
        try await server.bootstrap()
        let again = try await server.resources.object(
            "configmaps", namespace: "kube-system", name: "extension-apiserver-authentication")
        #expect(again?.text("metadata", "resourceVersion") == revision)
    }

    @Test func usesOfLegacyTokensAreNotedByTheDay() {
        let now = Timestamp(seconds: 1_800_000_000)
        let day = String(now.description.prefix(10))
        var secret: Document = ["metadata": ["name": "s", "namespace": "n"]]
        #expect(LegacyTokenUses.use(of: secret, now: now) == .init(namespace: "n", name: "s", day: day))
        secret.set(Document(day), at: "metadata", "labels", LegacyTokenUses.label)
        #expect(LegacyTokenUses.use(of: secret, now: now) == nil)
        #expect(LegacyTokenUses.use(of: secret, now: now + .seconds(86_400)) != nil)
    }
}
