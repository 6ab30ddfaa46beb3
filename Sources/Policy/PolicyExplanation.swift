import Basics
import Document

/// Why a pod may, or may not, exchange something with an address: policy by policy.
public struct PolicyExplanation: Sendable, Equatable {
    /// The policies that select the pod in this direction; without any everything is allowed.
    public var selecting: [String] = []
    /// Those of them that have a rule which allows it.
    public var allowing: [String] = []

    public var isAllowed: Bool { selecting.isEmpty || !allowing.isEmpty }

    /// - Parameters:
    ///   - objects: every pod, namespace and network policy of the cluster, as the API has them.
    ///   - transport: a protocol's number in IP.
    public init(
        pod uid: String, _ direction: PolicyDirection, other: IPAddress, transport: UInt8, port: UInt16,
        pods: [Document], namespaces: [Document], policies: [Document]
    ) {
        guard let own = pods.lazy.compactMap({ PolicyPod($0) }).first(where: { $0.uid == uid }) else { return }
        for policy in policies {
            guard let text = PolicyText(policy), text.namespace == own.namespace, text.rules(direction) != nil,
                text.pods.matches(own.labels)
            else { continue }
            let name = policy.text("metadata", "name") ?? ""
            selecting.append(name)
            var planner = PolicyPlanner(node: own.node)
            for namespace in namespaces {
                planner.set(
                    namespace: namespace.text("metadata", "name") ?? "", labels: namespace.map("metadata", "labels"))
            }
            for pod in pods.compactMap({ PolicyPod($0) }) { planner.set(pod: pod.uid, pod) }
            planner.set(policy: name, text)
            let change = planner.whole()
            let profile = change.directed.first { $0.direction == direction && own.addresses.contains($0.address) }
            let content = profile.flatMap { change.added[ProfileID(direction: direction, number: $0.profile)] }
            if content?.allows(other, transport: transport, port: port) == true { allowing.append(name) }
        }
        selecting.sort()
        allowing.sort()
    }
}

extension PolicyContent {
    func allows(_ address: IPAddress, transport: UInt8, port: UInt16) -> Bool {
        func covers(_ range: PortRange) -> Bool {
            range.transport == 0 || (range.transport == transport && (range.first...range.last).contains(port))
        }
        return allowsEverything || peers.contains(address)
            || peerPorts.contains(PeerPort(address: address, transport: transport, port: port))
            || ports.contains(where: covers)
            || blocks.contains { range, addresses in
                covers(range)
                    && addresses.contains {
                        $0.first.isIPv6 == address.isIPv6 && $0.first <= address && address <= $0.last
                    }
            }
    }
}
