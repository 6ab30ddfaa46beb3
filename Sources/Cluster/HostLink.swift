import Basics
import Document
import Glibc
import Linux

/// The way between a cluster's fabric and the host: a veth pair with a little network of its own.
///
/// Every cluster uses the same addresses inside, so each gets a number, and by it addresses that the host can tell
/// apart: 198.18.N.0/30 for the link and 198.19.N.0/24 for load balancers, both out of the block that is set aside
/// for benchmarks and so is in use nowhere. What leaves passes two translations: nodes appear as the fabric's end of
/// the link, and that appears as the host.
///
/// The link ends with the fabric's namespace. On the host there remain, until the cluster is deleted, a table
/// `lab-host-N`, and until the last one is, the leave to forward on the links that lead out. Which of them had none
/// before is kept in the comment of the table `lab-host`: clusters come and go in any order and out of any home, and
/// the kernel forgets both at once.
public struct HostLink: Sendable, Equatable {
    public static let most = 256
    static let namePrefix = "lab-host"
    static let tablePrefix = "lab-host-"
    static let forwardingTable = "lab-host"
    static let fabricEnd = "host0"

    public let number: Int
    /// Whether pods reach what the host reaches.
    public let egress: Bool
    /// Links of the host that were told to forward for this cluster.
    public var forwarding: [String] = []

    public init(number: Int, egress: Bool, forwarding: [String] = []) {
        self.number = number
        self.egress = egress
        self.forwarding = forwarding
    }

    var linkName: String { "\(Self.namePrefix)\(number)" }
    var tableName: String { "\(Self.tablePrefix)\(number)" }
    var network: CIDR { CIDR(IPAddress(v4: 0xC612_0000 | UInt32(number) << 8), prefix: 30) }
    var hostAddress: IPAddress { IPAddress(v4: 0xC612_0001 | UInt32(number) << 8) }
    var fabricAddress: IPAddress { IPAddress(v4: 0xC612_0002 | UInt32(number) << 8) }
    /// Where the cluster's load balancers are.
    public var balancers: CIDR { CIDR(IPAddress(v4: 0xC613_0000 | UInt32(number) << 8), prefix: 24) }

    // MARK: Its record

    public var document: Document {
        ["number": Document(number), "egress": Document(egress), "forwarding": Document(forwarding)]
    }

    public init?(_ document: Document) {
        guard let number = document.number("number"), (0..<Self.most).contains(number) else { return nil }
        self.init(
            number: number, egress: document.flag("egress") ?? true,
            forwarding: document.list("forwarding").compactMap(\.string))
    }

    static func read(_ cluster: ClusterLayout) -> HostLink? {
        (try? Files.read(cluster.hostLink)).flatMap { try? Document(json: $0) }.flatMap { HostLink($0) }
    }

    // MARK: Laying

    /// Links the fabric with the host; with `egress` its pods reach what the host reaches. Taken is the number that
    /// the cluster had before, or the first one whose link does not exist and whose addresses nothing on the host uses.
    static func lay(
        fabric: NetworkNamespace, egress: Bool, cluster: ClusterLayout, host: NetworkNamespace? = nil
    ) throws -> HostLink {
        let outside = try RouteSocket(in: host)
        let routes = try outside.routes().filter { $0.destination.prefix > 0 }.map(\.destination)
        let addresses = try outside.addresses().map(\.address)
        let before = read(cluster).map { [$0.number] } ?? []
        for number in before + (0..<most) {
            var link = HostLink(number: number, egress: egress)
            let isUsed = [link.network, link.balancers].contains { network in
                routes.contains { $0.contains(network) || network.contains($0) }
                    || addresses.contains { network.contains($0) }
            }
            if isUsed { continue }
            do {
                try outside.create(
                    NewLink(
                        link.linkName, .veth(peerName: fabricEnd, peerMAC: nil, peerNamespace: fabric), up: true))
            } catch let error as NetlinkError where error.errno == EEXIST {
                continue  // another creation was faster
            }
            // Known before anything else is changed, so that a deletion finds it whatever happens next.
            try Files.write(link.document.json, to: cluster.hostLink, durable: true)
            try link.configureFabric(fabric)
            try link.configureHost(outside, cluster: cluster, host: host)
            return link
        }
        throw Failure(
            "every one of the \(most) networks between clusters and this host is in use",
            remedy: "delete clusters that are not needed: 'lab list'")
    }

    private func configureFabric(_ fabric: NetworkNamespace) throws {
        let inside = try RouteSocket(in: fabric)
        guard let link = try inside.link(named: Self.fabricEnd), let bridge = try inside.link(named: Fabric.bridge)
        else { throw Failure("the link between the cluster and the host is missing right after it was made") }
        try inside.change(linkIndex: link.index, LinkChange(up: true))
        try inside.replace(LinkAddress(linkIndex: link.index, address: fabricAddress, prefix: network.prefix))
        // The node that answers for a balancer's address is found by asking on the bridge.
        try inside.replace(Route(balancers, linkIndex: bridge.index, scopeLink: true, source: Addresses.gateway))
        try NetworkSetting.write("ipv4/ip_forward", "1", in: fabric)
        guard egress else { return }
        try inside.replace(Route(CIDR(.any, prefix: 0), via: hostAddress, linkIndex: link.index))
        var batch = NftBatch(table: "lab-fabric")
        batch.resetTable()
        batch.addChain("postrouting", NftHook(.nat, .postrouting, priority: 100))
        batch.addRule(
            "postrouting",
            Self.isFrom(Addresses.nodes) + Self.leaves(Self.fabricEnd, .equal) + [.masquerade])
        try Nftables(in: fabric).commit(batch)
    }

