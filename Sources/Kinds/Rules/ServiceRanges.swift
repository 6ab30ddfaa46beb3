import Basics
import Document
import Schema

extension KindRules {
    static let ipAddress: KindRules = {
        var rules = KindRules()
        rules.nameSyntax = .ip
        rules.validateNew = { ServiceRangeRules.parent($0) }
        rules.validateUpdate = { new, old in
            let (parent, before) = (new.at("spec", "parentRef"), old.at("spec", "parentRef"))
            guard !Equality.semantic(parent ?? .null, before ?? .null) else { return [] }
            return [
                .invalid("spec.parentRef", InternalForm.value(parent, as: "ParentReference"), "field is immutable")
            ]
        }
        rules.cells = { NetworkingColumns.address($0, now: $1) }
        return rules
    }()

    static let serviceCIDR: KindRules = {
        var rules = KindRules()
        rules.prepareForCreate = { range, _ in range["status"] = [:] }
        rules.prepareForStatusUpdate = { new, old, _ in MetadataRules.keepForStatus(&new, old: old) }
        rules.validateNew = { ServiceRangeRules.ranges($0) }
        rules.validateUpdate = { ServiceRangeRules.change($0, old: $1) }
        rules.cells = { range, now in
            let ranges = range.list("spec", "cidrs").compactMap(\.string)
            return [Document(ranges.joined(separator: ",")), Cells.age(range, now: now)]
        }
        return rules
    }()
}

enum ServiceRangeRules {
    static func parent(_ address: Document) -> [FieldError] {
        guard let parent = address.at("spec", "parentRef") else { return [.required("spec.parentRef")] }
        var errors: [FieldError] = []
        if let group = parent.text("group"), !group.isEmpty {
            errors += Formats.dnsSubdomain(group).map { .invalid("spec.parentRef.group", Document(group), $0) }
        }
        for (field, isNeeded) in [("resource", true), ("name", true), ("namespace", false)] {
            let here = "spec.parentRef." + field
            let text = parent.text(field) ?? ""
            if text.isEmpty {
                if isNeeded { errors.append(.required(here)) }
            } else {
                errors += Formats.pathSegment(text).map { .invalid(here, Document(text), $0) }
            }
        }
        return errors
    }

    static func ranges(_ object: Document) -> [FieldError] {
        let path = "spec.cidrs"
        let ranges = object.list("spec", "cidrs").map { $0.string ?? "" }
        if ranges.isEmpty { return [.required(path, "at least one CIDR required")] }
        if ranges.count > 2 {
            let shown = InternalForm.value(object["spec"], as: "ServiceCIDRSpec")
            return [.invalid(path, shown, "may only hold up to 2 values")]
        }
        var errors = ranges.enumerated().flatMap { index, text in
            AddressSyntax.rangeErrors(text, "\(path)[\(index)]", canonical: true)
        }
        let families = ranges.compactMap { CIDR($0)?.base.isIPv6 }
        if families.count == 2, families[0] == families[1] {
            let text = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
            errors.append(.invalid(path, object.at("spec", "cidrs"), text))
        }
        return errors
    }

    /// The only change is to add a range of the other address family.
    static func change(_ new: Document, old: Document) -> [FieldError] {
        let (ranges, before) = (new.list("spec", "cidrs"), old.list("spec", "cidrs"))
        if ranges.count == before.count {
            return ranges.indices.filter { ranges[$0] != before[$0] }.map {
                .invalid("spec.cidrs[\($0)]", ranges[$0], "field is immutable")
            }
        }
        if before.count == 1, ranges.count == 2 {
            let kept: [FieldError] =
                ranges[0] == before[0] ? [] : [.invalid("spec.cidrs[0]", ranges[0], "field is immutable")]
            return kept + self.ranges(new)
        }
        return [.invalid("spec.cidrs", new.at("spec", "cidrs"), "field is immutable")]
    }
}
