import Basics
import Linux

/// A port of the node that leads to one of a pod.
public struct HostPort: Sendable, Hashable {
    public var transport: UInt8
    /// Nil for every address of the node.
    public var address: IPAddress?
    public var port: UInt16
    public var podPort: UInt16

    public init(transport: UInt8, address: IPAddress?, port: UInt16, podPort: UInt16) {
        self.transport = transport
        self.address = address
        self.port = port
        self.podPort = podPort
    }
}

/// Host ports in nftables: one map, whose elements are all that is known about them, also after a restart.
///
///     table ip lab-host-ports {
///         prerouting, output (nat):  dnat to daddr . l4proto . dport map @ports
///         postrouting (nat):         ct status dnat saddr 127.0.0.0/8 masquerade
///                                    ct status dnat saddr . daddr @self masquerade
///         guard (raw):               iifname != lo daddr 127.0.0.0/8 drop
///     }
///
/// The node reaches its host ports through its loopback address too. For that the pod's link may carry loopback
/// addresses, and the guard sees to it that nobody else sends any.
struct HostPorts {
    static let table = "lab-host-ports"
    private static let ports = NftSet(
        "ports", key: [.address, .protocolNumber, .port], value: .data([.address, .port]))
    private static let own = NftSet("self", key: [.address, .address])

    let node: IPAddress
    let tables: Nftables
    let namespace: NetworkNamespace?

    private func key(_ address: IPAddress, _ port: HostPort) -> [UInt8] {
        address.bytes + [port.transport, 0, 0, 0] + bytes(port.port)
    }

    private func bytes(_ port: UInt16) -> [UInt8] { [UInt8(port >> 8), UInt8(port & 255), 0, 0] }

    func publish(_ wanted: [HostPort], pod: IPAddress) throws {
        var elements: [[UInt8]: NftElement] = [:]
        for port in wanted {
            for address in port.address.map({ [$0] }) ?? [node, .loopback] where !address.isIPv6 {
                let key = key(address, port)
                elements[key] = NftElement(key, .data(pod.bytes + bytes(port.podPort)))
            }
        }
        if elements.isEmpty { return try withdraw(pod) }
        var batch = NftBatch(table: Self.table)
        if try tables.hasTable(Self.table) {
            // Whoever had one of these ports before is gone: the scheduler gives a port out once.
            let stale = try tables.elements(table: Self.table, set: Self.ports.name).filter {
                elements[$0.key] != nil || belongs($0, to: pod)
            }
            if !stale.isEmpty { batch.deleteElements(Self.ports.name, stale) }
        } else {
            addFrame(to: &batch)
        }
        batch.addElements(Self.ports.name, elements.values.sorted { $0.key.lexicographicallyPrecedes($1.key) })
        batch.addElements(Self.own.name, [NftElement(pod.bytes + pod.bytes)])
        try tables.commit(batch)
        try NetworkSetting.write("ipv4/conf/\(PodLink.name(for: pod))/route_localnet", "1", in: namespace)
    }

    /// Harmless where the pod has none.
    func withdraw(_ pod: IPAddress) throws {
        guard try tables.hasTable(Self.table) else { return }
        let gone = try tables.elements(table: Self.table, set: Self.ports.name).filter { belongs($0, to: pod) }
        guard !gone.isEmpty else { return }
        var batch = NftBatch(table: Self.table)
        batch.deleteElements(Self.ports.name, gone)
        batch.deleteElements(Self.own.name, [NftElement(pod.bytes + pod.bytes)])
        try tables.commit(batch)
    }

    private func belongs(_ element: NftElement, to pod: IPAddress) -> Bool {
        if case .data(let value) = element.value { return value.starts(with: pod.bytes) }
        return false
    }

    private func addFrame(to batch: inout NftBatch) {
        batch.addTable()
        batch.addSet(Self.ports)
        batch.addSet(Self.own)
        for (name, point) in [("prerouting", NftHook.Point.prerouting), ("output", .output)] {
            batch.addChain(name, NftHook(.nat, point, priority: -101))
            batch.addRule(
                name,
                [
                    .destinationAddress(to: 0), .meta(.protocolNumber, to: 1), .destinationPort(to: 2),
                    .lookupValue(map: Self.ports.name, key: 0, to: 4), .destinationNAT(address: 4, port: 5),
                ])
        }
        // IPS_DST_NAT is bit 5 of the connection's status.
        let translated: [NftExpression] = [
            .connection(.status, nil, to: 0), .mask(from: 0, to: 0, mask: [32, 0, 0, 0], xor: [0, 0, 0, 0]),
            .compare(0, .notEqual, [0, 0, 0, 0]),
        ]
        let isLoopback: [NftExpression] = [
            .mask(from: 0, to: 0, mask: [255, 0, 0, 0], xor: [0, 0, 0, 0]), .compare(0, .equal, [127, 0, 0, 0]),
        ]
        batch.addChain("postrouting", NftHook(.nat, .postrouting, priority: 99))
        batch.addRule("postrouting", translated + [.sourceAddress(to: 0)] + isLoopback + [.masquerade])
        batch.addRule(
            "postrouting",
            translated + [
                .sourceAddress(to: 0), .destinationAddress(to: 1), .lookup(set: Self.own.name, key: 0, inverted: false),
                .masquerade,
            ])
        batch.addChain("guard", NftHook(.filter, .prerouting, priority: -300))
        let loopback = Array("lo".utf8) + [UInt8](repeating: 0, count: 14)
        batch.addRule(
            "guard",
            [.meta(.inputName, to: 0), .compare(0, .notEqual, loopback), .destinationAddress(to: 0)] + isLoopback
                + [.verdict(.drop)])
    }
}
