import Basics
import Document

/// What policies mean, read straight from the API's words and as slowly as one likes: for every way from a pod to a
/// pod, a walk through every policy. Shares nothing with the planner that it is held against.
struct PolicyOracle {
    struct Pod {
        var namespace: String
        var labels: [String: String]
        var address: IPAddress
        /// TCP ports by their names.
        var names: [String: UInt16]
    }

    struct Way: Hashable, Comparable, CustomStringConvertible {
        var from: String
        var to: String
        var transport: String
        var port: UInt16

        var description: String { "\(from) → \(to) \(transport) \(port)" }
        static func < (a: Way, b: Way) -> Bool { a.description < b.description }
    }

    var namespaces: [String: [String: String]]
    var pods: [String: Pod]
    var policies: [(namespace: String, spec: Document)]

    func isOpen(_ way: Way) -> Bool {
        allows(way, of: way.from, other: way.to, "Egress") && allows(way, of: way.to, other: way.from, "Ingress")
    }

    private func allows(_ way: Way, of pod: String, other: String, _ direction: String) -> Bool {
        guard let own = pods[pod] else { return false }
        var isIsolated = false
        for policy in policies where policy.namespace == own.namespace {
            guard matches(policy.spec["podSelector"], own.labels) else { continue }
            let rules = policy.spec.list(direction.lowercased())
            var types = policy.spec.list("policyTypes").compactMap(\.string)
            if types.isEmpty { types = ["Ingress"] + (policy.spec.list("egress").isEmpty ? [] : ["Egress"]) }
            guard types.contains(direction) else { continue }
            isIsolated = true
            if rules.contains(where: { allows($0, way, other: other, policy.namespace, direction) }) { return true }
        }
        return !isIsolated
    }

    private func allows(
        _ rule: Document, _ way: Way, other: String, _ namespace: String, _ direction: String
    ) -> Bool {
        let peers = rule.list(direction == "Ingress" ? "from" : "to")
        let ports = rule.list("ports")
        for peer in peers.isEmpty ? [Document.null] : peers {
            guard peer.isNull || isPeer(other, peer, namespace) else { continue }
            for port in ports.isEmpty ? [Document.null] : ports {
                if port.isNull { return true }
                // A block of addresses has no pods, so where it is the receiver nothing has a name there.
                let isUnknown = direction == "Egress" && peer["ipBlock"] != nil && port.text("port") != nil
                if !isUnknown, isPort(way, port) { return true }
            }
        }
        return false
    }

    private func isPeer(_ name: String, _ peer: Document, _ namespace: String) -> Bool {
        guard let pod = pods[name] else { return false }
        if let block = peer["ipBlock"] {
            guard let network = CIDR(block.text("cidr") ?? ""), network.contains(pod.address) else { return false }
            return !block.list("except").contains { CIDR($0.string ?? "")?.contains(pod.address) ?? false }
        }
        if let selector = peer["namespaceSelector"] {
            guard matches(selector, namespaces[pod.namespace] ?? [:]) else { return false }
        } else if pod.namespace != namespace {
            return false
        }
        return peer["podSelector"].map { matches($0, pod.labels) } ?? true
    }

    private func isPort(_ way: Way, _ port: Document) -> Bool {
        guard port.text("protocol") ?? "TCP" == way.transport else { return false }
        if let name = port.text("port") { return way.transport == "TCP" && pods[way.to]?.names[name] == way.port }
        guard let first = port.number("port") else { return true }
        return (first...(port.number("endPort") ?? first)).contains(Int(way.port))
    }

    private func matches(_ selector: Document?, _ labels: [String: String]) -> Bool {
        for (key, value) in selector?.map("matchLabels") ?? [:] where labels[key] != value { return false }
        for expression in selector?.list("matchExpressions") ?? [] {
            let value = labels[expression.text("key") ?? ""]
            let values = expression.list("values").compactMap(\.string)
            switch expression.text("operator") {
            case "In": if !values.contains(value ?? "") { return false }
            case "NotIn": if values.contains(value ?? "") { return false }
            case "Exists": if value == nil { return false }
            default: if value != nil { return false }
            }
        }
        return true
    }
}
