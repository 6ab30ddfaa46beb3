import Basics
import Glibc
import Linux

/// Keeps one node's kernel equal to a `ProxyTable`.
public struct ProxyKernel {
    /// What fits into one transaction of a socket whose buffer could not be enlarged.
    private static let smallTransaction = 128 << 10

    private let tables: Nftables
    private let conntrack: Conntrack
    private var rules: ProxyRules

    public init(namespace: NetworkNamespace?, podNetwork: CIDR? = nil) throws {
        rules = ProxyRules(podNetwork: podNetwork)
        tables = try Nftables(in: namespace)
        conntrack = try Conntrack(in: namespace)
    }

    public func isInPlace() throws -> Bool { try tables.hasTable(ProxyRules.table) }

    /// Makes the table anew with everything in it.
    public mutating func rebuild(_ table: ProxyTable) throws {
        let content = table.whole
        do {
            for batch in rules.initial(content, limit: .max) { try tables.commit(batch) }
        } catch let error as SystemError where error.errno == EMSGSIZE || error.errno == ENOBUFS {
            for batch in rules.initial(content, limit: Self.smallTransaction) { try tables.commit(batch) }
        }
        try forgetStaleFlows(content)
    }

    public mutating func apply(_ change: ProxyChange) throws {
        guard !change.isEmpty else { return }
        try tables.commit(rules.update(change))
        try forgetStaleFlows(change)
    }

    /// UDP has no end: a client that keeps sending stays with the endpoint of its first packet, also when that is
    /// gone, and with none where there was none. So its flows to a changed frontend are forgotten unless
    /// they lead to one of the endpoints that the frontend has now.
    private func forgetStaleFlows(_ change: ProxyChange) throws {
        var valid: [Frontend: Set<Backend>] = [:]
        for (frontend, plans) in change.frontends where frontend.transport == .udp {
            if case .balance(let backends, _)? = plans.new?.treatment {
                valid[frontend] = Set(backends)
            } else {
                valid[frontend] = []
            }
        }
        guard !valid.isEmpty else { return }
        try conntrack.delete { flow in
            guard flow.original.protocolNumber == ServiceTransport.udp.rawValue else { return false }
            let frontend = Frontend(flow.original.destination, .udp, flow.original.destinationPort)
            guard let backends = valid[frontend] else { return false }
            return !backends.contains(Backend(flow.reply.source, flow.reply.sourcePort))
        }
    }
}
