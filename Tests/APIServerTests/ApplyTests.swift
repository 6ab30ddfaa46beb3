import Document
import Kinds
import Testing

@Suite struct ServerSideApplyTests {
    private let path = "/api/v1/namespaces/default/configmaps"
    private static let applyType = "application/apply-patch+yaml"

    private func apply(
        _ harness: Harness, _ data: Document, as manager: String, query: String = "", subresource: String = ""
    ) async throws -> Harness.Reply {
        try await harness.send(
            "PATCH", path + "/c\(subresource)?fieldManager=\(manager)\(query)",
            ["apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": "c"], "data": data], type: Self.applyType)
    }

    private func owners(_ object: Document) -> [String] {
        object.list("metadata", "managedFields").map {
            "\($0.text("manager") ?? "") \($0.text("operation") ?? "") \($0["fieldsV1"]?.jsonText ?? "")"
        }
    }

    @Test func applyingMakesConflictsAndForces() async throws {
        let harness = try await Harness()
        let made = try await apply(harness, ["a": "1"], as: "one")
        #expect(made.status == 201)
        #expect(owners(made.body) == [#"one Apply {"f:data":{"f:a":{}}}"#])

        let refused = try await apply(harness, ["a": "2"], as: "two")
        #expect(refused.status == 409)
        #expect(refused.body.text("message") == #"Apply failed with 1 conflict: conflict with "one": .data.a"#)
        #expect(
            refused.body.list("details", "causes") == [
                ["reason": "FieldManagerConflict", "message": #"conflict with "one""#, "field": ".data.a"]
            ])

        let forced = try await apply(harness, ["a": "2"], as: "two", query: "&force=true")
        #expect(forced.body.text("data", "a") == "2")
        #expect(owners(forced.body) == [#"two Apply {"f:data":{"f:a":{}}}"#])
    }

    @Test func writersAreNamedByTheirAgentAndOwnWhatTheyChange() async throws {
        let harness = try await Harness()
        let agent = [("User-Agent", "tool/v1.2 (linux)")]
        _ = try await harness.send("POST", path, Harness.configMap("c", data: ["a": "1"]), headers: agent)
        harness.clock.advance(by: .seconds(5))
        let patched = try await harness.send(
            "PATCH", path + "/c?fieldManager=other", ["data": ["a": "2", "b": "1"]],
            type: "application/merge-patch+json")
        #expect(
            owners(patched.body) == [
                #"tool Update {"f:data":{}}"#, #"other Update {"f:data":{"f:a":{},"f:b":{}}}"#,
            ])
        let again = try await harness.send(
            "PATCH", path + "/c?fieldManager=third", ["data": ["a": "2"]], type: "application/merge-patch+json")
        #expect(again.body == patched.body)
    }

    @Test func anEmptyListEndsTheAccountUntilTheNextApply() async throws {
        let harness = try await Harness()
        _ = try await harness.create(path, Harness.configMap("c", data: ["a": "1"]))
        let cleared = try await harness.send(
            "PATCH", path + "/c", ["metadata": ["managedFields": []]], type: "application/merge-patch+json")
        #expect(cleared.body.at("metadata", "managedFields") == nil)
        let applied = try await apply(harness, ["b": "1"], as: "one")
        #expect(
            owners(applied.body) == [
                #"one Apply {"f:data":{"f:b":{}}}"#, #"before-first-apply Update {"f:data":{".":{},"f:a":{}}}"#,
            ])
    }

    @Test func kubectlTakesOverWhatItAppliedBefore() async throws {
        let harness = try await Harness()
        let last = #"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"a":"1"}}"#
        var object = Harness.configMap("c", data: ["a": "1", "z": "1"])
        object.set(
            ["kubectl.kubernetes.io/last-applied-configuration": Document(last)], at: "metadata", "annotations")
        _ = try await harness.create(path + "?fieldManager=kubectl-client-side-apply", object)

        let foreign = try await apply(harness, ["a": "2"], as: "someone")
        #expect(foreign.status == 409)
        let beyond = try await apply(harness, ["z": "2"], as: "kubectl")
        #expect(beyond.status == 409)
        let own = try await apply(harness, ["a": "2"], as: "kubectl")
        #expect(own.status == 200)
        #expect(own.body.text("data", "a") == "2")
        #expect(
            own.body.at("metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration")?.string
                == #"{"apiVersion":"v1","data":{"a":"2"},"kind":"ConfigMap","metadata":{"name":"c"}}"# + "\n")
    }

    @Test func aDryRunStoresNothing() async throws {
        let harness = try await Harness()
        let tried = try await apply(harness, ["a": "1"], as: "one", query: "&dryRun=All")
        #expect(tried.status == 201)
        #expect(try await harness.send("GET", path + "/c").status == 404)
    }

    @Test(arguments: [
        ("?fieldManager=", #"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"}}"#, 422),
        ("?fieldManager=m", #"{"kind":"ConfigMap","metadata":{"name":"c"}}"#, 400),
        ("?fieldManager=m", #"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"bogus":1}"#, 500),
        ("?fieldManager=m", #"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"other"}}"#, 400),
        ("?fieldManager=m", "a: [", 400),
        ("?fieldManager=m", #"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c","uid":"x"}}"#, 409),
    ])
    func badAppliesAreRefused(_ query: String, _ body: String, _ status: Int) async throws {
        let harness = try await Harness()
        let reply = try await harness.send(
            "PATCH", path + "/c" + query, type: Self.applyType, bytes: Array(body.utf8))
        #expect(reply.status == status)
    }

    @Test func scalingTakesTheReplicas() async throws {
        let harness = try await Harness()
        let target = "/apis/apps/v1/namespaces/default/deployments"
        let object: Document = [
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": "d"],
            "spec": [
                "replicas": 2, "selector": ["matchLabels": ["a": "b"]],
                "template": [
                    "metadata": ["labels": ["a": "b"]], "spec": ["containers": [["name": "c", "image": "i"]]],
                ],
            ],
        ]
        _ = try await harness.send("PATCH", target + "/d?fieldManager=one", object, type: Self.applyType)
        let scale: Document = [
            "apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": ["name": "d"], "spec": ["replicas": 5],
        ]
        let refused = try await harness.send(
            "PATCH", target + "/d/scale?fieldManager=s", scale, type: Self.applyType)
        #expect(
            refused.body.text("message") == #"Apply failed with 1 conflict: conflict with "one": .spec.replicas"#)
        let forced = try await harness.send(
            "PATCH", target + "/d/scale?fieldManager=s&force=true", scale, type: Self.applyType)
        #expect(forced.body.number("spec", "replicas") == 5)
        let after = try await harness.send("GET", target + "/d")
        let scaler = try #require(
            after.body.list("metadata", "managedFields").first { $0.text("subresource") == "scale" })
        #expect(scaler["fieldsV1"]?.jsonText == #"{"f:spec":{"f:replicas":{}}}"#)
        #expect(scaler.text("apiVersion") == "apps/v1")
    }

    @Test(arguments: [
        (#"[{"op":"replace","path":"/data/x","value":"2"}]"#, 200),
        (#"[{"op":"test","path":"/data/none","value":null}]"#, 200),
        (#"[{"op":"test","path":"/data/a","value":"1"}]"#, 200),
        (#"[{"op":"test","path":"/data/a","value":"2"}]"#, 422),
        (#"[{"op":"remove","path":"/data/none"}]"#, 422),
        (#"[{"op":"add","path":"nolead","value":1}]"#, 422),
        (#"{"op":"add"}"#, 400), ("", 400), ("null", 200),
    ])
    func jsonPatchesAreReadAsUpstreamReadsThem(_ patch: String, _ status: Int) async throws {
        let harness = try await Harness()
        _ = try await harness.create(path, Harness.configMap("c", data: ["a": "1"]))
        let reply = try await harness.send(
            "PATCH", path + "/c", type: "application/json-patch+json", bytes: Array(patch.utf8))
        #expect(reply.status == status)
    }
}
