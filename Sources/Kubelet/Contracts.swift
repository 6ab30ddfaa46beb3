import Basics
import Document
import Images

/// Where images come from: the node's image store, and the registries behind it.
public protocol ImageSource: Sendable {
    /// The image if it is on the node already.
    func resolve(_ reference: String) async throws -> Image?
    func list() async throws -> [Image]
    /// Fetches the image, or makes sure that the one on the node is current. `credentials` come from the pod's secrets.
    func pull(_ reference: String, credentials: CredentialSet) async throws -> Image
    /// Keeps the image from being removed while the pod lives.
    func use(_ image: Image, pod uid: String) async throws
    func release(pod uid: String) async throws
    /// Releases what pods held that are not in `pods`.
    func retain(pods: Set<String>) async throws
    /// How full the images' file system is; nil where nobody can tell.
    func space() async throws -> StoreSpace?
    /// Removes images that nobody uses, the longest unused first, until so many bytes more are free.
    func collect(bytes: Int64, unusedSince limit: Timestamp) async throws -> PruneOutcome
}

/// Of a source whose images nobody else may remove.
extension ImageSource {
    public func use(_ image: Image, pod uid: String) async throws {}
    public func release(pod uid: String) async throws {}
    public func retain(pods: Set<String>) async throws {}
    public func space() async throws -> StoreSpace? { nil }
    public func collect(bytes: Int64, unusedSince limit: Timestamp) async throws -> PruneOutcome { PruneOutcome() }
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

    /// A port on every address is also that of each single one.
    func collides(with other: PodHostPort) -> Bool {
        port == other.port && transport == other.transport
            && (address == nil || other.address == nil || address == other.address)
    }

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
