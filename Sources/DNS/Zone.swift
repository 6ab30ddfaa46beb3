import Basics
import Document
import Wire

/// The cluster's domain as a value: Services and EndpointSlices in, answers out.
///
/// Names, as the Kubernetes DNS specification (1.1.0) has them, under the cluster's domain:
///
///     SERVICE.NAMESPACE.svc                      the cluster IPs, or a headless service's endpoints
///     ENDPOINT.SERVICE.NAMESPACE.svc             one endpoint, by host name or dashed address
///     _PORT._PROTOCOL.SERVICE.NAMESPACE.svc      SRV: where the port is
///     1-2-3-4.NAMESPACE.pod                      the address itself
///     dns-version                                TXT: the specification's version
///
/// and the reverse names of every cluster IP and endpoint.
public struct Zone: Sendable {
    /// What the zone says to a question.
    public enum Verdict: Sendable, Equatable {
        /// The name exists; `answers` is empty where it has nothing of the type.
        case found(answers: [DNSRecord], additionals: [DNSRecord])
        case noSuchName
        /// The answer goes on at a name outside the zone.
        case alias([DNSRecord], to: DNSName)
        /// The question is about someone else's names.
        case foreign
    }

    /// How long answers may be remembered.
    public var timeToLive: UInt32 = 30
    /// Whether addresses have names as `1-2-3-4.NAMESPACE.pod`.
    public var namesPods = true

    public let domain: DNSName
    /// Where this zone is served.
    private let servers: [IPAddress]
    private var namespaces: Set<String> = []
    private var services: [String: ZoneService] = [:]
    private var slices: [String: ZoneSlice] = [:]
    private var slicesOfService: [String: Set<String>] = [:]
    /// Who is at an address: service keys and slice keys.
    private var servicesAt: [IPAddress: Set<String>] = [:]
    private var slicesAt: [IPAddress: Set<String>] = [:]
    private var serial: UInt32 = 1

    public init(domain: DNSName, servers: [IPAddress] = []) {
        self.domain = domain
        self.servers = servers
    }

    // MARK: Changing

    public mutating func setNamespace(_ name: String, exists: Bool) {
        if exists { namespaces.insert(name) } else { namespaces.remove(name) }
        serial &+= 1
    }

    /// `key` is `namespace/name`; nil removes the service.
    public mutating func setService(_ key: String, _ document: Document?) {
        for address in services.removeValue(forKey: key)?.addresses ?? [] { servicesAt[address]?.remove(key) }
        if let document, let service = ZoneService(document) {
            services[key] = service
            for address in service.addresses { servicesAt[address, default: []].insert(key) }
        }
        serial &+= 1
    }

    public mutating func setSlice(_ key: String, _ document: Document?) {
        if let old = slices.removeValue(forKey: key) {
            slicesOfService["\(old.namespace)/\(old.service)"]?.remove(key)
            for endpoint in old.endpoints { remove(key, at: endpoint.address) }
        }
        if let document, let slice = ZoneSlice(document) {
            slices[key] = slice
            slicesOfService["\(slice.namespace)/\(slice.service)", default: []].insert(key)
            for endpoint in slice.endpoints { slicesAt[endpoint.address, default: []].insert(key) }
        }
        serial &+= 1
    }

    private mutating func remove(_ key: String, at address: IPAddress) {
        slicesAt[address]?.remove(key)
        if slicesAt[address]?.isEmpty == true { slicesAt[address] = nil }
    }

    // MARK: Answering

    /// What goes beside the absence of a record, so that it can be remembered.
    public var authority: DNSRecord {
        DNSRecord(
            domain, timeToLive: timeToLive,
            .soa(
                DNSAuthority(
                    server: domain.prefixed(by: "ns", "dns") ?? domain,
                    mailbox: domain.prefixed(by: "hostmaster") ?? domain, serial: serial, refresh: 7200, retry: 1800,
                    expire: 86_400, minimum: timeToLive)))
    }

