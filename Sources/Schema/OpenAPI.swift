import Document

// OpenAPI: the declared types as JSON schemas, and the requests that the resources answer.
//
// Clients use two forms. Version 3 comes one document per group version, shows defaults, and wraps references that
// have siblings in `allOf`; version 2 is one document for everything, with bare references.

extension Registry {
    /// The OpenAPI 3 document of one group version: its types, all types that they use, and its paths.
    public func openAPIv3(group: String, version: String) -> Document {
        let generator = OpenAPISchemas(form: .three, resources: resources(group: group, version: version))
        let paths = OpenAPIPaths(form: .three)
        var roots = types(group: group, version: version)
        roots += types(group: "meta", version: "v1").filter {
            ["DeleteOptions", "Status", "WatchEvent"].contains($0.name)
        }
        for resource in resources(group: group, version: version) {
            if let custom = resource.custom { roots += [resource.type.info, custom.listType] }
            roots += resource.subresources.compactMap { $0.type?.info }
        }
        return [
            "openapi": "3.0.0", "info": ["title": "Kubernetes", "version": "unversioned"],
            "paths": Document(
                members: [paths.resourceIndex(group: group, version: version)].map { ($0.0, $0.1) }
                    + paths.all(of: resources(group: group, version: version)).members.map { ($0.key, $0.value) }),
            "components": [
                "schemas": generator.schemas(from: roots),
                "securitySchemes": ["BearerToken": OpenAPISchemas.bearerToken],
            ],
        ]
    }

    /// The OpenAPI 2 document of everything.
    private var openAPIv2Paths: [(String, Document)] {
        let paths = OpenAPIPaths(form: .two)
        let versions = groupVersions
        return OpenAPIPaths.indexes(of: versions).map(paths.index)
            + versions.map { paths.resourceIndex(group: $0.group, version: $0.version) }
            + paths.all(of: resources).members.map { ($0.key, $0.value) }
    }

    /// The names of the OpenAPI 3 documents about discovery itself, such as `apis` and `apis/apps`.
    public var openAPIIndexes: [String] { OpenAPIPaths.indexes(of: groupVersions) }

    /// The OpenAPI 3 document of one of `openAPIIndexes`.
    public func openAPIv3(index name: String) -> Document {
        let path = OpenAPIPaths(form: .three).index(name)
        let generator = OpenAPISchemas(form: .three, resources: [])
        let names = ["APIVersions", "APIGroupList", "APIGroup"]
        let roots = types(group: "meta", version: "v1").filter { names.contains($0.name) }
        var schemas = generator.schemas(from: roots)
        if name == "version" { schemas[OpenAPISchemas.machinery + "version.Info"] = OpenAPISchemas.versionInfo }
        return [
            "openapi": "3.0.0", "info": ["title": "Kubernetes", "version": "unversioned"],
            "paths": Document(members: [path]),
            "components": [
                "schemas": schemas,
                "securitySchemes": ["BearerToken": OpenAPISchemas.bearerToken],
            ],
        ]
    }

    public func openAPIv2() -> Document {
        let all = resources
        let generator = OpenAPISchemas(form: .two, resources: all)
        var roots = groupVersions.flatMap { types(group: $0.group, version: $0.version) }
        for resource in all { if let custom = resource.custom { roots += [resource.type.info, custom.listType] } }
        return [
            "swagger": "2.0", "info": ["title": "Kubernetes", "version": "unversioned"],
            "paths": Document(members: openAPIv2Paths.sorted { $0.0 < $1.0 }),
            "parameters": Parameter.declarations,
            "definitions": generator.schemas(from: roots + types(group: "meta", version: "v1")),
            "securityDefinitions": ["BearerToken": OpenAPISchemas.bearerToken],
            "security": [["BearerToken": []]],
        ]
    }
}

enum OpenAPIForm {
    case two, three

    func reference(_ name: String) -> Document {
        let prefix = self == .two ? "#/definitions/" : "#/components/schemas/"
        return ["$ref": Document(prefix + name)]
    }
}

struct OpenAPISchemas {
    let form: OpenAPIForm
    let resources: [ResourceInfo]

    static let bearerToken: Document = [
        "type": "apiKey", "in": "header", "name": "authorization", "description": "Bearer Token authentication",
    ]

    static let machinery = "io.k8s.apimachinery.pkg."
    static let metaPackage = machinery + "apis.meta.v1."

