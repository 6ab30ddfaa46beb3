import Basics
import Linux
import Overlay

/// `lab net dump`: the frames that pass a pod's link or a node's, as they pass.
public struct PacketDump: Sendable {
    private let network: ClusterNetwork
    private let place: Fault.Place
    private let loop: EventLoop

    public init(cluster name: String, place: Fault.Place, host: Host, loop: EventLoop) throws {
        network = try ClusterNetwork(cluster: name, host: host)
        self.place = place
        self.loop = loop
    }

    /// Where to listen: a pod at its node's end of its link, a node at its link to the others.
    public func open() async throws -> (socket: PacketSocket, link: String) {
        let (node, link): (String, String)
        switch place {
        case .node(let name): (node, link) = (network.name(ofNode: name), "eth0")
        case .pod(let namespace, let name):
            let pod = try await network.pod(namespace, name)
            if pod.isOnHostNetwork {
                throw Failure("\(pod.text) has its node's network", remedy: "name node/\(pod.node)")
            }
            (node, link) = (pod.node, Way.linkName(ofPodAt: pod.address))
        case .service: throw UsageError("a service has no link", remedy: "name a pod or a node")
        }
        let inside = try await network.namespace(of: node)
        guard let index = try RouteSocket(in: inside).link(named: link)?.index else {
            throw Failure("the node \(node) has no link \(link)", remedy: "is the pod just starting or ending?")
        }
        return (try await PacketSocket(linkIndex: index, in: inside, loop: loop), "\(link) of \(node)")
    }
}
