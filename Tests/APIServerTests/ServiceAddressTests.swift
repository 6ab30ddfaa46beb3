import Document
import Testing

@testable import APIServer

@Suite struct ServiceAddressTests {
    private static let services = "/api/v1/namespaces/default/services"
    private static let addresses = "/apis/networking.k8s.io/v1/ipaddresses"
    private static let ranges = "/apis/networking.k8s.io/v1/servicecidrs"

    private static func service(_ name: String, _ spec: Document = [:]) -> Document {
        var object: Document = [
            "apiVersion": "v1", "kind": "Service", "metadata": ["name": Document(name)], "spec": spec,
        ]
        object.set([["port": 80]], at: "spec", "ports")
        return object
    }

    @Test func everyClusterAddressHasAnObject() async throws {
        let harness = try await Harness()
        let made = try await harness.create(Self.services, Self.service("s"))
        let address = try #require(made.text("spec", "clusterIP"))
        let object = try await harness.send("GET", "\(Self.addresses)/\(address)")
        #expect(object.status == 200)
        #expect(
            object.body.at("spec", "parentRef")?.means(["resource": "services", "namespace": "default", "name": "s"])
                == true)
        #expect(try await harness.send("GET", "\(Self.addresses)/10.96.0.1").status == 200)
        // A service that becomes a mere name gives its address back.
        let patch: Document = ["spec": ["type": "ExternalName", "externalName": "x.example"]]
        let changed = try await harness.send(
            "PATCH", "\(Self.services)/s", patch, type: "application/merge-patch+json")
        #expect(changed.status == 200)
        #expect(try await harness.send("GET", "\(Self.addresses)/\(address)").status == 404)
        let again = try await harness.create(Self.services, Self.service("t", ["clusterIP": Document(address)]))
        #expect(again.text("spec", "clusterIP") == address)
        #expect(try await harness.send("DELETE", "\(Self.services)/t").status == 200)
        #expect(try await harness.send("GET", "\(Self.addresses)/\(address)").status == 404)
    }

    @Test func dryRunsTakeNothing() async throws {
        let harness = try await Harness()
        let object = Self.service("s", ["clusterIP": "10.96.7.7", "type": "NodePort"])
        #expect(try await harness.send("POST", Self.services + "?dryRun=All", object).status == 201)
        #expect(try await harness.send("GET", "\(Self.addresses)/10.96.7.7").status == 404)
        try await harness.create(Self.services, Self.service("t", ["clusterIP": "10.96.7.7"]))
    }

    @Test func addressesWrittenByHandAreLeftAlone() async throws {
        let harness = try await Harness()
        let object: Document = [
            "apiVersion": "networking.k8s.io/v1", "kind": "IPAddress", "metadata": ["name": "10.96.8.8"],
            "spec": ["parentRef": ["group": "g.example", "resource": "things", "name": "x"]],
        ]
        try await harness.create(Self.addresses, object)
        let refused = try await harness.send("POST", Self.services, Self.service("s", ["clusterIP": "10.96.8.8"]))
        #expect(refused.status == 422)
        #expect(refused.body.text("message")?.contains("provided IP is already allocated") == true)
        #expect(try await harness.send("DELETE", "\(Self.addresses)/10.96.8.8").status == 200)
        try await harness.create(Self.services, Self.service("s", ["clusterIP": "10.96.8.8"]))
    }

    @Test func repairBringsObjectsBack() async throws {
        let harness = try await Harness()
        let made = try await harness.create(Self.services, Self.service("s"))
        let address = try #require(made.text("spec", "clusterIP"))
        #expect(try await harness.send("DELETE", "\(Self.addresses)/\(address)").status == 200)
        try await harness.server.resources.repairAddresses()
        #expect(try await harness.send("GET", "\(Self.addresses)/\(address)").status == 200)
        let page = try await harness.send("GET", Self.addresses)
        // The service kubernetes, the name service and this one.
        #expect(page.body.list("items").count == 3)
    }

    @Test func furtherRangesCountOnceTheyAreReady() async throws {
        let harness = try await Harness()
        let first = try await harness.send("GET", Self.ranges + "/kubernetes")
        #expect(first.body.at("spec", "cidrs") == ["10.96.0.0/16"])
        #expect(first.body.list("status", "conditions").first?.text("status") == "True")
        let range: Document = [
            "apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": ["name": "more"],
            "spec": ["cidrs": ["10.250.0.0/24"]],
        ]
        try await harness.create(Self.ranges, range)
        let wanted = Self.service("s", ["clusterIP": "10.250.0.9"])
        #expect(try await harness.send("POST", Self.services, wanted).status == 422)
        let status: Document = [
            "status": [
                "conditions": [
                    [
                        "type": "Ready", "status": "True", "reason": "", "message": "",
                        "lastTransitionTime": "2020-01-02T03:04:05Z",
                    ]
                ]
            ]
        ]
        let patched = try await harness.send(
            "PATCH", Self.ranges + "/more/status", status, type: "application/merge-patch+json")
        #expect(patched.status == 200)
        #expect(try await harness.send("POST", Self.services, wanted).status == 201)
    }

    @Test func portsOfOneNumberShareTheirNodePort() async throws {
        let harness = try await Harness()
        var object = Self.service("s", ["type": "NodePort"])
        object.set(
            [
                ["name": "a", "port": 53, "protocol": "UDP"], ["name": "b", "port": 53, "protocol": "TCP"],
                ["name": "c", "port": 80],
            ], at: "spec", "ports")
        let ports = try await harness.create(Self.services, object).list("spec", "ports").map { $0.number("nodePort") }
        #expect(ports[0] == ports[1] && ports[1] != ports[2])
    }
}
