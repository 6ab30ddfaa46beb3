import Basics
import Client
import Document
import Glibc
import Linux
import Overlay
import Wire

/// How much passes between two pods, beside what the same machine passes between the same kinds of links laid by hand.
struct ThroughputBench {
    let world: World
    let quick: Bool

    private static let port: UInt16 = 5_201

    func measure() async throws -> [Row] {
        var rows: [Row] = []
        let veth = try Raw()
        rows.append(try await row("TCP between two namespaces, a veth pair by hand", veth.a, veth.b, Raw.addresses.b))
        try veth.addTunnel()
        rows.append(try await row("TCP between two namespaces, VXLAN by hand", veth.a, veth.b, Raw.inner.b))
        let pods = try await PodPlaces(world: world)
        defer { pods.cleanUp() }
        rows.append(try await row("TCP between pods of one node", pods.first, pods.near, pods.nearAddress))
        rows.append(try await row("TCP between pods of two nodes", pods.first, pods.far, pods.farAddress))
        return rows
    }

    private func row(
        _ name: String, _ from: NetworkNamespace, _ to: NetworkNamespace, _ address: IPAddress
    ) async throws -> Row {
        let bytes = quick ? 64 << 20 : 512 << 20
        var rates: [Double] = []
        for _ in 0..<(quick ? 3 : 7) { rates.append(try await send(bytes, from, to, address)) }
        return Row(name, "MB/s", rates, moreIsBetter: true)
    }

    /// One stream; the receiver's clock counts, from the first byte to the last.
    private func send(
        _ bytes: Int, _ from: NetworkNamespace, _ to: NetworkNamespace, _ address: IPAddress
    ) async throws -> Double {
        let listener = try to.run { socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0) }
        let client = try from.run { socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0) }
        defer {
            close(listener)
            close(client)
        }
        var one: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, 4)
        guard with(.any, { bind(listener, $0, $1) }) == 0, listen(listener, 1) == 0,
            with(address, { connect(client, $0, $1) }) == 0, case let server = accept(listener, nil, nil), server >= 0
        else { throw SystemError("connect", "\(address)", errno: errno) }
        defer { close(server) }
        let clock = world.clock
        let threads = BlockingPool(threads: 2)
        return try await withThrowingTaskGroup(of: Double.self) { group in
            group.addTask {
                try await threads.run {
                    let buffer = [UInt8](repeating: 0, count: 128 << 10)
                    var left = bytes
                    while left > 0 {
                        let count = write(client, buffer, min(buffer.count, left))
                        guard count > 0 else { throw SystemError("send", errno: errno) }
                        left -= count
                    }
                    return 0
                }
            }
            group.addTask {
                try await threads.run {
                    var buffer = [UInt8](repeating: 0, count: 128 << 10)
                    var left = bytes
                    let start = clock.uptime
                    while left > 0 {
                        let count = read(server, &buffer, buffer.count)
                        guard count > 0 else { throw SystemError("receive", errno: errno) }
                        left -= count
                    }
                    let (seconds, fraction) = (clock.uptime - start).components
                    return Double(bytes) / 1e6 / (Double(seconds) + Double(fraction) / 1e18)
                }
            }
            return try await group.reduce(0, max)
        }
    }

    private func with<Result>(_ address: IPAddress, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = Self.port.bigEndian
        name.sin_addr.s_addr = UInt32(address.low).bigEndian
        return withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
    }
}

/// Two namespaces and a veth pair, and if wanted a tunnel over it.
private final class Raw {
    static let addresses = (a: IPAddress(v4: 0x0A59_0002), b: IPAddress(v4: 0x0A59_0003))
    static let inner = (a: IPAddress(v4: 0x0AF4_0001), b: IPAddress(v4: 0x0AF4_0101))

    let a: NetworkNamespace
    let b: NetworkNamespace

    init() throws {
        a = try NetworkNamespace.make()
        b = try NetworkNamespace.make()
        try RouteSocket(in: a).create(
            NewLink("eth0", .veth(peerName: "eth0", peerMAC: nil, peerNamespace: b), up: true))
        for (namespace, address) in [(a, Self.addresses.a), (b, Self.addresses.b)] {
            let routes = try RouteSocket(in: namespace)
            guard let link = try routes.link(named: "eth0") else { continue }
            try routes.change(linkIndex: link.index, LinkChange(up: true))
            try routes.replace(LinkAddress(linkIndex: link.index, address: address, prefix: 24))
        }
    }