    public func answer(_ question: DNSQuestion) -> Verdict {
        guard question.recordClass == 1 else { return .foreign }
        if let address = Self.reverseAddress(question.name) { return reverse(question, address) }
        guard let labels = question.name.labels(before: domain) else { return .foreign }
        switch labels.last {
        case nil: return apex(question)
        case "svc": return service(question, labels.dropLast())
        case "pod": return pod(question, labels.dropLast())
        default: return special(question, labels)
        }
    }

    private func found(_ question: DNSQuestion, _ data: [DNSData], _ additionals: [DNSRecord] = []) -> Verdict {
        let answers = data.filter { $0.type == question.type }
            .map { DNSRecord(question.name, timeToLive: timeToLive, $0) }
        return .found(answers: answers, additionals: answers.isEmpty ? [] : additionals)
    }

    private func apex(_ question: DNSQuestion) -> Verdict {
        guard case .soa(let authority) = authority.data else { return .noSuchName }
        return found(question, [.soa(authority), .ns(authority.server)])
    }

    private func special(_ question: DNSQuestion, _ labels: [String]) -> Verdict {
        if labels == ["dns-version"] { return found(question, [.txt([Array("1.1.0".utf8)])]) }
        if labels == ["ns", "dns"] { return found(question, servers.map { .address($0) }) }
        return labels == ["dns"] ? found(question, []) : .noSuchName
    }

    private func pod(_ question: DNSQuestion, _ labels: ArraySlice<String>) -> Verdict {
        guard let namespace = labels.last else { return namesPods ? found(question, []) : .noSuchName }
        guard namesPods, namespaces.contains(namespace) else { return .noSuchName }
        switch labels.count {
        case 1: return found(question, [])
        case 2:
            guard let address = labels.first.flatMap({ ZoneSlice.undashed($0) }) else { return .noSuchName }
            return found(question, [.address(address)])
        default: return .noSuchName
        }
    }

    // MARK: Services

    private func service(_ question: DNSQuestion, _ labels: ArraySlice<String>) -> Verdict {
        guard let namespace = labels.last else { return found(question, []) }
        if labels.count == 1 { return namespaces.contains(namespace) ? found(question, []) : .noSuchName }
        let name = labels[labels.endIndex - 2]
        guard let service = services["\(namespace)/\(name)"] else { return .noSuchName }
        let inner = Array(labels.dropLast(2))
        if let target = service.externalName { return inner.isEmpty ? alias(question, target) : .noSuchName }
        switch inner.count {
        case 0: return whole(question, service, ports: service.ports)
        case 1 where !inner[0].hasPrefix("_"): return endpoint(question, service, label: inner[0])
        case 2 where inner.allSatisfy { $0.hasPrefix("_") && $0.utf8.count > 1 }:
            let port = String(inner[0].dropFirst())
            let transport = String(inner[1].dropFirst())
            return portLocation(question, service, port, transport)
        default: return .noSuchName
        }
    }

    private func alias(_ question: DNSQuestion, _ target: String) -> Verdict {
        // An address as external name is what people write by mistake; it is answered as what it is.
        if let address = IPAddress(target) { return found(question, [.address(address)]) }
        guard let name = DNSName(target) else { return .noSuchName }
        let record = DNSRecord(question.name, timeToLive: timeToLive, .cname(name))
        guard question.type != .cname else { return .found(answers: [record], additionals: []) }
        return .alias([record], to: name)
    }

    /// The endpoints that may be named: all when the service wants that, the ready ones otherwise.
    private func endpoints(_ service: ZoneService) -> [(endpoint: ZoneSlice.Endpoint, ports: [ZoneService.Port])] {
        let keys = slicesOfService["\(service.namespace)/\(service.name)"] ?? []
        return keys.sorted().compactMap { slices[$0] }.flatMap { slice in
            slice.endpoints.filter { $0.isReady || service.publishesNotReady }.map { ($0, slice.ports) }
        }
    }

    private func name(of service: ZoneService, endpoint: String? = nil) -> DNSName? {
        let base = domain.prefixed(by: service.name, service.namespace, "svc")
        return endpoint.map { base?.prefixed(by: $0) } ?? base
    }

