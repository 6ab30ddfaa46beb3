import Basics
import Document
import Schema

enum EndpointSliceRules {
    private static let most = (endpoints: 1000, addresses: 100, ports: 20_000, topology: 16, hints: 8)

    /// Labels of endpoints belong to the form before v1; only what is stored already stays.
    static func dropTopology(_ slice: inout Document, old: Document?) {
        let field = "deprecatedTopology"
        guard slice.list("endpoints").contains(where: { $0[field] != nil }) else { return }
        if let old, old.list("endpoints").contains(where: { $0[field] != nil }) { return }
        slice["endpoints"] = Document(
            slice.list("endpoints").map { endpoint in
                var endpoint = endpoint
                endpoint[field] = nil
                return endpoint
            })
    }

    static func validate(_ slice: Document) -> [FieldError] {
        let type = slice.text("addressType") ?? ""
        let endpoints = slice.list("endpoints")
        var errors: [FieldError] = []
        if endpoints.count > most.endpoints {
            errors.append(tooMany("endpoints", endpoints.count, most.endpoints))
        } else {
            for (index, endpoint) in endpoints.enumerated() {
                errors += self.endpoint(endpoint, type, "endpoints[\(index)]")
            }
        }
        return errors + ports(slice.list("ports"))
    }

    private static func tooMany(_ path: String, _ count: Int, _ most: Int) -> FieldError {
        FieldError(.tooMany, path, "must have at most \(most) items", badValue: Document(count))
    }

    private static func endpoint(_ endpoint: Document, _ type: String, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        let addresses = endpoint.list("addresses")
        let here = path + ".addresses"
        if addresses.isEmpty { errors.append(.required(here, "must contain at least 1 address")) }
        if addresses.count > most.addresses { errors.append(tooMany(here, addresses.count, most.addresses)) }
        for (index, address) in addresses.enumerated() {
            errors += check(address.string ?? "", type, list: here, "\(here)[\(index)]")
        }
        if let node = endpoint.text("nodeName") {
            errors += Formats.dnsSubdomain(node).map { .invalid(path + ".nodeName", Document(node), $0) }
        }
        let topology = endpoint["deprecatedTopology"]
        if let count = topology?.count, count > most.topology {
            errors.append(tooMany(path + ".deprecatedTopology", count, most.topology))
        }
        errors += MetadataRules.labels(topology, path + ".deprecatedTopology")
        for (field, format) in [("forZones", Formats.labelValue), ("forNodes", Formats.dnsSubdomain)] {
            errors += hints(endpoint.list("hints", field), "\(path).hints.\(field)", format)
        }
        return errors
    }

    private static func hints(
        _ list: [Document], _ path: String, _ format: @Sendable (String) -> [String]
    ) -> [FieldError] {
        if list.count > most.hints { return [tooMany(path, list.count, most.hints)] }
        var errors: [FieldError] = []
        var names: Set<String> = []
        for (index, hint) in list.enumerated() {
            let here = "\(path)[\(index)].name"
            let name = hint.text("name") ?? ""
            if !names.insert(name).inserted { errors.append(.duplicate(here, Document(name))) }
            errors += format(name).map { .invalid(here, Document(name), $0) }
        }
        return errors
    }

    private static func check(_ text: String, _ type: String, list: String, _ path: String) -> [FieldError] {
        switch type {
        case "IPv4", "IPv6":
            if let why = AddressSyntax.address(text, canonical: true) { return [.invalid(path, Document(text), why)] }
            if text.contains(":") != (type == "IPv6") {
                return [.invalid(list, Document(text), "must be an \(type) address")]
            }
            return AddressRules.notSpecial(text).map { .invalid(path, Document(text), $0) }
        case "FQDN": return domain(text, path)
        default: return []
        }
    }

    private static func domain(_ text: String, _ path: String) -> [FieldError] {
        if text.isEmpty { return [.required(path)] }
        let name = text.hasSuffix(".") ? String(text.dropLast()) : text
        let wrong = Formats.dnsSubdomain(name)
        if !wrong.isEmpty { return [.invalid(path, Document(name), wrong.joined(separator: ","))] }
        let parts = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        if parts.count < 2 {
            return [
                .invalid(path, Document(name), "should be a domain with at least two segments separated by dots")
            ]
        }
        return parts.flatMap(Formats.dnsLabel).map { .invalid(path, Document(name), $0) }
    }

    private static func ports(_ ports: [Document]) -> [FieldError] {
        if ports.count > most.ports { return [tooMany("ports", ports.count, most.ports)] }
        var errors: [FieldError] = []
        var names: Set<String> = []
        for (index, port) in ports.enumerated() {
            let name = port.text("name") ?? ""
            let here = "ports[\(index)]"
            if !name.isEmpty { errors += Formats.dnsLabel(name).map { .invalid(here + ".name", Document(name), $0) } }
            if !names.insert(name).inserted { errors.append(.duplicate(here + ".name", Document(name))) }
            if let application = port.text("appProtocol") {
                errors += Formats.qualifiedName(application).map {
                    .invalid(here + ".appProtocol", Document(application), $0)
                }
            }
        }
        return errors
    }
}
