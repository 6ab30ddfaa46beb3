import Basics
import Document
import Kinds
import Schema

extension Resources {
    static let created: Document = [
        "kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Success", "code": 201,
    ]

    /// `POST pods/NAME/binding` and `POST bindings`: the scheduler's decision.
    func bind(_ call: Call) async throws -> Answer {
        let options = try call.writeOptions(kind: "CreateOptions")
        var binding = try BodyDecoder(registry: registry, call: call).object(
            kind: "Binding", group: "", version: "v1",
            type: registry.resource(group: "", version: "v1", kind: "Binding")?.type,
            validation: options.fieldValidation)
        guard let pods = registry.resource(group: "", version: "v1", plural: "pods") else {
            throw APIStatus.noSuchResource
        }
        let name = call.name.isEmpty ? binding.text("metadata", "name") ?? "" : call.name
        let target = binding["target"] ?? .emptyObject
        var errors: [FieldError] = []
        if !["", "Node"].contains(target.text("kind") ?? "") {
            errors.append(.notSupported("target.kind", target["kind"], ["Node", "<empty>"]))
        }
        let node = target.text("name") ?? ""
        if node.isEmpty { errors.append(.required("target.name")) }
        if !errors.isEmpty { throw APIStatus.invalid(kind: "Binding", group: "", name: name, errors) }
        let now = world.clock.now
        let podCall = call.about(pods, name: name, subresource: "binding")
        try await admitBody(
            &binding, podCall, .create, .init(group: "", version: "v1", kind: "Binding"), dryRun: options.dryRun)
        let admitted = binding
        _ = try await change(podCall, dryRun: options.dryRun) { old in
            try Self.checkBinding(admitted, of: old, to: node, name)
            var pod = old
            pod.set(Document(node), at: "spec", "nodeName")
            for member in admitted.at("metadata", "annotations")?.members ?? [] {
                pod.set(member.value, at: "metadata", "annotations", member.key)
            }
            for key in PodTopologyLabels.keys {
                if let value = admitted.at("metadata", "labels", key) {
                    pod.set(value, at: "metadata", "labels", key)
                }
            }
            pod.setCondition("PodScheduled", "True", now: now)
            return pod.withoutRevision
        }
        return .document(Self.created, status: 201)
    }

    private static func checkBinding(_ binding: Document, of pod: Document, to node: String, _ name: String) throws {
        func refuse(_ why: String) -> APIStatus {
            var status = APIStatus.failure(
                409, "Conflict", "Operation cannot be fulfilled on pods/binding \"\(name)\": \(why)")
            status.name = name
            status.kind = "pods/binding"
            return status
        }
        if let uid = binding.text("metadata", "uid"), !uid.isEmpty, uid != pod.text("metadata", "uid") {
            throw refuse(
                "Precondition failed: UID in precondition: \(uid), UID in object meta: \(pod.text("metadata", "uid") ?? "")"
            )
        }
        if pod.text("metadata", "deletionTimestamp") != nil {
            throw refuse("pod \(name) is being deleted, cannot be assigned to a host")
        }
        if let taken = pod.text("spec", "nodeName"), !taken.isEmpty {
            throw refuse("pod \(name) is already assigned to node \"\(taken)\"")
        }
        if !pod.list("spec", "schedulingGates").isEmpty {
            throw refuse("pod \(name) has non-empty .spec.schedulingGates")
        }
    }

