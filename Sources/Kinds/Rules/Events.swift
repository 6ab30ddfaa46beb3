import Document
import Schema

extension KindRules {
    /// Events of the core group have to get through, so little is demanded of them.
    static let event: KindRules = {
        var rules = KindRules()
        rules.nameSyntax = .anything
        rules.validateCreate = { EventRules.validate($0, form: .core) }
        rules.selectableFields = { EventRules.fields($0) }
        rules.cells = { EventColumns.cells($0, now: $1) }
        return rules
    }()

    /// Events of their own group are written once and only counted after that.
    static let strictEvent: KindRules = {
        var rules = KindRules()
        rules.validateCreate = { EventRules.validate($0, form: .own) }
        rules.validateNew = { EventRules.validateNew($0) }
        rules.validateUpdate = { EventRules.change($0, old: $1) }
        rules.selectableFields = { EventRules.fields($0) }
        rules.cells = { EventColumns.cells($0, now: $1) }
        return rules
    }()
}

enum EventRules {
    /// The two groups show the same event under different names. Messages name the fields as the core group does.
    enum Form: Sendable {
        case core, own

        func name(_ core: String, _ own: String) -> String { self == .core ? core : own }
    }

    private static let limits = (instance: 128, action: 128, reason: 128, note: 1024)

    /// Both forms of the kind keep the object and the source under their own names.
    static func fields(_ event: Document) -> [(String, String)] {
        let object = event["involvedObject"] ?? event["regarding"] ?? .emptyObject
        let source = event["source"] ?? event["deprecatedSource"] ?? .emptyObject
        let isCore = event["involvedObject"] != nil
        let prefix = isCore ? "involvedObject" : "regarding"
        var fields = ["kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"].map {
            ("\(prefix).\($0)", object.text($0) ?? "")
        }
        let reporter = event.text("reportingController") ?? event.text("reportingComponent") ?? ""
        let component = source.text("component") ?? ""
        fields.append(("reason", event.text("reason") ?? ""))
        fields.append((isCore ? "reportingComponent" : "reportingController", reporter))
        if isCore { fields.append(("source", component.isEmpty ? reporter : component)) }
        fields.append(("type", event.text("type") ?? ""))
        return fields
    }

    static func validate(_ event: Document, form: Form) -> [FieldError] {
        let namespace = event.text("metadata", "namespace") ?? ""
        let object = event[form.name("involvedObject", "regarding")]?.text("namespace") ?? ""
        func misplaced() -> FieldError {
            .invalid("involvedObject.namespace", Document(object), "does not match event.namespace")
        }
        guard event.text("eventTime") != nil else {
            let isRight = object.isEmpty ? namespace.isEmpty || namespace == "default" : namespace == object
            return isRight ? [] : [misplaced()]
        }
        var errors: [FieldError] = []
        if object.isEmpty, namespace != "default", namespace != "kube-system" { errors.append(misplaced()) }
        let member = form.name("reportingComponent", "reportingController")
        let reporter = event.text(member) ?? ""
        if reporter.isEmpty { errors.append(.required(member)) }
        errors += Formats.qualifiedName(reporter).map { .invalid(member, Document(reporter), $0) }
        for (field, limit) in [
            ("reportingInstance", limits.instance), ("action", limits.action), ("reason", limits.reason),
        ] {
            let text = event.text(field) ?? ""
            if text.isEmpty { errors.append(.required(field)) }
            errors += length(text, field, limit)
        }
        return errors + length(event.text(form.name("message", "note")) ?? "", "message", limits.note)
    }

    private static func length(_ text: String, _ path: String, _ limit: Int) -> [FieldError] {
        text.utf8.count > limit ? [.invalid(path, "", "can have at most \(limit) characters")] : []
    }

    static func validateNew(_ event: Document) -> [FieldError] {
        var errors = series(event)
        if event.text("eventTime") == nil { errors.append(.required("eventTime")) }
        let type = event.text("type") ?? ""
        if type != "Normal", type != "Warning" { errors.append(.invalid("type", "", "has invalid value: \(type)")) }
        let old = ["firstTimestamp", "lastTimestamp", "count", "source"]
        for (field, member) in zip(old, old.map { "deprecated" + $0.prefix(1).uppercased() + $0.dropFirst() }) {
            guard let value = event[member], !value.isNull, value.count > 0 || !value.isObject, value.int != 0 else {
                continue
            }
            errors.append(.invalid(field, "", "needs to be unset"))
        }
        return errors
    }

    private static func series(_ event: Document) -> [FieldError] {
        guard let series = event["series"], series.isObject else { return [] }
        var errors: [FieldError] = []
        if (series.number("count") ?? 0) < 2 { errors.append(.invalid("series.count", "", "should be at least 2")) }
        if series.text("lastObservedTime") == nil { errors.append(.required("series.lastObservedTime")) }
        return errors
    }

    /// The fields that stay, as messages name them, beside their own names; the reason is looked at twice.
    private static let fixed = [
        ("involvedObject", "regarding"), ("reason", "reason"), ("message", "note"), ("source", "deprecatedSource"),
        ("firstTimestamp", "deprecatedFirstTimestamp"), ("lastTimestamp", "deprecatedLastTimestamp"),
        ("count", "deprecatedCount"), ("reason", "reason"), ("type", "type"), ("eventTime", "eventTime"),
        ("action", "action"), ("related", "related"), ("reportingController", "reportingController"),
        ("reportingInstance", "reportingInstance"),
    ]

    static func change(_ new: Document, old: Document) -> [FieldError] {
        let isSame = Equality.semantic(new["series"] ?? .null, old["series"] ?? .null)
        return (isSame ? [] : series(new))
            + fixed.compactMap { shown, member in
                let (value, before) = (new[member] ?? .null, old[member] ?? .null)
                if Equality.semantic(value, before) || isZero(value) && isZero(before) { return nil }
                return .invalid(shown, value, "field is immutable")
            }
    }

    private static func isZero(_ value: Document) -> Bool { value.isNull || value.string == "" || value.int == 0 }
}
