import Document
import Schema

extension KindRules {
    static let limitRange: KindRules = {
        var rules = KindRules()
        rules.applyDefaults = { range in
            guard let limits = range.at("spec", "limits"), limits.isArray else { return }
            range.set(Document(limits.elements.map(LimitRanges.completed)), at: "spec", "limits")
        }
        rules.prepareForCreate = { range, context in
            guard (range.text("metadata", "name") ?? "").isEmpty else { return }
            range.set(Document(context.identity()), at: "metadata", "name")
        }
        rules.validateCreate = { LimitRanges.validate($0) }
        rules.cells = { range, _ in [range.at("metadata", "creationTimestamp") ?? .null] }
        return rules
    }()
}

enum LimitRanges {
    /// Containers get what is bounded but not given: the limit from the maximum, the request from the limit, else from
    /// the minimum.
    static func completed(_ item: Document) -> Document {
        guard item.text("type") == "Container" else { return item }
        var item = item
        for (target, source) in [("default", "max"), ("defaultRequest", "default"), ("defaultRequest", "min")] {
            var amounts = item[target] ?? .emptyObject
            for member in item[source]?.members ?? [] where amounts[member.key] == nil {
                amounts[member.key] = member.value
            }
            if amounts.count > 0 { item[target] = amounts }
        }
        return item
    }

    static func validate(_ range: Document) -> [FieldError] {
        var errors: [FieldError] = []
        var types: Set<String> = []
        for (index, item) in range.list("spec", "limits").enumerated() {
            let path = "spec.limits[\(index)]"
            let type = item.text("type") ?? ""
            errors += BoundedNames.limitType(type, path + ".type")
            if !types.insert(type).inserted { errors.append(.duplicate(path + ".type", Document(type))) }
            errors += names(item, type, path)
            let keys = Set(
                ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"].flatMap { field in
                    (item[field]?.members ?? []).map(\.key)
                })
            for key in keys.sorted() { errors += amounts(item, type, key, path) }
        }
        return errors
    }

    private static func names(_ item: Document, _ type: String, _ path: String) -> [FieldError] {
        func check(_ field: String) -> [FieldError] {
            (item[field]?.members ?? []).map(\.key).sorted().flatMap { key in
                let here = "\(path).\(field)[\(key)]"
                return ["Pod", "Container"].contains(type)
                    ? BoundedNames.container(key, here) : BoundedNames.any(key, here)
            }
        }
        var errors = check("max") + check("min")
        for field in ["default", "defaultRequest"] {
            if type != "Pod" {
                errors += check(field)
            } else if item[field]?.count ?? 0 > 0 {
                errors.append(.forbidden("\(path).\(field)", "may not be specified when `type` is 'Pod'"))
            }
        }
        if type == "PersistentVolumeClaim", item.at("min", "storage") == nil, item.at("max", "storage") == nil {
            errors.append(
                .required(
                    path + ".limits",
                    "either minimum or maximum storage value is required, but neither was provided"))
        }
        return errors + check("maxLimitRequestRatio")
    }

    /// How the bounds of one resource relate to each other.
    private static func amounts(_ item: Document, _ type: String, _ key: String, _ path: String) -> [FieldError] {
        func amount(_ field: String) -> Quantity? {
            if type == "Pod", field.hasPrefix("default") { return nil }
            return item.at(field, key).flatMap { Quantity($0.string ?? $0.jsonText) }
        }
        let (least, most) = (amount("min"), amount("max"))
        let (limit, request) = (amount("default"), amount("defaultRequest"))
        var errors: [FieldError] = []
        func order(
            _ field: String, _ shown: Quantity?, _ small: (String, Quantity?), _ large: (String, Quantity?)
        ) {
            guard let a = small.1, let b = large.1, a > b, let shown else { return }
            errors.append(
                .invalid(
                    "\(path).\(field)[\(key)]", Document(shown.description),
                    "\(small.0) value \(a) is greater than \(large.0) value \(b)"))
        }
        order("min", least, ("min", least), ("max", most))
        order("defaultRequest", request, ("min", least), ("default request", request))
        order("defaultRequest", request, ("default request", request), ("max", most))
        order("defaultRequest", request, ("default request", request), ("default limit", limit))
        order("default", least, ("min", least), ("default", limit))
        order("default", most, ("default", limit), ("max", most))
        if let ratio = amount("maxLimitRequestRatio") {
            errors += self.ratio(ratio, least, most, "\(path).maxLimitRequestRatio[\(key)]")
        }
        if !BoundedNames.mayOvercommit(key), let limit, let request, limit != request {
            errors.append(
                .invalid(
                    "\(path).defaultRequest[\(key)]", Document(request.description),
                    "default value \(limit) must equal to defaultRequest value \(request) in \(key)"))
        }
        return errors
    }

    private static func ratio(_ ratio: Quantity, _ least: Quantity?, _ most: Quantity?, _ path: String) -> [FieldError]
    {
        var errors: [FieldError] = []
        if ratio < Quantity(1) {
            errors.append(.invalid(path, Document(ratio.description), "ratio \(ratio) is less than 1"))
        }
        guard let least, let most else { return errors }
        let bound = Double(most.milliValue) / Double(least.milliValue)
        if Double(ratio.milliValue) / 1000 > bound {
            errors.append(
                .invalid(
                    path, Document(ratio.description), "ratio \(ratio) is greater than max/min = \(sixDigits(bound))"))
        }
        return errors
    }

    /// With six digits after the point.
    private static func sixDigits(_ value: Double) -> String {
        guard value.isFinite, abs(value) < 1e12 else { return value > 0 ? "+Inf" : "NaN" }
        let millionths = Int((value * 1_000_000).rounded())
        let fraction = String(millionths % 1_000_000)
        return "\(millionths / 1_000_000)." + String(repeating: "0", count: 6 - fraction.count) + fraction
    }
}
