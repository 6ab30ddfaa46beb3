import Document
import Schema

/// HorizontalPodAutoscaler in its two versions.
///
/// The older one has a field for the processor time only. What it cannot say stands in annotations, as JSON, so that
/// nothing is lost to a client that reads and writes the older form: further metrics, what was measured, conditions
/// (all three in an early form of the same types) and behaviour (under the field names of the server's own type).
public enum AutoscalerConversion {
    private static let prefix = "autoscaling.alpha.kubernetes.io/"
    private static let metrics = prefix + "metrics"
    private static let measured = prefix + "current-metrics"
    private static let conditions = prefix + "conditions"
    private static let behavior = prefix + "behavior"

    /// The newer form of an autoscaling/v1 object.
    public static func newer(_ older: Document) -> Document {
        var result = older
        if older["apiVersion"] != nil { result["apiVersion"] = "autoscaling/v2" }
        let given = older.at("spec") ?? .emptyObject
        var spec = given
        spec["targetCPUUtilizationPercentage"] = .none
        var list = (annotation(older, metrics)?.elements ?? []).map { MetricForm.newer($0, isStatus: false) }
        if let share = given["targetCPUUtilizationPercentage"] {
            list.append([
                "type": "Resource",
                "resource": ["name": "cpu", "target": ["type": "Utilization", "averageUtilization": share]],
            ])
        }
        if !list.isEmpty { spec["metrics"] = Document(list) }
        if let behavior = annotation(older, behavior), behavior.isObject { spec["behavior"] = renamed(behavior, lower) }
        result["spec"] = spec
        if older["status"] != nil { result["status"] = newerStatus(older) }
        return withoutAnnotations(result)
    }

    private static func newerStatus(_ older: Document) -> Document {
        var status = older["status"] ?? .emptyObject
        let share = status["currentCPUUtilizationPercentage"]
        status["currentCPUUtilizationPercentage"] = .none
        if let list = annotation(older, measured), list.isArray {
            status["currentMetrics"] = Document(list.elements.map { MetricForm.newer($0, isStatus: true) })
        } else if let share {
            status["currentMetrics"] = [
                ["type": "Resource", "resource": ["name": "cpu", "current": ["averageUtilization": share]]]
            ]
        }
        if let list = annotation(older, conditions), list.isArray { status["conditions"] = list }
        return status
    }

    /// The autoscaling/v1 form of a newer object.
    public static func older(_ newer: Document) -> Document {
        var result = withoutAnnotations(newer)
        if newer["apiVersion"] != nil { result["apiVersion"] = "autoscaling/v1" }
        var spec = newer["spec"] ?? .emptyObject
        let list = spec.list("metrics")
        for field in ["metrics", "behavior"] { spec[field] = .none }
        if let share = list.first(where: isProcessor)?.at("resource", "target", "averageUtilization") {
            spec["targetCPUUtilizationPercentage"] = share
        }
        result["spec"] = spec
        let others = list.filter {
            !(isProcessor($0) && $0.at("resource", "target", "averageUtilization") != nil)
        }
        note(&result, metrics, others.map { MetricForm.older($0, isStatus: false) })
        if let given = newer.at("spec", "behavior"), given.isObject {
            result.set(Document(BehaviorForm.shown(given).jsonText), at: "metadata", "annotations", behavior)
        }
        guard let given = newer["status"] else { return result }
        var status = given
        for field in ["currentMetrics", "conditions"] { status[field] = .none }
        for field in ["currentReplicas", "desiredReplicas"] where status[field] == nil { status[field] = 0 }
        let current = given.list("currentMetrics")
        let share = current.first { isProcessor($0) && $0.at("resource", "current", "averageUtilization") != nil }
        status["currentCPUUtilizationPercentage"] = share?.at("resource", "current", "averageUtilization")
        result["status"] = status
        note(&result, measured, current.map { MetricForm.older($0, isStatus: true) })
        note(&result, conditions, given.list("conditions").map(ordered))
        return result
    }

    private static func isProcessor(_ metric: Document) -> Bool {
        metric.text("type") == "Resource" && metric.text("resource", "name") == "cpu"
    }

    private static func ordered(_ condition: Document) -> Document {
        Document(
            members: ["type", "status", "lastTransitionTime", "reason", "message"].compactMap { field in
                condition[field].map { (field, $0) }
            })
    }

    // MARK: Annotations

    private static func annotation(_ object: Document, _ key: String) -> Document? {
        object.text("metadata", "annotations", key).flatMap { try? Document(json: $0) }
    }

    private static func note(_ object: inout Document, _ key: String, _ list: [Document]) {
        guard !list.isEmpty else { return }
        object.set(Document(Document(list).jsonText), at: "metadata", "annotations", key)
    }

    public static func withoutAnnotations(_ object: Document) -> Document {
        guard let annotations = object.at("metadata", "annotations"),
            annotations.members.contains(where: { $0.key.hasPrefix(prefix) })
        else { return object }
        let kept = annotations.members.filter { ![metrics, measured, conditions, behavior].contains($0.key) }
        var result = object
        let left: Document? = kept.isEmpty ? .none : .some(Document(members: kept.map { ($0.key, $0.value) }))
        result.set(left, at: "metadata", "annotations")
        return result
    }

    private static func keep(_ keys: [String], _ new: inout Document, of old: Document) {
        for key in keys {
            let value = old.at("metadata", "annotations", key)
            if value != nil || new.at("metadata", "annotations", key) != nil {
                new.set(value, at: "metadata", "annotations", key)
            }
        }
    }

    /// A write of the spec leaves the status alone, where it stands in annotations too.
    static func keepStatus(_ new: inout Document, of old: Document) { keep([measured, conditions], &new, of: old) }
    static func keepSpec(_ new: inout Document, of old: Document) { keep([metrics, behavior], &new, of: old) }

