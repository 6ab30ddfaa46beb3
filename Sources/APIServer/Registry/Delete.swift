import Basics
import Document
import Kinds
import Schema
import Store

/// `DeleteOptions`, from the body or the query.
struct DeleteOptions: Sendable {
    var gracePeriodSeconds: Int?
    var propagationPolicy: String?
    var orphanDependents: Bool?
    var uid: String?
    var resourceVersion: String?
    var dryRun = false

    init() {}

    init(_ call: Call) throws(APIStatus) {
        let query = call.info.query
        let body = try Self.body(call)
        var errors: [FieldError] = []
        let queried = try Resources.integer(query["gracePeriodSeconds"])
        gracePeriodSeconds = body.number("gracePeriodSeconds") ?? queried
        // A negative grace period means the shortest that is none.
        if let grace = gracePeriodSeconds, grace < 0 { gracePeriodSeconds = 1 }
        propagationPolicy = body.text("propagationPolicy") ?? query["propagationPolicy"]
        orphanDependents =
            body.flag("orphanDependents") ?? query["orphanDependents"].map { _ in query.flag("orphanDependents") }
        uid = body.text("preconditions", "uid")
        resourceVersion = body.text("preconditions", "resourceVersion")
        if let policy = propagationPolicy {
            if orphanDependents != nil {
                errors.append(
                    .invalid(
                        "propagationPolicy", Document(policy),
                        "orphanDependents and deletionPropagation cannot be both set"))
            } else if !["Foreground", "Background", "Orphan"].contains(policy) {
                errors.append(
                    .notSupported(
                        "propagationPolicy", Document(policy), ["Foreground", "Background", "Orphan", "nil"]))
            }
        }
        let dryRuns = body["dryRun"].map { $0.elements.compactMap(\.string) } ?? query.all("dryRun")
        if dryRuns.contains(where: { $0 != "All" }) {
            errors.append(.notSupported("dryRun", Document(dryRuns), ["All"]))
        }
        dryRun = !dryRuns.isEmpty
        if !errors.isEmpty { throw .invalid(kind: "DeleteOptions", group: "meta.k8s.io", name: "", errors) }
    }

    private static func body(_ call: Call) throws(APIStatus) -> Document {
        guard !call.request.body.isEmpty else { return .emptyObject }
        let body: Document
        let format = try BodyDecoder.format(call.request.headers["Content-Type"])
        do {
            switch format {
            case .json: body = try Document(json: call.request.body)
            case .yaml: body = try Document(yaml: call.request.body)
            case .protobuf:
                let type = Kinds.registry.type(group: "meta", version: "v1", name: "DeleteOptions")
                body = try BodyDecoder.protobuf(call.request.body, type: type)
            }
        } catch {
            throw .badRequest(
                "couldn't get version/kind; json parse error: \(GoJSON.message(for: error, in: call.request.body))")
        }
        let kind = body.text("kind") ?? ""
        if !kind.isEmpty, kind != "DeleteOptions" {
            throw .badRequest(
                "no kind \"\(kind)\" is registered for version \"\(body.text("apiVersion") ?? "")\" in scheme "
                    + "\"pkg/apis/meta/internalversion/scheme/register.go:27\"")
        }
        return body
    }
}

extension Resources {
    /// Kinds whose deletion answers the object and not a Status.
    private static let answersObject: Set = [
        "pods", "services", "serviceaccounts", "podtemplates", "persistentvolumeclaims", "persistentvolumes",
        "resourcequotas", "namespaces", "csidrivers.storage.k8s.io", "csinodes.storage.k8s.io",
        "storageclasses.storage.k8s.io", "volumeattachments.storage.k8s.io",
        "volumeattributesclasses.storage.k8s.io", "deviceclasses.resource.k8s.io", "resourceclaims.resource.k8s.io",
        "resourceclaimtemplates.resource.k8s.io", "resourceslices.resource.k8s.io",
    ]

    /// Kinds from before dependents went with their owners.
    private static let orphansByDefault: Set = ["replicationcontrollers", "jobs.batch"]

    private func warnOfOrphans(_ call: Call, _ options: DeleteOptions) {
        guard call.resource.qualifiedName == "jobs.batch", options.propagationPolicy == nil,
            options.orphanDependents == nil
        else { return }
        call.warnings.add(
            "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them "
                + "or set propagationPolicy=Orphan to suppress this warning")
    }

    /// What deleting an object comes to.
    private enum Deletion {
        /// Nothing to write: it is being deleted already.
        case pending
        /// It stays for a while, marked.
        case marked(Document)
        /// It goes now; its last form.
        case now(Document)
        /// It is marked, and goes at once: watchers of a kind that ends gracefully see both.
        case markedAndNow(Document)
    }

