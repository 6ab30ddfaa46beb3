import Document
import Schema

/// A definition's spec as errors name its parts: what all versions have in common counts as said once for all.
struct DefinitionSpec {
    struct Version {
        var name: String
        var served: Bool
        var storage: Bool
        var deprecated: Bool
        var deprecationWarning: String?
        var schema: Document?
        var subresources: Document?
        var columns: [Document]
        var selectableFields: [Document]
    }

    let group: String
    let scope: String
    let names: Document
    let conversion: Document?
    let preservesUnknownFields: Bool
    var versions: [Version]
    /// Said once for all versions.
    var schema: Document?
    var subresources: Document?
    var columns: [Document] = []
    var selectableFields: [Document] = []

    init(_ definition: Document) {
        let spec = definition["spec"] ?? .emptyObject
        group = spec.text("group") ?? ""
        scope = spec.text("scope") ?? ""
        names = spec["names"] ?? .emptyObject
        conversion = spec["conversion"]
        preservesUnknownFields = spec.flag("preserveUnknownFields") ?? false
        versions = spec.list("versions").map { version in
            Version(
                name: version.text("name") ?? "", served: version.flag("served") ?? false,
                storage: version.flag("storage") ?? false, deprecated: version.flag("deprecated") ?? false,
                deprecationWarning: version.text("deprecationWarning"), schema: version["schema"],
                subresources: version["subresources"], columns: version.list("additionalPrinterColumns"),
                selectableFields: version.list("selectableFields"))
        }
        schema = hoist(\.schema)
        subresources = hoist(\.subresources)
        columns = hoistList(\.columns)
        selectableFields = hoistList(\.selectableFields)
    }

    private mutating func hoist(_ part: WritableKeyPath<Version, Document?>) -> Document? {
        guard let first = versions.first?[keyPath: part],
            versions.allSatisfy({ $0[keyPath: part].map { $0.means(first) } ?? false })
        else { return .none }
        for index in versions.indices { versions[index][keyPath: part] = .none }
        return .some(first)
    }

    private mutating func hoistList(_ part: WritableKeyPath<Version, [Document]>) -> [Document] {
        guard let first = versions.first?[keyPath: part], !first.isEmpty,
            versions.allSatisfy({ Document($0[keyPath: part]).means(Document(first)) })
        else { return [] }
        for index in versions.indices { versions[index][keyPath: part] = [] }
        return first
    }

    /// The schema of a version, wherever it is said.
    func schema(of version: Version) -> Document? { (version.schema ?? schema)?["openAPIV3Schema"] }

    func hasStatus(_ version: Version) -> Bool {
        (version.subresources ?? subresources)?["status"]?.isObject ?? false
    }
}

/// Checks a definition's spec.
struct DefinitionSpecRules {
    let spec: DefinitionSpec
    let old: DefinitionSpec?

    var errors: [FieldError] {
        var errors: [FieldError] = []
        if spec.group.isEmpty {
            errors.append(.required("spec.group"))
        } else {
            let faults = Formats.dnsSubdomain(spec.group)
            if !faults.isEmpty {
                errors.append(.invalid("spec.group", Document(spec.group), faults.joined(separator: ",")))
            } else if !spec.group.contains(".") {
                errors.append(
                    .invalid("spec.group", Document(spec.group), "should be a domain with at least one dot"))
            }
        }
        if spec.scope.isEmpty {
            errors.append(.required("spec.scope"))
        } else if !["Cluster", "Namespaced"].contains(spec.scope) {
            errors.append(.notSupported("spec.scope", Document(spec.scope), ["Cluster", "Namespaced"]))
        }
        errors += versions
        errors += names
        if let schema = spec.schema {
            let hasStatus = spec.versions.contains { spec.hasStatus($0) }
            errors += self.schema(schema, hasStatus: hasStatus, "spec.validation", version: spec.versions.first?.name)
        }
        errors += Self.subresources(spec.subresources, "spec.subresources")
        errors += Self.columns(spec.columns, "spec.additionalPrinterColumns")
        if !spec.selectableFields.isEmpty {
            if let schema = spec.schema?["openAPIV3Schema"] {
                errors += Self.selectable(
                    spec.selectableFields, StructuralSchema(schema), "spec.selectableFields")
            } else {
                errors.append(
                    .invalid(
                        "spec.selectableFields", "",
                        "selectableFields may only be set when validations.schema is included"))
            }
        }
        return errors + DefinitionConversion.errors(spec.conversion)
    }

    // MARK: Versions

