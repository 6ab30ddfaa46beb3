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
        if resource.namespaced, resource.verbs.contains("watch") {
            result.append(watchPath(resource, "\(root)/watch/\(resource.plural)", "ListForAllNamespaces", []))
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
            result += paths(of: subresource, resource, at: "\(collection)/{name}/\(subresource.name)", places)
        }
        if resource.verbs.contains("watch") {
            let watched = resource.namespaced ? "\(root)/watch/namespaces/{namespace}" : "\(root)/watch"
            result.append(watchPath(resource, "\(watched)/\(resource.plural)", "List", places))
            result.append(
                watchPath(resource, "\(watched)/\(resource.plural)/{name}", "", [Parameter.name] + places))
        }
        return result
    }

    private static let proxyMethods = ["delete", "get", "head", "options", "patch", "post", "put"]

    private func paths(
        of subresource: SubresourceInfo, _ resource: ResourceInfo, at path: String, _ places: [Parameter]
    ) -> [(String, Document)] {
        let named = [Parameter.name] + places
        // Connections and texts take their options in the path's parameters.
        let options = Self.body(of: subresource) == nil ? Parameter.options(of: subresource) : [Parameter.pretty]
        let isProxy = subresource.name == "proxy"
        let methods = isProxy ? Self.proxyMethods : subresource.verbs.map(Self.method).sorted()
        func operations(suffix: String) -> [(String, Document)] {
            methods.map { method in
                let verb = isProxy ? method : subresource.verbs.first { Self.method(of: $0) == method } ?? method
                var operation = operation(resource, verb, verb, subresource: subresource)
                if !suffix.isEmpty, let name = operation.text("operationId") {
                    operation["operationId"] = Document(name + suffix)
                }
                return (method, operation)
            }
        }
        var result = [(path, item(operations(suffix: ""), parameters: named + options))]
        if isProxy {
            var rest = Parameter.name
            rest.name = "path"
            rest.documentation = "Path of the request."
            result.append(
                ("\(path)/{path}", item(operations(suffix: "WithPath"), parameters: named + [rest] + options)))
        }
        return result
    }

    /// The old form of a watch, as a path of its own.
    private func watchPath(
        _ resource: ResourceInfo, _ path: String, _ suffix: String, _ places: [Parameter]
    ) -> (String, Document) {
        let group = Self.camel(resource.group, capital: true) + Self.capitalized(resource.version)
        let scope = resource.namespaced && suffix != "ListForAllNamespaces" ? "Namespaced" : ""
        var operation: Document = [
            "operationId": Document("watch\(group)\(scope)\(resource.kind)\(suffix)"),
            "tags": [Document("\(Self.camel(resource.group, capital: false))_\(resource.version)")],
            "x-kubernetes-action": suffix.isEmpty ? "watch" : "watchlist",
            "x-kubernetes-group-version-kind": [
                "group": Document(resource.group), "kind": Document(resource.kind),
                "version": Document(resource.version),
            ],
        ]
        addForms(to: &operation, streamed(resource))
        operation["responses"] = responses(
            "watch", OpenAPISchemas.metaPackage + "WatchEvent", types: streamed(resource))
        return (path, item([("get", operation)], parameters: places + Parameter.lists + [Parameter.pretty]))
    }

    // MARK: What groups and versions there are

    /// The paths that lead to a document of discovery, by the name of their OpenAPI 3 document.
    static func indexes(of groupVersions: [(group: String, version: String)]) -> [String] {
        var groups: [String] = []
        for entry in groupVersions where !entry.group.isEmpty && !groups.contains(entry.group) {
            groups.append(entry.group)
        }
        return [".well-known/openid-configuration", "api", "apis"] + groups.map { "apis/\($0)" }
            + ["openid/v1/jwks", "version"]
    }

    /// The path of one index, such as `apis/apps`.
    func index(_ name: String) -> (String, Document) {
        let parts = name.split(separator: "/").map(String.init)
        let meta = OpenAPISchemas.metaPackage
        switch (parts.first, parts.count) {
        case ("api", 1): return entry(name, "getCoreAPIVersions", "core", meta + "APIVersions")
        case ("apis", 1): return entry(name, "getAPIVersions", "apis", meta + "APIGroupList")
        case ("apis", 2):
            let group = Self.camel(parts[1], capital: true)
            let tag = Self.camel(parts[1], capital: false)
            return entry(name, "get\(group)APIGroup", tag, meta + "APIGroup")
        case ("version", _):
            return entry(
                name, "getCodeVersion", "version", "io.k8s.apimachinery.pkg.version.Info", forms: ["application/json"])
        case ("openid", _):
            return entry(
                name, "getServiceAccountIssuerOpenIDKeyset", "openid", nil, forms: ["application/jwk-set+json"])
        default:
            return entry(
                name, "getServiceAccountIssuerOpenIDConfiguration", "WellKnown", nil, forms: ["application/json"])
        }
    }

    /// The path that lists the resources of a group version.
    func resourceIndex(group: String, version: String) -> (String, Document) {
        let name = group.isEmpty ? "api/\(version)" : "apis/\(group)/\(version)"
        return entry(
            name, "get\(Self.camel(group, capital: true))\(Self.capitalized(version))APIResources",
            "\(Self.camel(group, capital: false))_\(version)", OpenAPISchemas.metaPackage + "APIResourceList")
    }

    private func entry(
        _ name: String, _ identifier: String, _ tag: String, _ answer: String?, forms: [String] = Self.allForms
    ) -> (String, Document) {
        var operation: Document = ["operationId": Document(identifier), "tags": [Document(tag)]]
        if form == .two {
            operation["consumes"] = Document(forms)
            operation["produces"] = Document(forms)
            operation["schemes"] = ["https"]
        }
        operation["responses"] = responses("get", answer, types: forms)
        return ("/\(name)/", ["get": operation])
    }

    private static let allForms = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"]

    /// Custom resources have no protobuf form.
    private func forms(_ resource: ResourceInfo) -> [String] {
        resource.custom == nil ? Self.allForms : Array(Self.allForms.prefix(2))
    }

    private func streamed(_ resource: ResourceInfo) -> [String] {
        let plain = forms(resource)
        return plain + plain.filter { $0 != "application/yaml" }.map { $0 + ";stream=watch" }
    }

    private func addForms(to operation: inout Document, _ produced: [String]) {
        guard form == .two else { return }
        if operation["consumes"] == nil { operation["consumes"] = ["*/*"] }
        operation["produces"] = Document(produced)
        operation["schemes"] = ["https"]
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
        item["parameters"] = Document(parameters.sorted { $0.name < $1.name }.map { $0.document(form) })
        return item
    }

    /// The type of what is sent or answered. A log is text, although its options are about a pod.
    private static func body(of subresource: SubresourceInfo) -> TypeInfo? {
        subresource.name == "log" ? nil : subresource.type?.info
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
        let body = subresource.map { Self.body(of: $0) } ?? resource.type.info
        let isText = subresource?.name == "log"
        let isConnect = subresource != nil && body == nil && !isText
        var operation: Document = [
            "operationId": Document(identifier(resource, name, subresource)),
            "tags": [Document("\(Self.camel(resource.group, capital: false))_\(resource.version)")],
            "x-kubernetes-action": Document(isConnect ? "connect" : Self.actions[verb] ?? verb),
            "x-kubernetes-group-version-kind": [
                "group": Document(group), "kind": Document(isText ? resource.kind : kind),
                "version": Document(version),
            ],
        ]
        var parameters = isConnect || isText ? [] : Parameter.query(of: verb).map { $0.document(form, verb: verb) }
        let answer = answer(resource, verb, body)
        if !isConnect { addBody(verb, body, of: resource, to: &operation, parameters: &parameters) }
        if !parameters.isEmpty { operation["parameters"] = Document(parameters) }
        var forms = verb == "list" ? streamed(resource) : forms(resource)
        if isConnect { forms = ["*/*"] }
        if isText { forms.insert("text/plain", at: 0) }
        addForms(to: &operation, forms)
        operation["responses"] = responses(verb, answer, types: forms)
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
        "application/json-patch+json", "application/merge-patch+json", strategicType, "application/apply-patch+yaml",
    ]
    private static let strategicType = "application/strategic-merge-patch+json"

    private func addBody(
        _ verb: String, _ body: TypeInfo?, of resource: ResourceInfo, to operation: inout Document,
        parameters: inout [Document]
    ) {
        let schema: Document
        var types = ["*/*"]
        switch verb {
        case "create", "update":
            guard let body else { return }
            schema = form.reference(body.fullName)
        case "patch":
            schema = form.reference(OpenAPISchemas.metaPackage + "Patch")
            // Strategic merges need declared types, and clients believe what stands here.
            types = Self.patchTypes.filter { resource.custom == nil || $0 != Self.strategicType }
        case "delete", "deletecollection": schema = form.reference(OpenAPISchemas.metaPackage + "DeleteOptions")
        default: return
        }
        let isRequired = verb != "delete" && verb != "deletecollection"
        if form == .two {
            var parameter: Document = ["in": "body", "name": "body", "schema": schema]
            if isRequired { parameter["required"] = true }
            if let name = Parameter.sharedBody(verb) { parameter = Parameter.reference(name) }
            parameters.insert(parameter, at: 0)
            operation["consumes"] = Document(types)
        } else {
            let entry: Document = ["schema": schema]
            operation["requestBody"] = ["content": Document(members: types.map { ($0, entry) })]
            if isRequired { operation.set(true, at: "requestBody", "required") }
        }
    }

    private func responses(_ verb: String, _ answer: String?, types: [String]) -> Document {
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
        if let subresource, subresource.type == nil, subresource.name != "log" {
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
