import Document
import Schema

/// Kinds that two API groups show under different field names. The store keeps one form, the core group's.
enum Conversion {
    /// events.k8s.io/v1 beside v1: the newer name, then the stored one.
    private static let eventFields = [
        ("regarding", "involvedObject"), ("note", "message"), ("reportingController", "reportingComponent"),
        ("deprecatedSource", "source"), ("deprecatedFirstTimestamp", "firstTimestamp"),
        ("deprecatedLastTimestamp", "lastTimestamp"), ("deprecatedCount", "count"),
    ]

    static func isNeeded(_ resource: ResourceInfo) -> Bool { resource.group == "events.k8s.io" }

    static func stored(_ object: Document, _ resource: ResourceInfo) -> Document {
        isNeeded(resource) ? renamed(object, eventFields) : object
    }

    static func shown(_ object: Document, _ resource: ResourceInfo) -> Document {
        guard isNeeded(resource) else { return object }
        var shown = renamed(object, eventFields.map { ($0.1, $0.0) })
        // The core group writes these even when they are empty.
        for field in ["reportingController", "reportingInstance"] where shown[field]?.string?.isEmpty == true {
            shown[field] = nil
        }
        return shown
    }

    private static func renamed(_ object: Document, _ names: [(String, String)]) -> Document {
        Document(
            members: object.members.map { member in
                (names.first { $0.0 == member.key }?.1 ?? member.key, member.value)
            })
    }
}
