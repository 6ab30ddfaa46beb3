import Basics
import Document
import Kinds
import Store
import Testing
import Wire

@testable import APIServer

/// Resources that definitions add while the server runs.
@Suite struct CustomResourceTests {
    private static let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    private static let name = "widgets.x.example.com"

    private static func objects(_ version: String) -> String {
        "/apis/x.example.com/\(version)/namespaces/default/widgets"
    }

    private static func version(_ name: String, field: String, stored: Bool) -> Document {
        var fields: Document = ["a": ["type": "string"]]
        fields[field] = ["type": "string", "default": Document("of \(name)")]
        return [
            "name": Document(name), "served": true, "storage": Document(stored),
            "schema": [
                "openAPIV3Schema": [
                    "type": "object",
                    "properties": [
                        "spec": ["type": "object", "properties": fields]
                    ],
                ]
            ],
        ]
    }

    private static func definition(storage: String = "v1") -> Document {
        [
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": ["name": Document(name)],
            "spec": [
                "group": "x.example.com", "scope": "Namespaced", "names": ["plural": "widgets", "kind": "Widget"],
                "versions": [
                    version("v1", field: "one", stored: storage == "v1"),
                    version("v2", field: "two", stored: storage == "v2"),
                ],
            ],
        ]
    }

    private static func widget(_ name: String, _ version: String = "v1", _ spec: Document = [:]) -> Document {
        [
            "apiVersion": Document("x.example.com/\(version)"), "kind": "Widget",
            "metadata": ["name": Document(name)], "spec": spec,
        ]
    }

    /// Runs `body` beside the server's own work.
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

    /// Asks until the answer is as wanted; gives up after many times.
    private func eventually(
        _ harness: Harness, _ target: String, _ isWanted: @escaping (Harness.Reply) -> Bool
    ) async throws -> Harness.Reply {
        for _ in 0..<20_000 {
            let reply = try await harness.send("GET", target)
            if isWanted(reply) { return reply }
            await Task.yield()
        }
        throw APIStatus(code: 504, reason: "", message: "\(target) did not get there")
    }

    private func established(_ harness: Harness, _ definition: Document = definition()) async throws {
        try await harness.create(Self.definitions, definition)
        _ = try await eventually(harness, "\(Self.definitions)/\(Self.name)") { reply in
            DefinitionRules.isTrue("Established", reply.body)
        }
    }

    @Test func aDefinitionBringsAResource() async throws {
        try await running { harness in
            #expect(try await harness.send("GET", Self.objects("v1")).status == 404)
            try await established(harness)
            let made = try await harness.create(Self.objects("v1"), Self.widget("w", "v1", ["a": "x", "z": 1]))
            #expect(made["spec"]?.means(["a": "x", "one": "of v1"]) == true)
            #expect(made.number("metadata", "generation") == 1)
            let list = try await harness.send("GET", Self.objects("v1")).body
            #expect(list.text("kind") == "WidgetList")
            #expect(list.list("items").first?.text("apiVersion") == "x.example.com/v1")
            let group = try await harness.send("GET", "/apis/x.example.com").body
            #expect(group.text("preferredVersion", "version") == "v2")
        }
    }

    @Test func everyVersionShowsTheStoredObjectInItsOwnForm() async throws {
        try await running { harness in
            try await established(harness)
            try await harness.create(Self.objects("v1"), Self.widget("w", "v1", ["a": "x"]))
            let other = try await harness.send("GET", Self.objects("v2") + "/w").body
            #expect(other.text("apiVersion") == "x.example.com/v2")
            // What the other version does not know is not shown; its defaults were not those of the stored one.
            #expect(other["spec"]?.means(["a": "x"]) == true)
            try await harness.create(Self.objects("v2"), Self.widget("w2", "v2", ["a": "y"]))
            let stored = try await harness.send("GET", Self.objects("v1") + "/w2").body
            #expect(stored["spec"]?.means(["a": "y", "one": "of v1"]) == true)
        }
    }

    @Test func aScaleObeysTheRulesOfTheObject() async throws {
        var definition = Self.definition()
        var versions = definition.list("spec", "versions")
        for index in versions.indices {
            versions[index]["subresources"] = [
                "scale": ["specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n"]
            ]
            versions[index].set(
                [
                    "type": "object", "x-kubernetes-validations": [["rule": "!has(self.n) || self.n != 7"]],
                    "properties": ["n": ["type": "integer", "maximum": 10]],
                ], at: "schema", "openAPIV3Schema", "properties", "spec")
        }
        definition.set(Document(versions), at: "spec", "versions")
        let scalable = definition
        try await running { harness in
            try await established(harness, scalable)
            try await harness.create(Self.objects("v1"), Self.widget("w", "v1", ["n": 1]))
            func scale(_ count: Int) async throws -> Harness.Reply {
                try await harness.send(
                    "PATCH", Self.objects("v1") + "/w/scale", ["spec": ["replicas": Document(count)]],
                    type: "application/merge-patch+json")
            }
            #expect(try await scale(3).status == 200)
            for count in [99, 7] {
                let refused = try await scale(count)
                #expect(refused.status == 422)
                #expect(refused.body.text("details", "kind") == "Widget")
            }
            #expect(try await harness.send("GET", Self.objects("v1") + "/w").body.number("spec", "n") == 3)
        }
    }

