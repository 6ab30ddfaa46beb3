import Document
import Schema

/// The devices that a claim asks for.
enum DeviceClaims {
    /// What is asked for never changes.
    static func unchanged(
        _ new: Document?, _ old: Document?, shown: (Document) -> Document
    ) -> [FieldError] {
        let (new, old) = (new ?? .emptyObject, old ?? .emptyObject)
        return new.means(old) ? [] : [.invalid("spec", shown(new), "field is immutable")]
    }

    // MARK: Defaults

    static func complete(_ claim: Document) -> Document {
        guard let requests = claim["requests"], requests.isArray else { return claim }
        var result = claim
        result["requests"] = Document(
            requests.elements.map { request in
                var request = request
                if let exactly = request["exactly"], exactly.isObject { request["exactly"] = counted(exactly) }
                if let list = request["firstAvailable"], list.isArray {
                    request["firstAvailable"] = Document(list.elements.map(counted))
                }
                return request
            })
        return result
    }

    private static func counted(_ request: Document) -> Document {
        var request = request
        if (request.text("allocationMode") ?? "").isEmpty { request["allocationMode"] = "ExactCount" }
        if request.text("allocationMode") == "ExactCount", (request.number("count") ?? 0) == 0 {
            request["count"] = 1
        }
        return request
    }

    // MARK: Validation

    /// The names that constraints and configurations may refer to: `request` and `request/alternative`.
    static func names(_ claim: Document?) -> Set<String> {
        var names: Set<String> = []
        for request in claim?.list("requests") ?? [] {
            let name = request.text("name") ?? ""
            names.insert(name)
            for alternative in request.list("firstAvailable") {
                names.insert("\(name)/\(alternative.text("name") ?? "")")
            }
        }
        return names
    }

    static func validate(_ claim: Document?, _ path: String) -> [FieldError] {
        let names = names(claim)
        var errors = ResourceLists.set(
            claim?["requests"], 32, path + ".requests", key: { $0["name"] ?? "" }, { request($0, $1) })
        errors += ResourceLists.slice(claim?["constraints"], 32, path + ".constraints") {
            constraint($0, $1, names)
        }
        errors += ResourceLists.slice(claim?["config"], 32, path + ".config") { config, here in
            references(config["requests"], here + ".requests", names) + DeviceConfiguration.validate(config, here)
        }
        return errors
    }

    private static func request(_ request: Document, _ path: String) -> [FieldError] {
        var errors = ResourceNames.label(request.text("name") ?? "", path + ".name")
        let alternatives = request["firstAvailable"]?.count ?? 0 > 0
        let exactly = request["exactly"].flatMap { $0.isObject ? $0 : .none }
        switch (exactly, alternatives) {
        case (.none, false):
            errors.append(.required(path, "exactly one of `exactly` or `firstAvailable` is required"))
        case (.some, true):
            errors.append(
                .invalid(
                    path, .null,
                    "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set"))
        case (.some(let exactly), false): errors += devices(exactly, path + ".exactly")
        case (.none, true):
            errors += ResourceLists.set(
                request["firstAvailable"], 8, path + ".firstAvailable", key: { $0["name"] ?? "" },
                { ResourceNames.label($0.text("name") ?? "", $1 + ".name") + devices($0, $1) })
        }
        return errors
    }

    private static func devices(_ request: Document, _ path: String) -> [FieldError] {
        var errors = ResourceNames.deviceClass(request.text("deviceClassName") ?? "", path + ".deviceClassName")
        errors += DeviceSelectors.validate(request["selectors"], path + ".selectors")
        let count = request.number("count") ?? 0
        switch request.text("allocationMode") ?? "" {
        case "All":
            if count != 0 {
                errors.append(
                    .invalid(
                        path + ".count", Document(count), "must not be specified when allocationMode is 'All'"))
            }
        case "ExactCount":
            if count <= 0 { errors.append(.invalid(path + ".count", Document(count), "must be greater than zero")) }
        default:
            errors.append(.notSupported(path + ".allocationMode", request["allocationMode"], ["All", "ExactCount"]))
        }
        errors += DeviceTaints.tolerations(request["tolerations"], path + ".tolerations")
        return errors
    }

