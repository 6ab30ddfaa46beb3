import Document

/// The requests that resources answer, as OpenAPI operations.
struct OpenAPIPaths {
    let form: OpenAPIForm

    func all(of resources: [ResourceInfo]) -> Document {
        var paths: [(String, Document)] = []
        for resource in resources { paths += self.paths(of: resource) }
        return Document(members: paths)
    }

    private func paths(of resource: ResourceInfo) -> [(String, Document)] {
        let root = resource.group.isEmpty ? "/api/v1" : "/apis/\(resource.group)/\(resource.version)"
        let base = resource.namespaced ? root + "/namespaces/{namespace}" : root
        let collection = "\(base)/\(resource.plural)"
        var result: [(String, Document)] = []
        if resource.namespaced, resource.verbs.contains("list") {
            let operations = [("get", operation(resource, "list", "listForAll"))]
            result.append(("\(root)/\(resource.plural)", item(operations, parameters: [Parameter.pretty])))
        }
        let places = resource.namespaced ? [Parameter.namespace] : []
        let onCollection = operations(resource, [("deletecollection", "delete"), ("list", "get"), ("create", "post")])
        if !onCollection.isEmpty {
            result.append((collection, item(onCollection, parameters: places + [Parameter.pretty])))
        }
        let named = [Parameter.name] + places + [Parameter.pretty]
        let onObject = operations(
            resource, [("delete", "delete"), ("get", "get"), ("patch", "patch"), ("update", "put")])
        if !onObject.isEmpty { result.append((collection + "/{name}", item(onObject, parameters: named))) }
        for subresource in resource.subresources {
            let onPart = subresource.verbs.map { verb in
                (Self.method(of: verb), operation(resource, verb, verb, subresource: subresource))
            }
            result.append(
                ("\(collection)/{name}/\(subresource.name)", item(onPart.sorted { $0.0 < $1.0 }, parameters: named)))
        }
        return result
    }

    private func operations(_ resource: ResourceInfo, _ verbs: [(verb: String, method: String)]) -> [(String, Document)]
    {
        verbs.filter { resource.verbs.contains($0.verb) }.map { ($0.method, operation(resource, $0.verb, $0.verb)) }
    }

    private static func method(of verb: String) -> String {
        switch verb {
        case "create": "post"
        case "update": "put"
        default: verb
        }
    }

    private func item(_ operations: [(String, Document)], parameters: [Parameter]) -> Document {
        var item = Document(members: operations)
        item["parameters"] = Document(parameters.map { $0.document(form) })
        return item
    }

    // MARK: One operation

    private static let actions = [
        "create": "post", "update": "put", "get": "get", "list": "list", "patch": "patch", "delete": "delete",
        "deletecollection": "deletecollection",
    ]

    private func operation(
        _ resource: ResourceInfo, _ verb: String, _ name: String, subresource: SubresourceInfo? = nil
    ) -> Document {
        let kind = subresource?.kind ?? resource.kind
        let group = subresource?.group ?? resource.group
        let version = subresource?.version ?? resource.version
        let body = subresource == nil ? resource.type.info : subresource?.type?.info
        let isConnect = subresource != nil && body == nil
        var operation: Document = [
            "operationId": Document(identifier(resource, name, subresource)),
            "tags": [Document("\(Self.camel(resource.group, capital: false))_\(resource.version)")],
            "x-kubernetes-action": Document(isConnect ? "connect" : Self.actions[verb] ?? verb),
            "x-kubernetes-group-version-kind": [
                "group": Document(group), "kind": Document(kind), "version": Document(version),
            ],
        ]
        var parameters = isConnect ? [] : Parameter.query(of: verb).map { $0.document(form) }
        let answer = answer(resource, verb, body)
        if !isConnect { addBody(verb, body, to: &operation, parameters: &parameters) }
        if !parameters.isEmpty { operation["parameters"] = Document(parameters) }
        if form == .two {
            if operation["consumes"] == nil { operation["consumes"] = ["*/*"] }
            operation["produces"] = ["application/json", "application/yaml"]
            operation["schemes"] = ["https"]
        }
        operation["responses"] = responses(verb, answer)
        return operation
    }

    private func answer(_ resource: ResourceInfo, _ verb: String, _ body: TypeInfo?) -> String? {
        guard let body else { return nil }
        switch verb {
        case "list": return resource.custom?.listType.fullName ?? body.fullName + "List"
        case "deletecollection": return OpenAPISchemas.metaPackage + "Status"
        case "delete":
            return resource.kind == "Pod" || resource.kind == "ServiceAccount"
                ? body.fullName : OpenAPISchemas.metaPackage + "Status"
        default: return body.fullName
        }
    }

    private static let patchTypes = [
        "application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json",
        "application/apply-patch+yaml",
    ]

    private func addBody(_ verb: String, _ body: TypeInfo?, to operation: inout Document, parameters: inout [Document])
    {
        let schema: Document
        var types = ["*/*"]
        switch verb {
        case "create", "update":
            guard let body else { return }
            schema = form.reference(body.fullName)
        case "patch":
            schema = form.reference(OpenAPISchemas.metaPackage + "Patch")
            types = Self.patchTypes
        case "delete", "deletecollection": schema = form.reference(OpenAPISchemas.metaPackage + "DeleteOptions")
        default: return
        }
        let isRequired = verb != "delete" && verb != "deletecollection"
        if form == .two {
            var parameter: Document = ["in": "body", "name": "body", "schema": schema]
            if isRequired { parameter["required"] = true }
            parameters.insert(parameter, at: 0)
            operation["consumes"] = Document(types)
        } else {
            let entry: Document = ["schema": schema]
            operation["requestBody"] = ["content": Document(members: types.map { ($0, entry) })]
            if isRequired { operation.set(true, at: "requestBody", "required") }
        }
    }