    private mutating func configureHost(
        _ outside: RouteSocket, cluster: ClusterLayout, host: NetworkNamespace?
    ) throws {
        guard let link = try outside.link(named: linkName) else {
            throw Failure("the network link \(linkName) is missing right after it was made")
        }
        try outside.replace(LinkAddress(linkIndex: link.index, address: hostAddress, prefix: network.prefix))
        try outside.replace(Route(balancers, via: fabricAddress, linkIndex: link.index))
        guard egress else { return }
        var batch = NftBatch(table: tableName)
        batch.resetTable()
        batch.addChain("postrouting", NftHook(.nat, .postrouting, priority: 100))
        batch.addRule(
            "postrouting", Self.isFrom(network) + Self.leaves(linkName, .notEqual) + [.masquerade])
        try Nftables(in: host).commit(batch)
        // Only where packets come in: those of the cluster, and the answers to them.
        let ways = Set(try outside.routes().filter { $0.destination.prefix == 0 }.map(\.linkIndex))
        let names = try outside.links().filter { ways.contains($0.index) }.map(\.name).sorted()
        for name in [linkName] + names {
            let path = "ipv4/conf/\(name)/forwarding"
            guard try NetworkSetting.read(path, in: host) == "0" else { continue }
            forwarding.append(name)
            try Files.write(document.json, to: cluster.hostLink, durable: true)
            if name != linkName { try Self.remember(forwarding: name, host: host) }
            try NetworkSetting.write(path, "1", in: host)
        }
    }

    private static func isFrom(_ network: CIDR) -> [NftExpression] {
        let mask = CIDR(IPAddress(v4: ~0), prefix: network.prefix).base.bytes
        return [
            .sourceAddress(to: 0), .mask(from: 0, to: 0, mask: mask, xor: [0, 0, 0, 0]),
            .compare(0, .equal, network.base.bytes),
        ]
    }

    private static func leaves(_ link: String, _ comparison: NftExpression.Comparison) -> [NftExpression] {
        let name = Array(link.utf8)
        return [
            .meta(.outputName, to: 0), .compare(0, comparison, name + [UInt8](repeating: 0, count: 16 - name.count)),
        ]
    }

    // MARK: Taking away

    /// Takes everything off the host. Harmless where it is gone already.
    func remove(host: NetworkNamespace? = nil) throws {
        let outside = try RouteSocket(in: host)
        if let link = try outside.link(named: linkName) {
            do { try outside.delete(linkIndex: link.index) } catch let error as NetlinkError
                where error.errno == ENODEV
            {}
        }
        let tables = try Nftables(in: host)
        if try tables.hasTable(tableName) {
            var batch = NftBatch(table: tableName)
            batch.deleteTable()
            try tables.commit(batch)
        }
        // Another cluster may have found forwarding switched on and rely on it.
        let isLast = try !outside.links().contains { $0.name.hasPrefix(Self.namePrefix) }
        guard isLast else { return }
        for name in Set(forwarding).union(try Self.remembered(host: host)).sorted() where name != linkName {
            do { try NetworkSetting.write("ipv4/conf/\(name)/forwarding", "0", in: host) } catch let error
                as SystemError
                where error.errno == ENOENT
            {}
        }
        if try tables.hasTable(Self.forwardingTable) {
            var batch = NftBatch(table: Self.forwardingTable)
            batch.deleteTable()
            try tables.commit(batch)
        }
    }

    // MARK: The leave to forward

    /// The links of the host that forwarded nothing before the first cluster came.
    static func remembered(host: NetworkNamespace? = nil) throws -> [String] {
        let comment = try Nftables(in: host).tables()[forwardingTable] ?? nil
        return (comment ?? "").split(separator: " ").map(String.init)
    }

    private static func remember(forwarding name: String, host: NetworkNamespace?) throws {
        let before = try remembered(host: host)
        if before.contains(name) { return }
        var batch = NftBatch(table: forwardingTable)
        batch.addTable()
        batch.deleteTable()
        batch.addTable(comment: (before + [name]).joined(separator: " "))
        try Nftables(in: host).commit(batch)
    }

    /// Tables of clusters whose link is gone, by their numbers.
    static func leftovers(host: NetworkNamespace? = nil) throws -> [HostLink] {
        let links = Set(try RouteSocket(in: host).links().map(\.name))
        return try Nftables(in: host).tables().keys.compactMap { name in
            guard name.hasPrefix(tablePrefix), let number = Int(name.dropFirst(tablePrefix.count)) else { return nil }
            let link = HostLink(number: number, egress: true)
            return links.contains(link.linkName) ? nil : link
        }.sorted { $0.number < $1.number }
    }
}
