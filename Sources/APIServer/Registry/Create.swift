import Basics
import Document
import Kinds
import Schema
import Store

extension Resources {
    func create(_ call: Call) async throws -> Answer {
        let options = try call.writeOptions(kind: "CreateOptions")
        let object = try BodyDecoder(registry: registry, call: call).object(
            kind: call.resource.kind, group: call.resource.group, version: call.resource.version,
            type: call.resource.type, validation: options.fieldValidation)
        return .object(try await create(object, call, dryRun: options.dryRun), status: 201)
    }

    /// Creates `object` and returns its stored form.
    ///
    /// Who owns which field is settled before admission completes the object: what nobody asked for nobody owns.
    func create(_ given: Document, _ call: Call, dryRun: Bool, fields: FieldAccount = .update) async throws -> [UInt8] {
        let resource = call.resource
        var object = given
        try prepareMetadata(&object, call)
        dedupeOwners(&object, call.warnings)
        Kinds.applyDefaults(to: &object, resource: resource)
        let managed = accountForNew(fields, object, call)
        object.set(managed, at: "metadata", "managedFields")
        var context = context(call, .create, dryRun: dryRun)
        context.name = object.text("metadata", "name") ?? ""
        try await admit(&object, context)
        for attempt in 1...Self.nameDraws {
            var candidate = object
            let isDrawn = drawName(&candidate)
            finishNew(&candidate, resource, call.warnings)
            let name = candidate.text("metadata", "name") ?? ""
            let errors = Kinds.validateCreate(candidate, resource: resource)
            if !errors.isEmpty { throw APIStatus.invalid(resource, name, errors) }
            for text in Kinds.rules(for: resource).warnings(candidate, .none) { call.warnings.add(text) }
            context.name = name
            try await validate(candidate, context)
            do {
                return try await store(candidate, call, name: name, dryRun: dryRun)
            } catch StoreError.exists {
                guard isDrawn, attempt < Self.nameDraws else { throw APIStatus.alreadyExists(resource, name) }
            }
        }
        throw APIStatus.alreadyExists(resource, object.text("metadata", "generateName") ?? "")
    }

    private func store(_ given: Document, _ call: Call, name: String, dryRun: Bool) async throws -> [UInt8] {
        let resource = call.resource
        var object = given
        let key = ObjectCodec.key(resource, namespace: call.namespace, name: name)
        if let existing = try await store.get(key) {
            let object = try ObjectCodec.document(existing.value, resource)
            guard object.text("metadata", "deletionTimestamp") == nil else {
                var status = APIStatus.alreadyExists(resource, name)
                status.message = "object is being deleted: " + status.message
                throw status
            }
            throw StoreError.exists(key: key)
        }
        let claim = try await allocations.claim(
            for: &object, old: nil, resource: resource, resources: self, dryRun: dryRun)
        guard !dryRun else {
            claim.release()
            return ObjectCodec.bytes(Conversion.stored(object, resource))
        }
        do {
            try await recordAddresses(claim.taken, of: object)
            let record = try await store.create(key, ObjectCodec.encoding(Conversion.stored(object, resource)))
            claim.keep()
            wrote(resource)
            return record.value
        } catch {
            await forgetAddresses(claim.taken)
            claim.release()
            throw error
        }
    }

    /// Checks what the client says about the object's place, and resets what only the server says.
    private func prepareMetadata(_ object: inout Document, _ call: Call) throws {
        var metadata = object["metadata"] ?? .emptyObject
        if metadata.isNull { metadata = .emptyObject }
        let given = metadata.text("namespace") ?? ""
        if call.resource.namespaced {
            guard given.isEmpty || given == call.namespace else {
                throw APIStatus.badRequest(
                    "the namespace of the provided object does not match the namespace sent on the request")
            }
            metadata["namespace"] = Document(call.namespace)
        }
        if let version = metadata.text("resourceVersion"), !version.isEmpty {
            throw APIStatus.failure(500, "", "resourceVersion should not be set on objects to be created")
        }
        for field in [
            "resourceVersion", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
            "selfLink", "managedFields",
        ] { metadata[field] = nil }
        if call.resource.generation { metadata["generation"] = nil }
        object["metadata"] = metadata
    }

    /// Gives an object without a name one; false where it has one.
    private func drawName(_ object: inout Document) -> Bool {
        guard (object.text("metadata", "name") ?? "").isEmpty,
            let start = object.text("metadata", "generateName"), !start.isEmpty
        else { return false }
        // Names that are used as labels may have 63 bytes, five of them are the suffix.
        let prefix = String(decoding: start.utf8.prefix(58), as: UTF8.self)
        object.set(Document(prefix + Identifier.suffix(from: world.random)), at: "metadata", "name")
        // A default that copies the name had none to copy.
        return true
    }

    private func finishNew(_ object: inout Document, _ resource: ResourceInfo, _ warnings: Warnings) {
        let now = world.clock.now
        object.set(Document(Identifier.uuid(from: world.random)), at: "metadata", "uid")
        object.set(Document(now.description), at: "metadata", "creationTimestamp")
        if resource.generation { object.set(1, at: "metadata", "generation") }
        Kinds.rules(for: resource).prepareForCreate(
            &object,
            RuleContext(
                now: now, identity: { Identifier.uuid(from: world.random) }, warn: { warnings.add($0) }))
        Kinds.applyDefaults(to: &object, resource: resource)
    }
}