    private func whole(_ question: DNSQuestion, _ service: ZoneService, ports: [ZoneService.Port]) -> Verdict {
        if question.type == .srv { return locations(question, service) { _ in true } }
        guard service.isHeadless else { return found(question, service.addresses.map { .address($0) }) }
        let endpoints = endpoints(service)
        // A headless service without endpoints is no name at all, so that clients try again soon.
        guard !endpoints.isEmpty else { return .noSuchName }
        var seen: Set<IPAddress> = []
        let addresses = endpoints.map(\.endpoint.address).filter { seen.insert($0).inserted }
        return found(question, addresses.map { .address($0) })
    }

    private func endpoint(_ question: DNSQuestion, _ service: ZoneService, label: String) -> Verdict {
        let matching = endpoints(service).filter { $0.endpoint.label == label }
        guard !matching.isEmpty else { return .noSuchName }
        var seen: Set<IPAddress> = []
        let addresses = matching.map(\.endpoint.address).filter { seen.insert($0).inserted }
        return found(question, addresses.map { .address($0) })
    }

    private func portLocation(
        _ question: DNSQuestion, _ service: ZoneService, _ port: String, _ transport: String
    ) -> Verdict {
        locations(question, service) { $0.name.lowercased() == port && $0.transport == transport }
    }

    private func locations(
        _ question: DNSQuestion, _ service: ZoneService, _ wanted: (ZoneService.Port) -> Bool
    ) -> Verdict {
        var places: [(port: UInt16, target: DNSName, addresses: [IPAddress])] = []
        if service.isHeadless {
            for (endpoint, ports) in endpoints(service) {
                guard let target = name(of: service, endpoint: endpoint.label) else { continue }
                for port in ports where wanted(port) { places.append((port.number, target, [endpoint.address])) }
            }
        } else if let target = name(of: service) {
            for port in service.ports where wanted(port) { places.append((port.number, target, service.addresses)) }
        }
        guard !places.isEmpty else { return .noSuchName }
        guard question.type == .srv else { return found(question, []) }
        let weight = UInt16(max(1, 100 / places.count))
        var seen: Set<DNSRecord> = []
        let additionals = places.flatMap { place in
            place.addresses.map { DNSRecord(place.target, timeToLive: timeToLive, .address($0)) }
        }.filter { seen.insert($0).inserted }
        var known: Set<DNSData> = []
        let data = places.map { DNSData.srv(priority: 0, weight: weight, port: $0.port, $0.target) }
            .filter { known.insert($0).inserted }
        return found(question, data, additionals)
    }

    // MARK: Addresses to names

    private func reverse(_ question: DNSQuestion, _ address: IPAddress) -> Verdict {
        var names = (servicesAt[address] ?? []).sorted().compactMap { services[$0].flatMap { name(of: $0) } }
        if names.isEmpty {
            for slice in (slicesAt[address] ?? []).sorted().compactMap({ slices[$0] }) {
                guard let service = services["\(slice.namespace)/\(slice.service)"] else { continue }
                names += slice.endpoints.filter { $0.address == address }
                    .compactMap { name(of: service, endpoint: $0.label) }
            }
        }
        // Addresses that are not the cluster's may be known to the resolvers outside.
        return names.isEmpty ? .foreign : found(question, names.map { .ptr($0) })
    }

    static let reverse4 = DNSName("in-addr.arpa") ?? .root
    static let reverse6 = DNSName("ip6.arpa") ?? .root

    static func reverseAddress(_ name: DNSName) -> IPAddress? {
        if let labels = name.labels(before: reverse4), labels.count == 4 {
            return IPAddress(labels.reversed().joined(separator: "."))
        }
        guard let nibbles = name.labels(before: reverse6), nibbles.count == 32 else { return nil }
        let digits = nibbles.reversed().map { $0.utf8.count == 1 ? UInt8($0, radix: 16) : nil }
        guard digits.allSatisfy({ $0 != nil }) else { return nil }
        let values = digits.compactMap { $0 }
        return IPAddress(bytes: (0..<16).map { values[2 * $0] << 4 | values[2 * $0 + 1] })
    }
}
