import Document
import Schema

extension KindRules {
    static let flowSchema: KindRules = {
        var rules = KindRules()
        rules.prepareForCreate = { schema, _ in schema["status"] = .emptyObject }
        rules.prepareForStatusUpdate = { new, old, _ in MetadataRules.keepForStatus(&new, old: old) }
        rules.validateCreate = { schema in
            let spec = schema["spec"] ?? .emptyObject
            var errors = FlowSchemas.validate(spec, name: schema.text("metadata", "name") ?? "")
            errors += FlowControl.fixed(schema, Kinds.bootstrapFlowSchemas)
            return errors + FlowControl.conditions(schema)
        }
        rules.validateStatusUpdate = { new, _ in FlowControl.conditions(new) }
        rules.cells = { schema, now in
            let dangling = schema.list("status", "conditions").first { $0.text("type") == "Dangling" }
            return [
                schema.at("spec", "priorityLevelConfiguration", "name") ?? "",
                schema.at("spec", "matchingPrecedence") ?? 0,
                schema.at("spec", "distinguisherMethod", "type") ?? Cells.none, Cells.age(schema, now: now),
                dangling?["status"] ?? "?",
            ]
        }
        return rules
    }()

    static let priorityLevel: KindRules = {
        var rules = KindRules()
        rules.prepareForCreate = { level, _ in level["status"] = .emptyObject }
        rules.prepareForStatusUpdate = { new, old, _ in MetadataRules.keepForStatus(&new, old: old) }
        rules.validateCreate = { level in
            let spec = level["spec"] ?? .emptyObject
            var errors = PriorityLevels.validate(spec, name: level.text("metadata", "name") ?? "")
            errors += FlowControl.fixed(level, Kinds.bootstrapPriorityLevels)
            return errors + FlowControl.conditions(level)
        }
        rules.validateStatusUpdate = { new, _ in FlowControl.conditions(new) }
        rules.cells = { level, now in
            let shares =
                level.at("spec", "limited", "nominalConcurrencyShares")
                ?? level.at("spec", "exempt", "nominalConcurrencyShares")
            let queuing = level.at("spec", "limited", "limitResponse", "queuing")
            return [
                level.at("spec", "type") ?? "", shares ?? Cells.none, queuing?["queues"] ?? Cells.none,
                queuing?["handSize"] ?? Cells.none, queuing?["queueLengthLimit"] ?? Cells.none,
                Cells.age(level, now: now),
            ]
        }
        return rules
    }()
}

/// What flow schemas and priority levels have in common.
enum FlowControl {
    /// The objects without which the server could not place every request keep the spec they were made with.
    static func fixed(_ object: Document, _ bootstrap: [Document]) -> [FieldError] {
        let name = object.text("metadata", "name") ?? ""
        guard ["exempt", "catch-all"].contains(name), let spec = object["spec"],
            let original = bootstrap.first(where: { $0.text("metadata", "name") == name })?["spec"]
        else { return [] }
        var (mine, wanted) = (spec, original)
        // Of the exempt level only the type is fixed.
        mine["exempt"] = nil
        wanted["exempt"] = nil
        return mine.means(wanted) ? [] : [.invalid("spec", spec, "spec of '\(name)' must equal the fixed value")]
    }

    static func conditions(_ object: Document) -> [FieldError] {
        var errors: [FieldError] = []
        var types: Set<String> = []
        for (index, condition) in object.list("status", "conditions").enumerated() {
            let path = "status.conditions[\(index)].type"
            let type = condition.text("type") ?? ""
            if !types.insert(type).inserted { errors.append(.duplicate(path, Document(type))) }
            if type.isEmpty { errors.append(.required(path, "must not be empty")) }
        }
        return errors
    }
}

enum FlowSchemas {
    private static let verbs = [
        "create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch",
    ]