    private var versions: [FieldError] {
        var errors: [FieldError] = []
        if spec.schema?["openAPIV3Schema"] == nil {
            for (index, version) in spec.versions.enumerated() where version.schema?["openAPIV3Schema"] == nil {
                errors.append(
                    .required("spec.versions[\(index)].schema.openAPIV3Schema", "schemas are required"))
            }
        }
        var names: Set<String> = []
        var isUnique = true
        for (index, version) in spec.versions.enumerated() {
            if !names.insert(version.name).inserted { isUnique = false }
            let faults = Formats.rfc1035Label(version.name)
            if !faults.isEmpty {
                errors.append(
                    .invalid(
                        "spec.versions[\(index)].name", Document(version.name), faults.joined(separator: ",")))
            }
            errors += self.version(version, "spec.versions[\(index)]")
        }
        if !isUnique {
            errors.append(
                .invalid("spec.versions", DefinitionForm.versions(spec), "must contain unique version names"))
        }
        if spec.versions.count(where: \.storage) != 1 {
            errors.append(
                .invalid(
                    "spec.versions", DefinitionForm.versions(spec),
                    "must have exactly one version marked as storage version"))
        }
        if let first = spec.versions.first?.name, !first.isEmpty {
            let faults = Formats.rfc1035Label(first)
            if !faults.isEmpty {
                errors.append(.invalid("spec.version", Document(first), faults.joined(separator: ",")))
            }
        }
        return errors
    }

    private func version(_ version: DefinitionSpec.Version, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        for fault in Self.warning(version) {
            errors.append(
                .invalid(path + ".deprecationWarning", Document(version.deprecationWarning ?? ""), fault))
        }
        if let schema = version.schema {
            errors += self.schema(
                schema, hasStatus: spec.hasStatus(version), path + ".schema", version: version.name)
        }
        errors += Self.subresources(version.subresources, path + ".subresources")
        errors += Self.columns(version.columns, path + ".additionalPrinterColumns")
        if !version.selectableFields.isEmpty {
            if let schema = version.schema?["openAPIV3Schema"] {
                errors += Self.selectable(
                    version.selectableFields, StructuralSchema(schema), path + ".selectableFields")
            } else {
                errors.append(
                    .invalid(
                        path + ".selectableFields", "",
                        "selectableFields may only be set when version.schema.openAPIV3Schema is not included"))
            }
        }
        return errors
    }

    private static func warning(_ version: DefinitionSpec.Version) -> [String] {
        guard let text = version.deprecationWarning else { return [] }
        if !version.deprecated { return ["can only be set for deprecated versions"] }
        var faults: [String] = []
        if text.utf8.count > 256 { faults.append("must be <= 256 characters long") }
        if text.isEmpty { faults.append("must not be an empty string") }
        var offset = 0
        for scalar in text.unicodeScalars {
            let isControl = scalar.properties.generalCategory == .control
            let isHidden =
                [.format, .privateUse, .surrogate, .unassigned, .lineSeparator, .paragraphSeparator].contains(
                    scalar.properties.generalCategory)
                || (scalar.properties.generalCategory == .spaceSeparator && scalar != " ")
            if isControl || isHidden {
                faults.append(
                    "must only contain printable UTF-8 characters; non-printable character found at index \(offset)")
                break
            }
            offset += UTF8.width(scalar)
        }
        return faults
    }

    private func schema(_ schema: Document, hasStatus: Bool, _ path: String, version: String?) -> [FieldError] {
        guard let root = schema["openAPIV3Schema"], root.isObject else { return [] }
        let before = old.flatMap { old in
            old.versions.first { $0.name == version }.flatMap { old.schema(of: $0) }
        }
        return DefinitionSchema.errors(root, hasStatus: hasStatus, old: before, path + ".openAPIV3Schema")
    }

    // MARK: Names, subresources, columns

    private var names: [FieldError] {
        ["plural", "singular", "kind", "listKind"].compactMap { field in
            (spec.names.text(field) ?? "").isEmpty ? .required("spec.names.\(field)") : nil
        } + DefinitionNames.errors(spec.names, "spec.names")
    }

    private static func subresources(_ subresources: Document?, _ path: String) -> [FieldError] {
        guard let scale = subresources?["scale"], scale.isObject else { return [] }
        var errors: [FieldError] = []
        func check(_ field: String, _ roots: [String], _ problem: String) {
            let here = "\(path).scale.\(field)"
            let text = scale.text(field) ?? ""
            if let fault = simplePath(text) {
                errors.append(.invalid(here, Document(text), fault))
            } else if !roots.contains(where: { text.hasPrefix(".\($0).") }) {
                errors.append(.invalid(here, Document(text), problem))
            }
        }
        for (field, root) in [("specReplicasPath", "spec"), ("statusReplicasPath", "status")] {
            if (scale.text(field) ?? "").isEmpty {
                errors.append(.required("\(path).scale.\(field)"))
            } else {
                check(field, [root], "should be a json path under .\(root)")
            }
        }
        if !(scale.text("labelSelectorPath") ?? "").isEmpty {
            check("labelSelectorPath", ["spec", "status"], "should be a json path under either .spec or .status")
        }
        return errors
    }

