import Document
import Schema

extension KindRules {
    static let lease: KindRules = {
        var rules = KindRules()
        rules.prepareForCreate = { lease, _ in LeaseRules.dropCoordination(&lease, old: nil) }
        rules.prepareForUpdate = { lease, old, _ in LeaseRules.dropCoordination(&lease, old: old) }
        rules.validateCreate = { LeaseRules.validate($0) }
        rules.cells = { [$0.at("spec", "holderIdentity") ?? "", Cells.age($0, now: $1)] }
        return rules
    }()
}

enum LeaseRules {
    /// The server does not choose holders by a strategy, so only what is stored already stays.
    static func dropCoordination(_ lease: inout Document, old: Document?) {
        guard lease["spec"]?.isObject == true else { return }
        if old?.at("spec", "strategy") != nil || old?.at("spec", "preferredHolder") != nil { return }
        for field in ["strategy", "preferredHolder"] where lease.at("spec", field) != nil {
            lease.set(nil, at: "spec", field)
        }
    }

    static func validate(_ lease: Document) -> [FieldError] {
        guard let holder = lease.text("spec", "preferredHolder"), !holder.isEmpty,
            (lease.text("spec", "strategy") ?? "").isEmpty
        else { return [] }
        return [.forbidden("spec.preferredHolder", "may only be specified if `strategy` is defined")]
    }
}
