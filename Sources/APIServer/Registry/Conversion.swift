import Document
import Kinds
import Schema

/// Kinds that clients see in two forms. The store keeps one: the core group's events, the newer autoscalers.
enum Conversion {
    /// events.k8s.io/v1 beside v1: the newer name, then the stored one.
    private static let eventFields = [
        ("regarding", "involvedObject"), ("note", "message"), ("reportingController", "reportingComponent"),
        ("deprecatedSource", "source"), ("deprecatedFirstTimestamp", "firstTimestamp"),
        ("deprecatedLastTimestamp", "lastTimestamp"), ("deprecatedCount", "count"),
    ]

    static func isNeeded(_ resource: ResourceInfo) -> Bool {
        resource.group == "events.k8s.io" || isOlderAutoscaler(resource)
    }

    private static func isOlderAutoscaler(_ resource: ResourceInfo) -> Bool {
        resource.version == "v1" && resource.group == "autoscaling"
    }

    static func stored(_ object: Document, _ resource: ResourceInfo) -> Document {
        guard isNeeded(resource) else { return object }
        guard isOlderAutoscaler(resource) else { return renamed(object, eventFields) }
        var newer = AutoscalerConversion.newer(object)
        if let resource = Kinds.registry.resource(group: "autoscaling", version: "v2", plural: resource.plural) {
            Kinds.applyDefaults(to: &newer, resource: resource)
        }
        return newer
    }

    static func shown(_ object: Document, _ resource: ResourceInfo) -> Document {
        guard isNeeded(resource) else { return object }
        if isOlderAutoscaler(resource) { return AutoscalerConversion.older(object) }
        var shown = renamed(object, eventFields.map { ($0.1, $0.0) })
        // The core group writes these even when they are empty.
        for field in ["reportingController", "reportingInstance"] where shown[field]?.string?.isEmpty == true {
            shown[field] = nil
        }
        return shown
    }

    /// The metadata without what a version only adds to say what it has no field for: so it stands in tables, and where
    /// metadata alone is asked for.
    static func ownMetadata(_ object: Document, _ resource: ResourceInfo) -> Document {
        if resource.kind == "DaemonSet", resource.group == "apps" {
            return DaemonSetGeneration.removed(from: object)["metadata"] ?? .emptyObject
        }
        if isOlderAutoscaler(resource) {
            return AutoscalerConversion.withoutAnnotations(object)["metadata"] ?? .emptyObject
        }
        return object["metadata"] ?? .emptyObject
    }

    private static func renamed(_ object: Document, _ names: [(String, String)]) -> Document {
        Document(
            members: object.members.map { member in
                (names.first { $0.0 == member.key }?.1 ?? member.key, member.value)
            })
    }
}
