import Basics
import Document
import Kinds
import Schema
import Store

extension Resources {
    /// Kinds whose PUT creates what does not exist.
    private static let createOnUpdate: Set = [
        "endpoints", "events", "events.events.k8s.io", "limitranges", "resourcequotas", "services",
        "runtimeclasses.node.k8s.io", "roles.rbac.authorization.k8s.io",
        "clusterroles.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io",
        "clusterrolebindings.rbac.authorization.k8s.io", "leases.coordination.k8s.io",
    ]
    /// Kinds whose updates must say which revision they are based on.
    private static let conditionalOnly: Set = [
        "apiservices.apiregistration.k8s.io",
        "csidrivers.storage.k8s.io",
        "csinodes.storage.k8s.io",
        "csistoragecapacities.storage.k8s.io",
        "customresourcedefinitions.apiextensions.k8s.io",
        "leases.coordination.k8s.io",
        "mutatingadmissionpolicies.admissionregistration.k8s.io",
        "mutatingadmissionpolicybindings.admissionregistration.k8s.io",
        "mutatingwebhookconfigurations.admissionregistration.k8s.io",
        "poddisruptionbudgets.policy",
        "runtimeclasses.node.k8s.io",
        "validatingadmissionpolicies.admissionregistration.k8s.io",
        "validatingadmissionpolicybindings.admissionregistration.k8s.io",
        "validatingwebhookconfigurations.admissionregistration.k8s.io",
        "volumeattachments.storage.k8s.io",
    ]

    func update(_ call: Call) async throws -> Answer {
        let options = try call.writeOptions(kind: "UpdateOptions")
        let resource = call.resource
        let given = try BodyDecoder(registry: registry, call: call).object(
            kind: resource.kind, group: resource.group, version: resource.version, type: resource.type,
            validation: options.fieldValidation)
        try checkIdentity(given, call)
        if call.subresource.isEmpty, Self.createOnUpdate.contains(resource.qualifiedName),
            try await record(resource, namespace: call.namespace, name: call.name) == nil
        {
            if let uid = given.text("metadata", "uid"), !uid.isEmpty { throw uidMismatch(call, uid, "") }
            // Whoever may change what exists may not thereby make what does not.
            var attributes = call.info.attributes(for: call.user)
            attributes.verb = "create"
            let decision = try await access.decide(attributes, self)
            guard decision.allowed else { throw AccessControl.refusal(attributes, reason: decision.reason) }
            var fresh = given
            fresh.set(nil, at: "metadata", "resourceVersion")
            return .object(try await create(fresh, call, dryRun: options.dryRun), status: 201)
        }
        let bytes = try await change(call, dryRun: options.dryRun) { _ in given }
        return .object(bytes)
    }

    /// A body must be about the object that the path names.
    func checkIdentity(_ object: Document, _ call: Call) throws(APIStatus) {
        let name = object.text("metadata", "name") ?? ""
        if name.isEmpty {
            throw .badRequest(
                "the name of the object (\(call.name) based on URL) was undeterminable: name must be provided")
        } else if name != call.name {
            throw .badRequest(
                "the name of the object (\(name)) does not match the name on the URL (\(call.name))")
        }
        let namespace = object.text("metadata", "namespace") ?? ""
        if call.resource.namespaced, !namespace.isEmpty, namespace != call.namespace {
            throw .badRequest(
                "the namespace of the provided object does not match the namespace sent on the request")
        }
    }

    private func uidMismatch(_ call: Call, _ given: String, _ actual: String) -> APIStatus {
        .conflict(
            call.resource, call.name,
            "StorageError: invalid object, Code: 4, Key: /registry\(Self.upstreamKey(call)), ResourceVersion: 0, "
                + "AdditionalErrorMsg: Precondition failed: UID in precondition: \(given), UID in object meta: \(actual)"
        )
    }

    /// Where upstream keeps the object; its messages show it.
    private static func upstreamKey(_ call: Call) -> String {
        let folders = ["endpoints": "services/endpoints", "services": "services/specs", "nodes": "minions"]
        let folder = folders[call.resource.qualifiedName] ?? call.resource.plural
        return call.namespace.isEmpty ? "/\(folder)/\(call.name)" : "/\(folder)/\(call.namespace)/\(call.name)"
    }

