import Document
import Schema

/// What the expressions of admission policies and of webhooks' conditions may refer to.
public enum AdmissionEnvironment {
    /// The value that `variables` has: a field for each named expression before this one.
    private static let variablesName = "kubernetes.variables"

    /// - variables: the named expressions so far, nil where expressions see none.
    public static func make(
        hasParams: Bool, variables: [(name: String, type: CEL.ValueType)]?, makesPatches: Bool = false
    ) -> CEL.Environment {
        var environment = makesPatches ? mutating : base
        if hasParams { environment.declare("params", .dyn) }
        if let variables {
            let fields = variables.map { ($0.name, CEL.DeclaredType.Field(member: $0.name, type: .init($0.type))) }
            environment.declare(
                "variables",
                CEL.DeclaredType(object: variablesName, fields: Dictionary(fields) { _, last in last }))
        }
        return environment
    }

    private static let base: CEL.Environment = declared(CEL.Environment())

    private static let mutating: CEL.Environment = {
        var environment = declared(CEL.Environment(library: CEL.Library.kubernetes.union(.jsonPatch)))
        environment.structures = { structure($0) }
        return environment
    }()

    private static func declared(_ empty: CEL.Environment) -> CEL.Environment {
        var environment = empty
        environment.declare("object", .dyn)
        environment.declare("oldObject", .dyn)
        environment.declare("request", request)
        environment.declare("namespaceObject", namespace)
        environment.declare("authorizer", CEL.AuthorizerValue.authorizerType)
        environment.declare("authorizer.requestResource", CEL.AuthorizerValue.resourceCheckType)
        return environment
    }

    // MARK: Types

    private static func object(_ name: String, _ fields: [(String, CEL.DeclaredType)]) -> CEL.DeclaredType {
        CEL.DeclaredType(
            object: name,
            fields: Dictionary(uniqueKeysWithValues: fields.map { ($0.0, .init(member: $0.0, type: $0.1)) }))
    }

    private static let text = CEL.DeclaredType(.string)
    private static let texts = CEL.DeclaredType(listOf: text)

    private static let request: CEL.DeclaredType = {
        let kind = object(
            "kubernetes.GroupVersionKind", [("group", text), ("version", text), ("kind", text)])
        let resource = object(
            "kubernetes.GroupVersionResource", [("group", text), ("version", text), ("resource", text)])
        let user = object(
            "kubernetes.UserInfo",
            [
                ("username", text), ("uid", text), ("groups", texts),
                ("extra", CEL.DeclaredType(mapOf: texts)),
            ])
        return object(
            "kubernetes.AdmissionRequest",
            [
                ("kind", kind), ("resource", resource), ("subResource", text), ("requestKind", kind),
                ("requestResource", resource), ("requestSubResource", text), ("name", text), ("namespace", text),
                ("operation", text), ("userInfo", user), ("dryRun", CEL.DeclaredType(.bool)), ("options", .anything),
            ])
    }()

    private static let namespace: CEL.DeclaredType = {
        let map = CEL.DeclaredType(mapOf: text)
        let time = CEL.DeclaredType(.timestamp)
        let number = CEL.DeclaredType(.int)
        let condition = object(
            "kubernetes.NamespaceCondition",
            [("status", text), ("type", text), ("lastTransitionTime", time), ("message", text), ("reason", text)])
        let metadata = object(
            "kubernetes.NamespaceMetadata",
            [
                ("name", text), ("generateName", text), ("namespace", text), ("labels", map), ("annotations", map),
                ("UID", text), ("creationTimestamp", time), ("deletionGracePeriodSeconds", number),
                ("deletionTimestamp", time), ("generation", number), ("resourceVersion", text), ("finalizers", texts),
            ])
        return object(
            "kubernetes.Namespace",
            [
                ("metadata", metadata), ("spec", object("kubernetes.NamespaceSpec", [("finalizers", texts)])),
                (
                    "status",
                    object(
                        "kubernetes.NamespaceStatus",
                        [("conditions", CEL.DeclaredType(listOf: condition)), ("phase", text)])
                ),
            ])
    }()

    /// The type of the variable, for values made from a document.
    public static let namespaceType = namespace
    public static let requestType = request

    /// `Object`, `Object.spec` and so on, whose fields may be anything, and the operations of a JSON patch.
    private static func structure(_ name: String) -> CEL.DeclaredType? {
        if name == patchName {
            return object(patchName, [("op", text), ("path", text), ("from", text), ("value", .anything)])
        }
        guard name == objectName || name.hasPrefix(objectName + ".") else { return nil }
        return CEL.DeclaredType(object: name) { .init(member: $0, type: .anything) }
    }

    static let objectName = "Object"
    static let patchName = "JSONPatch"
}
