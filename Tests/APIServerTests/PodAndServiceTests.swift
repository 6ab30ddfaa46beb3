import Basics
import Document
import Kinds
import Testing

@testable import APIServer

/// What the server knows about pods, services and namespaces in particular.
@Suite struct PodAndServiceTests {
    private let pods = "/api/v1/namespaces/default/pods"
    private let services = "/api/v1/namespaces/default/services"

    private func harness() async throws -> Harness {
        let harness = try await Harness()
        try await harness.create("/api/v1/namespaces/default/serviceaccounts", Harness.serviceAccount)
        return harness
    }

    @Test func podsAreCompleted() async throws {
        let harness = try await harness()
        let pod = try await harness.create(pods, Harness.pod("p"))
        #expect(pod.text("spec", "serviceAccountName") == "default")
        #expect(pod.text("status", "phase") == "Pending")
        #expect(pod.number("spec", "priority") == 0)
        let keys = pod.list("spec", "tolerations").compactMap { $0.text("key") }
        #expect(keys == ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"])
        let mount = pod.list("spec", "containers").first?.list("volumeMounts").first
        #expect(mount?.text("mountPath") == "/var/run/secrets/kubernetes.io/serviceaccount")
        #expect(mount?.text("name") == pod.list("spec", "volumes").first?.text("name"))
        #expect(mount?.text("name")?.hasPrefix("kube-api-access-") == true)
    }

    @Test func podsNeedTheirServiceAccountAndTheirNamespace() async throws {
        let harness = try await Harness()
        let lonely = try await harness.send("POST", pods, Harness.pod("p"))
        #expect(lonely.status == 403)
        #expect(lonely.body.text("message")?.contains("serviceaccount \"default\" not found") == true)
        let nowhere = try await harness.send("POST", "/api/v1/namespaces/none/configmaps", Harness.configMap("a"))
        #expect(nowhere.status == 404)
        #expect(nowhere.body.text("message") == "namespaces \"none\" not found")
    }

