import Basics
import Linux

/// What a node's kernel does with a new connection to a service, read from its table.
public enum ServiceDecision: Sendable, Equatable {
    /// The address belongs to no service here.
    case none
    /// A service's address, but no port of a service.
    case unknownPort
    /// The service has no endpoint, and the client is told.
    case refused
    /// The service has endpoints, and none that this client may use.
    case dropped
    /// One of these, by the chain of that name.
    case sent(to: [Backend], chain: String)

    public static func read(_ frontend: Frontend, in namespace: NetworkNamespace) throws -> ServiceDecision {
        let tables = try Nftables(in: namespace)
        guard try tables.hasTable(ProxyRules.table) else { return .none }
        func elements(_ set: String) throws -> [NftElement] {
            try tables.elements(table: ProxyRules.table, set: set)
        }
        let key = frontend.key
        switch try elements(ProxySet.unserved.name).first(where: { $0.key == key })?.value {
        case .verdict(.drop)?: return .dropped
        case .verdict?: return .refused
        default: break
        }
        guard
            case .verdict(.goto(let chain))? = try elements(ProxySet.services.name).first(where: { $0.key == key })?
                .value
        else {
            let isOurs = try elements(ProxySet.clusterAddresses.name).contains { $0.key == frontend.address.bytes }
            return isOurs ? .unknownPort : .none
        }
        // `balance-N` has its endpoints in a map of its own, `sticky-N-SECONDS` shares one with all of its kind.
        let parts = chain.split(separator: "-")
        let set = parts.first == "sticky" ? ProxySet.chosen.name : "endpoints-\(parts.dropFirst().first ?? "")"
        let backends = try elements(set).filter { $0.key.starts(with: key) }.compactMap { Backend(read: $0) }
        return .sent(to: Set(backends).sorted(), chain: chain)
    }
}

extension Backend {
    fileprivate init?(read element: NftElement) {
        guard case .data(let bytes) = element.value, bytes.count >= 6, let address = IPAddress(bytes: bytes.prefix(4))
        else { return nil }
        self.init(address, UInt16(bytes[4]) << 8 | UInt16(bytes[5]))
    }
}
