import Basics
import Document
import Kinds
import Schema

// Server-side apply: the client sends the fields that it wants, and owns them from then on.

extension Resources {
    func applyPatch(_ call: Call) async throws -> Answer {
        let options = try call.writeOptions(kind: "PatchOptions")
        let applied = try Self.readConfiguration(call, options.fieldValidation)
        if call.subresource.isEmpty, try await record(call.resource, namespace: call.namespace, name: call.name) == nil
        {
            do {
                return .object(try await applyToNothing(applied, call, options), status: 201)
            } catch let status as APIStatus where status.isAlreadyExists {
                // Somebody else made it meanwhile: then there is something to apply to.
            }
        }
        let bytes = try await applyToExisting(applied, call, options)
        return .object(bytes)
    }

    private func applyToNothing(_ applied: Document, _ call: Call, _ options: WriteOptions) async throws -> [UInt8] {
        var managed = ManagedFields()
        var live = fieldUpdater(call).zero
        live["apiVersion"] = Document(call.resource.apiVersion)
        live["kind"] = Document(call.resource.kind)
        let object = try ApplyTarget(self, call).merged(applied, live, &managed, force: options.force) ?? live
        if let uid = object.text("metadata", "uid"), !uid.isEmpty {
            throw APIStatus.conflict(
                call.resource, call.name,
                "uid mismatch: the provided object specified uid \(uid), and no existing object was found")
        }
        if (object.text("metadata", "name") ?? "").isEmpty {
            throw APIStatus.badRequest(
                "the name of the object (\(call.name) based on URL) was undeterminable: name must be provided")
        }
        try checkIdentity(object, call)
        // Whoever may change what exists may not thereby make what does not.
        var attributes = call.info.attributes(for: call.user)
        attributes.verb = "create"
        let decision = try await access.decide(attributes, self)
        guard decision.allowed else { throw AccessControl.refusal(attributes, reason: decision.reason) }
        var fresh = object
        fresh.set(nil, at: "metadata", "resourceVersion")
        let entries: Document? = managed.isEmpty ? Optional.none : managed.document
        return try await create(fresh, call, dryRun: options.dryRun, fields: .settled(entries))
    }

    private func applyToExisting(_ applied: Document, _ call: Call, _ options: WriteOptions) async throws -> [UInt8] {
        // The entries follow from the object that was read last, which a lost race reads again.
        let settled = Settlement()
        return try await change(call, dryRun: options.dryRun, fields: .applied(settled)) { old in
            var new = try appliedObject(applied, old, call, force: options.force, settled)
            try checkIdentity(new, call)
            // A configuration that does not speak of the revision goes onto whatever is there.
            if applied.text("metadata", "resourceVersion") == nil {
                new.set(nil, at: "metadata", "resourceVersion")
            }
            return new
        }
    }

    /// What an object is after a configuration was applied to it, and in `settled` who owns its fields then.
    func appliedObject(_ applied: Document, _ old: Document, _ call: Call, force: Bool, _ settled: Settlement) throws
        -> Document
    {
        guard var managed = ManagedFields(old.at("metadata", "managedFields")) else {
            throw APIStatus.failure(500, "", "failed to decode managed fields")
        }
        if managed.isEmpty {
            let updater = fieldUpdater(call)
            _ = updater.update(
                &managed, from: updater.zero, to: old, by: writer(call, manager: Self.beforeFirstApply))
        }
        let new = try ApplyTarget(self, call).merged(applied, old, &managed, force: force) ?? old
        settled.entries = managed.isEmpty ? Optional.none : managed.document
        if let problem = registry.decodingError(in: new, type: call.resource.type) {
            throw APIStatus.failure(500, "", problem)
        }
        return new
    }

    // MARK: Reading

    /// The configuration in the body, which may be YAML or JSON.
    static func readConfiguration(_ call: Call, _ validation: WriteOptions.FieldValidation) throws(APIStatus)
        -> Document
    {
        let prefix = "error decoding YAML: error converting YAML to JSON: yaml: "
        let repeated: [String]
        let object: Document
        do {
            (object, repeated) = try Document.yamlTolerant(call.request.body, deepest: Document.deepestInput)
        } catch let error as DocumentError {
            throw .badRequest(prefix + error.message)
        } catch {
            throw .badRequest(prefix + "\(error)")
        }
        if object.isNull { return .emptyObject }
        guard object.isObject else {
            throw .badRequest(
                "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal "
                    + "\(name(of: object)) into Go value of type map[string]interface {}")
        }
        if validation == .strict, !repeated.isEmpty {
            throw .badRequest(
                "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  "
                    + repeated.joined(separator: "\n  "))
        }
        if validation == .warn { for text in repeated { call.warnings.add(text) } }
        return object
    }
}