    /// Writes of `pods/NAME/ephemeralcontainers` and `…/resize`: only the part that the subresource is about counts.
    func writePodPart(_ call: Call) async throws -> Answer {
        let options = try call.writeOptions(kind: call.info.method == "PUT" ? "UpdateOptions" : "PatchOptions")
        let decoder = BodyDecoder(registry: registry, call: call)
        let make: (Document) throws -> Document
        let settled = Settlement()
        var isApplied = false
        if call.info.method == "PUT" {
            let given = try decoder.object(
                kind: "Pod", group: "", version: "v1", type: call.resource.type, validation: options.fieldValidation)
            try checkIdentity(given, call)
            make = { _ in given }
        } else {
            let kind = try PatchKind(call.request.headers["Content-Type"])
            if kind == .apply {
                let applied = try Self.readConfiguration(call, options.fieldValidation)
                isApplied = true
                make = { old in try appliedObject(applied, old, call, force: options.force, settled) }
            } else {
                let patch = try Self.readPatch(call, kind)
                make = { old in try apply(patch, kind, to: old, call) }
            }
        }
        let isResize = call.subresource == "resize"
        return .object(
            try await change(call, dryRun: options.dryRun, fields: .applied(settled)) { old in
                let given = try make(old)
                if !isApplied {
                    // The writer owns what it asked for, also what the subresource then leaves as it is.
                    var asked = given
                    Kinds.applyDefaults(to: &asked, resource: call.resource)
                    settled.entries = account(
                        .update, given.at("metadata", "managedFields"), from: old, to: asked, call)
                }
                var pod = old.withoutRevision
                if let revision = given.text("metadata", "resourceVersion"), call.info.method == "PUT" {
                    pod.set(Document(revision), at: "metadata", "resourceVersion")
                }
                if isResize {
                    try takeResources(&pod, from: given, call)
                } else {
                    try takeEphemeral(&pod, from: given, old: old, call)
                }
                return pod
            })
    }

    private func takeResources(_ pod: inout Document, from given: Document, _ call: Call) throws {
        for field in ["containers", "initContainers"] {
            let new = given.list("spec", field)
            let old = pod.list("spec", field)
            guard new.map({ $0.text("name") }) == old.map({ $0.text("name") }) else {
                throw APIStatus.invalid(
                    call.resource, call.name,
                    [.forbidden("spec.\(field)", "\(field) may not be added or removed on resize")])
            }
            guard !old.isEmpty else { continue }
            let merged = zip(old, new).map { old, new in
                var container = old
                container["resources"] = new["resources"]
                container["resizePolicy"] = new["resizePolicy"]
                return container
            }
            pod.set(Document(merged), at: "spec", field)
        }
    }

    private func takeEphemeral(_ pod: inout Document, from given: Document, old: Document, _ call: Call) throws {
        let new = given.list("spec", "ephemeralContainers")
        for existing in old.list("spec", "ephemeralContainers") {
            let name = existing.text("name") ?? ""
            let same = new.first { $0.text("name") == name }
            if let same, same.means(existing) { continue }
            let fate = same.map { "changed\n" + Kinds.ephemeralContainerDifference(existing, $0) } ?? "removed\n"
            throw APIStatus.invalid(
                call.resource, call.name,
                [
                    .forbidden(
                        "spec.ephemeralContainers", "existing ephemeral containers \"\(name)\" may not be \(fate)")
                ])
        }
        let list: Document? = new.isEmpty ? .none : .some(Document(new))
        pod.set(list, at: "spec", "ephemeralContainers")
    }
}

extension Document {
    /// For writes that go onto whatever revision is there.
    var withoutRevision: Document {
        var copy = self
        copy.set(nil, at: "metadata", "resourceVersion")
        return copy
    }

    /// Sets a condition's status; the time of transition moves only when the status does.
    mutating func setCondition(_ type: String, _ status: String, now: Timestamp) {
        var conditions = list("status", "conditions")
        var condition: Document = [
            "type": Document(type), "status": Document(status), "lastProbeTime": .null,
            "lastTransitionTime": Document(now.description),
        ]
        if let index = conditions.firstIndex(where: { $0.text("type") == type }) {
            if conditions[index].text("status") == status {
                condition["lastTransitionTime"] = conditions[index]["lastTransitionTime"]
            }
            conditions[index] = condition
        } else {
            conditions.append(condition)
        }
        set(Document(conditions), at: "status", "conditions")
    }
}
