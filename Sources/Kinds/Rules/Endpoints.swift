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
        rules.prepareForCreate = { slice, _ in EndpointSliceRules.dropTopology(&slice, old: nil) }
        rules.prepareForUpdate = { slice, old, _ in EndpointSliceRules.dropTopology(&slice, old: old) }
        rules.validateCreate = { EndpointSliceRules.validate($0) }
        rules.warnings = { slice, old in
            guard old == nil, slice.text("addressType") == "FQDN" else { return [] }
            return ["spec.addressType: FQDN endpoints are deprecated"]
        }
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
}
