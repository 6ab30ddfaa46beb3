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

    /// What the server says about a request that it refuses.
    private static func fault(_ reply: Harness.Reply) -> String {
        #expect(reply.status == 422, "\(reply.text)")
        let message = reply.body.text("message") ?? ""
        return message.split(separator: " is invalid: ", maxSplits: 1).last.map(String.init) ?? ""
    }

    @Test(
        arguments: [
            (
                ["clusterIP": "10.96.9.1", "clusterIPs": ["10.96.9.2"]],
                "spec.clusterIPs: Invalid value: [\"10.96.9.2\"]: first value must match `clusterIP`"
            ),
            (
                ["clusterIPs": ["10.96.9.2"]],
                "spec.clusterIPs: Invalid value: [\"10.96.9.2\"]: must be empty when `clusterIP` is not specified"
            ),
            (
                ["clusterIP": "None", "clusterIPs": ["None", "10.96.9.2"]],
                "spec.clusterIPs: Invalid value: [\"None\",\"10.96.9.2\"]: 'None' must be the first and only value"
            ),
            (
                ["clusterIP": "10.96.9.1", "clusterIPs": ["10.96.9.1", "10.96.9.2"]],
                "spec.clusterIPs: Invalid value: [\"10.96.9.1\",\"10.96.9.2\"]: may specify no more than one IP for each "
                    + "IP family"
            ),
            (
                ["clusterIP": "10.96.9.1", "clusterIPs": ["10.96.9.1", "fd00::1"]],
                "spec.clusterIPs[1]: Invalid value: [\"10.96.9.1\",\"fd00::1\"]: IPv6 is not configured on this cluster"
            ),
            (
                ["clusterIP": "10.96.9.1", "ipFamilies": ["IPv6"]],
                "spec.clusterIPs[0]: Invalid value: \"10.96.9.1\": expected an IPv6 value as indicated by `ipFamilies[0]`"
            ),
            (
                ["type": "ExternalName", "externalName": "x.example", "clusterIPs": ["10.96.9.1"]],
                "spec.clusterIPs: Forbidden: may not be set for ExternalName services"
            ),
        ] as [(Document, String)])
    func theTwoFieldsOfAddressesAgree(_ spec: Document, _ wanted: String) async throws {
        let harness = try await Harness()
        let refused = try await harness.send("POST", Self.services, Self.service("s", spec))
        #expect(Self.fault(refused) == wanted)
    }

    @Test func addressesFollowTheFieldThatTheWriterChanged() async throws {
        let harness = try await Harness()
        let made = try await harness.create(Self.services, Self.service("s", ["clusterIP": "10.96.9.1"]))
        #expect(made.at("spec", "clusterIPs") == ["10.96.9.1"])
        func patch(_ spec: Document) async throws -> Harness.Reply {
            try await harness.send(
                "PATCH", Self.services + "/s", ["spec": spec], type: "application/merge-patch+json")
        }
        #expect(
            Self.fault(try await patch(["clusterIPs": ["10.96.9.9"]]))
                == "spec.clusterIPs: Invalid value: [\"10.96.9.9\"]: first value must match `clusterIP`")
        #expect(
            Self.fault(try await patch(["clusterIP": "10.96.9.9"]))
                == "spec.clusterIPs[0]: Invalid value: [\"10.96.9.9\"]: may not change once set")
        // What was given out is not taken back by leaving it empty.
        for spec: Document in [["clusterIP": ""], ["clusterIPs": .null], ["clusterIP": "", "clusterIPs": .null]] {
            let kept = try await patch(spec)
            #expect(kept.status == 200, "\(kept.text)")
            #expect(kept.body.at("spec", "clusterIPs") == ["10.96.9.1"])
            #expect(kept.body.text("spec", "clusterIP") == "10.96.9.1")
        }
        let named = try await patch(["type": "ExternalName", "externalName": "x.example", "clusterIP": ""])
        #expect(named.status == 200, "\(named.text)")
        #expect(named.body.at("spec", "clusterIP") == nil && named.body.at("spec", "clusterIPs") == nil)
        let back = try await patch(["type": "ClusterIP", "externalName": .null, "clusterIP": "10.96.9.5"])
        #expect(back.status == 200, "\(back.text)")
        #expect(back.body.at("spec", "clusterIPs") == ["10.96.9.5"])
    }

    @Test func policiesForTrafficFromOutsideNeedAWayIn() async throws {
        let harness = try await Harness()
        let local = Self.service("s", ["externalTrafficPolicy": "Local"])
        #expect(
            Self.fault(try await harness.send("POST", Self.services, local))
                == "spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services"
        )
        let open = Self.service("s", ["externalTrafficPolicy": "Local", "externalIPs": ["192.0.2.1"]])
        try await harness.create(Self.services, open)
        let patch: Document = ["spec": ["externalIPs": .null]]
        let closed = try await harness.send(
            "PATCH", Self.services + "/s", patch, type: "application/merge-patch+json")
        #expect(closed.status == 200, "\(closed.text)")
        #expect(closed.body.at("spec", "externalTrafficPolicy") == nil)
        #expect(
            Self.fault(
                try await harness.send("POST", Self.services, Self.service("t", ["trafficDistribution": "Foo"])))
                == "spec.trafficDistribution: Unsupported value: \"Foo\": supported values: \"PreferClose\", "
                + "\"PreferSameZone\", \"PreferSameNode\"")
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
