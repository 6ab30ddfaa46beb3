import Document

/// One version of a resource that a CustomResourceDefinition declares, beyond what every resource has.
public final class CustomVersion: Sendable {
    public struct Column: Sendable {
        public let column: TableColumn
        public let path: JSONPath?
    }

    public struct ScalePaths: Sendable {
        public let specReplicas: [String]
        public let statusReplicas: [String]
        public let labelSelector: [String]?
    }

    /// The definition's name, `widgets.example.com`.
    public let definition: String
    public let listKind: String
    public let schema: StructuralSchema
    /// The type of lists.
    let listType: TypeInfo
    /// The version in which objects are stored.
    public let storageVersion: String
    /// `None` or `Webhook`, with the settings.
    public let conversion: Document
    public let columns: [Column]
    /// The paths of fields that field selectors may name, without the dot in front.
    public let selectableFields: [String]
    public let scale: ScalePaths?
    /// What users of the version are told.
    public let deprecationWarning: String?

    /// - definition: a whole CustomResourceDefinition.
    /// - version: one of its `spec.versions`.
    init(definition: Document, version: Document, schema: StructuralSchema, listType: TypeInfo) {
        self.schema = schema
        self.listType = listType
        let kind = definition.text("spec", "names", "kind") ?? ""
        let group = definition.text("spec", "group") ?? ""
        self.definition = definition.text("metadata", "name") ?? ""
        listKind = definition.text("spec", "names", "listKind") ?? kind + "List"
        let versions = definition.list("spec", "versions")
        let name = version.text("name") ?? ""
        storageVersion = versions.first { $0.flag("storage") == true }?.text("name") ?? name
        conversion = definition.at("spec", "conversion") ?? ["strategy": "None"]
        columns = Self.columns(version.list("additionalPrinterColumns"))
        selectableFields = version.list("selectableFields").compactMap {
            $0.text("jsonPath").map { String($0.drop { $0 == "." }) }
        }
        scale = version.at("subresources", "scale").flatMap { scale in
            scale.isObject ? Self.scale(scale) : nil
        }
        if version.flag("deprecated") == true {
            deprecationWarning = version.text("deprecationWarning") ?? "\(group)/\(name) \(kind) is deprecated"
        } else {
            deprecationWarning = nil
        }
    }

    private static func scale(_ scale: Document) -> ScalePaths {
        func path(_ name: String) -> [String] {
            (scale.text(name) ?? "").split(separator: ".").map(String.init)
        }
        let selector = path("labelSelectorPath")
        return ScalePaths(
            specReplicas: path("specReplicasPath"), statusReplicas: path("statusReplicasPath"),
            labelSelector: selector.isEmpty ? nil : selector)
    }

    private static func columns(_ given: [Document]) -> [Column] {
        var columns = given
        // Without columns of its own a table shows the age.
        if columns.isEmpty {
            let age: Document = ["name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"]
            columns = [age]
        }
        return columns.map { column in
            let path = column.text("jsonPath") ?? ""
            let text = column.text("description") ?? ""
            let shown =
                text.isEmpty
                ? "Custom resource definition column (in JSONPath format): \(path)" : text
            return Column(
                column: TableColumn(
                    name: column.text("name") ?? "", type: column.text("type") ?? "",
                    format: column.text("format") ?? "", description: shown,
                    priority: column.number("priority") ?? 0),
                path: try? JSONPath(path))
        }
    }

    /// The resource as the registry knows it.
    public static func resource(
        definition: Document, version: Document, metadata: TypeID, listMetadata: TypeID, scaleType: TypeID?,
        rules: (StructuralSchema) -> (any CustomRules)?
    ) -> ResourceInfo {
        let names = definition.at("status", "acceptedNames") ?? .emptyObject
        let (group, name) = (definition.text("spec", "group") ?? "", version.text("name") ?? "")
        let kind = definition.text("spec", "names", "kind") ?? ""
        let schema = StructuralSchema(version.at("schema", "openAPIV3Schema") ?? .emptyObject)
        let type = TypeInfo.custom(
            kind: kind, group: group, version: name, schema: schema, metadata: metadata,
            rules: schema.hasRules ? rules(schema) : nil)
        var resource = ResourceInfo(
            group: group, version: name, plural: definition.text("spec", "names", "plural") ?? "",
            singular: names.text("singular") ?? kind.lowercased(), kind: kind,
            namespaced: definition.text("spec", "scope") == "Namespaced", type: type)
        let listKind = definition.text("spec", "names", "listKind") ?? kind + "List"
        let custom = CustomVersion(
            definition: definition, version: version, schema: schema,
            listType: .customList(of: type.info, kind: listKind, metadata: listMetadata))
        resource.shortNames = names.list("shortNames").compactMap(\.string)
        resource.categories = names.list("categories").compactMap(\.string)
        resource.verbs = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"]
        resource.generation = true
        let verbs = ["get", "patch", "update"]
        if version.at("subresources", "status")?.isObject == true {
            resource.subresources.append(
                SubresourceInfo(name: "status", verbs: verbs, group: group, version: name, kind: kind, type: type))
        }
        if custom.scale != nil {
            resource.subresources.append(
                SubresourceInfo(
                    name: "scale", verbs: verbs, group: "autoscaling", version: "v1", kind: "Scale", type: scaleType))
        }
        resource.columns =
            [TableColumn(name: "Name", type: "string", format: "name", description: "Name of the object.")]
            + custom.columns.map(\.column)
        resource.custom = custom
        return resource
    }
}
