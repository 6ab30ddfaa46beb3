import Basics
import Document
import Glibc
import Linux
import Policy
import Proxy

/// What services and policies cost on the packet's way and when they change: a client and a server, each in a
/// namespace of its own, and between them a node that routes. The kernel works; the build of this program hardly counts.
struct NetworkBench {
    let world: World
    let quick: Bool

    private static let clientAddress = IPAddress(v4: 0x0AF4_0002)
    private static let serverAddress = IPAddress(v4: 0x0AF4_0102)
    private static let port: UInt16 = 8080

    func measure() throws -> [Row] {
        let place = try Place()
        var rows = [try connections("TCP connections through a node, no rules", place, Self.serverAddress, Self.port)]
        for count in [10, 1_000, 5_000] { rows += try services(count, place) }
        var batch = NftBatch(table: "lab-proxy")
        batch.deleteTable()
        try Nftables(in: place.node).commit(batch)
        for count in [1, 1_000] { rows.append(try policies(count, place)) }
        return rows
    }

    // MARK: Services

    private func services(_ count: Int, _ place: Place) throws -> [Row] {
        func frontend(_ number: Int) -> Frontend { Frontend(IPAddress(v4: 0x0A60_1000 + UInt32(number)), .tcp, 80) }
        func plan(_ number: Int, _ backends: [Backend]) -> ServicePlan {
            var plan = ServicePlan()
            plan.frontends[frontend(number)] = FrontendPlan(.balance(backends, stickySeconds: nil))
            plan.clusterAddresses = [frontend(number).address]
            return plan
        }
        let server = Backend(Self.serverAddress, Self.port)
        var table = ProxyTable()
        _ = table.update((0..<count).map { (key: "ns/\($0)", plan: ServicePlan?.some(plan($0, [server]))) })
        var kernel = try ProxyKernel(namespace: place.node)
        try kernel.rebuild(table)
        let rate = try connections(
            "TCP connections through a cluster IP, \(count) services", place, frontend(count / 2).address, 80)
        let other = Backend(IPAddress(v4: 0x0AF4_0103), Self.port)
        let times = try (0..<(quick ? 50 : 200)).map { round -> Double in
            let backends = round % 2 == 0 ? [server, other].sorted() : [server]
            let start = world.clock.uptime
            try kernel.apply(table.update([(key: "ns/0", plan: ServicePlan?.some(plan(0, backends)))]))
            return milliseconds(world.clock.uptime - start)
        }
        return [rate, Row("endpoint change in force, \(count) services", "ms", times)]
    }

    // MARK: Policies

    /// Every policy selects the server, and the last one is the one that lets the client in.
    private func policies(_ count: Int, _ place: Place) throws -> Row {
        var planner = PolicyPlanner(node: "node")
        planner.set(namespace: "ns", labels: [:])
        for (name, address) in [("client", Self.clientAddress), ("server", Self.serverAddress)] {
            let pod: Document = [
                "metadata": ["uid": Document(name), "namespace": "ns", "labels": ["app": Document(name)]],
                "spec": ["nodeName": "node"], "status": ["podIPs": [["ip": Document("\(address)")]]],
            ]
            planner.set(pod: name, PolicyPod(pod))
        }
        for number in 1...count {
            let port = number == count ? Int(Self.port) : number
            let policy: Document = [
                "metadata": ["namespace": "ns"],
                "spec": [
                    "podSelector": ["matchLabels": ["app": "server"]],
                    "ingress": [
                        [
                            "from": [["podSelector": ["matchLabels": ["app": "client"]]]],
                            "ports": [["port": Document(port)]],
                        ]
                    ],
                ],
            ]
            planner.set(policy: "ns/\(number)", PolicyText(policy))
        }
        let kernel = try PolicyKernel(namespace: place.node)
        try kernel.rebuild(planner.whole())
        defer { try? kernel.remove() }
        return try connections("TCP connections under \(count) policies", place, Self.serverAddress, Self.port)
    }

    // MARK: Connections

    private func connections(_ name: String, _ place: Place, _ address: IPAddress, _ port: UInt16) throws -> Row {
        let (rounds, each) = quick ? (3, 300) : (10, 1_000)
        let rates = try (0..<rounds).map { _ -> Double in
            let start = world.clock.uptime
            for _ in 0..<each { try place.connect(to: address, port) }
            return Double(each) / (milliseconds(world.clock.uptime - start) / 1000)
        }
        return Row(name, "per s", rates, moreIsBetter: true)
    }

    private func milliseconds(_ duration: Duration) -> Double {
        let (seconds, fraction) = duration.components
        return Double(seconds) * 1000 + Double(fraction) / 1e15
    }

    /// The three namespaces; all of it goes with them.
    private final class Place {
        let client: NetworkNamespace
        let node: NetworkNamespace
        let server: NetworkNamespace
        private var listener: Int32 = -1

        init() throws {
            client = try NetworkNamespace.make()
            node = try NetworkNamespace.make()
            server = try NetworkNamespace.make()
            let routes = try RouteSocket(in: node)
            for (name, end, address) in [
                ("client", client, NetworkBench.clientAddress), ("server", server, NetworkBench.serverAddress),
            ] {
                try routes.create(NewLink(name, .veth(peerName: "eth0", peerMAC: nil, peerNamespace: end), up: true))
                let gateway = CIDR(address, prefix: 24).address(at: 1) ?? address
                if let link = try routes.link(named: name) {
                    try routes.replace(LinkAddress(linkIndex: link.index, address: gateway, prefix: 24))
                }
                let inside = try RouteSocket(in: end)
                guard let link = try inside.link(named: "eth0") else { continue }
                try inside.change(linkIndex: link.index, LinkChange(up: true))
                try inside.replace(LinkAddress(linkIndex: link.index, address: address, prefix: 24))
                try inside.replace(Route(CIDR(.any, prefix: 0), via: gateway, linkIndex: link.index))
            }
            try NetworkSetting.write("ipv4/ip_forward", "1", in: node)
            listener = try server.run { socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0) }
            try Self.check(
                Self.with(.any, NetworkBench.port) { bind(listener, $0, $1) } == 0 && listen(listener, 1024) == 0,
                "listen")
        }

        deinit { close(listener) }

        /// One whole connection, which the server ends: so no port of the client's stays taken.
        func connect(to address: IPAddress, _ port: UInt16) throws {
            let descriptor = try client.descriptorSocket()
            defer { close(descriptor) }
            try Self.check(Self.with(address, port) { Glibc.connect(descriptor, $0, $1) } == 0, "connect")
            let accepted = accept(listener, nil, nil)
            try Self.check(accepted >= 0, "accept")
            var now = linger(l_onoff: 1, l_linger: 0)
            setsockopt(accepted, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
            close(accepted)
        }

        private static func check(_ isGood: Bool, _ what: String) throws {
            guard isGood else { throw SystemError(what, errno: errno) }
        }

        private static func with<Result>(
            _ address: IPAddress, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
        ) -> Result {
            var name = sockaddr_in()
            name.sin_family = sa_family_t(AF_INET)
            name.sin_port = port.bigEndian
            name.sin_addr.s_addr = UInt32(address.low).bigEndian
            return withUnsafePointer(to: &name) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        }
    }
}

extension NetworkNamespace {
    /// A TCP socket that lives in the namespace.
    fileprivate func descriptorSocket() throws -> Int32 {
        let descriptor = try run { socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0) }
        guard descriptor >= 0 else { throw SystemError("make a socket", errno: errno) }
        return descriptor
    }
}
