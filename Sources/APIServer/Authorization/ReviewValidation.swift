import Document
import Kinds
import Schema

/// What an access review must be like to be answered.
enum ReviewValidation {
    static func errors(in review: Document, kind: String, hasSubject: Bool) -> [FieldError] {
        let spec = review["spec"] ?? .emptyObject
        let resource = spec["resourceAttributes"].flatMap { $0.isObject ? $0 : nil }
        let path = spec["nonResourceAttributes"].flatMap { $0.isObject ? $0 : nil }
        var errors: [FieldError] = []
        if resource != nil, path != nil {
            errors.append(
                .invalid(
                    "spec.nonResourceAttributes", path, "cannot be specified in combination with resourceAttributes"))
        }
        if resource == nil, path == nil {
            errors.append(
                .invalid(
                    "spec.resourceAttributes", spec["resourceAttributes"],
                    "exactly one of nonResourceAttributes or resourceAttributes must be specified"))
        }
        if hasSubject, (spec.text("user") ?? "").isEmpty, spec.list("groups").isEmpty {
            errors.append(.invalid("spec.user", "", "at least one of user or group must be specified"))
        }
        if let resource { errors += selectors(resource) }
        if kind == "LocalSubjectAccessReview" {
            if let resource, (resource.text("namespace") ?? "") != (review.text("metadata", "namespace") ?? "") {
                errors.append(
                    .invalid(
                        "spec.resourceAttributes.namespace", Document(resource.text("namespace") ?? ""),
                        "must match metadata.namespace"))
            }
            if path != nil {
                errors.append(.invalid("spec.nonResourceAttributes", path, "disallowed on this kind of request"))
            }
        }
        return errors
    }

    private static func selectors(_ resource: Document) -> [FieldError] {
        var errors: [FieldError] = []
        for name in ["fieldSelector", "labelSelector"] {
            guard let selector = resource[name], selector.isObject else { continue }
            let here = "spec.resourceAttributes.\(name)"
            let raw = selector.text("rawSelector") ?? ""
            let requirements = selector.list("requirements")
            if !raw.isEmpty, !requirements.isEmpty {
                errors.append(
                    .invalid(
                        here + ".rawSelector", Document(raw), "may not specified at the same time as requirements"))
            }
            if raw.isEmpty, requirements.isEmpty {
                errors.append(
                    .required(
                        here + ".requirements",
                        "when \(here) is specified, requirements or rawSelector is required"))
            }
            for (index, requirement) in requirements.enumerated() {
                errors += check(requirement, "\(here).requirements[\(index)]", isLabel: name == "labelSelector")
            }
        }
        return errors
    }

    /// Operators that this server does not know are let through: newer clients may mean something by them.
    private static func check(_ requirement: Document, _ path: String, isLabel: Bool) -> [FieldError] {
        var errors: [FieldError] = []
        let key = requirement.text("key") ?? ""
        if !isLabel, key.isEmpty { errors.append(.required(path + ".key", "must be specified")) }
        let values = requirement.list("values")
        switch requirement.text("operator") ?? "" {
        case "In", "NotIn":
            if values.isEmpty {
                errors.append(
                    .required(path + ".values", "must be specified when `operator` is 'In' or 'NotIn'"))
            }
        case "Exists", "DoesNotExist":
            if !values.isEmpty {
                errors.append(
                    .forbidden(
                        path + ".values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
            }
        default: break
        }
        guard isLabel else { return errors }
        errors += Formats.qualifiedName(key).map { .invalid(path + ".key", Document(key), $0) }
        for (index, value) in values.enumerated() {
            errors += Formats.labelValue(value.string ?? "").map { .invalid("\(path).values[\(index)]", value, $0) }
        }
        return errors
    }

    /// What the request in question is limited to. A selector that cannot be read limits nothing.
    static func fields(_ selector: Document?) -> FieldSelector {
        guard let selector, selector.isObject else { return FieldSelector() }
        let raw = selector.text("rawSelector") ?? ""
        if !raw.isEmpty { return (try? FieldSelector(parsing: raw)) ?? FieldSelector() }
        var terms: [String] = []
        for requirement in selector.list("requirements") {
            let values = requirement.list("values").compactMap(\.string)
            guard values.count == 1, let key = requirement.text("key"), let value = values.first else { continue }
            switch requirement.text("operator") {
            case "In": terms.append("\(key)=\(FieldSelector.escaped(value))")
            case "NotIn": terms.append("\(key)!=\(FieldSelector.escaped(value))")
            default: continue
            }
        }
        return (try? FieldSelector(parsing: terms.joined(separator: ","))) ?? FieldSelector()
    }
}