    /// Reads the object, lets `make` say what it shall be, and writes that: again from the start when somebody else
    /// wrote in between, unless the new object insists on the revision that it was made from.
    func change(
        _ call: Call, dryRun: Bool, fields: FieldAccount = .update, _ make: (Document) async throws -> Document
    ) async throws -> [UInt8] {
        let resource = call.resource
        for _ in 0..<Self.conflictRetries {
            guard let record = try await record(resource, namespace: call.namespace, name: call.name) else {
                throw APIStatus.notFound(resource, call.name)
            }
            let old = try ObjectCodec.document(record.value, resource)
            var new = try await make(old)
            if let uid = new.text("metadata", "uid"), !uid.isEmpty, uid != old.text("metadata", "uid") {
                // A whole object says which one it was made for; a patch tries to change it.
                guard call.info.method == "PUT" else {
                    throw APIStatus.invalid(
                        resource, call.name, [.invalid("metadata.uid", Document(uid), "field is immutable")])
                }
                throw uidMismatch(call, uid, old.text("metadata", "uid") ?? "")
            }
            let given = new.text("metadata", "resourceVersion") ?? ""
            if given.isEmpty || given == "0" {
                if call.info.method == "PUT", !call.isInternal,
                    resource.custom != nil || Self.conditionalOnly.contains(resource.qualifiedName)
                {
                    // Upstream names the resource here, not the kind.
                    throw APIStatus.invalid(
                        kind: resource.plural, group: resource.group, name: call.name,
                        [.invalid("metadata.resourceVersion", 0, "must be specified for an update")])
                }
            } else {
                guard let revision = Revision(given) else {
                    throw APIStatus.failure(500, "", "strconv.ParseUint: parsing \"\(given)\": invalid syntax")
                }
                guard revision == record.revision else { throw APIStatus.modified(resource, call.name) }
            }
            try await prepare(&new, old: old, call, dryRun: dryRun, fields)
            let isOutdated = (store as? CustomResourceStore)?.isOutdated(record.key) ?? false
            if new.sameObject(as: old), hasSameOwners(new, old), !isOutdated { return record.value }
            do {
                return try await write(new, old: old, record, call, dryRun: dryRun)
            } catch StoreError.conflict, StoreError.notFound {
                if !given.isEmpty { throw APIStatus.modified(resource, call.name) }
            }
        }
        throw APIStatus.modified(resource, call.name)
    }

    /// Brings an update into the form in which it is stored, and checks it.
    private func prepare(
        _ new: inout Document, old: Document, _ call: Call, dryRun: Bool, _ fields: FieldAccount
    ) async throws {
        let resource = call.resource
        let claimed = new.at("metadata", "managedFields")
        keepServerFields(&new, old: old)
        dedupeOwners(&new, call.warnings)
        Kinds.applyDefaults(to: &new, resource: resource)
        let managed = account(fields, claimed, from: old, to: new, call)
        let rules = Kinds.rules(for: resource)
        let ruleContext = RuleContext(now: world.clock.now)
        let context = context(call, .update, old: old, dryRun: dryRun)
        switch call.subresource {
        case "status":
            takeStatus(&new, old: old, resource)
            rules.prepareForStatusUpdate(&new, old, ruleContext)
            try await admit(&new, context)
            let errors = Kinds.validateStatusUpdate(new, old: old, resource: resource)
            if !errors.isEmpty { throw APIStatus.invalid(resource, call.name, errors) }
        case "finalize":
            var kept = old
            kept.set(new.at("spec", "finalizers"), at: "spec", "finalizers")
            new = kept
        case "":
            if resource.hasStatus { new["status"] = old["status"] }
            rules.prepareForUpdate(&new, old, ruleContext)
            ServiceTypeChange.dropStale(&new, old: old, resource: resource)
            try await admit(&new, context)
            countGeneration(&new, old: old, resource)
            let errors = Kinds.validateUpdate(new, old: old, resource: resource)
            if !errors.isEmpty { throw APIStatus.invalid(resource, call.name, errors) }
            for text in rules.warnings(new, old) { call.warnings.add(text) }
        case let part where rules.parts[part] != nil:
            rules.parts[part]?.prepare(&new, old, ruleContext)
            try await admit(&new, context)
            let errors = rules.parts[part]?.validate(new, old) ?? []
            if !errors.isEmpty { throw APIStatus.invalid(resource, call.name, errors) }
        default:
            // The other subresources have made `new` from the old object themselves.
            if !call.hasOwnBody { try await admit(&new, context) }
            var errors = Kinds.validatePart(new, old: old, resource: resource, subresource: call.subresource)
            // A scale is a way to write the object, with the rules of the object.
            if call.subresource == "scale" { errors += Kinds.validateUpdate(new, old: old, resource: resource) }
            if !errors.isEmpty { throw APIStatus.invalid(resource, call.name, errors) }
            countGeneration(&new, old: old, resource)
        }
        new.set(managed, at: "metadata", "managedFields")
        if !call.hasOwnBody { try await validate(new, context) }
    }