    private static func constraint(_ constraint: Document, _ path: String, _ names: Set<String>) -> [FieldError] {
        var errors = references(constraint["requests"], path + ".requests", names)
        if let name = constraint.text("matchAttribute") {
            errors += ResourceNames.fullyQualified(name, path + ".matchAttribute")
        } else if let name = constraint.text("distinctAttribute") {
            errors += ResourceNames.fullyQualified(name, path + ".distinctAttribute")
        } else {
            errors.append(
                .required(
                    path,
                    "exactly one of \"matchAttribute\" or \"distinctAttribute\" is required, but multiple fields are "
                        + "set"))
        }
        return errors
    }

    static func references(_ list: Document?, _ path: String, _ names: Set<String>) -> [FieldError] {
        ResourceLists.set(list, 32, path, key: { $0 }, { reference($0.string ?? "", $1, names) })
    }

    static func reference(_ name: String, _ path: String, _ names: Set<String>) -> [FieldError] {
        let unknown = FieldError.invalid(
            path, Document(name),
            "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'")
        let segments = name.split(separator: "/", omittingEmptySubsequences: false)
        if segments.count > 2 { return [unknown] }
        return segments.flatMap { ResourceNames.label(String($0), path) } + (names.contains(name) ? [] : [unknown])
    }
}

/// Expressions that choose devices.
enum DeviceSelectors {
    static func validate(_ list: Document?, _ path: String) -> [FieldError] {
        ResourceLists.slice(list, 32, path) { selector, here in
            guard let cel = selector["cel"], cel.isObject else { return [.required(here + ".cel")] }
            return DeviceExpressions.check(cel.text("expression") ?? "", here + ".cel.expression")
        }
    }
}

/// Configuration that only the driver understands.
enum DeviceConfiguration {
    static let parametersLimit = 10 * 1024

    static func validate(_ config: Document, _ path: String) -> [FieldError] {
        guard let opaque = config["opaque"], opaque.isObject else { return [.required(path + ".opaque")] }
        return ResourceNames.driver(opaque.text("driver") ?? "", path + ".opaque.driver")
            + raw(opaque["parameters"], parametersLimit, path + ".opaque.parameters")
    }

    static func raw(_ value: Document?, _ limit: Int, _ path: String) -> [FieldError] {
        guard let value, !value.isNull else { return [.required(path)] }
        if value.json.count > limit { return [.tooLong(path, limit: limit)] }
        return value.isObject ? [] : [.invalid(path, "<value omitted>", "must be a valid JSON object")]
    }
}

/// Taints of devices, and what accepts them.
enum DeviceTaints {
    private static let effects = ["NoExecute", "NoSchedule", "None"]

    static func taint(_ taint: Document, _ path: String) -> [FieldError] {
        let (key, value, effect) = (taint.text("key") ?? "", taint.text("value") ?? "", taint.text("effect") ?? "")
        var errors: [FieldError] = Formats.qualifiedName(key).map { .invalid(path + ".key", Document(key), $0) }
        errors += Formats.labelValue(value).map { .invalid(path + ".value", Document(value), $0) }
        if effect.isEmpty {
            errors.append(.required(path + ".effect"))
        } else if !effects.contains(effect) {
            errors.append(.notSupported(path + ".effect", Document(effect), effects))
        }
        return errors
    }

    static func tolerations(_ list: Document?, _ path: String) -> [FieldError] {
        ResourceLists.slice(list, 16, path) { toleration($0, $1) }
    }

    private static func toleration(_ toleration: Document, _ path: String) -> [FieldError] {
        let (key, value) = (toleration.text("key") ?? "", toleration.text("value") ?? "")
        var errors: [FieldError] =
            key.isEmpty ? [] : Formats.qualifiedName(key).map { .invalid(path + ".key", Document(key), $0) }
        switch toleration.text("operator") ?? "" {
        case "Exists":
            if !value.isEmpty {
                errors.append(.invalid(path + ".value", Document(value), "must be empty for operator `Exists`"))
            }
        case "Equal": errors += Formats.labelValue(value).map { .invalid(path + ".value", Document(value), $0) }
        case "": errors.append(.required(path + ".operator"))
        default:
            errors.append(.notSupported(path + ".operator", toleration["operator"], ["Equal", "Exists"]))
        }
        if let effect = toleration.text("effect"), !effect.isEmpty, !effects.contains(effect) {
            errors.append(.notSupported(path + ".effect", Document(effect), effects))
        }
        return errors
    }
}