    @Test func aNewStorageVersionIsRememberedAndTakenByTheNextWrite() async throws {
        try await running { harness in
            try await established(harness)
            let made = try await harness.create(Self.objects("v1"), Self.widget("w", "v1", ["a": "x"]))
            let path = "\(Self.definitions)/\(Self.name)"
            var next = try await harness.send("GET", path).body
            next.set(Self.definition(storage: "v2").at("spec", "versions"), at: "spec", "versions")
            let changed = try await harness.send("PUT", path, next)
            #expect(changed.status == 200, "\(changed.text)")
            #expect(changed.body.list("status", "storedVersions").compactMap(\.string) == ["v1", "v2"])
            // Nothing changes for the client, and yet the object is written anew.
            let key = "/widgets.x.example.com/default/w"
            for _ in 0..<20_000 {
                _ = try await harness.send(
                    "PATCH", Self.objects("v1") + "/w", [:], type: "application/merge-patch+json")
                if let record = try await harness.server.store.get(key),
                    record.value.starts(with: "{\"apiVersion\":\"x.example.com/v2\"".utf8)
                {
                    break
                }
                await Task.yield()
            }
            let record = try await harness.server.store.get(key)
            #expect(record?.value.starts(with: "{\"apiVersion\":\"x.example.com/v2\"".utf8) == true)
            let read = try await harness.send("GET", Self.objects("v1") + "/w").body
            #expect(read.text("metadata", "uid") == made.text("metadata", "uid"))
        }
    }