    private func responses(_ verb: String, _ answer: String?) -> Document {
        var codes = ["200"]
        switch verb {
        case "create": codes = ["200", "201", "202"]
        case "update", "patch": codes = ["200", "201"]
        case "delete": codes = ["200", "202"]
        default: break
        }
        let schema = answer.map { form.reference($0) } ?? ["type": "string"]
        var content: Document = ["description": "OK", "schema": schema]
        if form == .three {
            let types = answer == nil ? ["*/*"] : ["application/json", "application/yaml"]
            let entry: Document = ["schema": schema]
            content = ["description": "OK", "content": Document(members: types.map { ($0, entry) })]
        }
        var responses = Document(members: codes.map { ($0, content) })
        responses["401"] = ["description": "Unauthorized"]
        return responses
    }

    // MARK: Names

    private func identifier(_ resource: ResourceInfo, _ name: String, _ subresource: SubresourceInfo?) -> String {
        let verbs = [
            "create": "create", "update": "replace", "get": "read", "list": "list", "listForAll": "list",
            "patch": "patch", "delete": "delete", "deletecollection": "delete",
        ]
        let group = Self.camel(resource.group, capital: true) + Self.capitalized(resource.version)
        if name == "listForAll" { return "list\(group)\(resource.kind)ForAllNamespaces" }
        let scope = resource.namespaced ? "Namespaced" : ""
        let part = Self.capitalized(subresource?.name ?? "")
        if let subresource, subresource.type == nil {
            return "connect\(group)\(Self.capitalized(Self.method(of: name)))\(scope)\(resource.kind)\(part)"
        }
        let many = name == "deletecollection" ? "Collection" : ""
        return "\(verbs[name] ?? name)\(group)\(many)\(scope)\(resource.kind)\(part)"
    }

    private static func capitalized(_ text: String) -> String { text.prefix(1).uppercased() + text.dropFirst() }

    /// `rbac.authorization.k8s.io` as `rbacAuthorization`; the unnamed group as `core`.
    private static func camel(_ group: String, capital: Bool) -> String {
        if group.isEmpty { return capital ? "Core" : "core" }
        let short = group.hasSuffix(".k8s.io") ? String(group.dropLast(7)) : group
        let joined = short.split(separator: ".").map { capitalized(String($0)) }.joined()
        return capital ? joined : joined.prefix(1).lowercased() + joined.dropFirst()
    }
}

/// A parameter in the path or the query.
struct Parameter {
    var name: String
    var place = "query"
    var type = "string"
    var documentation: String

    static let name = Parameter(name: "name", place: "path", documentation: "Name of the object.")
    static let namespace = Parameter(name: "namespace", place: "path", documentation: "Namespace of the object.")
    static let pretty = Parameter(name: "pretty", documentation: "Indent the answer if true.")

    private static let dryRun = Parameter(
        name: "dryRun", documentation: "With All, do everything but store the result.")
    private static let fieldManager = Parameter(
        name: "fieldManager", documentation: "Who makes the change, for the record of field ownership.")
    private static let fieldValidation = Parameter(
        name: "fieldValidation",
        documentation: "What to do about unknown and repeated fields: Ignore, Warn (as if absent) or Strict.")
    private static let force = Parameter(
        name: "force", type: "boolean", documentation: "Take over fields that another manager owns.")

    private static let lists = [
        Parameter(name: "allowWatchBookmarks", type: "boolean", documentation: "Mark the watch's progress."),
        Parameter(name: "continue", documentation: "Where the previous part of the list ended."),
        Parameter(name: "fieldSelector", documentation: "Only objects whose fields have these values."),
        Parameter(name: "labelSelector", documentation: "Only objects with these labels."),
        Parameter(name: "limit", type: "integer", documentation: "No more than this many objects at once."),
        Parameter(name: "resourceVersion", documentation: "The version from which to read."),
        Parameter(name: "resourceVersionMatch", documentation: "How resourceVersion is meant."),
        Parameter(
            name: "sendInitialEvents", type: "boolean", documentation: "Begin the watch with what exists."),
        Parameter(name: "timeoutSeconds", type: "integer", documentation: "How long to go on."),
        Parameter(name: "watch", type: "boolean", documentation: "Send changes as they happen."),
    ]

    private static let deletions = [
        dryRun,
        Parameter(name: "gracePeriodSeconds", type: "integer", documentation: "Time to finish before the end."),
        Parameter(
            name: "ignoreStoreReadErrorWithClusterBreakingPotential", type: "boolean",
            documentation: "Delete even what cannot be read."),
        Parameter(name: "orphanDependents", type: "boolean", documentation: "Leave dependents alone (old form)."),
        Parameter(name: "propagationPolicy", documentation: "What becomes of dependents."),
    ]

    static func query(of verb: String) -> [Parameter] {
        switch verb {
        case "list": lists
        case "create", "update": [dryRun, fieldManager, fieldValidation]
        case "patch": [dryRun, fieldManager, fieldValidation, force]
        case "delete": deletions
        case "deletecollection":
            (deletions + lists.filter { !["allowWatchBookmarks", "watch"].contains($0.name) }).sorted {
                $0.name < $1.name
            }
        default: []
        }
    }

    func document(_ form: OpenAPIForm) -> Document {
        var document: Document = [
            "in": Document(place), "name": Document(name), "description": Document(documentation),
        ]
        if place == "path" { document["required"] = true }
        if form == .two {
            document["type"] = Document(type)
            document["uniqueItems"] = true
        } else {
            document["schema"] = ["type": Document(type), "uniqueItems": true]
        }
        return document
    }
}