    func delete(_ call: Call) async throws -> Answer {
        let options = try DeleteOptions(call)
        warnOfOrphans(call, options)
        let (bytes, gone) = try await delete(call, name: call.name, options)
        if !gone || Self.answersObject.contains(call.resource.qualifiedName) { return .object(bytes) }
        let object = try ObjectCodec.document(bytes, call.resource)
        var details: Document = ["name": Document(call.name)]
        if !call.resource.group.isEmpty { details["group"] = Document(call.resource.group) }
        details["kind"] = Document(call.resource.plural)
        details["uid"] = object.at("metadata", "uid")
        return .document([
            "kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Success", "details": details,
        ])
    }

    /// Deletes one object, or marks it. Returns its last stored form and whether it is gone.
    func delete(_ call: Call, name: String, _ options: DeleteOptions) async throws -> (bytes: [UInt8], gone: Bool) {
        let resource = call.resource
        var marked: Record?
        for _ in 0..<Self.conflictRetries {
            guard let record = try await record(resource, namespace: call.namespace, name: name) else {
                // Whoever waits for the mark, as a pod's node does, may be faster than we are.
                if let marked { return (marked.value, true) }
                throw APIStatus.notFound(resource, name)
            }
            let old = try ObjectCodec.document(record.value, resource)
            try checkPreconditions(options, old, resource, name)
            var context = context(call, .delete, old: old, dryRun: options.dryRun)
            context.name = name
            // Nothing can be changed about what goes; whoever changes objects may still refuse.
            // An eviction was admitted as what it is.
            if call.subresource.isEmpty {
                var last = old
                try await admit(&last, context)
                try await validate(old, context)
            }
            do {
                let decision = try decide(old, options, resource, name)
                switch decision {
                case .pending: return (record.value, false)
                case .marked(let object):
                    if options.dryRun { return (ObjectCodec.bytes(Conversion.stored(object, resource)), false) }
                    let encode = ObjectCodec.encoding(Conversion.stored(object, resource))
                    let written = try await store.update(record.key, expected: record.revision, encode)
                    wrote(resource)
                    return (written.value, false)
                case .now(let object), .markedAndNow(let object):
                    if options.dryRun { return (ObjectCodec.bytes(Conversion.stored(object, resource)), true) }
                    let encode = ObjectCodec.encoding(Conversion.stored(object, resource))
                    var revision = record.revision
                    if case .markedAndNow = decision {
                        let written = try await store.update(record.key, expected: revision, encode)
                        wrote(resource)
                        revision = written.revision
                        marked = written
                    }
                    let deleted = try await store.delete(record.key, expected: revision, encode)
                    allocations.release(old, resource: resource)
                    await forgetAddresses(of: old, resource)
                    wrote(resource)
                    return (deleted.value, true)
                }
            } catch StoreError.conflict, StoreError.notFound { continue }
        }
        throw APIStatus.modified(resource, name)
    }

    private func checkPreconditions(
        _ options: DeleteOptions, _ old: Document, _ resource: ResourceInfo, _ name: String
    ) throws(APIStatus) {
        if resource.qualifiedName == Self.definitions, old.text("metadata", "deletionTimestamp") == nil {
            return try checkDefinitionPreconditions(options, old, resource, name)
        }
        let uid = old.text("metadata", "uid") ?? ""
        if let wanted = options.uid, wanted != uid {
            throw .precondition(
                resource, name,
                "the UID in the precondition (\(wanted)) does not match the UID in record (\(uid)). The object might "
                    + "have been deleted and then recreated")
        }
        let version = old.text("metadata", "resourceVersion") ?? ""
        if let wanted = options.resourceVersion, wanted != version {
            throw .precondition(
                resource, name,
                "the ResourceVersion in the precondition (\(wanted)) does not match the ResourceVersion in record "
                    + "(\(version)). The object might have been modified")
        }
    }

    private func decide(
        _ old: Document, _ options: DeleteOptions, _ resource: ResourceInfo, _ name: String
    ) throws(APIStatus) -> Deletion {
        if resource.qualifiedName == "namespaces" { return try namespaceDeletion(old, options, name) }
        if resource.qualifiedName == Self.definitions, let marked = definitionDeletion(old) { return .marked(marked) }
        let finalizers = Self.finalizers(old, options, resource)
        let grace = resource.qualifiedName == "pods" ? Self.podGrace(old, options) : 0
        let now = world.clock.now
        var object = old
        // Spelled out, because a document can be written as nil too and is then null.
        let left: Document? = finalizers.isEmpty ? .none : .some(Document(finalizers))
        object.set(left, at: "metadata", "finalizers")
        if let deadline = old.text("metadata", "deletionTimestamp") {
            let current = old.number("metadata", "deletionGracePeriodSeconds") ?? 0
            // Whoever marked it last did not come to delete it.
            if current == 0, finalizers.isEmpty { return .now(object) }
            guard options.gracePeriodSeconds != nil, grace < current else {
                return object.sameObject(as: old) ? .pending : .marked(object)
            }
            // The end may come sooner than was said, never later.
            if let end = Timestamp(rfc3339: deadline) {
                let start = end + .seconds(-current)
                object.set(Document((start + .seconds(grace)).description), at: "metadata", "deletionTimestamp")
            }
            object.set(Document(grace), at: "metadata", "deletionGracePeriodSeconds")
            return grace == 0 && finalizers.isEmpty ? .markedAndNow(object) : .marked(object)
        }
        let isGraceful = resource.qualifiedName == "pods"
        guard isGraceful || !finalizers.isEmpty else { return .now(object) }
        object.set(Document(grace), at: "metadata", "deletionGracePeriodSeconds")
        object.set(Document((now + .seconds(grace)).description), at: "metadata", "deletionTimestamp")
        if let generation = old.number("metadata", "generation"), generation > 0 {
            object.set(Document(generation + 1), at: "metadata", "generation")
        }
        return grace == 0 && finalizers.isEmpty ? .markedAndNow(object) : .marked(object)
    }