    /// The schemas of these types and of all that they refer to, sorted by name.
    func schemas(from roots: [TypeInfo]) -> Document {
        var found: [String: Document] = [:]
        var pending = roots
        while let type = pending.popLast() {
            guard found[type.fullName] == nil else { continue }
            found[type.fullName] = schema(of: type)
            for field in type.fields { Self.collect(field.shape, into: &pending) }
        }
        for (name, schema) in wellKnown { found[name] = schema }
        return Document(members: found.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
    }

    private static func collect(_ shape: Shape, into types: inout [TypeInfo]) {
        switch shape {
        case .object(let type): types.append(type)
        case .list(let element), .map(let element): collect(element, into: &types)
        default: break
        }
    }

    private func schema(of type: TypeInfo) -> Document {
        if let custom = type.custom { return schema(of: type, custom) }
        var schema: Document = ["type": "object"]
        if !type.documentation.isEmpty { schema["description"] = Document(type.documentation) }
        let fields = type.fields.sorted { $0.name < $1.name }
        if !fields.isEmpty { schema["properties"] = Document(members: fields.map { ($0.name, property($0)) }) }
        var required = type.fields.filter(\.isRequired).map(\.name)
        if !type.requiredOrder.isEmpty { required = type.requiredOrder.filter(required.contains) }
        if !required.isEmpty { schema["required"] = Document(required) }
        if type.isAtomic { schema["x-kubernetes-map-type"] = "atomic" }
        if let union = type.union {
            var entry: Document = [:]
            if !union.discriminator.isEmpty { entry["discriminator"] = Document(union.discriminator) }
            entry["fields-to-discriminateBy"] = Document(members: union.fields.map { ($0.field, Document($0.value)) })
            schema["x-kubernetes-unions"] = [entry]
        }
        let kinds = groupVersionKinds(of: type)
        if !kinds.isEmpty { schema["x-kubernetes-group-version-kind"] = Document(kinds) }
        return schema
    }

    /// A custom kind is published as it is written, with the fields that every object has.
    private func schema(of type: TypeInfo, _ custom: CustomType) -> Document {
        var schema = form == .three ? custom.schema.text : PublishedSchema.version2(custom.schema.text)
        var properties = schema["properties"] ?? .emptyObject
        for name in ["apiVersion", "kind"] where properties[name]?["description"] == nil {
            properties[name] = [
                "type": "string",
                "description": name == "kind" ? "Kind of this object." : "Group and version of this object's form.",
            ]
        }
        let reference = form.reference(Self.metaPackage + "ObjectMeta")
        let text: Document = "Name, labels and bookkeeping."
        if form == .three {
            properties["metadata"] = ["allOf": [reference], "description": text]
        } else {
            var field = reference
            field["description"] = text
            properties["metadata"] = field
        }
        schema["properties"] = properties
        if schema["type"] == nil { schema["type"] = "object" }
        schema["x-kubernetes-group-version-kind"] = Document(groupVersionKinds(of: type))
        return schema
    }

    private func groupVersionKinds(of type: TypeInfo) -> [Document] {
        func entry(_ group: String, _ version: String) -> Document {
            ["group": Document(group), "kind": Document(type.name), "version": Document(version)]
        }
        if type.group == "meta" {
            switch type.name {
            case "Status", "APIGroup", "APIGroupList", "APIResourceList", "APIVersions": return [entry("", "v1")]
            case "DeleteOptions", "WatchEvent":
                let versions = Set(resources.map { GroupVersion(group: $0.group, version: $0.version) })
                return versions.sorted { ($0.group, $0.version) < ($1.group, $1.version) }
                    .map { entry($0.group, $0.version) }
            default: return []
            }
        }
        return type.isObject || type.isList ? [entry(type.group, type.version)] : []
    }

    private struct GroupVersion: Hashable {
        let group: String
        let version: String
    }

    private func property(_ field: FieldInfo) -> Document {
        var schema = field.publishedAs.isEmpty ? shape(field.shape) : published(field)
        let isReference = schema["$ref"] != nil
        var extras: [(String, Document)] = []
        if form == .three, let value = shownDefault(field) { extras.append(("default", value)) }
        if !field.shownValues.isEmpty {
            if case .list = field.shape {
                schema.set(Document(field.shownValues), at: "items", "enum")
            } else {
                extras.append(("enum", Document(field.shownValues)))
            }
        }
        if !field.documentation.isEmpty { extras.append(("description", Document(field.documentation))) }
        extras += listExtensions(field)
        if form == .three, isReference { schema = ["allOf": [schema]] }
        for (name, value) in extras { schema[name] = value }
        return schema
    }

    /// What stands there without being given, as far as it is part of the type and not of the server's behaviour.
    private func shownDefault(_ field: FieldInfo) -> Document? {
        if field.publishesDefault { return field.defaultValue }
        if case .structure = field.fill { return .emptyObject }
        guard field.isRequired, !field.isOptional, field.defaultValue == nil else { return nil }
        switch field.shape {
        case .string: return ""
        case .int32, .int64, .double: return 0
        case .bool: return false
        default: return nil
        }
    }

    private func listExtensions(_ field: FieldInfo) -> [(String, Document)] {
        var extras: [(String, Document)] = []
        switch field.listKind {
        case .unspecified: break
        case .atomic: extras.append(("x-kubernetes-list-type", "atomic"))
        case .set: extras.append(("x-kubernetes-list-type", "set"))
        case .map(let keys):
            extras.append(("x-kubernetes-list-map-keys", Document(keys)))
            extras.append(("x-kubernetes-list-type", "map"))
        }
        if field.isAtomicStructure { extras.append(("x-kubernetes-map-type", "atomic")) }
        if field.isGranularMap { extras.append(("x-kubernetes-map-type", "granular")) }
        if let key = field.patchMergeKey { extras.append(("x-kubernetes-patch-merge-key", Document(key))) }
        let strategies = [
            field.mergesInPatch ? "merge" : nil, field.replacesInPatch ? "replace" : nil,
            field.retainsKeysInPatch ? "retainKeys" : nil,
        ].compactMap { $0 }
        if !strategies.isEmpty {
            extras.append(("x-kubernetes-patch-strategy", Document(strategies.joined(separator: ","))))
        }
        return extras
    }

    private static let extensions = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."

    /// A field of any value that is published under a name of its own.
    private func published(_ field: FieldInfo) -> Document {
        let reference = form.reference(Self.extensions + field.publishedAs)
        if case .map = field.shape { return ["type": "object", "additionalProperties": reference] }
        return reference
    }

    private func shape(_ shape: Shape) -> Document {
        switch shape {
        case .string: ["type": "string"]
        case .bytes: ["type": "string", "format": "byte"]
        case .bool: ["type": "boolean"]
        case .int32: ["type": "integer", "format": "int32"]
        case .int64: ["type": "integer", "format": "int64"]
        case .double: ["type": "number", "format": "double"]
        case .quantity: form.reference(Self.machinery + "api.resource.Quantity")
        case .intOrString: form.reference(Self.machinery + "util.intstr.IntOrString")
        case .time: form.reference(Self.metaPackage + "Time")
        case .microTime: form.reference(Self.metaPackage + "MicroTime")
        case .raw: form.reference(Self.machinery + "runtime.RawExtension")
        case .fieldSet: form.reference(Self.metaPackage + "FieldsV1")
        case .patch: form.reference(Self.metaPackage + "Patch")
        case .any: form.reference(Self.extensions + "JSON")
        case .object(let type): form.reference(type.fullName)
        case .list(let element): ["type": "array", "items": self.shape(element)]
        case .map(let element): ["type": "object", "additionalProperties": self.shape(element)]
        }
    }

    /// The types that have a form of their own on the wire.
    private var wellKnown: [(String, Document)] {
        func described(_ schema: Document, _ text: String) -> Document {
            var schema = schema
            schema["description"] = Document(text)
            return schema
        }
        let quantity: Document =
            form == .two ? ["type": "string"] : ["oneOf": [["type": "string"], ["type": "number"]]]
        let intOrString: Document =
            form == .two
            ? ["type": "string", "format": "int-or-string"]
            : ["format": "int-or-string", "oneOf": [["type": "integer"], ["type": "string"]]]
        let time: Document = ["type": "string", "format": "date-time"]
        return [
            (
                Self.machinery + "api.resource.Quantity",
                described(quantity, "A decimal number with a suffix, such as 500m or 2Gi.")
            ),
            (Self.machinery + "util.intstr.IntOrString", described(intOrString, "A number, a name or a percentage.")),
            (Self.machinery + "runtime.RawExtension", described(["type": "object"], "An object of any kind.")),
            (Self.metaPackage + "Time", described(time, "A time as RFC 3339, in whole seconds.")),
            (Self.metaPackage + "MicroTime", described(time, "A time as RFC 3339, with microseconds.")),
            (Self.metaPackage + "FieldsV1", described(["type": "object"], "A set of field paths as a tree.")),
            (Self.metaPackage + "Patch", described(["type": "object"], "A change of an object.")),
            (Self.extensions + "JSON", described([:], "Any JSON value.")),
            (Self.extensions + "JSONSchemaPropsOrArray", described([:], "A schema, or several.")),
            (Self.extensions + "JSONSchemaPropsOrBool", described([:], "A schema, or whether anything is allowed.")),
            (Self.extensions + "JSONSchemaPropsOrStringArray", described([:], "A schema, or names of members.")),
        ]
            + (form == .two
                ? [(Self.machinery + "version.Info", described(Self.versionInfo, "The version of a server."))] : [])
    }

    /// What `/version` answers.
    static let versionInfo: Document = {
        let facts = [
            ("buildDate", "When it was built."), ("compiler", "Compiler that built it."),
            ("emulationMajor", "Major version that it behaves as."),
            ("emulationMinor", "Minor version that it behaves as."), ("gitCommit", "Commit that it was built from."),
            ("gitTreeState", "Whether the tree was clean."), ("gitVersion", "Version in full."),
            ("goVersion", "Version of the language."), ("major", "Major version."),
            ("minCompatibilityMajor", "Oldest major version that it is compatible with."),
            ("minCompatibilityMinor", "Oldest minor version that it is compatible with."),
            ("minor", "Minor version."), ("platform", "Operating system and processor."),
        ]
        let required = facts.map(\.0).filter { !$0.hasPrefix("emulation") && !$0.hasPrefix("minCompatibility") }
        return [
            "type": "object",
            "properties": Document(
                members: facts.map { ($0.0, ["type": "string", "description": Document($0.1)] as Document) }),
            "required": Document(required),
        ]
    }()
}
