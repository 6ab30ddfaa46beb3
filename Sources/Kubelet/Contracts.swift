import Basics
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

/// The pod network of this node.
public protocol PodNetworking: Sendable {
    /// Gives the network namespace an interface and addresses. Throws while the node's network is not ready.
    func attach(podKey: String, namespacePath: String, hostname: String) async throws -> PodAddresses
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
    public func readiness() async -> String? { nil }
    public func awaitReadiness() async throws {}
}
