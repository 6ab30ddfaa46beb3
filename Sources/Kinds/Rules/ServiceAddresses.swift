import Basics
import Document
import Schema

/// A service's addresses in the cluster, which are written twice: the first one in `clusterIP`, all of them in
/// `clusterIPs`. A writer may use the first field alone, or both when they agree.
enum ServiceAddressRules {
    private static let path = "spec.clusterIPs"

    private static func first(_ service: Document) -> String { service.text("spec", "clusterIP") ?? "" }
    private static func all(_ service: Document) -> [Document] { service.list("spec", "clusterIPs") }

    /// What was given out stays when an update does not mention it.
    static func keep(_ service: inout Document, old: Document) {
        if first(service).isEmpty { service.set(old.at("spec", "clusterIP"), at: "spec", "clusterIP") }
        if all(service).isEmpty { service.set(old.at("spec", "clusterIPs"), at: "spec", "clusterIPs") }
    }

    /// Lets the list follow the first address where the writer has left the list out, or as it was.
    static func align(_ service: inout Document, old: Document?) {
        let address = first(service)
        guard let old else {
            if !address.isEmpty, all(service).isEmpty { service.set([Document(address)], at: "spec", "clusterIPs") }
            return
        }
        if address == first(old) {
            if all(service).isEmpty { service.set(old.at("spec", "clusterIPs"), at: "spec", "clusterIPs") }
        } else if all(service) == all(old) {
            service.set(address.isEmpty ? nil : [Document(address)], at: "spec", "clusterIPs")
        }
    }

    static func errors(_ spec: Document) -> [FieldError] {
        if spec.text("type") == "ExternalName" { return [] }
        let (address, list) = (spec.text("clusterIP") ?? "", spec.list("clusterIPs"))
        var errors: [FieldError] = []
        if address.isEmpty, !list.isEmpty {
            errors.append(.invalid(path, Document(list), "must be empty when `clusterIP` is not specified"))
        } else if !address.isEmpty, list.isEmpty {
            errors.append(.required(path))
        } else if let first = list.first, first.string != address {
            errors.append(.invalid(path, Document(list), "first value must match `clusterIP`"))
        }
        errors += families(spec.list("ipFamilies"))
        let faults = syntax(list)
        if list.count > 2 { errors.append(.invalid(path, Document(list), "may only hold up to 2 values")) }
        // What is no address has no family either.
        guard faults.isEmpty else { return errors + faults }
        return errors + familyErrors(list, spec.list("ipFamilies"))
    }

    private static func families(_ families: [Document]) -> [FieldError] {
        var errors: [FieldError] = []
        for (index, family) in families.enumerated() {
            let here = "spec.ipFamilies[\(index)]"
            if !["IPv4", "IPv6"].contains(family.string ?? "") {
                errors.append(.notSupported(here, family, ["IPv4", "IPv6"]))
            }
            if families[..<index].contains(family) { errors.append(.duplicate(here, family)) }
        }
        return errors
    }

    private static func syntax(_ list: [Document]) -> [FieldError] {
        var errors: [FieldError] = []
        for (index, address) in list.enumerated() {
            if index > 0 || address != "None" {
                errors += AddressSyntax.addressErrors(address.string ?? "", "\(path)[\(index)]")
            } else if list.count > 1 {
                errors.append(.invalid(path, Document(list), "'None' must be the first and only value"))
            }
        }
        return errors
    }

    private static func familyErrors(_ list: [Document], _ families: [Document]) -> [FieldError] {
        var errors: [FieldError] = []
        let found = list.map { ($0.string.flatMap { IPAddress($0) }?.isIPv6 ?? false) ? "IPv6" : "IPv4" }
        if list.count > 1, Set(found).count < 2 {
            errors.append(.invalid(path, Document(list), "may specify no more than one IP for each IP family"))
        }
        guard list.first != "None" else { return errors }
        for (index, family) in families.prefix(list.count).enumerated() where family.string != found[index] {
            guard let wanted = family.string, ["IPv4", "IPv6"].contains(wanted) else { continue }
            errors.append(
                .invalid(
                    "\(path)[\(index)]", list[index],
                    "expected an \(wanted) value as indicated by `ipFamilies[\(index)]`"))
        }
        return errors
    }

    /// An address that was given out stays with the service.
    static func change(_ spec: Document, old: Document) -> [FieldError] {
        let (list, before) = (spec.list("clusterIPs"), old.list("clusterIPs"))
        if list.isEmpty, !before.isEmpty {
            return [.invalid(path + "[0]", .null, "primary clusterIP can not be unset")]
        }
        return zip(list, before).enumerated().compactMap { index, pair in
            // Of lists of different length only the first address has to stay.
            guard pair.0 != pair.1, index == 0 || list.count == before.count else { return nil }
            return .invalid("\(path)[\(index)]", Document(list), "may not change once set")
        }
    }
}
