import Basics
import Document
import Images

/// Where images come from: the node's image store, and the registries behind it.
public protocol ImageSource: Sendable {
    /// The image if it is on the node already.
    func resolve(_ reference: String) async throws -> Image?
    func list() async throws -> [Image]
    /// Fetches the image, or makes sure that the one on the node is current.
    func pull(_ reference: String) async throws -> Image
}

/// What the network gave a pod.
public struct PodAddresses: Sendable, Equatable {
    public var addresses: [IPAddress]
    public var mtu: Int

    public init(addresses: [IPAddress], mtu: Int) {
        self.addresses = addresses
        self.mtu = mtu
    }
}

/// A port of the node that a pod asks for.
public struct PodHostPort: Sendable, Equatable {
    /// TCP, UDP or SCTP.
    public var transport: String
    /// Nil for every address of the node.
    public var address: IPAddress?
    public var port: UInt16
    public var podPort: UInt16

    /// Those of all containers of a pod.
    public static func all(of pod: Document) -> [PodHostPort] {
        (pod.list("spec", "initContainers").filter { $0.text("restartPolicy") == "Always" }
            + pod.list("spec", "containers")).flatMap { $0.list("ports") }.compactMap { port in
                guard let host = port.number("hostPort").flatMap({ UInt16(exactly: $0) }), host > 0,
                    let own = port.number("containerPort").flatMap({ UInt16(exactly: $0) })
                else { return nil }
                let address = port.text("hostIP").flatMap { IPAddress($0) }
                return PodHostPort(
                    transport: port.text("protocol") ?? "TCP", address: address == .any ? nil : address, port: host,
                    podPort: own)
            }
    }
}

/// The pod network of this node.
public protocol PodNetworking: Sendable {
    /// Gives the network namespace an interface and addresses. Throws while the node's network is not ready.
    func attach(podKey: String, namespacePath: String, hostname: String) async throws -> PodAddresses
    /// Opens ports of the node that lead to the attached pod, until it is detached.
    func publish(podKey: String, ports: [PodHostPort]) async throws
    /// Takes them back; nothing to take back is fine.
    func detach(podKey: String) async throws
    /// Takes back everything that belongs to no pod in `only`.
    func retain(only: Set<String>) async throws
    /// Nil once pods can be attached, else what is still missing, for the node's Ready condition.
    func readiness() async -> String?
    /// Returns once `readiness` may have changed.
    func awaitReadiness() async throws
}

extension PodNetworking {
    public func publish(podKey: String, ports: [PodHostPort]) async throws {}
    public func readiness() async -> String? { nil }
    public func awaitReadiness() async throws {}
}