    @Test func deletingTheDefinitionRemovesTheObjects() async throws {
        try await running { harness in
            try await established(harness)
            try await harness.create(Self.objects("v1"), Self.widget("w"))
            let deleted = try await harness.send("DELETE", "\(Self.definitions)/\(Self.name)")
            #expect(deleted.body.list("metadata", "finalizers").compactMap(\.string) == [CustomResources.finalizer])
            // The server lets requests that are under way end first.
            _ = try await eventually(harness, Self.objects("v1")) { reply in
                harness.clock.advance(by: .milliseconds(100))
                return reply.status == 404
            }
            #expect(
                try await harness.server.store.list(prefix: "/widgets.", after: nil, limit: nil, at: nil).records
                    .isEmpty)
            #expect(try await harness.send("GET", "\(Self.definitions)/\(Self.name)").status == 404)
        }
    }

    @Test func aWatchEndsWithItsDefinition() async throws {
        try await running { harness in
            try await established(harness)
            let target = Self.objects("v1") + "?watch=1"
            let request = Request("GET", target, peer: harness.admin)
            guard case .stream(let body) = await harness.server.handler(request).body else {
                Issue.record("no stream")
                return
            }
            let lines = LineCollector()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await body(lines) }
                group.addTask {
                    try await harness.create(Self.objects("v1"), Self.widget("w"))
                    while lines.lines.isEmpty { await Task.yield() }
                    _ = try await harness.send("DELETE", "\(Self.definitions)/\(Self.name)")
                    _ = try await self.eventually(harness, Self.objects("v1")) { reply in
                        harness.clock.advance(by: .milliseconds(100))
                        return reply.status == 404
                    }
                }
                // The stream ends by itself, without an error.
                try await group.waitForAll()
            }
            #expect(lines.lines.first?.text("type") == "ADDED")
        }
    }

    @Test func embeddedObjectsCanBeTakenOut() async throws {
        var definition = Self.definition()
        let embedded: Document = [
            "type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true,
        ]
        var version = definition.list("spec", "versions")[0]
        let fields: Document = ["t": embedded, "m": ["type": "object", "additionalProperties": embedded]]
        version.set(fields, at: "schema", "openAPIV3Schema", "properties", "spec", "properties")
        definition.set([version], at: "spec", "versions")
        let written = definition
        try await running { harness in
            try await established(harness, written)
            func told(_ spec: Document) async throws -> [String] {
                let reply = try await harness.send("POST", Self.objects("v1"), Self.widget("w", "v1", spec))
                return reply.body.list("details", "causes").map {
                    "\($0.text("field") ?? ""): \($0.text("message") ?? "")"
                }
            }
            let wrong: Document = [
                "apiVersion": "v1", "kind": "A_B",
                "metadata": [
                    "name": "a/b", "labels": ["-": "x"], "annotations": ["q q": "1"], "finalizers": ["plain"],
                ],
            ]
            let faults = try await told(["t": wrong])
            let name =
                "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
                + "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
                + "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
            #expect(
                faults == [
                    "spec.t.kind: Invalid value: \"A_B\": may have mixed case, but should otherwise match: a DNS-1035 "
                        + "label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
                        + "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used "
                        + "for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
                    "spec.t.metadata.name: Invalid value: \"a/b\": may not contain '/'",
                    "spec.t.metadata.labels: Invalid value: \"-\": \(name)",
                    "spec.t.metadata.annotations: Invalid value: \"q q\": \(name)",
                ])
            #expect(
                try await told(["m": ["k": ["apiVersion": 1, "kind": true]]]) == [
                    "spec.m[k].apiVersion: Invalid value: 1: must be a string",
                    "spec.m[k].kind: Invalid value: true: must be a string",
                ])
            let right: Document = [
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["generateName": "A.", "namespace": "n"],
            ]
            #expect(try await told(["t": right, "m": ["k": ["apiVersion": "v1", "kind": "Pod"]]]) == [])
        }
    }

    @Test(
        arguments: [
            (
                ["spec": ["type": "array"]],
                ["spec.validation.openAPIV3Schema.properties[spec].items: Required value: must be specified"]
            ),
            (
                ["metadata": ["type": "object", "description": "d"]],
                [
                    "spec.validation.openAPIV3Schema.properties[metadata]: Forbidden: must not specify anything other than "
                        + "name and generateName, but metadata is implicitly specified"
                ]
            ),
            (
                ["metadata": ["type": "object", "properties": ["name": ["type": "string", "maxLength": 3]]]], []
            ),
            (
                [
                    "t": [
                        "type": "object", "x-kubernetes-embedded-resource": true,
                        "properties": [
                            "metadata": ["type": "object", "x-kubernetes-preserve-unknown-fields": true]
                        ],
                    ]
                ], []
            ),
        ] as [(Document, [String])])
    func schemasSayWhatTheyMust(_ properties: Document, _ wanted: [String]) async throws {
        let harness = try await Harness()
        var definition = Self.definition()
        var version = definition.list("spec", "versions")[0]
        version.set(properties, at: "schema", "openAPIV3Schema", "properties")
        definition.set([version], at: "spec", "versions")
        let reply = try await harness.send("POST", Self.definitions, definition)
        #expect(reply.status == (wanted.isEmpty ? 201 : 422))
        let told = reply.body.list("details", "causes").map {
            "\($0.text("field") ?? ""): \($0.text("message") ?? "")"
        }
        #expect(told == wanted)
    }

    // MARK: Names

    private static func named(_ name: String, _ names: Document, accepted: Document = [:]) -> Document {
        [
            "metadata": ["name": Document(name)], "spec": ["group": "x.example.com", "names": names],
            "status": ["acceptedNames": accepted],
        ]
    }

    @Test func namesInUseAreNotGivenAgain() {
        let first = Self.named(
            "widgets.x.example.com", ["plural": "widgets", "kind": "Widget"],
            accepted: [
                "plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList",
                "shortNames": ["wd"],
            ])
        let second = Self.named(
            "gadgets.x.example.com",
            [
                "plural": "gadgets", "singular": "gadget", "kind": "Widget", "listKind": "GadgetList",
                "shortNames": ["gd", "wd"],
            ])
        let status = NameAcceptance.status(of: second, among: [first, second], now: ManualClock.start)
        let condition = status.list("conditions").first { $0.text("type") == "NamesAccepted" }
        #expect(condition?.text("status") == "False")
        #expect(condition?.text("reason") == "KindConflict")
        #expect(condition?.text("message") == "\"Widget\" is already in use")
        #expect(status.text("acceptedNames", "plural") == "gadgets")
        #expect(status.at("acceptedNames", "kind") == nil)
        #expect(status.list("acceptedNames", "shortNames").isEmpty)
        #expect(Conditions(status.list("conditions"), now: ManualClock.start).status("Established") == "False")
    }

    @Test func anAPIServiceNeedsAReachableService() {
        let reference: Document = ["namespace": "default", "name": "ext", "port": 443]
        let service: Document = ["spec": ["ports": [["port": 443, "name": "https"]]]]
        func reason(_ service: Document?, _ slices: [Document]) -> String? {
            Availability.obstacle(reference, service: service, slices: slices)?.reason
        }
        let ready: Document = ["ports": [["name": "https", "port": 8443]], "endpoints": [["addresses": ["10.0.0.1"]]]]
        let waiting: Document = [
            "ports": [["name": "https", "port": 8443]],
            "endpoints": [["addresses": ["10.0.0.1"], "conditions": ["ready": false]]],
        ]
        #expect(reason(nil, []) == "ServiceNotFound")
        #expect(reason(["spec": ["ports": [["port": 80]]]], [ready]) == "ServicePortError")
        #expect(reason(service, []) == "EndpointsNotFound")
        #expect(reason(service, [waiting]) == "MissingEndpoints")
        #expect(reason(service, [waiting, ready]) == nil)
    }
}