    func addTunnel() throws {
        let ends = [(a, Self.addresses.a, Self.inner.a), (b, Self.addresses.b, Self.inner.b)]
        for (number, (namespace, local, inside)) in ends.enumerated() {
            let (_, remote, other) = ends[1 - number]
            let routes = try RouteSocket(in: namespace)
            let mac = MACAddress(prefix: (0x0E, 0x4C), v4: remote)
            try routes.create(
                NewLink(
                    "vxlan0", .vxlan(VXLAN(id: 7, local: local, port: 8472, learning: false)), mtu: 1_450,
                    mac: MACAddress(prefix: (0x0E, 0x4C), v4: local), up: true))
            guard let link = try routes.link(named: "vxlan0") else { continue }
            try routes.replace(LinkAddress(linkIndex: link.index, address: inside, prefix: 32))
            try routes.replace(ForwardingEntry(linkIndex: link.index, mac: mac, destination: remote))
            try routes.replace(Neighbour(linkIndex: link.index, address: other, mac: mac))
            try routes.replace(Route(CIDR(other, prefix: 32), linkIndex: link.index, scopeLink: true))
        }
    }
}

/// Two nodes of the real overlay, two pods on one and one on the other.
private final class PodPlaces {
    private struct Nobody: Transport {
        func send(_ request: Request) async throws -> any ResponseStream {
            throw SystemError("connect", errno: ECONNREFUSED)
        }
    }

    let first: NetworkNamespace
    let near: NetworkNamespace
    let far: NetworkNamespace
    let nearAddress: IPAddress
    let farAddress: IPAddress
    private let nodes: [NetworkNamespace]
    private let directory: String

    init(world: World) async throws {
        var template = Array("/tmp/lab-bench-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemError("mkdtemp", errno: errno) }
        directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        nodes = [try NetworkNamespace.make(), try NetworkNamespace.make()]
        try RouteSocket(in: nodes[0]).create(
            NewLink("eth0", .veth(peerName: "eth0", peerMAC: nil, peerNamespace: nodes[1]), up: true))
        var documents: [Document] = []
        for (number, node) in nodes.enumerated() {
            let routes = try RouteSocket(in: node)
            let address = IPAddress(v4: 0x0A59_0002 + UInt32(number))
            if let link = try routes.link(named: "eth0") {
                try routes.change(linkIndex: link.index, LinkChange(up: true))
                try routes.replace(LinkAddress(linkIndex: link.index, address: address, prefix: 24))
            }
            documents.append([
                "metadata": ["name": Document("node\(number)")],
                "spec": ["podCIDR": Document("10.244.\(number).0/24")],
                "status": ["addresses": [["type": "InternalIP", "address": Document("\(address)")]]],
            ])
        }
        var overlays: [Overlay] = []
        for (number, node) in nodes.enumerated() {
            let overlay = Overlay(
                nodeName: "node\(number)", nodeIP: IPAddress(v4: 0x0A59_0002 + UInt32(number)),
                client: APIClient(transport: Nobody(), userAgent: "lab-bench"),
                stateDirectory: "\(directory)/\(number)", world: world, log: .silent, namespace: node)
            guard await overlay.update(nodes: documents) else { throw SystemError("lay the overlay", errno: EIO) }
            overlays.append(overlay)
        }
        (first, near, far) = (try NetworkNamespace.make(), try NetworkNamespace.make(), try NetworkNamespace.make())
        func attach(_ name: String, _ namespace: NetworkNamespace, _ overlay: Overlay) async throws -> IPAddress {
            try await overlay.attach(
                podKey: name, namespacePath: "/proc/\(getpid())/fd/\(namespace.descriptor)"
            ).address
        }
        _ = try await attach("ns/first", first, overlays[0])
        nearAddress = try await attach("ns/near", near, overlays[0])
        farAddress = try await attach("ns/far", far, overlays[1])
    }

    func cleanUp() { try? Files.removeTree(directory) }
}
