import Basics
import Document
import Linux
import Testing

@testable import Proxy

func service(
    _ address: String, type: String = "ClusterIP", protocolName: String = "TCP", port: Int = 80,
    _ changes: (inout Document) -> Void = { _ in }
) -> Document {
    var document: Document = [
        "metadata": ["name": "s", "namespace": "ns"],
        "spec": [
            "type": Document(type), "clusterIP": Document(address), "clusterIPs": [Document(address)],
            "ports": [["name": "p", "protocol": Document(protocolName), "port": Document(port)]],
        ],
    ]
    changes(&document)
    return document
}

func slice(_ endpoints: [Document], protocolName: String = "TCP", port: Int = 8080, name: String = "p") -> Document {
    [
        "addressType": "IPv4", "endpoints": Document(endpoints),
        "ports": [["name": Document(name), "protocol": Document(protocolName), "port": Document(port)]],
    ]
}

func endpoint(_ address: String, node: String = "node0", ready: Bool? = true, leaving: Bool = false) -> Document {
    var conditions = Document.emptyObject
    if let ready { conditions["ready"] = Document(ready) }
    if leaving {
        conditions["serving"] = true
        conditions["terminating"] = true
    }
    return ["addresses": [Document(address)], "nodeName": Document(node), "conditions": conditions]
}

private func front(_ address: String, _ port: UInt16, _ transport: ServiceTransport = .tcp) -> Frontend {
    Frontend(IPAddress(address)!, transport, port)
}

private func to(_ addresses: String..., port: UInt16 = 8080, sticky: UInt32? = nil) -> Treatment {
    .balance(addresses.map { Backend(IPAddress($0)!, port) }, stickySeconds: sticky)
}

@Suite struct ServicePlannerTests {
    let planner = ServicePlanner(nodeName: "node0", nodeAddresses: [IPAddress("10.89.0.2")!])
    let both = [slice([endpoint("10.244.1.2", node: "node1"), endpoint("10.244.0.2")])]

    @Test func clusterAddressLeadsToEveryReadyEndpoint() {
        let slices = both + [slice([endpoint("10.244.0.9", ready: false), endpoint("10.244.0.8", ready: nil)])]
        let plan = planner.plan(service: service("10.96.0.5"), slices: slices)
        #expect(plan.frontends == [front("10.96.0.5", 80): FrontendPlan(to("10.244.0.2", "10.244.0.8", "10.244.1.2"))])
        #expect(plan.localEndpoints == [IPAddress("10.244.0.2")!, IPAddress("10.244.0.8")!])
        #expect(plan.clusterAddresses == [IPAddress("10.96.0.5")!])
    }

    /// Endpoints that a user writes tell no node; a pod may find itself behind its service all the same.
    @Test func anEndpointOfNoKnownNodeMayBeHere() {
        let written: Document = ["addresses": ["10.244.0.7"]]
        let plan = planner.plan(service: service("10.96.0.5"), slices: both + [slice([written])])
        #expect(plan.localEndpoints == [IPAddress("10.244.0.2")!, IPAddress("10.244.0.7")!])
        #expect(plan.frontends == [front("10.96.0.5", 80): FrontendPlan(to("10.244.0.2", "10.244.0.7", "10.244.1.2"))])
    }

    @Test func portsAreMatchedByNameAndProtocol() {
        let slices = [
            slice([endpoint("10.244.0.2")], name: "q"), slice([endpoint("10.244.0.3")], protocolName: "UDP"),
        ]
        let plan = planner.plan(service: service("10.96.0.5"), slices: slices)
        #expect(plan.frontends == [front("10.96.0.5", 80): FrontendPlan(.reject)])
    }

