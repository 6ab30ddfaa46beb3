import Basics
import Client
import Document
import Glibc
import Linux
import Wire

@testable import Overlay

enum Kernel {
    /// Whether this process may make network namespaces with everything that the overlay and the proxy need.
    static let isOurs: Bool = {
        guard let namespace = try? NetworkNamespace.make() else { return false }
        var batch = NftBatch(table: "probe")
        batch.addTable()
        return (try? Nftables(in: namespace).commit(batch)) != nil
            && (try? RouteSocket(in: namespace).create(
                NewLink("probe", .vxlan(VXLAN(id: 1, local: .loopback, port: 8472, learning: false))))) != nil
    }()
}

struct NoServer: Transport {
    func send(_ request: Request) async throws -> any ResponseStream {
        throw SystemError("connect", errno: ECONNREFUSED)
    }
}

struct StillClock: WorldClock {
    var now: Timestamp { Timestamp(seconds: 0) }
    var uptime: Duration { .zero }
    func sleep(for duration: Duration) async throws { throw CancellationError() }
}

struct NoNetwork: Network {
    func connect(to endpoint: Endpoint) async throws -> any Connection { throw SystemError("connect", errno: ENETDOWN) }
    func listen(on endpoint: Endpoint) async throws -> any Listener { throw SystemError("listen", errno: ENETDOWN) }
    func datagrams(on endpoint: Endpoint) async throws -> any DatagramSocket {
        throw SystemError("bind", errno: ENETDOWN)
    }
}

struct ZeroRandomness: Randomness { func next() -> UInt64 { 0 } }

let stillWorld = World(clock: StillClock(), random: ZeroRandomness(), network: NoNetwork())

/// Two nodes on one bridge, each in a namespace of its own. Everything goes with the namespaces.
final class Fabric {
    struct Node {
        let name: String
        let address: IPAddress
        let namespace: NetworkNamespace
        let overlay: Overlay
    }

    struct Pod {
        let namespace: NetworkNamespace
        let network: PodNetwork
        var address: IPAddress { network.address }
    }

    let outside: NetworkNamespace
    let nodes: [Node]
    static let outsideAddress = IPAddress("10.89.0.1")!

    init(stateDirectory: String) async throws {
        outside = try NetworkNamespace.make()
        let bridgeSide = try RouteSocket(in: outside)
        try bridgeSide.create(NewLink("br0", .bridge, up: true))
        let bridge = try bridgeSide.link(named: "br0")!.index
        try bridgeSide.replace(LinkAddress(linkIndex: bridge, address: Self.outsideAddress, prefix: 24))
        var nodes: [Node] = []
        for number in 0..<2 {
            let namespace = try NetworkNamespace.make()
            let address = IPAddress("10.89.0.\(number + 2)")!
            let port = "port\(number)"
            try bridgeSide.create(
                NewLink(port, .veth(peerName: "eth0", peerMAC: nil, peerNamespace: namespace), up: true))
            try bridgeSide.change(
                linkIndex: bridgeSide.link(named: port)!.index, LinkChange(masterIndex: bridge))
            let inside = try RouteSocket(in: namespace)
            for name in ["lo", "eth0"] {
                try inside.change(linkIndex: inside.link(named: name)!.index, LinkChange(up: true))
            }
            let eth0 = try inside.link(named: "eth0")!.index
            try inside.replace(LinkAddress(linkIndex: eth0, address: address, prefix: 24))
            try inside.replace(Route(CIDR(.any, prefix: 0), via: Self.outsideAddress, linkIndex: eth0))
            let overlay = Overlay(
                nodeName: "node\(number)", nodeIP: address,
                client: APIClient(transport: NoServer(), userAgent: "test"),
                stateDirectory: "\(stateDirectory)/\(number)", world: stillWorld, log: .silent, namespace: namespace)
            nodes.append(Node(name: "node\(number)", address: address, namespace: namespace, overlay: overlay))
        }
        self.nodes = nodes
        for node in nodes { _ = await node.overlay.update(nodes: documents) }
    }

