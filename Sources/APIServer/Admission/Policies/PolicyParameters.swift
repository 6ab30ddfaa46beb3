import Document
import Kinds
import Schema

/// The objects that parameterize a policy through a binding.
enum PolicyParameters {
    /// Why a binding cannot be put into effect, as the user hears it.
    struct Fault: Error { let message: String }

    /// One element for each evaluation: nil where the policy has no parameters. Empty where there are none to
    /// evaluate with and the binding lets that pass.
    static func find(
        _ policy: Policy, _ binding: PolicyBinding, _ context: AdmissionContext, _ resources: Resources
    ) async throws -> [Document?] {
        guard let kind = policy.paramKind else { return [Document?.none] }
        guard let reference = binding.paramRef else { return [Document?.none] }
        guard let resource = resource(kind, resources) else {
            throw Fault(
                message: "failed to configure policy: failed to find resource referenced by paramKind: "
                    + "'\(kind.apiVersion), Kind=\(kind.kind)'")
        }
        let given = reference.text("namespace") ?? ""
        var namespace = ""
        if resource.namespaced {
            namespace = given.isEmpty ? context.namespace : given
            if namespace.isEmpty {
                throw Fault(
                    message: "failed to configure binding: cannot use namespaced paramRef in policy binding that "
                        + "matches cluster-scoped resources")
            }
        } else if !given.isEmpty {
            throw Fault(
                message: "failed to configure binding: paramRef.namespace must not be provided for a cluster-scoped "
                    + "`paramKind`")
        }
        let found = try await objects(resource, reference, namespace, resources)
        if found.isEmpty, reference.text("parameterNotFoundAction") == "Deny" {
            throw Fault(
                message: "failed to configure binding: no params found for policy binding with `Deny` "
                    + "parameterNotFoundAction")
        }
        return found
    }

    private static func objects(
        _ resource: ResourceInfo, _ reference: Document, _ namespace: String, _ resources: Resources
    ) async throws -> [Document] {
        if let name = reference.text("name"), !name.isEmpty {
            guard let record = try await resources.record(resource, namespace: namespace, name: name) else { return [] }
            return [shown(try ObjectCodec.document(record.value, resource), resource)]
        }
        let selector = reference["selector"].flatMap { LabelSelector($0) } ?? LabelSelector()
        let prefix = ObjectCodec.prefix(resource, namespace: namespace)
        let page = try await resources.store.list(prefix: prefix, after: nil, limit: nil, at: nil)
        return try page.records.map { shown(try ObjectCodec.document($0.value, resource), resource) }
            .filter { selector.matches($0.map("metadata", "labels")) }
    }

    private static func shown(_ object: Document, _ resource: ResourceInfo) -> Document {
        Conversion.shown(object, resource)
    }

    private static func resource(_ kind: (apiVersion: String, kind: String), _ resources: Resources) -> ResourceInfo? {
        resources.registry.resource(apiVersion: kind.apiVersion, kind: kind.kind)
    }
}