    /// How long a pod gets to end: none where nothing runs.
    private static func podGrace(_ pod: Document, _ options: DeleteOptions) -> Int {
        var grace = options.gracePeriodSeconds ?? pod.number("spec", "terminationGracePeriodSeconds") ?? 30
        if grace < 0 { grace = 1 }
        if (pod.text("spec", "nodeName") ?? "").isEmpty { grace = 0 }
        if ["Succeeded", "Failed"].contains(pod.text("status", "phase") ?? "") { grace = 0 }
        return grace
    }

    /// The finalizers that the propagation policy leaves for the garbage collector.
    private static func finalizers(_ old: Document, _ options: DeleteOptions, _ resource: ResourceInfo) -> [String] {
        let current = old.list("metadata", "finalizers").compactMap(\.string)
        var kept = current.filter { $0 != "orphan" && $0 != "foregroundDeletion" }
        let policy: String
        if let given = options.propagationPolicy {
            policy = given
        } else if let orphan = options.orphanDependents {
            policy = orphan ? "Orphan" : "Background"
        } else if current.contains("orphan") {
            policy = "Orphan"
        } else if current.contains("foregroundDeletion") {
            policy = "Foreground"
        } else {
            policy = Self.orphansByDefault.contains(resource.qualifiedName) ? "Orphan" : "Background"
        }
        if policy == "Orphan" { kept.append("orphan") }
        if policy == "Foreground" { kept.append("foregroundDeletion") }
        // What is there keeps its order.
        return current.filter(kept.contains) + kept.filter { !current.contains($0) }
    }

    /// A namespace stays until its controller has emptied it and taken its finalizer from the spec.
    private func namespaceDeletion(
        _ old: Document, _ options: DeleteOptions, _ name: String
    ) throws(APIStatus) -> Deletion {
        if ["default", "kube-system", "kube-public"].contains(name) {
            throw .failure(
                403, "Forbidden", "namespaces \"\(name)\" is forbidden: this namespace may not be deleted"
            ).aboutNamespace(name)
        }
        let held = !old.list("spec", "finalizers").isEmpty || !old.list("metadata", "finalizers").isEmpty
        guard old.text("metadata", "deletionTimestamp") == nil else {
            if held { return .pending }
            return .now(old)
        }
        var object = old
        object.set(Document(world.clock.now.description), at: "metadata", "deletionTimestamp")
        object.set("Terminating", at: "status", "phase")
        return held ? .marked(object) : .now(object)
    }

    // MARK: Many at once

    func deleteCollection(_ call: Call) async throws -> Answer {
        let options = try DeleteOptions(call)
        let selection = try Selection(call.info.query, resource: call.resource)
        warnOfOrphans(call, options)
        let limit = try Self.integer(call.info.query["limit"]).flatMap { $0 > 0 ? $0 : nil }
        let prefix = ObjectCodec.prefix(call.resource, namespace: call.namespace)
        let page = try await store.list(prefix: prefix, after: nil, limit: nil, at: nil)
        var deleted: [[UInt8]] = []
        for record in page.records {
            if let limit, deleted.count >= limit { break }
            let object = try ObjectCodec.document(record.value, call.resource)
            guard selection.isEmpty || selection.matches(object, resource: call.resource) else { continue }
            do {
                var one = call
                one.place(namespace: object.text("metadata", "namespace") ?? "")
                _ = try await delete(one, name: object.text("metadata", "name") ?? "", options)
                deleted.append(record.value)
            } catch let status as APIStatus where status.isNotFound {
                continue  // Somebody else was faster: it is gone all the same.
            }
        }
        return .init(content: .list(deleted, metadata: ["resourceVersion": Document(String(page.revision))]))
    }
}

extension APIStatus {
    fileprivate func aboutNamespace(_ name: String) -> APIStatus {
        var status = self
        status.name = name
        status.kind = "namespaces"
        return status
    }
}
