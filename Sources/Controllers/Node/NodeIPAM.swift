import Basics
import Client
import Document
import Kinds

/// Gives every node its own part of the pods' network.
///
/// All nodes are one key, so that one round sees every allocation and none is made twice.
struct NodeIPAM: Controller {
    let name = "node-ipam-controller"
    let workers = 1
    private static let key = "nodes"
    private let nodes: Informer
    private let network: CIDR
    private let length: Int

    init(_ informers: Informers, network: CIDR, length: Int) {
        nodes = informers(.nodes)
        self.network = network
        self.length = length
    }

    var sources: [Source] { [Source(nodes) { $0.old == nil || $0.new == nil ? [Self.key] : [] }] }

    func plan(_ key: String, _ situation: Situation) -> Plan {
        Self.plan(nodes.all, network: network, length: length)
    }

    static func plan(_ nodes: [Document], network: CIDR, length: Int) -> Plan {
        var taken = Set(
            nodes.flatMap { node in
                ([node.text("spec", "podCIDR")] + node.list("spec", "podCIDRs").map(\.string)).compactMap { $0 }
            })
        var index: UInt64 = 0
        var plan = Plan()
        // In the order in which they came, so that the first node gets the first part.
        let waiting = nodes.filter { ($0.text("spec", "podCIDR") ?? "").isEmpty && !$0.isTerminating }
            .sorted { ($0.created, $0.name) < ($1.created, $1.name) }
        for node in waiting {
            var free: CIDR?
            while free == nil, let candidate = network.subnet(at: index, length: length) {
                if taken.insert(candidate.description).inserted { free = candidate }
                index += 1
            }
            guard let free else {
                plan.then(
                    .event(
                        node, .normal, reason: "CIDRNotAvailable",
                        message: "Node \(node.name) status is now: CIDRNotAvailable"))
                continue
            }
            let text = Document(free.description)
            plan.then(
                .patch(.nodes, namespace: nil, name: node.name, ["spec": ["podCIDR": text, "podCIDRs": [text]]]))
        }
        return plan
    }
}