/// What a configuration is applied to: the object of a call, or one of its subresources with a kind of its own.
struct ApplyTarget {
    let apiVersion: String
    let kind: String
    let manager: String
    let applier: ManagedEntry.Identity
    let updater: FieldUpdater

    init(_ resources: Resources, _ call: Call) {
        self.init(
            apiVersion: call.resource.apiVersion, kind: call.resource.kind, call, resources.fieldUpdater(call))
    }

    init(apiVersion: String, kind: String, _ call: Call, _ updater: FieldUpdater) {
        self.apiVersion = apiVersion
        self.kind = kind
        self.updater = updater
        manager = call.fieldManager
        applier = ManagedEntry.Identity(
            manager: manager, isApply: true, apiVersion: apiVersion, subresource: call.subresource)
    }

    /// Lays the configuration over the object; nil where that changes nothing.
    func merged(_ applied: Document, _ live: Document, _ managed: inout ManagedFields, force: Bool) throws(APIStatus)
        -> Document?
    {
        let kindText = Self.kindText(applied)
        guard applied.text("apiVersion") == apiVersion, applied.text("kind") == kind else {
            throw .badRequest("invalid object type: \(kindText)")
        }
        let claimed = applied.at("metadata", "managedFields")
        guard claimed == nil || claimed?.isNull == true else {
            throw .badRequest("metadata.managedFields must be nil")
        }
        do {
            try updater.check(applied)
        } catch {
            let place = "\(applied.text("metadata", "namespace") ?? "")/\(applied.text("metadata", "name") ?? "")"
            throw .failure(500, "", "failed to create typed patch object (\(place); \(kindText)): \(error.message)")
        }
        var result: Document?
        do {
            result = try updater.apply(applied, to: live, &managed, by: applier, force: force)
        } catch {
            guard ClientSideApply.mayForce(error, live, self) else { throw .applyConflict(error) }
            do {
                result = try updater.apply(applied, to: live, &managed, by: applier, force: true)
            } catch {
                throw .applyConflict(error)
            }
        }
        if manager == ClientSideApply.manager, ClientSideApply.annotation(of: result ?? live) != nil {
            var noted = result ?? live
            noted.set(
                Document(ClientSideApply.noted(applied)), at: "metadata", "annotations", ClientSideApply.annotationName)
            result = noted
        }
        return result
    }

    /// Group, version and kind as Go prints them.
    private static func kindText(_ object: Document) -> String {
        let version = object.text("apiVersion") ?? ""
        return "\(version.contains("/") ? version : "/" + version), Kind=\(object.text("kind") ?? "")"
    }
}

/// The way from `kubectl apply` as it was, which notes the last configuration in an annotation, to server-side apply:
/// kubectl takes over without conflict what it wrote before, and the annotation is kept up to date for older clients.
enum ClientSideApply {
    /// Only for this manager.
    static let manager = "kubectl"
    static let annotationName = "kubectl.kubernetes.io/last-applied-configuration"

    static func annotation(of object: Document) -> String? {
        object.at("metadata", "annotations", annotationName)?.string
    }

    /// Whether all conflicts are about fields that the last configuration had as they are now.
    static func mayForce(_ conflict: ApplyConflict, _ live: Document, _ target: ApplyTarget) -> Bool {
        guard target.manager == manager, let text = annotation(of: live), !text.isEmpty,
            let last = try? Document(json: text.utf8), last.text("apiVersion") == target.apiVersion
        else { return false }
        let own = Set(target.updater.fields(of: last, unchangedIn: live).texts)
        return conflict.conflicts.allSatisfy { own.contains($0.path) }
    }

    /// The configuration as the annotation has it: JSON with sorted keys and a line's end.
    static func noted(_ configuration: Document) -> String {
        var bare = configuration
        bare.set(nil, at: "metadata", "annotations", annotationName)
        return sorted(bare).jsonText + "\n"
    }

    private static func sorted(_ value: Document) -> Document {
        switch value.kind {
        case .object:
            Document(members: value.members.sorted { $0.key < $1.key }.map { ($0.key, sorted($0.value)) })
        case .array: Document(value.elements.map(sorted))
        default: value
        }
    }
}

extension APIStatus {
    static func applyConflict(_ conflict: ApplyConflict) -> APIStatus {
        var status = failure(409, "Conflict", conflict.message)
        status.causes = conflict.conflicts.map {
            StatusCause(reason: "FieldManagerConflict", message: "conflict with \($0.manager)", field: $0.path)
        }
        return status
    }
}