    private static func simplePath(_ text: String) -> String? {
        text.hasPrefix(".") ? nil : "must be a simple json path starting with ."
    }

    private static let columnTypes = ["boolean", "date", "integer", "number", "string"]
    private static let columnFormats = [
        "byte", "date", "date-time", "double", "float", "int32", "int64", "password",
    ]

    private static func columns(_ columns: [Document], _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        for (index, column) in columns.enumerated() {
            let here = "\(path)[\(index)]"
            let (type, format) = (column.text("type") ?? "", column.text("format") ?? "")
            let jsonPath = column.text("jsonPath") ?? ""
            if (column.text("name") ?? "").isEmpty { errors.append(.required(here + ".name")) }
            let types = "must be one of " + columnTypes.joined(separator: ",")
            if type.isEmpty {
                errors.append(.required(here + ".type", types))
            } else if !columnTypes.contains(type) {
                errors.append(.invalid(here + ".type", Document(type), types))
            }
            if !format.isEmpty, !columnFormats.contains(format) {
                errors.append(
                    .invalid(
                        here + ".format", Document(format), "must be one of " + columnFormats.joined(separator: ",")))
            }
            if jsonPath.isEmpty {
                errors.append(.required(here + ".JSONPath"))
            } else if let fault = simplePath(jsonPath) {
                errors.append(.invalid(here + ".JSONPath", Document(jsonPath), fault))
            }
        }
        return errors
    }

    private static let mostSelectableFields = 8

    private static func selectable(
        _ fields: [Document], _ schema: StructuralSchema, _ path: String
    ) -> [FieldError] {
        var errors: [FieldError] = []
        var seen: Set<String> = []
        for (index, field) in fields.enumerated() {
            let here = "\(path)[\(index)].jsonPath"
            let text = field.text("jsonPath") ?? ""
            if text.isEmpty {
                errors.append(.required(here))
                continue
            }
            let found: (names: [String], schema: StructuralSchema?)
            do { found = try FieldPath.resolve(text, in: schema, allowsIndices: false) } catch {
                errors.append(.invalid(here, Document(text), "is an invalid path: \(error)"))
                continue
            }
            if found.names.first == "metadata" {
                errors.append(.invalid(here, Document(text), "must not point to fields in metadata"))
            }
            if !["string", "boolean", "integer"].contains(found.schema?.type ?? "") {
                errors.append(
                    .invalid(
                        here, Document(text),
                        "must point to a field of type string, boolean or integer. Enum string fields and strings with "
                            + "formats are allowed."))
            }
            if !seen.insert(found.names.joined(separator: ".")).inserted {
                errors.append(.duplicate(here, Document(text)))
            }
        }
        if seen.count > mostSelectableFields {
            errors.append(
                FieldError(
                    .tooMany, path, "must have at most \(mostSelectableFields) items", badValue: Document(seen.count)))
        }
        return errors
    }
}

/// How objects change between versions.
enum DefinitionConversion {
    static func errors(_ conversion: Document?) -> [FieldError] {
        guard let conversion else { return [] }
        let path = "spec.conversion"
        var errors: [FieldError] = []
        let strategy = conversion.text("strategy") ?? ""
        if strategy.isEmpty {
            errors.append(.required(path + ".strategy"))
        } else if !["None", "Webhook"].contains(strategy) {
            errors.append(.notSupported(path + ".strategy", Document(strategy), ["None", "Webhook"]))
        }
        let client = conversion.at("webhook", "clientConfig")
        let versions = conversion.list("webhook", "conversionReviewVersions")
        let clientPath = path + ".webhookClientConfig"
        let versionsPath = path + ".conversionReviewVersions"
        guard strategy == "Webhook" else {
            let why = "should not be set when strategy is not set to Webhook"
            if client != nil { errors.append(.forbidden(clientPath, why)) }
            if !versions.isEmpty { errors.append(.forbidden(versionsPath, why)) }
            return errors
        }
        if let client {
            errors += WebhookRules.client(client, clientPath)
        } else {
            errors.append(.required(clientPath, "required when strategy is set to Webhook"))
        }
        return errors + reviewVersions(versions, versionsPath)
    }

    private static func reviewVersions(_ versions: [Document], _ path: String) -> [FieldError] {
        if versions.isEmpty { return [.required(path)] }
        var errors: [FieldError] = []
        var seen: Set<String> = []
        for (index, version) in versions.enumerated() {
            let name = version.string ?? ""
            guard seen.insert(name).inserted else {
                errors.append(.invalid("\(path)[\(index)]", version, "duplicate version"))
                continue
            }
            errors += Formats.rfc1035Label(name).map { .invalid("\(path)[\(index)]", version, $0) }
        }
        if seen.isDisjoint(with: ["v1", "v1beta1"]) {
            errors.append(.invalid(path, Document(versions), "must include at least one of v1, v1beta1"))
        }
        return errors
    }
}
