import Basics
import Document
import Schema

extension KindRules {
    static let endpoints: KindRules = {
        var rules = KindRules()
        rules.validateCreate = { endpoints in
            var errors: [FieldError] = []
            for (index, subset) in endpoints.list("subsets").enumerated() {
                errors += EndpointRules.subset(subset, "subsets[\(index)]")
            }
            return errors
        }
        rules.cells = { ServiceColumns.endpoints($0, now: $1) }
        return rules
    }()

    static let endpointSlice: KindRules = {
        var rules = KindRules()
        rules.validateCreate = { EndpointRules.slice($0) }
        rules.cells = { ServiceColumns.endpointSlice($0, now: $1) }
        return rules
    }()
}

enum EndpointRules {
    static func subset(_ subset: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        if subset.list("addresses").isEmpty, subset.list("notReadyAddresses").isEmpty {
            errors.append(.required(path, "must specify `addresses` or `notReadyAddresses`"))
        }
        for field in ["addresses", "notReadyAddresses"] {
            for (index, address) in subset.list(field).enumerated() {
                let here = "\(path).\(field)[\(index)].ip"
                let text = address.text("ip") ?? ""
                let wrong = Formats.ip(text) + (Formats.ip(text).isEmpty ? [] : ["must be a valid IP address"])
                let special = wrong.isEmpty ? AddressRules.notSpecial(text) : wrong
                errors += special.map { .invalid(here, Document(text), $0) }
            }
        }
        let ports = subset.list("ports")
        for (index, port) in ports.enumerated() where ports.count > 1 && (port.text("name") ?? "").isEmpty {
            errors.append(.required("\(path).ports[\(index)].name"))
        }
        return errors
    }

    static func slice(_ slice: Document) -> [FieldError] {
        var errors: [FieldError] = []
        let type = slice.text("addressType") ?? ""
        for (index, endpoint) in slice.list("endpoints").enumerated() {
            let here = "endpoints[\(index)].addresses"
            if endpoint.list("addresses").isEmpty {
                errors.append(.required(here, "must contain at least 1 address"))
            }
            for (place, address) in endpoint.list("addresses").enumerated() {
                errors += check(address.string ?? "", type: type, list: here, "\(here)[\(place)]")
            }
        }
        var names: Set<String> = []
        for (index, port) in slice.list("ports").enumerated() {
            let name = port.text("name") ?? ""
            let here = "ports[\(index)].name"
            if !name.isEmpty { errors += Formats.dnsLabel(name).map { .invalid(here, Document(name), $0) } }
            if !names.insert(name).inserted { errors.append(.duplicate(here, Document(name))) }
        }
        return errors
    }

    private static func check(_ text: String, type: String, list: String, _ path: String) -> [FieldError] {
        if type == "FQDN" { return Formats.dnsSubdomain(text).map { .invalid(path, Document(text), $0) } }
        let wrong = Formats.ip(text)
        if !wrong.isEmpty { return wrong.map { .invalid(path, Document(text), $0) } }
        if type == "IPv4", text.contains(":") { return [.invalid(list, Document(text), "must be an IPv4 address")] }
        if type == "IPv6", !text.contains(":") { return [.invalid(list, Document(text), "must be an IPv6 address")] }
        return AddressRules.notSpecial(text).map { .invalid(path, Document(text), $0) }
    }
}
