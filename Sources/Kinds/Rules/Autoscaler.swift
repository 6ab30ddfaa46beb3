import Document
import Schema

extension KindRules {
    static let autoscaler: KindRules = {
        var rules = workload
        rules.applyDefaults = { Autoscalers.complete(&$0) }
        rules.validateCreate = { Autoscalers.validate($0["spec"] ?? .emptyObject) }
        rules.cells = { AutoscalerColumns.cells($0, now: $1) }
        return rules
    }()

    /// The older form, which is judged and shown as the newer one that it is stored as.
    static let olderAutoscaler: KindRules = {
        var rules = workload
        rules.prepareForUpdate = { new, old, _ in
            new["status"] = old["status"]
            AutoscalerConversion.keepStatus(&new, of: old)
        }
        rules.prepareForStatusUpdate = { new, old, _ in AutoscalerConversion.keepSpec(&new, of: old) }
        rules.validateCreate = { Autoscalers.validate(AutoscalerConversion.newer($0)["spec"] ?? .emptyObject) }
        rules.validateStatusUpdate = { new, _ in
            ["currentReplicas", "desiredReplicas"].compactMap { field in
                guard let count = new.number("status", field), count < 0 else { return nil }
                return .invalid("status." + field, Document(count), "must be greater than or equal to 0")
            }
        }
        rules.cells = { AutoscalerColumns.cells(AutoscalerConversion.newer($0), now: $1) }
        return rules
    }()
}

enum Autoscalers {
    // MARK: Defaults

    private static let percentUp: Document = ["type": "Percent", "value": 100, "periodSeconds": 15]
    private static let upward: Document = [
        "stabilizationWindowSeconds": 0, "selectPolicy": "Max",
        "policies": [["type": "Pods", "value": 4, "periodSeconds": 15], percentUp],
    ]
    private static let downward: Document = ["selectPolicy": "Max", "policies": [percentUp]]

    static func complete(_ autoscaler: inout Document) {
        if autoscaler.list("spec", "metrics").isEmpty {
            autoscaler.set(
                [
                    [
                        "type": "Resource",
                        "resource": ["name": "cpu", "target": ["type": "Utilization", "averageUtilization": 80]],
                    ]
                ], at: "spec", "metrics")
        }
        guard autoscaler.at("spec", "behavior")?.isObject == true else { return }
        for (direction, rules) in [("scaleUp", upward), ("scaleDown", downward)] {
            var given = autoscaler.at("spec", "behavior", direction) ?? .emptyObject
            for member in rules.members where given[member.key] == nil { given[member.key] = member.value }
            autoscaler.set(given, at: "spec", "behavior", direction)
        }
    }

    // MARK: Validation

    static func validate(_ spec: Document) -> [FieldError] {
        var errors: [FieldError] = []
        let least = spec.number("minReplicas")
        let most = spec.number("maxReplicas") ?? 0
        if let least, least < 1 {
            errors.append(.invalid("spec.minReplicas", Document(least), "must be greater than or equal to 1"))
        }
        if most == 0 {
            errors.append(.required("spec.maxReplicas", "must be set and greater than 0"))
        } else if most < 0 {
            errors.append(.invalid("spec.maxReplicas", Document(most), "must be greater than 0"))
        }
        if let least, most < least {
            errors.append(
                .invalid("spec.maxReplicas", Document(most), "must be greater than or equal to `minReplicas`"))
        }
        let target = spec["scaleTargetRef"] ?? .emptyObject
        // The only kind without a group that can be scaled.
        errors += reference(
            target, "spec.scaleTargetRef", needsGroup: target.text("kind") != "ReplicationController")
        let metrics = spec.list("metrics")
        for (index, metric) in metrics.enumerated() {
            errors += AutoscalerMetric(metric, path: "spec.metrics[\(index)]").errors
        }
        if least == 0, !metrics.contains(where: { ["Object", "External"].contains($0.text("type") ?? "") }) {
            errors.append(
                .forbidden(
                    "spec.metrics",
                    "must specify at least one Object or External metric to support scaling to zero replicas"))
        }
        for direction in ["scaleUp", "scaleDown"] {
            if let rules = spec.at("behavior", direction) { errors += behavior(rules, "spec.behavior.\(direction)") }
        }
        return errors
    }