    static func validate(_ spec: Document, name: String) -> [FieldError] {
        var errors: [FieldError] = []
        let precedence = spec.number("matchingPrecedence") ?? 0
        let path = "spec.matchingPrecedence"
        if precedence <= 0 { errors.append(.invalid(path, Document(precedence), "must be a positive value")) }
        if precedence > 10_000 {
            errors.append(.invalid(path, Document(precedence), "must not be greater than 10000"))
        }
        if precedence == 1, name != "exempt" {
            errors.append(
                .invalid(
                    path, Document(precedence), "only the schema named 'exempt' may have matchingPrecedence 1"))
        }
        if let method = spec["distinguisherMethod"], method.isObject,
            !["ByNamespace", "ByUser"].contains(method.text("type") ?? "")
        {
            errors.append(
                .notSupported(
                    "spec.distinguisherMethod.type", ["Type": method["type"] ?? ""], ["ByNamespace", "ByUser"]))
        }
        let level = spec.text("priorityLevelConfiguration", "name") ?? ""
        let here = "spec.priorityLevelConfiguration.name"
        if level.isEmpty {
            errors.append(.required(here, "must reference a priority level"))
        } else {
            errors += Formats.dnsSubdomain(level).map { .invalid(here, Document(level), $0) }
        }
        for (index, entry) in spec.list("rules").enumerated() { errors += rule(entry, "spec.rules[\(index)]") }
        return errors
    }

    private static func rule(_ rule: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        let subjects = rule.list("subjects")
        if subjects.isEmpty {
            errors.append(.required(path + ".subjects", "subjects must contain at least one value"))
        }
        for (index, entry) in subjects.enumerated() { errors += subject(entry, "\(path).subjects[\(index)]") }
        let (resources, paths) = (rule.list("resourceRules"), rule.list("nonResourceRules"))
        if resources.isEmpty, paths.isEmpty {
            errors.append(
                .required(path, "at least one of resourceRules and nonResourceRules has to be non-empty"))
        }
        for (index, entry) in resources.enumerated() {
            errors += resourceRule(entry, "\(path).resourceRules[\(index)]")
        }
        for (index, entry) in paths.enumerated() {
            errors += pathRule(entry, "\(path).nonResourceRules[\(index)]")
        }
        return errors
    }

    private static let members = ["ServiceAccount": "serviceAccount", "User": "user", "Group": "group"]

    private static func subject(_ subject: Document, _ path: String) -> [FieldError] {
        let kind = subject.text("kind") ?? ""
        guard let own = members[kind] else {
            return [.notSupported(path + ".kind", Document(kind), ["Group", "ServiceAccount", "User"])]
        }
        var errors: [FieldError] = []
        if let value = subject[own], value.isObject {
            errors += named(value, kind, "\(path).\(own)")
        } else {
            errors.append(.required("\(path).\(own)", "\(own) is required when subject kind is '\(kind)'"))
        }
        for (other, member) in [("ServiceAccount", "serviceAccount"), ("User", "user"), ("Group", "group")]
        where other != kind && subject[member]?.isObject == true {
            errors.append(
                .forbidden("\(path).\(member)", "\(member) is forbidden when subject kind is not '\(other)'"))
        }
        return errors
    }

    private static func named(_ value: Document, _ kind: String, _ path: String) -> [FieldError] {
        let name = value.text("name") ?? ""
        var errors: [FieldError] = name.isEmpty ? [.required(path + ".name")] : []
        guard kind == "ServiceAccount" else { return errors }
        if !name.isEmpty, name != "*" {
            errors += Formats.dnsSubdomain(name).map { .invalid(path + ".name", Document(name), $0) }
        }
        let namespace = value.text("namespace") ?? ""
        if namespace.isEmpty {
            errors.append(.required(path + ".namespace", "must specify namespace for service account"))
        } else {
            errors += Formats.dnsLabel(namespace).map { .invalid(path + ".namespace", Document(namespace), $0) }
        }
        return errors
    }

