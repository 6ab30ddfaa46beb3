import Basics
import Client
import Document
import Kinds
import Linux
import Overlay
import Policy
import Proxy

/// `lab net trace`: the way of a new connection from a pod to a pod or a Service, hop by hop, each with the rule that
/// decides there. Nothing is sent: routes and services are read from the nodes' kernels, and the policies, whose names
/// no kernel knows, from the API.
public struct NetworkTrace: Sendable {
    public struct Target: Sendable, Equatable {
        public var place: Fault.Place
        public var port: UInt16?
        public var isDatagram = false

        /// `pod/NAMESPACE/NAME[:PORT[/udp]]` or `service/NAMESPACE/NAME[:PORT[/udp]]`
        public init(_ text: String) throws(UsageError) {
            var text = text
            if text.hasSuffix("/udp") || text.hasSuffix("/tcp"), text.contains(":") {
                isDatagram = text.hasSuffix("/udp")
                text = String(text.dropLast(4))
            }
            if let colon = text.lastIndex(of: ":") {
                guard let number = UInt16(text[text.index(after: colon)...]), number > 0 else {
                    throw UsageError("'\(text)' has no valid port", remedy: "write PLACE:PORT, or PLACE:PORT/udp")
                }
                port = number
                text = String(text[..<colon])
            }
            place = try Fault.Place(text)
            if case .node = place {
                throw UsageError("a trace leads to a pod or a service", remedy: "name pod/NAMESPACE/NAME")
            }
        }
    }

    public struct Hop: Sendable, Equatable {
        public var place: String
        public var text: String
        /// The connection ends here, and not because it has arrived.
        public var isRefusal = false
    }

    private let network: ClusterNetwork
    private var hops: [Hop] = []
    private var pods: [Document] = []
    private var namespaces: [Document] = []
    private var policies: [Document] = []

    public init(cluster name: String, host: Host) throws { network = try ClusterNetwork(cluster: name, host: host) }

    /// The way; the last hop tells whether it arrives.
    public mutating func follow(from source: Fault.Place, to target: Target) async throws -> [Hop] {
        guard case .pod(let namespace, let name) = source else {
            throw UsageError("a trace begins at a pod", remedy: "name pod/NAMESPACE/NAME")
        }
        let sender = try await network.pod(namespace, name)
        hops = []
        pods = try await network.client.list(.pods).list("items")
        namespaces = try await network.client.list(.namespaces).list("items")
        policies = try await network.client.list(.networkPolicies).list("items")
        note(sender.text, "leaves \(sender.address) on node \(sender.node)")
        switch target.place {
        case .pod(let namespace, let name):
            let receiver = try await network.pod(namespace, name)
            try await deliver(sender, to: receiver, target.port, target.isDatagram)
        case .service(let namespace, let name):
            let service = try await network.client.get(.services, namespace: namespace, name: name)
            try await passService(sender, service, "service \(namespace)/\(name)", target)
        case .node: break
        }
        return hops
    }

    private mutating func note(_ place: String, _ text: String) { hops.append(Hop(place: place, text: text)) }
    private mutating func refuse(_ place: String, _ text: String) {
        hops.append(Hop(place: place, text: text, isRefusal: true))
    }

    // MARK: Services

    private mutating func passService(
        _ sender: ClusterNetwork.Pod, _ service: Document, _ name: String, _ target: Target
    ) async throws {
        let ports = service.list("spec", "ports").filter {
            ($0.text("protocol") ?? "TCP") == (target.isDatagram ? "UDP" : "TCP")
        }
        guard let address = service.text("spec", "clusterIP").flatMap({ IPAddress($0) }) else {
            return refuse(name, "has no cluster IP: its name leads to its endpoints themselves, so trace to a pod")
        }
        let port: UInt16
        if let asked = target.port {
            port = asked
        } else if ports.count == 1, let only = ports[0].number("port").flatMap({ UInt16(exactly: $0) }) {
            port = only
        } else {
            throw UsageError("\(name) has \(ports.count) ports of that protocol", remedy: "name one: …:PORT")
        }
        let frontend = Frontend(address, target.isDatagram ? .udp : .tcp, port)
        let place = "node \(sender.node)"
        switch try ServiceDecision.read(frontend, in: try await network.namespace(of: sender.node)) {
        case .none: refuse(place, "lab-proxy knows no service at \(frontend)")
        case .unknownPort: refuse(place, "lab-proxy: \(address) is a service's, but none has \(frontend): refused")
        case .refused: refuse(place, "lab-proxy: \(frontend) has no endpoint (no-endpoints): refused")
        case .dropped:
            refuse(place, "lab-proxy: \(frontend) has endpoints, but none for this node (no-endpoints): dropped")
        case .sent(let backends, let chain):
            let list = backends.map { "\($0.address):\($0.port)" }.joined(separator: ", ")
            note(place, "lab-proxy: \(frontend) → \(chain), one of \(backends.count): \(list)")
            for backend in backends {
                guard
                    let pod = pods.compactMap({ ClusterNetwork.Pod($0) }).first(where: {
                        $0.address == backend.address && !$0.isOnHostNetwork
                    })
                else {
                    try await leave(sender, to: backend.address)
                    continue
                }
                try await deliver(sender, to: pod, backend.port, target.isDatagram)
            }
        }
    }

