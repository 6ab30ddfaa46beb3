import Basics
import Client
import Document
import Testing

@testable import Controllers

@Suite struct LoadBalancerTests {
    private let pool = CIDR("198.19.0.0/30")!
    private let first = IPAddress("198.19.0.1")!
    private let second = IPAddress("198.19.0.2")!

    private func service(
        type: String = "LoadBalancer", address: String? = nil, announcer: String? = nil,
        _ change: (inout Document) -> Void = { _ in }
    ) -> Document {
        var service: Document = [
            "metadata": ["namespace": "ns", "name": "s", "uid": "u"],
            "spec": ["type": Document(type), "ports": [["port": 80, "protocol": "TCP"]]],
        ]
        if let address { service.set([["ip": Document(address)]], at: "status", "loadBalancer", "ingress") }
        if let announcer {
            service.set(Document(announcer), at: "metadata", "annotations", LoadBalancerPlan.announcerAnnotation)
        }
        change(&service)
        return service
    }

    private func node(_ name: String, ready: Bool = true, excluded: Bool = false) -> LoadBalancerPlan.Candidate {
        var node: Document = [
            "metadata": ["name": Document(name)],
            "status": ["conditions": [["type": "Ready", "status": ready ? "True" : "False"]]],
        ]
        if excluded {
            node.set("", at: "metadata", "labels", "node.kubernetes.io/exclude-from-external-load-balancers")
        }
        return LoadBalancerPlan.Candidate(node)
    }

    private func slice(_ nodes: String...) -> Document {
        ["endpoints": Document(nodes.map { ["nodeName": Document($0), "conditions": ["ready": true]] })]
    }

    private func decide(
        _ service: Document, others: Set<IPAddress> = [], nodes: [LoadBalancerPlan.Candidate]? = nil,
        slices: [Document] = []
    ) -> LoadBalancerPlan.Decision {
        LoadBalancerPlan.decide(
            service, pool: pool, others: others, nodes: nodes ?? [node("a"), node("b")], slices: slices)
    }

    private func written(_ decision: LoadBalancerPlan.Decision) -> Document? {
        for case .patch(_, _, _, let patch, "status") in decision.plan.actions { return patch }
        return nil
    }

    private func announcer(_ decision: LoadBalancerPlan.Decision) -> String? {
        written(decision)?.map("metadata", "annotations")[LoadBalancerPlan.announcerAnnotation]
    }

    private func reasons(_ decision: LoadBalancerPlan.Decision) -> [String] {
        decision.plan.actions.compactMap { if case .event(_, _, let reason, _) = $0 { reason } else { nil } }
    }

    @Test func addressesAreGivenOnce() {
        let decision = decide(service())
        #expect(decision.address == first)
        #expect(reasons(decision) == ["EnsuringLoadBalancer", "EnsuredLoadBalancer"])
        #expect(written(decision)?.list("status", "loadBalancer", "ingress").first?.text("ip") == "198.19.0.1")
        #expect(decide(service(), others: [first]).address == second)
        let full = decide(service(), others: [first, second, IPAddress("198.19.0.3")!])
        #expect(full.address == nil && reasons(full).last == "SyncLoadBalancerFailed" && full.plan.lookAgain != nil)
    }

    @Test func whoHasAnAddressKeepsIt() {
        let settled = decide(service(address: "198.19.0.2", announcer: "a"))
        #expect(settled.address == second && settled.plan.actions.isEmpty)
        // Unless another has it too, or another one is asked for.
        #expect(decide(service(address: "198.19.0.2", announcer: "a"), others: [second]).address == first)
        let asked = service(address: "198.19.0.2", announcer: "a") {
            $0.set("198.19.0.1", at: "spec", "loadBalancerIP")
        }
        #expect(decide(asked).address == first)
    }

    @Test func askedAddressesMustBeOursAndFree() {
        let asked = service { $0.set("198.19.0.2", at: "spec", "loadBalancerIP") }
        #expect(decide(asked).address == second)
        #expect(reasons(decide(asked, others: [second])).last == "SyncLoadBalancerFailed")
        let foreign = service { $0.set("192.0.2.1", at: "spec", "loadBalancerIP") }
        #expect(reasons(decide(foreign)).last == "SyncLoadBalancerFailed")
    }

    @Test func foreignClassesAreLeftAlone() {
        let foreign = service { $0.set("example.com/lb", at: "spec", "loadBalancerClass") }
        #expect(!LoadBalancerPlan.isWanted(for: foreign))
        #expect(decide(foreign).plan.actions.isEmpty)
    }

    @Test func plainServiceGivesItsAddressBack() throws {
        let decision = decide(service(type: "ClusterIP", address: "198.19.0.1", announcer: "a"))
        let patch = try #require(written(decision))
        #expect(patch.at("status", "loadBalancer", "ingress")?.isNull == true)
        #expect(patch.at("metadata", "annotations", LoadBalancerPlan.announcerAnnotation)?.isNull == true)
        #expect(decision.address == nil)
        #expect(decide(service(type: "ClusterIP")).plan.actions.isEmpty)
    }

    @Test func nodeThatAnswersIsAbleTo() {
        let kept = service(address: "198.19.0.1", announcer: "b")
        #expect(decide(kept).plan.actions.isEmpty)
        #expect(announcer(decide(kept, nodes: [node("a"), node("b", ready: false)])) == "a")
        #expect(announcer(decide(kept, nodes: [node("a"), node("b", excluded: true)])) == "a")
        // Where all are kept out, as on a cluster of one node, one has to answer yet.
        #expect(announcer(decide(service(), nodes: [node("a", excluded: true)])) == "a")
        let local = service(address: "198.19.0.1", announcer: "b") {
            $0.set("Local", at: "spec", "externalTrafficPolicy")
        }
        #expect(announcer(decide(local, slices: [slice("a")])) == "a")
        #expect(decide(local, slices: [slice("a", "b")]).plan.actions.isEmpty)
        #expect(decide(local).plan.actions.isEmpty)
        // Without any node the address stays and nobody answers.
        #expect(announcer(decide(kept, nodes: [])) == nil && written(decide(kept, nodes: [])) != nil)
    }
}