    private func keepServerFields(_ new: inout Document, old: Document) {
        var metadata = new["metadata"] ?? .emptyObject
        for field in [
            "name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
            "generation", "generateName",
        ] {
            // A generateName is what the object was made with, whatever later writers say.
            if field == "generateName", metadata[field] != nil { continue }
            metadata[field] = old.at("metadata", field)
        }
        metadata["selfLink"] = nil
        metadata["managedFields"] = nil
        new["metadata"] = metadata
    }

    /// A status writer may also note labels and annotations, as kubelets do; the rest stays.
    private func takeStatus(_ new: inout Document, old: Document, _ resource: ResourceInfo) {
        var result = old
        result["status"] = new["status"]
        var metadata = new["metadata"] ?? .emptyObject
        if resource.qualifiedName == "pods" { metadata["ownerReferences"] = old.at("metadata", "ownerReferences") }
        // Labels of deployments select what belongs to them; their status may not move that.
        if resource.qualifiedName == "deployments.apps" { metadata["labels"] = old.at("metadata", "labels") }
        result["metadata"] = metadata
        new = result
    }

    /// The generation counts what is asked for, not what is observed or noted beside it.
    private func countGeneration(_ new: inout Document, old: Document, _ resource: ResourceInfo) {
        guard resource.generation else { return }
        var (a, b) = (new, old)
        let isPlain = resource.custom != nil && !resource.hasStatus
        for field in isPlain ? ["metadata"] : ["metadata", "status"] {
            a[field] = nil
            b[field] = nil
        }
        // To which node a pod is bound is the scheduler's finding, not the owner's wish.
        if resource.qualifiedName == "pods", (old.text("spec", "nodeName") ?? "").isEmpty {
            b.set(a.at("spec", "nodeName"), at: "spec", "nodeName")
        }
        let labelled =
            resource.qualifiedName == "endpointslices.discovery.k8s.io"
            && new.map("metadata", "labels") != old.map("metadata", "labels")
        // A deployment's annotations count too: its controller copies them to what it makes.
        let annotated =
            resource.qualifiedName == "deployments.apps"
            && new.map("metadata", "annotations") != old.map("metadata", "annotations")
        if annotated || labelled || !a.means(b) {
            new.set(Document((old.number("metadata", "generation") ?? 0) + 1), at: "metadata", "generation")
        }
    }

    private func write(_ given: Document, old: Document, _ record: Record, _ call: Call, dryRun: Bool) async throws
        -> [UInt8]
    {
        var new = given
        let claim = try await allocations.claim(
            for: &new, old: old, resource: call.resource, resources: self, dryRun: dryRun)
        guard !dryRun else {
            claim.release()
            return ObjectCodec.encoding(Conversion.stored(new, call.resource))(record.revision)
        }
        let encode = ObjectCodec.encoding(Conversion.stored(new, call.resource))
        do {
            if isFinished(new) {
                // The last finalizer is gone: this write is the deletion. Its answer is the object as it was.
                _ = try await store.delete(record.key, expected: record.revision, encode)
                claim.releaseAll(of: old)
                await forgetAddresses(of: old, call.resource)
                wrote(call.resource)
                return encode(record.revision)
            }
            try await recordAddresses(claim.taken, of: new)
            let written = try await store.update(record.key, expected: record.revision, encode)
            claim.keep()
            await forgetAddresses(claim.dropped)
            wrote(call.resource)
            return written.value
        } catch {
            await forgetAddresses(claim.taken)
            claim.release()
            throw error
        }
    }

    /// Whether nothing holds a deleted object any more.
    func isFinished(_ object: Document) -> Bool {
        object.text("metadata", "deletionTimestamp") != nil
            && object.list("metadata", "finalizers").isEmpty
            && (object.number("metadata", "deletionGracePeriodSeconds") ?? 0) == 0
            && (object.text("kind") != "Namespace" || object.list("spec", "finalizers").isEmpty)
    }
}