    // MARK: Pods

    private mutating func deliver(
        _ sender: ClusterNetwork.Pod, to receiver: ClusterNetwork.Pod, _ port: UInt16?, _ isDatagram: Bool
    ) async throws {
        if sender.uid == receiver.uid {
            return note(
                receiver.text, "is the pod itself, which no policy keeps from itself: arrives at \(receiver.address)")
        }
        if !sender.isOnHostNetwork,
            try await !isAllowed(sender, .egress, receiver.address, port, isDatagram)
        {
            return
        }
        guard try await travel(sender, to: receiver) else { return }
        if !receiver.isOnHostNetwork,
            try await !isAllowed(receiver, .ingress, sender.address, port, isDatagram)
        {
            return
        }
        note(receiver.text, "arrives at \(receiver.address)\(port.map { ":\($0)" } ?? "")")
    }

    private mutating func isAllowed(
        _ pod: ClusterNetwork.Pod, _ direction: PolicyDirection, _ other: IPAddress, _ port: UInt16?, _ isDatagram: Bool
    ) async throws -> Bool {
        let port = port ?? 0
        let explanation = PolicyExplanation(
            pod: pod.uid, direction, other: other, transport: isDatagram ? 17 : 6,
            // A port decides what is asked for on the way in and where on the way out: both are the receiver's.
            port: port, pods: pods, namespaces: namespaces, policies: policies)
        let place = "node \(pod.node)"
        let what = direction == .egress ? "out of \(pod.namespace)/\(pod.name)" : "in to \(pod.namespace)/\(pod.name)"
        if explanation.selecting.isEmpty {
            note(place, "lab-policy: no policy about what goes \(what)")
        } else if explanation.isAllowed {
            note(place, "lab-policy: \(what) allowed by \(explanation.allowing.joined(separator: ", "))")
        } else {
            refuse(
                place,
                "lab-policy: \(what) dropped, allowed by none of \(explanation.selecting.joined(separator: ", "))")
        }
        return explanation.isAllowed
    }

    // MARK: Routes

    /// Follows the routes from node to node; answers whether they lead to the pod.
    private mutating func travel(_ sender: ClusterNetwork.Pod, to receiver: ClusterNetwork.Pod) async throws -> Bool {
        if receiver.isOnHostNetwork, receiver.node == sender.node {
            note("node \(sender.node)", "\(receiver.address) is the node's own")
            return true
        }
        var node = sender.node
        // A packet passes two nodes at most.
        for _ in 0..<2 {
            let place = "node \(node)"
            switch try Way.read(to: receiver.address, in: try await network.namespace(of: node)) {
            case .pod(let link):
                note(place, "route \(receiver.address) → link \(link)")
                return true
            case .tunnel(let range, let gateway, let address):
                guard let next = network.nodes.indices.first(where: { Addresses.node($0) == address }) else {
                    refuse(place, "the tunnel to \(range) ends at \(address), where no node is")
                    return false
                }
                note(place, "route \(range) via \(gateway) → lab-vxlan → \(address)")
                node = network.nodes[next]
            case .unreachable(let range):
                refuse(place, "route \(range): unreachable, the pod is not attached here")
                return false
            case .out(let range, let gateway, let link):
                note(place, "route \(range)\(gateway.map { " via \($0)" } ?? "") → link \(link)")
                return receiver.isOnHostNetwork
            case .noRoute:
                refuse(place, "no route to \(receiver.address)")
                return false
            }
        }
        refuse("node \(node)", "\(receiver.address) is sent on from node to node")
        return false
    }

    /// To something that is no pod.
    private mutating func leave(_ sender: ClusterNetwork.Pod, to address: IPAddress) async throws {
        let place = "node \(sender.node)"
        switch try Way.read(to: address, in: try await network.namespace(of: sender.node)) {
        case .out(let range, let gateway, let link):
            note(place, "\(address) is no pod: route \(range)\(gateway.map { " via \($0)" } ?? "") → link \(link)")
        case .tunnel, .pod: refuse(place, "\(address) is in the pod network, but no pod has it")
        case .unreachable(let range): refuse(place, "route \(range): unreachable, no pod has \(address)")
        case .noRoute: refuse(place, "no route to \(address)")
        }
    }
}
