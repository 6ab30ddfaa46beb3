import Document
import Kinds
import Schema

extension Resources {
    /// `…/scale`: the count of replicas of any scalable kind, as one kind of its own.
    func scale(_ call: Call) async throws -> Answer {
        let name = call.name
        guard call.info.method != "GET" else {
            guard let object = try await document(call.resource, namespace: call.namespace, name: name) else {
                throw APIStatus.notFound(call.resource, name)
            }
            return .document(try Self.scale(of: object, call.resource))
        }
        let isPut = call.info.method == "PUT"
        let options = try call.writeOptions(kind: isPut ? "UpdateOptions" : "PatchOptions")
        let type = call.resource.subresource("scale")?.type
        let decoder = BodyDecoder(registry: registry, call: call)
        let settled = Settlement()
        let make: (_ scale: Document, _ object: Document) throws -> Document
        if isPut {
            let given = try decoder.object(
                kind: "Scale", group: "autoscaling", version: "v1", type: type, validation: options.fieldValidation)
            try checkIdentity(given, call)
            make = { _, _ in given }
        } else {
            let kind = try PatchKind(call.request.headers["Content-Type"], call.resource)
            if kind == .apply {
                let applied = try Self.readConfiguration(call, options.fieldValidation)
                make = { scale, object in
                    try appliedScale(applied, object, scale, call, force: options.force, settled)
                }
            } else {
                let patch = try Self.readPatch(call, kind)
                make = { old, _ in
                    if kind == .strategic, let type { return try registry.strategicMerge(patch, into: old, type: type) }
                    return try apply(patch, kind == .strategic ? .merge : kind, to: old, call)
                }
            }
        }
        let bytes = try await change(call, dryRun: options.dryRun, fields: .applied(settled)) { old in
            let before = try Self.scale(of: old, call.resource)
            var given = try make(before, old)
            try await admitBody(
                &given, call, .update, .init(group: "autoscaling", version: "v1", kind: "Scale"), old: before,
                dryRun: options.dryRun)
            let replicas = given.number("spec", "replicas") ?? 0
            guard replicas >= 0 else {
                throw APIStatus.invalid(
                    kind: "Scale", group: "autoscaling", name: name,
                    [.invalid("spec.replicas", Document(replicas), "must be greater than or equal to 0")])
            }
            var object = old.withoutRevision
            let place = call.resource.custom?.scale?.specReplicas ?? ["spec", "replicas"]
            object.set(Document(replicas), path: place[...])
            let revision = given.text("metadata", "resourceVersion") ?? ""
            if !revision.isEmpty, isPut || revision != before.text("metadata", "resourceVersion") {
                object.set(Document(revision), at: "metadata", "resourceVersion")
            }
            if !call.isApply { settled.entries = scaleAccount(old, before, given, call) }
            return object
        }
        return .document(try Self.scale(of: try ObjectCodec.document(bytes, call.resource), call.resource))
    }

    private static func scale(of object: Document, _ resource: ResourceInfo) throws(APIStatus) -> Document {
        if let paths = resource.custom?.scale { return try scale(of: object, at: paths) }
        let metadata = scaleMetadata(object)
        var status: Document = ["replicas": object.at("status", "replicas") ?? 0]
        let selector = object.at("spec", "selector")
        let text =
            object.text("kind") == "ReplicationController"
            ? LabelSelector(labels: object.map("spec", "selector")).description
            : selector.flatMap { LabelSelector($0) }?.description ?? ""
        if !text.isEmpty { status["selector"] = Document(text) }
        var spec = Document.emptyObject
        if let replicas = object.number("spec", "replicas"), replicas != 0 { spec["replicas"] = Document(replicas) }
        return [
            "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status,
        ]
    }

    private static func scaleMetadata(_ object: Document) -> Document {
        var metadata = Document.emptyObject
        for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
            metadata[field] = object.at("metadata", field)
        }
        return metadata
    }

    /// The scale of a custom resource, whose definition says where its parts are.
    private static func scale(
        of object: Document, at paths: CustomVersion.ScalePaths
    ) throws(APIStatus) -> Document {
        guard let wanted = object.at(path: paths.specReplicas)?.int else {
            let path = "." + paths.specReplicas.joined(separator: ".")
            throw .internalError("the spec replicas field \(Document(path).jsonText) does not exist")
        }
        var status: Document = ["replicas": Document(object.at(path: paths.statusReplicas)?.int ?? 0)]
        if let path = paths.labelSelector, let text = object.at(path: path)?.string, !text.isEmpty {
            status["selector"] = Document(text)
        }
        var spec = Document.emptyObject
        if wanted != 0 { spec["replicas"] = Document(wanted) }
        return [
            "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": scaleMetadata(object), "spec": spec,
            "status": status,
        ]
    }
}