    var documents: [Document] {
        nodes.enumerated().map { number, node in
            [
                "metadata": ["name": Document(node.name)], "spec": ["podCIDR": Document("10.244.\(number).0/24")],
                "status": ["addresses": [["type": "InternalIP", "address": Document("\(node.address)")]]],
            ]
        }
    }

    func pod(_ key: String, on node: Int) async throws -> Pod {
        let namespace = try NetworkNamespace.make()
        return Pod(
            namespace: namespace, network: try await nodes[node].overlay.attach(podKey: key, namespace: namespace))
    }
}

/// A socket made inside a namespace. Blocking, with every wait bounded.
final class TestSocket {
    let descriptor: Int32

    init(_ namespace: NetworkNamespace, datagrams: Bool = false) throws {
        descriptor = try namespace.run {
            socket(AF_INET, Int32((datagrams ? SOCK_DGRAM : SOCK_STREAM).rawValue), 0)
        }
        guard descriptor >= 0 else { throw SystemError("socket", errno: errno) }
        var limit = timeval(tv_sec: 3, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    private init(descriptor: Int32) { self.descriptor = descriptor }
    deinit { close(descriptor) }

    private static func with<Result>(
        _ address: IPAddress, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = port.bigEndian
        name.sin_addr.s_addr = UInt32(address.low).bigEndian
        return withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
    }

    func bind(port: UInt16, listen backlog: Int32? = 64) throws {
        var one: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, 4)
        guard Self.with(.any, port, { Glibc.bind(descriptor, $0, $1) }) == 0,
            backlog.map({ Glibc.listen(descriptor, $0) }) ?? 0 == 0
        else { throw SystemError("listen", "\(port)", errno: errno) }
    }

    /// 0 or the error number.
    func connect(_ address: IPAddress, _ port: UInt16) -> Int32 {
        Self.with(address, port) { Glibc.connect(descriptor, $0, $1) } == 0 ? 0 : errno
    }

    /// The connection, and where it seems to come from; nil when there is none.
    func accept() -> (TestSocket, IPAddress)? {
        var name = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let accepted = withUnsafeMutablePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.accept(descriptor, $0, &length) }
        }
        guard accepted >= 0 else { return nil }
        return (TestSocket(descriptor: accepted), IPAddress(v4: UInt32(bigEndian: name.sin_addr.s_addr)))
    }

    func hasWaiting() -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&entry, 1, 0) == 1
    }

    /// 0 or the error number.
    func send(_ text: String) -> Int32 {
        let bytes = Array(text.utf8)
        return Glibc.send(descriptor, bytes, bytes.count, 0) == bytes.count ? 0 : errno
    }

    func receive() -> String? {
        var buffer = [UInt8](repeating: 0, count: 256)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        return count < 0 ? nil : String(decoding: buffer.prefix(count), as: UTF8.self)
    }
}

/// Connects from `client` to `address`, where `server` waits; answers what the server took the client for.
func meet(
    _ client: NetworkNamespace, _ address: IPAddress, _ port: UInt16, server: TestSocket
) throws -> IPAddress? {
    let socket = try TestSocket(client)
    let error = socket.connect(address, port)
    guard error == 0 else { throw SystemError("connect", "\(address):\(port)", errno: error) }
    guard let (accepted, peer) = server.accept() else { return nil }
    // Both directions carry data.
    guard socket.send("ping") == 0, accepted.receive() == "ping", accepted.send("pong") == 0, socket.receive() == "pong"
    else { return nil }
    return peer
}

/// A directory that is removed in the end.
final class Scratch {
    let path: String
    init() throws {
        var template = Array("/tmp/lab-network-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemError("mkdtemp", errno: errno) }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
    deinit { try? Files.removeTree(path) }
}