    private static func verbs(_ rule: Document, _ path: String) -> [FieldError] {
        let given = rule.list("verbs").compactMap(\.string)
        if given.isEmpty { return [.required(path + ".verbs", "verbs must contain at least one value")] }
        if given.contains("*") {
            return given.count > 1
                ? [.invalid(path + ".verbs", rule["verbs"], "if '*' is present, must not specify other verbs")] : []
        }
        return given.allSatisfy(verbs.contains) ? [] : [.notSupported(path + ".verbs", rule["verbs"], verbs)]
    }

    private static func pathRule(_ rule: Document, _ path: String) -> [FieldError] {
        var errors = verbs(rule, path)
        let here = path + ".nonResourceURLs"
        let urls = rule.list("nonResourceURLs").compactMap(\.string)
        if urls.isEmpty {
            errors.append(.required(here, "nonResourceURLs must contain at least one value"))
        } else if urls.contains("*") {
            if urls.count > 1 {
                errors.append(
                    .invalid(
                        here, rule["nonResourceURLs"], "if '*' is present, must not specify other non-resource URLs"))
            }
        } else {
            for (index, url) in urls.enumerated() {
                if let wrong = wrongPath(url) { errors.append(.invalid("\(here)[\(index)]", Document(url), wrong)) }
            }
        }
        return errors
    }

    private static func wrongPath(_ path: String) -> String? {
        if path.isEmpty { return "must not be empty" }
        if path == "/" { return nil }
        if !path.hasPrefix("/") { return "must start with slash" }
        if path.contains(" ") { return "must not contain white-space" }
        if path.contains("//") { return "must not contain double slash" }
        let stars = path.filter { $0 == "*" }.count
        return stars > 1 || (stars == 1 && !path.hasSuffix("/*")) ? "wildcard can only do suffix matching" : nil
    }

    private static func resourceRule(_ rule: Document, _ path: String) -> [FieldError] {
        var errors = verbs(rule, path)
        for (field, one, several) in [("apiGroups", "api group", "api groups"), ("resources", "resource", "resources")]
        {
            let given = rule.list(field).compactMap(\.string)
            if given.isEmpty {
                errors.append(.required("\(path).\(field)", "resource rules must supply at least one \(one)"))
            } else if given.count > 1, given.contains("*") {
                errors.append(
                    .invalid("\(path).\(field)", rule[field], "if '*' is present, must not specify other \(several)"))
            }
        }
        let here = path + ".namespaces"
        let namespaces = rule.list("namespaces").compactMap(\.string)
        if namespaces.isEmpty, rule.flag("clusterScope") != true {
            errors.append(
                .required(
                    here, "resource rules that are not cluster scoped must supply at least one namespace"))
        } else if namespaces.contains("*") {
            if namespaces.count > 1 {
                errors.append(
                    .invalid(here, rule["namespaces"], "if '*' is present, must not specify other namespaces"))
            }
        } else {
            for (index, namespace) in namespaces.enumerated() {
                errors += Formats.dnsLabel(namespace).map {
                    .invalid(
                        "\(here)[\(index)]", Document(namespace),
                        "each member of this list must be '*' or a DNS-1123 label; " + $0)
                }
            }
        }
        return errors
    }
}

enum PriorityLevels {
    static func validate(_ spec: Document, name: String) -> [FieldError] {
        var errors: [FieldError] = []
        let type = spec.text("type") ?? ""
        let (limited, exempt) = (spec["limited"], spec["exempt"])
        if (name == "exempt") != (type == "Exempt") {
            errors.append(
                .invalid("spec.type", Document(type), "type must be 'Exempt' if and only if name is 'exempt'"))
        }
        switch type {
        case "Exempt":
            if let exempt, exempt.isObject { errors += shares(exempt, "spec.exempt") }
            if limited?.isObject == true {
                errors.append(.forbidden("spec.limited", "must be nil if the type is not Limited"))
            }
        case "Limited":
            if exempt?.isObject == true {
                errors.append(.forbidden("spec.exempt", "must be nil if the type is Limited"))
            }
            if let limited, limited.isObject {
                errors += shares(limited, "spec.limited", between: response)
            } else {
                errors.append(.required("spec.limited", "must not be empty when type is Limited"))
            }
        default: errors.append(.notSupported("spec.type", Document(type), ["Exempt", "Limited"]))
        }
        return errors
    }

