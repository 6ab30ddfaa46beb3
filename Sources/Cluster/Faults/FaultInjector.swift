import Basics
import Client
import Document
import Kinds
import Linux
import Runtime

/// Puts faults into a running cluster's nodes and takes them away again.
public struct FaultInjector: Sendable {
    private static let uplink = "eth0"

    let cluster: ClusterLayout
    let nodes: [String]
    let client: APIClient
    let clock: any WorldClock

    public init(cluster name: String, host: Host) throws {
        guard let record = host.index.record(of: name) else {
            throw Failure("there is no cluster '\(name)'", remedy: "'lab list' shows those there are")
        }
        cluster = host.layout.cluster(name)
        nodes = record.nodeNames
        let kubeconfig = try Kubeconfig(yaml: try Files.read(cluster.kubeconfig))
        client = try Connect.client(kubeconfig, world: host.world)
        clock = host.world.clock
    }

    // MARK: Commands

    public func add(_ fault: Fault) async throws {
        if try await list().contains(where: { $0.name == fault.name }) {
            throw Failure(
                "there is a fault '\(fault.name)' already", remedy: "remove it, or give this one another --name")
        }
        let remaining = fault.until.map { $0 - clock.now }
        if let remaining, remaining <= .zero { throw Failure("the fault '\(fault.name)' would be over already") }
        guard fault.comment.utf8.count <= NftBatch.mostCommentBytes else {
            throw Failure("the names of '\(fault.name)' are too long to be kept beside it", remedy: "shorten them")
        }
        let from = try await find(fault.from)
        let to = try await fault.to.asyncMap { try await find($0) }
        // At the place of `from`, where all that it sends and gets passes.
        let sides = (from: from.own(alone: to == nil && fault.kind != .dns), to: to?.seen ?? .anybody)
        let namespace = try namespace(of: from.node)
        let batch = FaultRules.batch(
            fault, from: sides.from, to: sides.to, dns: Addresses.dns, remaining: remaining)
        try Nftables(in: namespace).commit(batch)
    }

    /// The faults that are in force. What is over is swept away on the way.
    public func list() async throws -> [Fault] {
        var found: [Fault] = []
        for node in nodes {
            guard let namespace = try? namespace(of: node) else { continue }
            let tables = try Nftables(in: namespace)
            for (table, comment) in try tables.tables() where table.hasPrefix(FaultRules.tablePrefix) {
                let name = String(table.dropFirst(FaultRules.tablePrefix.count))
                guard let comment, let fault = Fault(name: name, comment: comment) else { continue }
                if let until = fault.until, until <= clock.now {
                    try Self.drop(table, tables)
                } else {
                    found.append(fault)
                }
            }
        }
        return found.sorted { $0.name < $1.name }
    }

    /// Answers whether there was such a fault.
    public func remove(name: String) async throws -> Bool {
        var wasThere = false
        for node in nodes {
            guard let namespace = try? namespace(of: node) else { continue }
            let tables = try Nftables(in: namespace)
            guard try tables.hasTable(FaultRules.tablePrefix + name) else { continue }
            try Self.drop(FaultRules.tablePrefix + name, tables)
            wasThere = true
        }
        return wasThere
    }

    private static func drop(_ table: String, _ tables: Nftables) throws {
        var batch = NftBatch(table: table)
        batch.deleteTable()
        try tables.commit(batch)
    }

    // MARK: Places

    private struct Found {
        var node: String
        /// How others see it.
        var seen: FaultRules.Side

        /// On its own node: a node that is cut off from everybody is cut off at its link.
        func own(alone: Bool) -> FaultRules.Side {
            guard isNode else { return seen }
            return alone ? .uplink(FaultInjector.uplink) : .anybody
        }

        var isNode = false
    }

    private func find(_ place: Fault.Place) async throws -> Found {
        switch place {
        case .node(let name):
            guard let node = nodes.first(where: { $0 == name || $0 == "\(cluster.name)-\(name)" }),
                let index = nodes.firstIndex(of: node)
            else { throw Failure("there is no node '\(name)'", remedy: "nodes are \(nodes.joined(separator: ", "))") }
            return Found(node: node, seen: .address(Addresses.node(index)), isNode: true)
        case .pod(let namespace, let name):
            let pod = try await client.get(.pods, namespace: namespace, name: name)
            guard let node = pod.text("spec", "nodeName"),
                let address = pod.text("status", "podIP").flatMap({ IPAddress($0) })
            else { throw Failure("the pod \(namespace)/\(name) has no address yet", remedy: "wait until it runs") }
            if pod.flag("spec", "hostNetwork") == true {
                throw Failure("the pod \(namespace)/\(name) has its node's network", remedy: "name node/\(node)")
            }
            return Found(node: node, seen: .address(address))
        case .service(let namespace, let name):
            let service = try await client.get(.services, namespace: namespace, name: name)
            guard let address = service.text("spec", "clusterIP").flatMap({ IPAddress($0) }) else {
                throw Failure(
                    "the service \(namespace)/\(name) has no address of its own", remedy: "name its pods instead")
            }
            return Found(node: "", seen: .services([address]))
        }
    }

    private func namespace(of node: String) throws -> NetworkNamespace {
        guard let pid = try LinuxSupervisor.processID(stateDirectory: cluster.node(node).state) else {
            throw Failure(
                "the node \(node) does not run", remedy: "start it: lab node start --cluster \(cluster.name) \(node)")
        }
        return try NetworkNamespace(processID: pid)
    }
}

extension Optional {
    fileprivate func asyncMap<Result>(_ body: (Wrapped) async throws -> Result) async throws -> Result? {
        guard let self else { return nil }
        return try await body(self)
    }
}