    @Test func namespacesEndInTwoSteps() async throws {
        let harness = try await Harness()
        try await harness.create(
            "/api/v1/namespaces", ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "n"]])
        let ending = try await harness.send("DELETE", "/api/v1/namespaces/n")
        #expect(ending.body.text("status", "phase") == "Terminating")
        let late = try await harness.send("POST", "/api/v1/namespaces/n/configmaps", Harness.configMap("a"))
        #expect(late.status == 403)
        #expect(late.body.list("details", "causes").first?.text("reason") == "NamespaceTerminating")
        var empty = ending.body
        empty.set(nil, at: "spec", "finalizers")
        #expect(try await harness.send("PUT", "/api/v1/namespaces/n/finalize", empty).status == 200)
        #expect(try await harness.send("GET", "/api/v1/namespaces/n").status == 404)
    }

    @Test func boundPodsGetTimeToEnd() async throws {
        let harness = try await harness()
        try await harness.create(pods, Harness.pod("p"))
        let binding: Document = [
            "apiVersion": "v1", "kind": "Binding", "metadata": ["name": "p"],
            "target": ["kind": "Node", "name": "n1"],
        ]
        #expect(try await harness.send("POST", pods + "/p/binding", binding).status == 201)
        let bound = try await harness.send("GET", pods + "/p").body
        #expect(bound.text("spec", "nodeName") == "n1")
        #expect(bound.list("status", "conditions").first?.text("type") == "PodScheduled")
        #expect(try await harness.send("POST", pods + "/p/binding", binding).status == 409)
        let ending = try await harness.send("DELETE", pods + "/p").body
        #expect(ending.number("metadata", "deletionGracePeriodSeconds") == 30)
        #expect(ending.text("metadata", "deletionTimestamp") == "2027-01-15T08:00:30Z")
        #expect(try await harness.send("GET", pods + "/p").status == 200)
        let shorter = try await harness.send("DELETE", pods + "/p?gracePeriodSeconds=5").body
        #expect(shorter.text("metadata", "deletionTimestamp") == "2027-01-15T08:00:05Z")
        #expect(try await harness.send("DELETE", pods + "/p?gracePeriodSeconds=0").status == 200)
        #expect(try await harness.send("GET", pods + "/p").status == 404)
    }

    @Test func evictionDeletes() async throws {
        let harness = try await harness()
        try await harness.create(pods, Harness.pod("p"))
        let reply = try await harness.send(
            "POST", pods + "/p/eviction",
            ["apiVersion": "policy/v1", "kind": "Eviction", "metadata": ["name": "p"]])
        #expect(reply.status == 201)
        #expect(try await harness.send("GET", pods + "/p").status == 404)
    }

    private func service(_ name: String, _ spec: Document) -> Document {
        var spec = spec
        spec["ports"] = spec["ports"] ?? [["port": 80]]
        return ["apiVersion": "v1", "kind": "Service", "metadata": ["name": Document(name)], "spec": spec]
    }

    @Test func addressesAndPortsAreGivenOutOnce() async throws {
        let harness = try await Harness()
        var addresses: Set<String> = []
        var ports: Set<Int> = []
        for number in 0..<20 {
            let made = try await harness.create(services, service("s\(number)", ["type": "NodePort"]))
            addresses.insert(try #require(made.text("spec", "clusterIP")))
            ports.insert(try #require(made.list("spec", "ports").first?.number("nodePort")))
        }
        #expect(addresses.count == 20)
        #expect(ports.count == 20)
        let wanted = service("wanted", ["clusterIP": "10.96.7.7"])
        try await harness.create(services, wanted)
        let taken = try await harness.send("POST", services, service("late", ["clusterIP": "10.96.7.7"]))
        #expect(taken.status == 422)
        #expect(try await harness.send("DELETE", services + "/wanted").status == 200)
        try await harness.create(services, service("late", ["clusterIP": "10.96.7.7"]))
        let outside = try await harness.send("POST", services, service("o", ["clusterIP": "10.1.1.1"]))
        #expect(outside.status == 422)
        let headless = try await harness.create(services, service("h", ["clusterIP": "None"]))
        #expect(headless.list("spec", "clusterIPs") == ["None"])
    }

    @Test func aFailedWriteGivesItsAddressBack() async throws {
        let harness = try await Harness()
        let spec: Document = ["clusterIP": "10.96.7.7"]
        #expect(try await harness.send("POST", services + "?dryRun=All", service("a", spec)).status == 201)
        try await harness.create(services, service("a", spec))
        let update = try await harness.send(
            "PATCH", services + "/a", ["spec": ["type": "NodePort"]], type: "application/merge-patch+json")
        let port = try #require(update.body.list("spec", "ports").first?.number("nodePort"))
        let back = try await harness.send(
            "PATCH", services + "/a", ["spec": ["type": "ClusterIP"]], type: "application/merge-patch+json")
        #expect(back.status == 200)
        #expect(back.body.list("spec", "ports").first?["nodePort"] == nil)
        let again: Document = ["type": "NodePort", "ports": [["port": 80, "nodePort": Document(port)]]]
        try await harness.create(services, service("b", again))
    }

    @Test func eventsAreOneInTwoGroups() async throws {
        let harness = try await Harness()
        try await harness.create(
            "/api/v1/namespaces/default/events",
            [
                "apiVersion": "v1", "kind": "Event", "metadata": ["name": "e"], "reason": "R", "message": "m",
                "type": "Normal", "involvedObject": ["kind": "Pod", "name": "p", "namespace": "default"],
            ])
        let newer = try await harness.send("GET", "/apis/events.k8s.io/v1/namespaces/default/events/e").body
        #expect(newer.text("apiVersion") == "events.k8s.io/v1")
        #expect(newer.text("note") == "m")
        #expect(newer.text("regarding", "name") == "p")
        let found = try await harness.send(
            "GET", "/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3Dp"
        ).body
        #expect(found.list("items").count == 1)
    }
}