    private static func lower(_ name: String) -> String { name.prefix(1).lowercased() + name.dropFirst() }

    /// The same tree under other field names, without what is null.
    private static func renamed(_ value: Document, _ name: (String) -> String) -> Document {
        if value.isArray { return Document(value.elements.map { renamed($0, name) }) }
        guard value.isObject else { return value }
        return Document(
            members: value.members.compactMap { member in
                member.value.isNull
                    ? Optional<(String, Document)>.none : (name(member.key), renamed(member.value, name))
            })
    }
}

/// Behaviour under the field names of the server's own type, with everything that is absent as null.
private enum BehaviorForm {
    static func shown(_ behavior: Document) -> Document {
        ["ScaleUp": rules(behavior["scaleUp"]), "ScaleDown": rules(behavior["scaleDown"])]
    }

    private static func rules(_ rules: Document?) -> Document {
        guard let rules, rules.isObject else { return .null }
        let policies = rules.list("policies").map { policy -> Document in
            [
                "Type": policy["type"] ?? "", "Value": policy["value"] ?? 0,
                "PeriodSeconds": policy["periodSeconds"] ?? 0,
            ]
        }
        return [
            "StabilizationWindowSeconds": rules["stabilizationWindowSeconds"] ?? .null,
            "SelectPolicy": rules["selectPolicy"] ?? .null,
            "Policies": rules["policies"] == nil ? .null : Document(policies),
            "Tolerance": rules["tolerance"] ?? .null,
        ]
    }
}

/// One metric, wanted or measured, in the flat early form of the annotations and in the newer one.
private enum MetricForm {
    /// For each source: the early field names of the metric's name, of its selector, and of the three amounts.
    private struct Names {
        var value: String
        var averageValue: String
        var averageUtilization: String
    }

    private static func names(_ source: String, isStatus: Bool) -> Names {
        let prefix = isStatus ? "current" : "target"
        return Names(
            value: prefix + "Value", averageValue: source == "object" ? "averageValue" : prefix + "AverageValue",
            averageUtilization: prefix + "AverageUtilization")
    }

    private static let sources = ["object", "pods", "resource", "containerResource", "external"]

    static func older(_ metric: Document, isStatus: Bool) -> Document {
        var result: [(String, Document)] = [("type", metric["type"] ?? "")]
        for source in sources {
            guard let given = metric[source], given.isObject else { continue }
            result.append((source, older(given, source, isStatus)))
        }
        return Document(members: result)
    }

    private static func older(_ given: Document, _ source: String, _ isStatus: Bool) -> Document {
        let names = names(source, isStatus: isStatus)
        let amounts = given[isStatus ? "current" : "target"] ?? .emptyObject
        var members: [(String, Document?)]
        switch source {
        case "object":
            members = [
                ("target", reference(given["describedObject"] ?? .emptyObject)),
                ("metricName", given.at("metric", "name")),
                (names.value, amounts["value"] ?? "0"), ("selector", given.at("metric", "selector")),
                (names.averageValue, amounts["averageValue"]),
            ]
        case "pods":
            members = [
                ("metricName", given.at("metric", "name")), (names.averageValue, amounts["averageValue"] ?? "0"),
                ("selector", given.at("metric", "selector")),
            ]
        case "external":
            members = [
                ("metricName", given.at("metric", "name")), ("metricSelector", given.at("metric", "selector")),
                (names.value, isStatus ? amounts["value"] ?? "0" : amounts["value"]),
                (names.averageValue, amounts["averageValue"]),
            ]
        default:
            members = [
                ("name", given["name"]), (names.averageUtilization, amounts["averageUtilization"]),
                (names.averageValue, isStatus ? amounts["averageValue"] ?? "0" : amounts["averageValue"]),
            ]
            if source == "containerResource" { members.append(("container", given["container"])) }
        }
        return Document(members: members.compactMap { name, value in value.map { (name, $0) } })
    }

    private static func reference(_ object: Document) -> Document {
        Document(members: ["kind", "name", "apiVersion"].compactMap { field in object[field].map { (field, $0) } })
    }

    static func newer(_ metric: Document, isStatus: Bool) -> Document {
        var result: [(String, Document)] = [("type", metric["type"] ?? "")]
        for source in sources {
            guard let given = metric[source], given.isObject else { continue }
            result.append((source, newer(given, source, isStatus)))
        }
        return Document(members: result)
    }

    private static func newer(_ given: Document, _ source: String, _ isStatus: Bool) -> Document {
        let names = names(source, isStatus: isStatus)
        var amounts = Document.emptyObject
        if !isStatus { amounts["type"] = Document(targetType(given, source, names)) }
        for (field, early) in [
            ("averageUtilization", names.averageUtilization), ("averageValue", names.averageValue),
            ("value", names.value),
        ] { amounts[field] = given[early] }
        var result = Document.emptyObject
        switch source {
        case "object", "pods", "external":
            if source == "object" { result["describedObject"] = given["target"] }
            var metric: Document = ["name": given["metricName"] ?? ""]
            metric["selector"] = given[source == "external" ? "metricSelector" : "selector"]
            result["metric"] = metric
        default:
            result["name"] = given["name"]
            result["container"] = given["container"]
        }
        result[isStatus ? "current" : "target"] = amounts
        return result
    }

    private static func targetType(_ given: Document, _ source: String, _ names: Names) -> String {
        switch source {
        case "object": given[names.averageValue] == nil ? "Value" : "AverageValue"
        case "external": given[names.value] == nil ? "AverageValue" : "Value"
        case "pods": "AverageValue"
        default: given[names.averageUtilization] == nil ? "AverageValue" : "Utilization"
        }
    }
}