    private static func shares(
        _ level: Document, _ path: String, between: (Document, String) -> [FieldError] = { _, _ in [] }
    ) -> [FieldError] {
        var errors: [FieldError] = []
        if let shares = level.number("nominalConcurrencyShares"), shares < 0 {
            errors.append(
                .invalid(path + ".nominalConcurrencyShares", Document(shares), "must be a non-negative integer"))
        }
        errors += between(level, path)
        if let percent = level.number("lendablePercent"), !(0...100).contains(percent) {
            errors.append(
                .invalid(path + ".lendablePercent", Document(percent), "must be between 0 and 100, inclusive"))
        }
        if let percent = level.number("borrowingLimitPercent"), percent < 0 {
            errors.append(
                .invalid(
                    path + ".borrowingLimitPercent", Document(percent),
                    "if specified, must be a non-negative integer"))
        }
        return errors
    }

    private static func response(_ limited: Document, _ path: String) -> [FieldError] {
        let here = path + ".limitResponse"
        let response = limited["limitResponse"] ?? .emptyObject
        let queuing = response["queuing"].flatMap { $0.isObject ? $0 : .none }
        switch response.text("type") ?? "" {
        case "Reject":
            return queuing == nil
                ? [] : [.forbidden(here + ".queuing", "must be nil if limited.limitResponse.type is not Limited")]
        case "Queue":
            guard let queuing else {
                return [
                    .required(here + ".queuing", "must not be empty if limited.limitResponse.type is Limited")
                ]
            }
            return self.queuing(queuing, here + ".queuing")
        default: return [.notSupported(here + ".type", response["type"] ?? "", ["Queue", "Reject"])]
        }
    }

    private static func queuing(_ queuing: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        let (length, queues) = (queuing.number("queueLengthLimit") ?? 0, queuing.number("queues") ?? 0)
        let hand = queuing.number("handSize") ?? 0
        if length <= 0 { errors.append(.invalid(path + ".queueLengthLimit", Document(length), "must be positive")) }
        if queues <= 0 {
            errors.append(.invalid(path + ".queues", Document(queues), "must be positive"))
        } else if queues > 10_000_000 {
            errors.append(.invalid(path + ".queues", Document(queues), "must not be greater than 10000000"))
        }
        if hand <= 0 {
            errors.append(.invalid(path + ".handSize", Document(hand), "must be positive"))
        } else if hand > queues {
            errors.append(
                .invalid(path + ".handSize", Document(hand), "should not be greater than queues (\(queues))"))
        } else if let bits = entropyBits(queues: queues, hand: hand), bits > 60 {
            errors.append(
                .invalid(
                    path + ".handSize", Document(hand),
                    "required entropy bits of deckSize \(queues) and handSize \(hand) should not be greater than 60"))
        }
        return errors
    }

    /// Bits of a hash that deal one of all possible hands: the logarithm of queues · (queues - 1) · …, rounded up.
    static func entropyBits(queues: Int, hand: Int) -> Int? {
        guard hand > 0, hand <= queues else { return nil }
        // Beyond 64 cards the answer is far beyond any hash.
        if hand > 64, queues > 2 { return .max }
        var product = 1.0
        for card in 0..<hand { product *= Double(queues - card) }
        var bits = 0
        while product > 1 {
            product /= 2
            bits += 1
        }
        return bits
    }
}