    static func reference(_ reference: Document, _ path: String, needsGroup: Bool) -> [FieldError] {
        var errors: [FieldError] = []
        for field in ["kind", "name"] {
            let text = reference.text(field) ?? ""
            if text.isEmpty { errors.append(.required("\(path).\(field)")) }
            errors += Formats.pathSegment(text).map { .invalid("\(path).\(field)", Document(text), $0) }
        }
        let version = reference.text("apiVersion") ?? ""
        let parts = version.split(separator: "/", omittingEmptySubsequences: false)
        if parts.count > 2 {
            errors.append(
                .invalid(path + ".apiVersion", Document(version), "unexpected GroupVersion string: \(version)"))
        } else if needsGroup, parts.count < 2 || parts[0].isEmpty {
            errors.append(.invalid(path + ".apiVersion", Document(version), "apiVersion must specify API group"))
        }
        return errors
    }

    private static let longestWindow = 3600
    private static let longestPeriod = 1800

    private static func behavior(_ rules: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        func invalid(_ field: String, _ value: Document?, _ detail: String) {
            errors.append(.invalid("\(path).\(field)", value, detail))
        }
        if let window = rules.number("stabilizationWindowSeconds") {
            let field = "stabilizationWindowSeconds"
            if window < 0 { invalid(field, Document(window), "must be greater than or equal to zero") }
            if window > longestWindow {
                invalid(field, Document(window), "must be less than or equal to \(longestWindow)")
            }
        }
        let selections = ["Disabled", "Max", "Min"]
        if let policy = rules["selectPolicy"], !selections.contains(policy.string ?? "") {
            errors.append(.notSupported(path + ".selectPolicy", policy, selections))
        }
        let policies = rules.list("policies")
        if policies.isEmpty { errors.append(.required(path + ".policies", "must specify at least one Policy")) }
        for (index, policy) in policies.enumerated() {
            let here = "policies[\(index)]"
            if !["Pods", "Percent"].contains(policy.text("type") ?? "") {
                errors.append(.notSupported("\(path).\(here).type", policy["type"], ["Percent", "Pods"]))
            }
            for field in ["value", "periodSeconds"] {
                let number = policy.number(field) ?? 0
                if number <= 0 { invalid("\(here).\(field)", Document(number), "must be greater than zero") }
            }
            if let period = policy.number("periodSeconds"), period > longestPeriod {
                invalid(
                    here + ".periodSeconds", Document(period), "must be less than or equal to \(longestPeriod)")
            }
        }
        if let tolerance = rules["tolerance"], let amount = Quantity(tolerance.string ?? tolerance.jsonText),
            amount < .zero
        {
            invalid("tolerance", Document(amount.description), "must be greater or equal to 0")
        }
        return errors
    }
}

/// What must hold for one metric of an autoscaler.
struct AutoscalerMetric {
    private let metric: Document
    private let path: String
    private(set) var errors: [FieldError] = []

    /// The sources in the order in which they are looked at, each with the type that it goes with.
    private static let sources = [
        ("object", "Object"), ("external", "External"), ("pods", "Pods"), ("resource", "Resource"),
        ("containerResource", "ContainerResource"),
    ]
    private static let types = ["ContainerResource", "External", "Object", "Pods", "Resource"]

    init(_ metric: Document, path: String) {
        self.metric = metric
        self.path = path
        let type = metric.text("type") ?? ""
        if type.isEmpty { errors.append(.required(path + ".type", "must specify a metric source type")) }
        if !Self.types.contains(type) { errors.append(.notSupported(path + ".type", Document(type), Self.types)) }
        let given = Self.sources.map(\.0).filter { metric[$0] != nil }
        if let first = given.first, let source = metric[first] { check(source, first) }
        let expected = Self.sources.first { $0.1 == type }?.0
        if let expected, !given.contains(expected) {
            errors.append(.required("\(path).\(expected)", "must populate information for the given metric source"))
        } else if expected == nil {
            errors.append(.notSupported(path + ".type", Document(type), Self.types))
        }
        guard given.count != 1 else { return }
        for other in given where other != expected {
            errors.append(.forbidden("\(path).\(other)", "must populate the given metric source only"))
        }
    }