    @Test func nodePortsAndExternalAddressesAreMasqueraded() {
        let document = service("10.96.0.5", type: "LoadBalancer") {
            $0.set(["192.0.2.7"], at: "spec", "externalIPs")
            $0.set(
                [["ip": "192.0.2.8"], ["ip": "192.0.2.9", "ipMode": "Proxy"]], at: "status", "loadBalancer", "ingress")
            $0.set(
                [["name": "p", "protocol": "TCP", "port": 80, "nodePort": 30080]], at: "spec", "ports")
        }
        let plan = planner.plan(service: document, slices: both)
        let all = to("10.244.0.2", "10.244.1.2")
        #expect(
            plan.frontends == [
                front("10.96.0.5", 80): FrontendPlan(all),
                front("192.0.2.7", 80): FrontendPlan(all, masquerade: true),
                front("192.0.2.8", 80): FrontendPlan(all, masquerade: true),
                front("10.89.0.2", 30080): FrontendPlan(all, masquerade: true),
            ])
    }

    @Test func localPoliciesKeepToThisNode() {
        let document = service("10.96.0.5", type: "NodePort") {
            $0.set("Local", at: "spec", "externalTrafficPolicy")
            $0.set("Local", at: "spec", "internalTrafficPolicy")
            $0.set([["name": "p", "port": 80, "nodePort": 30080]], at: "spec", "ports")
        }
        #expect(
            planner.plan(service: document, slices: both).frontends == [
                front("10.96.0.5", 80): FrontendPlan(to("10.244.0.2")),
                front("10.89.0.2", 30080): FrontendPlan(to("10.244.0.2")),
            ])
        let elsewhere = [slice([endpoint("10.244.1.2", node: "node1")])]
        #expect(
            planner.plan(service: document, slices: elsewhere).frontends == [
                front("10.96.0.5", 80): FrontendPlan(.drop), front("10.89.0.2", 30080): FrontendPlan(.drop),
            ])
    }

    @Test func leavingEndpointsServeWhileThereIsNobodyElse() {
        let leaving = endpoint("10.244.0.2", ready: false, leaving: true)
        let alone = planner.plan(service: service("10.96.0.5"), slices: [slice([leaving])])
        #expect(alone.frontends.values.first?.treatment == to("10.244.0.2"))
        let with = planner.plan(service: service("10.96.0.5"), slices: [slice([leaving, endpoint("10.244.0.3")])])
        #expect(with.frontends.values.first?.treatment == to("10.244.0.3"))
    }

    @Test func affinityComesWithItsTimeout() {
        let document = service("10.96.0.5") { $0.set("ClientIP", at: "spec", "sessionAffinity") }
        let plan = planner.plan(service: document, slices: both)
        #expect(plan.frontends.values.first?.treatment == to("10.244.0.2", "10.244.1.2", sticky: 10_800))
    }

    @Test func othersServicesAreLeftAlone() {
        let foreign = [
            service("None"), service("10.96.0.5", type: "ExternalName"),
            service("10.96.0.10") { $0.set("true", at: "metadata", "labels", "lab.dev/node-local") },
            service("10.96.0.5") { $0.set("x", at: "metadata", "labels", "service.kubernetes.io/service-proxy-name") },
            service("10.96.0.5") { $0.set("", at: "metadata", "labels", "service.kubernetes.io/headless") },
        ]
        for document in foreign { #expect(planner.plan(service: document, slices: both) == ServicePlan()) }
    }
}

@Suite struct ProxyTableTests {
    private func plan(_ frontend: Frontend, _ treatment: Treatment) -> ServicePlan {
        var plan = ServicePlan()
        plan.frontends[frontend] = FrontendPlan(treatment)
        plan.clusterAddresses = [frontend.address]
        return plan
    }

    @Test func onlyWhatDiffersIsReported() {
        var table = ProxyTable()
        let (a, b) = (front("10.96.0.1", 80), front("10.96.0.2", 80))
        let first = table.update([("x", plan(a, .reject)), ("y", plan(b, .reject))])
        #expect(first.frontends.count == 2)
        #expect(first.addedClusterAddresses == [a.address, b.address])
        #expect(table.whole == first)
        let second = table.update([("x", plan(a, .reject)), ("y", plan(b, to("10.244.0.2")))])
        #expect(second.frontends == [b: .init(old: FrontendPlan(.reject), new: FrontendPlan(to("10.244.0.2")))])
        #expect(second.addedClusterAddresses.isEmpty)
        let third = table.update([("x", nil)])
        #expect(third.frontends == [a: .init(old: FrontendPlan(.reject), new: nil)])
        #expect(third.removedClusterAddresses == [a.address])
        #expect(table.update([("x", nil)]).isEmpty)
    }

    @Test func contestedFrontendPassesOn() {
        var table = ProxyTable()
        let shared = front("192.0.2.1", 80)
        _ = table.update([("b", plan(shared, to("10.244.0.2")))])
        let taken = table.update([("a", plan(shared, .reject))])
        #expect(taken.frontends[shared]?.new == FrontendPlan(.reject))
        #expect(taken.addedClusterAddresses.isEmpty)
        let back = table.update([("a", nil)])
        #expect(back.frontends[shared]?.new == FrontendPlan(to("10.244.0.2")))
        #expect(back.removedClusterAddresses.isEmpty)
    }

    @Test func elementsCarryConcatenatedKeys() {
        let frontend = front("10.96.0.1", 443, .udp)
        let elements = ProxyElements.elements(frontend, FrontendPlan(to("10.244.0.2"), masquerade: true))
        let key: [UInt8] = [10, 96, 0, 1, 17, 0, 0, 0, 1, 187, 0, 0]
        #expect(
            elements == [
                "services": [NftElement(key, .verdict(.goto("balance-1")))],
                "endpoints-1": [NftElement(key + [0, 0, 0, 0], .data([10, 244, 0, 2, 31, 144, 0, 0]))],
                "masquerade": [NftElement(key)],
            ])
    }

    @Test func stickyNumbersStayWithTheirEndpoints() {
        let frontend = front("10.96.0.1", 80)
        let more = ProxyElements.elements(frontend, FrontendPlan(to("10.244.0.2", "10.244.0.3", sticky: 60)))
        let less = ProxyElements.elements(frontend, FrontendPlan(to("10.244.0.3", sticky: 60)))
        #expect(more["chosen"]?.count == 2)
        #expect(more["chosen"]?.isSuperset(of: less["chosen"] ?? []) == true)
        #expect(more["services"] == [NftElement(frontend.key, .verdict(.goto("sticky-2-60")))])
    }
}
