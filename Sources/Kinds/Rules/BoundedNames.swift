import Document
import Schema

/// The names of resources that are bounded: of containers, of pods, of whole namespaces.
enum BoundedNames {
    private static let containerNames: Set = ["cpu", "memory", "ephemeral-storage"]
    private static let counts: Set = [
        "pods", "resourcequotas", "services", "replicationcontrollers", "secrets", "configmaps",
        "persistentvolumeclaims", "services.nodeports", "services.loadbalancers",
    ]
    private static let quotaNames = containerNames.union(counts).union([
        "requests.cpu", "requests.memory", "requests.storage", "requests.ephemeral-storage", "limits.cpu",
        "limits.memory", "limits.ephemeral-storage",
    ])

    private static func isHugePages(_ name: String) -> Bool {
        name.hasPrefix("hugepages-") || name.hasPrefix("requests.hugepages-")
    }

    static func isStandardQuota(_ name: String) -> Bool { quotaNames.contains(name) || isHugePages(name) }

    private static func isNative(_ name: String) -> Bool { !name.contains("/") || name.contains("kubernetes.io/") }

    /// What nodes offer beyond what Kubernetes knows, under a name with a domain.
    private static func isExtended(_ name: String) -> Bool {
        !isNative(name) && !name.hasPrefix("requests.") && Formats.qualifiedName("requests." + name).isEmpty
    }

    /// Whether it comes in whole units only.
    static func isWhole(_ name: String) -> Bool { counts.contains(name) || isExtended(name) }

    static func mayOvercommit(_ name: String) -> Bool { isNative(name) && !name.hasPrefix("hugepages-") }

    static func any(_ name: String, _ path: String) -> [FieldError] {
        let wrong = Formats.qualifiedName(name)
        if !wrong.isEmpty { return wrong.map { .invalid(path, Document(name), $0) } }
        if name.contains("/") || name == "storage" || isStandardQuota(name) { return [] }
        return [.invalid(path, Document(name), "must be a standard resource type or fully qualified")]
    }

    static func quota(_ name: String, _ path: String) -> [FieldError] {
        let errors = any(name, path)
        if name.contains("/") || isStandardQuota(name) { return errors }
        return errors + [.invalid(path, Document(name), "must be a standard resource for quota")]
    }

    static func container(_ name: String, _ path: String) -> [FieldError] {
        let errors = any(name, path)
        if !name.contains("/") {
            if containerNames.contains(name) || name.hasPrefix("hugepages-") { return errors }
            return errors + [.invalid(path, Document(name), "must be a standard resource for containers")]
        }
        if isNative(name) || isExtended(name) { return errors }
        return errors + [.invalid(path, Document(name), "doesn't follow extended resource name standard")]
    }

    static func limitType(_ type: String, _ path: String) -> [FieldError] {
        let wrong = Formats.qualifiedName(type)
        if !wrong.isEmpty { return wrong.map { .invalid(path, Document(type), $0) } }
        if type.contains("/") || ["Pod", "Container", "PersistentVolumeClaim"].contains(type) { return [] }
        return [.invalid(path, Document(type), "must be a standard limit type or fully qualified")]
    }
}
