import Document
import Schema

enum PriorityClassRules {
    private static let prefix = "system-"
    private static let highestUserPriority = 1_000_000_000
    private static let systemClasses = [
        "system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000,
    ]

    /// Only the cluster's own classes may bear a system's name or rank above the users'.
    static func systemNames(_ priority: Document) -> [FieldError] {
        let name = priority.text("metadata", "name") ?? ""
        let value = priority.number("value") ?? 0
        if name.hasPrefix(prefix) {
            let isKnown =
                systemClasses[name] == value && priority.flag("globalDefault") != true
            guard !isKnown else { return [] }
            let why: String
            if let wanted = systemClasses[name] {
                why =
                    value != wanted
                    ? "value of \(name) PriorityClass must be \(wanted)"
                    : "globalDefault of \(name) PriorityClass must be false"
            } else {
                why = "\(name) is not a known system priority class"
            }
            return [
                .forbidden(
                    "metadata.name",
                    "priority class names with '\(prefix)' prefix are reserved for system use only. error: \(why)")
            ]
        }
        guard value > highestUserPriority else { return [] }
        return [
            .forbidden(
                "value", "maximum allowed value of a user defined priority is \(highestUserPriority)")
        ]
    }

    static func unchanged(_ new: Document, old: Document) -> [FieldError] {
        var errors: [FieldError] = []
        if (new.number("value") ?? 0) != (old.number("value") ?? 0) {
            errors.append(.forbidden("value", "may not be changed in an update."))
        }
        if new.text("preemptionPolicy") != old.text("preemptionPolicy") {
            errors.append(.invalid("preemptionPolicy", new["preemptionPolicy"], "field is immutable"))
        }
        return errors
    }
}