    private mutating func check(_ source: Document, _ name: String) {
        let here = "\(path).\(name)"
        let target = source["target"] ?? .emptyObject
        let (value, average) = (target["value"], target["averageValue"])
        switch name {
        case "object":
            errors += Autoscalers.reference(
                source["describedObject"] ?? .emptyObject, here + ".describedObject", needsGroup: false)
            identifier(source["metric"] ?? .emptyObject, here + ".metric")
            self.target(target, here + ".target")
            if value == nil, average == nil {
                errors.append(
                    .required(here + ".target.averageValue", "must set either a target value or averageValue"))
            }
        case "external":
            identifier(source["metric"] ?? .emptyObject, here + ".metric")
            self.target(target, here + ".target")
            if value == nil, average == nil {
                errors.append(
                    .required(
                        here + ".target.averageValue",
                        "must set either a target value for metric or a per-pod target"))
            }
            if value != nil, average != nil {
                errors.append(
                    .forbidden(
                        here + ".target.value", "may not set both a target value for metric and a per-pod target"))
            }
        case "pods":
            identifier(source["metric"] ?? .emptyObject, here + ".metric")
            self.target(target, here + ".target")
            if average == nil {
                errors.append(
                    .required(here + ".target.averageValue", "must specify a positive target averageValue"))
            }
        default: resource(source, target, here, isOfContainer: name == "containerResource")
        }
    }

    private mutating func resource(_ source: Document, _ target: Document, _ here: String, isOfContainer: Bool) {
        let name = source.text("name") ?? ""
        if name.isEmpty {
            errors.append(.required(here + ".name", "must specify a resource name"))
        } else if isOfContainer {
            errors += BoundedNames.container(name, here + ".name")
        }
        if isOfContainer {
            let container = source.text("container") ?? ""
            if container.isEmpty {
                errors.append(.required(here + ".container", "must specify a container"))
            } else {
                errors += Formats.dnsLabel(container).map { .invalid(here + ".container", Document(container), $0) }
            }
        }
        self.target(target, here + ".target")
        let (utilization, average) = (target["averageUtilization"], target["averageValue"])
        if utilization == nil, average == nil {
            errors.append(
                .required(
                    here + ".target.averageUtilization",
                    "must set either a target raw value or a target utilization"))
        }
        if utilization != nil, average != nil {
            errors.append(
                .forbidden(
                    here + ".target.averageValue", "may not set both a target raw value and a target utilization"))
        }
    }

    private mutating func identifier(_ metric: Document, _ path: String) {
        let name = metric.text("name") ?? ""
        if name.isEmpty { errors.append(.required(path + ".name", "must specify a metric name")) }
        errors += Formats.pathSegment(name).map { .invalid(path + ".name", Document(name), $0) }
    }

    private mutating func target(_ target: Document, _ path: String) {
        let type = target.text("type") ?? ""
        if type.isEmpty { errors.append(.required(path + ".type", "must specify a metric target type")) }
        if !["Utilization", "Value", "AverageValue"].contains(type) {
            errors.append(
                .invalid(path + ".type", Document(type), "must be either Utilization, Value, or AverageValue"))
        }
        for field in ["value", "averageValue"] {
            guard let given = target[field], let amount = Quantity(given.string ?? given.jsonText), amount <= .zero
            else { continue }
            errors.append(.invalid("\(path).\(field)", Document(amount.description), "must be positive"))
        }
        if let utilization = target.number("averageUtilization"), utilization < 1 {
            errors.append(.invalid(path + ".averageUtilization", Document(utilization), "must be greater than 0"))
        }
    }
}
