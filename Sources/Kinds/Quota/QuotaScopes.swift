import Basics
import Document
import Schema

/// Which objects a quota is about.
public enum QuotaScopes {
    /// Whether the quota counts the object: it names something that the kind uses, and all its scopes fit.
    public static func matches(_ quota: Document, _ object: Document, kind: String, hard: Amounts) -> Bool {
        guard hard.keys.contains(where: { QuotaUsage.concerns($0, kind) }) else { return false }
        let named = quota.list("spec", "scopes").compactMap(\.string)
        guard named.allSatisfy({ fits($0, "Exists", [], object, kind) }) else { return false }
        return quota.list("spec", "scopeSelector", "matchExpressions").allSatisfy { expression in
            fits(
                expression.text("scopeName") ?? "", expression.text("operator") ?? "",
                expression.list("values").compactMap(\.string), object, kind)
        }
    }

    private static func fits(
        _ scope: String, _ action: String, _ values: [String], _ object: Document, _ kind: String
    ) -> Bool {
        switch (scope, kind) {
        case ("Terminating", "pods"): return isTerminating(object)
        case ("NotTerminating", "pods"): return !isTerminating(object)
        case ("BestEffort", "pods"): return isBestEffort(object)
        case ("NotBestEffort", "pods"): return !isBestEffort(object)
        case ("PriorityClass", "pods"):
            return compare(object.text("spec", "priorityClassName") ?? "", action, values)
        case ("CrossNamespacePodAffinity", "pods"): return reachesOtherNamespaces(object)
        case ("VolumeAttributesClass", "persistentvolumeclaims"):
            return compare(object.text("spec", "volumeAttributesClassName") ?? "", action, values)
        default: return false
        }
    }

    private static func compare(_ value: String, _ action: String, _ values: [String]) -> Bool {
        switch action {
        case "Exists": !value.isEmpty
        case "DoesNotExist": value.isEmpty
        case "In": values.contains(value)
        case "NotIn": !values.contains(value)
        default: false
        }
    }

    private static func isTerminating(_ pod: Document) -> Bool {
        pod.number("spec", "activeDeadlineSeconds").map { $0 >= 0 } ?? false
    }

    private static func isBestEffort(_ pod: Document) -> Bool {
        let containers = pod.list("spec", "containers") + pod.list("spec", "initContainers")
        let whole = [pod.at("spec", "resources")].compactMap { $0 }
        return !(containers.compactMap { $0["resources"] } + whole).contains { resources in
            ["requests", "limits"].contains { field in
                ResourceAmounts.amounts(resources[field]).contains { name, amount in
                    ["cpu", "memory"].contains(name) && !amount.isZero
                }
            }
        }
    }

    private static func reachesOtherNamespaces(_ pod: Document) -> Bool {
        ["podAffinity", "podAntiAffinity"].contains { field in
            let affinity = pod.at("spec", "affinity", field) ?? .emptyObject
            let terms =
                affinity.list("requiredDuringSchedulingIgnoredDuringExecution")
                + affinity.list("preferredDuringSchedulingIgnoredDuringExecution").compactMap { $0["podAffinityTerm"] }
            return terms.contains { !$0.list("namespaces").isEmpty || $0["namespaceSelector"] != nil }
        }
    }
}
