import Document
import Kinds
import Store
import Testing

@testable import APIServer

/// What every resource does: create, read, update, patch, delete.
@Suite struct ObjectTests {
    private let maps = "/api/v1/namespaces/default/configmaps"

    @Test func bootstrapMakesWhatEveryClusterHasAndIsIdempotent() async throws {
        let harness = try await Harness()
        try await harness.server.bootstrap()
        let namespaces = try await harness.send("GET", "/api/v1/namespaces").body
        #expect(
            namespaces.list("items").compactMap { $0.text("metadata", "name") }
                == ["default", "kube-node-lease", "kube-public", "kube-system"])
        let service = try await harness.send("GET", "/api/v1/namespaces/default/services/kubernetes").body
        #expect(service.text("spec", "clusterIP") == "10.96.0.1")
        let dns = try await harness.send("GET", "/api/v1/namespaces/kube-system/services/kube-dns").body
        #expect(dns.text("spec", "clusterIP") == "10.96.0.10")
        #expect(dns.text("metadata", "labels", "lab.dev/node-local") == "true")
        let slice = try await harness.send(
            "GET", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"
        ).body
        #expect(slice.list("endpoints").first?.list("addresses").first?.string == "10.89.0.2")
    }

    @Test func objectsGetIdentityAndKeepTheirRevision() async throws {
        let harness = try await Harness()
        let made = try await harness.create(maps, Harness.configMap("a", data: ["k": "v"]))
        #expect(made.text("metadata", "creationTimestamp") == "2027-01-15T08:00:00Z")
        #expect(made.text("metadata", "uid")?.count == 36)
        let read = try await harness.send("GET", maps + "/a")
        #expect(read.body == made)
        #expect(read.headers["Content-Type"] == "application/json")
        let drawn = try await harness.create(
            maps, ["metadata": ["generateName": "x-"], "apiVersion": "v1", "kind": "ConfigMap"])
        #expect(drawn.text("metadata", "name")?.hasPrefix("x-") == true)
        #expect(drawn.text("metadata", "name")?.count == 7)
    }

    @Test func refusalsAreWordedAsKubernetesWordsThem() async throws {
        let harness = try await Harness()
        try await harness.create(maps, Harness.configMap("a"))
        let again = try await harness.send("POST", maps, Harness.configMap("a"))
        #expect(again.status == 409)
        #expect(again.body.text("reason") == "AlreadyExists")
        #expect(again.body.text("message") == "configmaps \"a\" already exists")
        let missing = try await harness.send("GET", "/apis/apps/v1/namespaces/default/deployments/d")
        #expect(missing.status == 404)
        #expect(missing.body.text("message") == "deployments.apps \"d\" not found")
        #expect(missing.body.text("details", "group") == "apps")
        var stale = Harness.configMap("a")
        stale.set("1", at: "metadata", "resourceVersion")
        let conflict = try await harness.send("PUT", maps + "/a", stale)
        #expect(conflict.status == 409)
        #expect(conflict.body.text("reason") == "Conflict")
        let wrongPlace = try await harness.send("PUT", maps + "/b", Harness.configMap("a"))
        #expect(
            wrongPlace.body.text("message") == "the name of the object (a) does not match the name on the URL (b)")
        let invalid = try await harness.send("POST", maps, Harness.configMap("Not_A_Name"))
        #expect(invalid.status == 422)
        #expect(invalid.body.list("details", "causes").first?.text("field") == "metadata.name")
        #expect(try await harness.send("PUT", maps, Harness.configMap("a")).status == 405)
        #expect(try await harness.send("GET", "/api/v1/nothings").status == 404)
        #expect(try await harness.send("GET", maps, headers: [("Accept", "text/html")]).status == 406)
        #expect(try await harness.send("POST", maps, bytes: [1]).status == 400)
    }

    @Test func unknownFieldsWarnOrFail() async throws {
        let harness = try await Harness()
        var odd = Harness.configMap("a")
        odd["bogus"] = 1
        let strict = try await harness.send("POST", maps + "?fieldValidation=Strict", odd)
        #expect(strict.status == 400)
        #expect(strict.body.text("message")?.hasSuffix("strict decoding error: unknown field \"bogus\"") == true)
        let warned = try await harness.send("POST", maps, odd)
        #expect(warned.status == 201)
        #expect(warned.headers.all("Warning") == ["299 - \"unknown field \\\"bogus\\\"\""])
        #expect(warned.body["bogus"] == nil)
    }

    @Test func dryRunsAnswerAndStoreNothing() async throws {
        let harness = try await Harness()
        #expect(try await harness.send("POST", maps + "?dryRun=All", Harness.configMap("a")).status == 201)
        #expect(try await harness.send("GET", maps + "/a").status == 404)
        try await harness.create(maps, Harness.configMap("a"))
        #expect(try await harness.send("DELETE", maps + "/a?dryRun=All").status == 200)
        #expect(try await harness.send("GET", maps + "/a").status == 200)
    }

    @Test func patchesOfThreeKinds() async throws {
        let harness = try await Harness()
        let deployments = "/apis/apps/v1/namespaces/default/deployments"
        let made = try await harness.create(deployments, Self.deployment)
        #expect(made.number("metadata", "generation") == 1)
        #expect(made.number("spec", "replicas") == 1)
        let merged = try await harness.send(
            "PATCH", deployments + "/d", ["spec": ["replicas": 3]], type: "application/merge-patch+json")
        #expect(merged.body.number("spec", "replicas") == 3)
        #expect(merged.body.number("metadata", "generation") == 2)
        let strategic = try await harness.send(
            "PATCH", deployments + "/d",
            ["spec": ["template": ["spec": ["containers": [["name": "c", "image": "j"]]]]]],
            type: "application/strategic-merge-patch+json")
        let container = strategic.body.list("spec", "template", "spec", "containers").first
        #expect(container?.text("image") == "j")
        #expect(container?.text("command") == nil)
        let json = try await harness.send(
            "PATCH", deployments + "/d", [["op": "replace", "path": "/spec/replicas", "value": 5]],
            type: "application/json-patch+json")
        #expect(json.body.number("spec", "replicas") == 5)
        let same = try await harness.send(
            "PATCH", deployments + "/d", ["spec": ["replicas": 5]], type: "application/merge-patch+json")
        #expect(same.body.text("metadata", "resourceVersion") == json.body.text("metadata", "resourceVersion"))
    }

    static let deployment: Document = [
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": "d"],
        "spec": [
            "selector": ["matchLabels": ["app": "d"]],
            "template": [
                "metadata": ["labels": ["app": "d"]], "spec": ["containers": [["name": "c", "image": "i"]]],
            ],
        ],
    ]

    @Test func statusAndScaleAreWrittenApart() async throws {
        let harness = try await Harness()
        let path = "/apis/apps/v1/namespaces/default/deployments"
        try await harness.create(path, Self.deployment)
        let merge = "application/merge-patch+json"
        let main = try await harness.send("PATCH", path + "/d", ["status": ["replicas": 9]], type: merge)
        #expect(main.body.number("status", "replicas") == nil)
        let status = try await harness.send(
            "PATCH", path + "/d/status", ["spec": ["replicas": 9], "status": ["replicas": 2]], type: merge)
        #expect(status.body.number("status", "replicas") == 2)
        #expect(status.body.number("spec", "replicas") == 1)
        let scaled = try await harness.send("PATCH", path + "/d/scale", ["spec": ["replicas": 4]], type: merge)
        #expect(scaled.body.text("kind") == "Scale")
        #expect(scaled.body.text("status", "selector") == "app=d")
        #expect(try await harness.send("GET", path + "/d").body.number("spec", "replicas") == 4)
    }

    @Test func finalizersHoldWhatIsDeleted() async throws {
        let harness = try await Harness()
        var held = Harness.configMap("a")
        held.set(["example.com/hold"], at: "metadata", "finalizers")
        try await harness.create(maps, held)
        let marked = try await harness.send("DELETE", maps + "/a")
        #expect(marked.body.text("kind") == "ConfigMap")
        #expect(marked.body.text("metadata", "deletionTimestamp") != nil)
        let freed = try await harness.send(
            "PATCH", maps + "/a", ["metadata": ["finalizers": nil]], type: "application/merge-patch+json")
        #expect(freed.status == 200)
        #expect(try await harness.send("GET", maps + "/a").status == 404)
        try await harness.create(maps, Harness.configMap("b"))
        let foreground = try await harness.send("DELETE", maps + "/b?propagationPolicy=Foreground")
        #expect(foreground.body.list("metadata", "finalizers") == ["foregroundDeletion"])
        let wrong = try await harness.create(maps, Harness.configMap("c"))
        let refused = try await harness.send(
            "DELETE", maps + "/c", ["preconditions": ["uid": "00000000-0000-0000-0000-000000000000"]])
        #expect(refused.status == 409)
        let gone = try await harness.send(
            "DELETE", maps + "/c", ["preconditions": ["uid": wrong.at("metadata", "uid") ?? ""]])
        #expect(gone.body.text("status") == "Success")
    }

    @Test func collectionsAreDeletedBySelector() async throws {
        let harness = try await Harness()
        for (name, app) in [("a", "x"), ("b", "y"), ("c", "x")] {
            try await harness.create(maps, Harness.configMap(name, labels: ["app": Document(app)]))
        }
        let deleted = try await harness.send("DELETE", maps + "?labelSelector=app%3Dx")
        #expect(deleted.body.list("items").compactMap { $0.text("metadata", "name") } == ["a", "c"])
        let left = try await harness.send("GET", maps).body.list("items")
        #expect(left.compactMap { $0.text("metadata", "name") } == ["b"])
    }

    @Test func protobufBodiesAreRead() async throws {
        let harness = try await Harness()
        // Unknown{1: TypeMeta{v1, ConfigMap}, 2: ConfigMap{1: ObjectMeta{1: "p", 11: {l: m}}, 2: {k: v}}}
        func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] { [number << 3 | 2, UInt8(bytes.count)] + bytes }
        func pair(_ key: String, _ value: String) -> [UInt8] { field(1, Array(key.utf8)) + field(2, Array(value.utf8)) }
        let metadata = field(1, Array("p".utf8)) + field(8, []) + field(11, pair("l", "m"))
        let object = field(1, metadata) + field(2, pair("k", "v"))
        let kind = field(1, Array("v1".utf8)) + field(2, Array("ConfigMap".utf8))
        let body = Array("k8s\0".utf8) + field(1, kind) + field(2, object)
        let reply = try await harness.send(
            "POST", maps, type: "application/vnd.kubernetes.protobuf", bytes: body)
        #expect(reply.status == 201)
        #expect(reply.body.text("data", "k") == "v")
        #expect(reply.body.text("metadata", "labels", "l") == "m")
        let broken = try await harness.send(
            "POST", maps, type: "application/vnd.kubernetes.protobuf", bytes: Array(body.dropLast(3)))
        #expect(broken.status == 400)
    }

    @Test func aRestartedServerKnowsEverything() async throws {
        let store = MemoryStore()
        let first = try await Harness(store: store)
        let made = try await first.create(
            "/api/v1/namespaces/default/services",
            [
                "apiVersion": "v1", "kind": "Service", "metadata": ["name": "s"],
                "spec": ["ports": [["port": 80]]],
            ])
        let address = try #require(made.text("spec", "clusterIP"))
        let second = try await Harness(store: store)
        let taken = try await second.send(
            "POST", "/api/v1/namespaces/default/services",
            [
                "apiVersion": "v1", "kind": "Service", "metadata": ["name": "t"],
                "spec": ["clusterIP": Document(address), "ports": [["port": 80]]],
            ])
        #expect(taken.status == 422)
        #expect(taken.body.text("message")?.contains("provided IP is already allocated") == true)
    }
}
