import Basics
import Client
import Document
import Kinds
import Synchronization
import Wire

extension ModelServer {
    func create(_ resource: ResourceType, _ namespace: String?, _ given: Document) throws -> Document {
        var object = given
        if let namespace { object.set(Document(namespace), at: "metadata", "namespace") }
        object["kind"] = Document(resource.kind)
        object["apiVersion"] = Document(resource.apiVersion)
        if object.text("metadata", "name") == nil, let prefix = object.text("metadata", "generateName") {
            object.set(Document(prefix + Identifier.suffix(from: world.random)), at: "metadata", "name")
        }
        guard let name = object.text("metadata", "name"), !name.isEmpty else {
            throw APIStatus(code: 422, reason: "Invalid", message: "name or generateName is required")
        }
        if let namespace, resource.namespaced {
            let home = try get("/api/v1/namespaces/\(namespace)", .namespaces, namespace)
            if home.text("metadata", "deletionTimestamp") != nil {
                var status = APIStatus(
                    code: 403, reason: "Forbidden",
                    message: "unable to create new content in namespace \(namespace) because it is being terminated")
                status.causes = [StatusCause(reason: "NamespaceTerminating", message: "", field: "metadata.namespace")]
                throw status
            }
        }
        object.set(Document(Identifier.uuid(from: world.random)), at: "metadata", "uid")
        object.set(Document(world.clock.now.rfc3339()), at: "metadata", "creationTimestamp")
        object.set(1, at: "metadata", "generation")
        if resource == .namespaces {
            object.set(["kubernetes"], at: "spec", "finalizers")
            object.set("Active", at: "status", "phase")
        }
        if resource == .pods { object.set("Pending", at: "status", "phase") }
        let key = "\(resource.path(namespace: object.text("metadata", "namespace")))/\(name)"
        return try write(key, name, resource) { old in
            if old != nil {
                throw APIStatus(
                    code: 409, reason: "AlreadyExists", message: "\(resource) \"\(name)\" already exists")
            }
            return object
        }
    }

    func replace(_ key: String, _ name: String, _ new: Document, _ subresource: String?) throws -> Document {
        try change(key, name) { old in
            try Self.checkVersion(old, new, name)
            return Self.merged(old, new, subresource)
        }
    }

    func patch(
        _ key: String, _ resource: ResourceType, _ name: String, _ request: Request, _ subresource: String?
    ) throws -> Document {
        guard request.headers["Content-Type"] == "application/merge-patch+json" else {
            throw APIStatus(code: 415, reason: "UnsupportedMediaType", message: "the model takes merge patches only")
        }
        let patch = try Document(json: request.body)
        return try change(key, name) { old in
            try Self.checkVersion(old, patch, name)
            return Self.merged(old, old.applyingMergePatch(patch), subresource)
        }
    }

    func bind(_ key: String, _ name: String, _ binding: Document) throws -> Document {
        try change(key, name) { old in
            if let node = old.text("spec", "nodeName"), !node.isEmpty {
                throw APIStatus(
                    code: 409, reason: "Conflict", message: "pod \(name) is already assigned to node \"\(node)\"")
            }
            if old.text("metadata", "deletionTimestamp") != nil {
                throw APIStatus(code: 409, reason: "Conflict", message: "pod \(name) is being deleted")
            }
            var pod = old
            pod.set(binding.at("target", "name"), at: "spec", "nodeName")
            return pod
        }
        return ["kind": "Status", "apiVersion": "v1", "status": "Success"]
    }

    func deleteAll(
        _ resource: ResourceType, _ namespace: String?, _ filter: ModelFilter, _ request: Request
    ) throws -> Document {
        let options = request.body.isEmpty ? .emptyObject : try Document(json: request.body)
        let found = state.withLock { state in
            state.objects.filter { $0.value.resource == resource && filter.admits($0.value.object) }
        }
        for (key, stored) in found.sorted(by: { $0.key < $1.key })
        where namespace == nil || stored.object.text("metadata", "namespace") == namespace {
            _ = try delete(key, resource, stored.object.text("metadata", "name") ?? "", options)
        }
        return ["kind": "Status", "apiVersion": "v1", "status": "Success"]
    }

    /// Pods on a node stay until the node says that they ended; finalizers hold anything.
    func delete(_ key: String, _ resource: ResourceType, _ name: String, _ options: Document) throws -> Document {
        try write(key, name, resource) { old in
            guard var object = old else { throw Self.notFound(resource, name) }
            for (field, wanted) in [
                ("uid", options.text("preconditions", "uid")),
                ("resourceVersion", options.text("preconditions", "resourceVersion")),
            ] {
                if let wanted, wanted != object.text("metadata", field) {
                    throw APIStatus(code: 409, reason: "Conflict", message: "\(name): precondition \(field) failed")
                }
            }
            var finalizers = object.list("metadata", "finalizers").compactMap(\.string)
            switch options.text("propagationPolicy") {
            case "Foreground": finalizers.append("foregroundDeletion")
            case "Orphan": finalizers.append("orphan")
            default: break
            }
            let isOnNode = resource == .pods && !(object.text("spec", "nodeName") ?? "").isEmpty
            let isFinished = ["Succeeded", "Failed"].contains(object.text("status", "phase") ?? "")
            let specified = object.number("spec", "terminationGracePeriodSeconds") ?? 30
            let grace = isOnNode && !isFinished ? options.number("gracePeriodSeconds") ?? specified : 0
            let holdsContent = !object.list("spec", "finalizers").isEmpty && resource == .namespaces
            if finalizers.isEmpty, grace == 0, !holdsContent { return nil }
            if !finalizers.isEmpty {
                object.set(Document(Array(Set(finalizers)).sorted()), at: "metadata", "finalizers")
            }
            if object.text("metadata", "deletionTimestamp") == nil {
                let end = self.world.clock.now + .seconds(grace)
                object.set(Document(end.rfc3339()), at: "metadata", "deletionTimestamp")
                object.set(Document(grace), at: "metadata", "deletionGracePeriodSeconds")
            }
            if resource == .namespaces { object.set("Terminating", at: "status", "phase") }
            return object
        }
    }

    // MARK: -

    private static func checkVersion(_ old: Document, _ new: Document, _ name: String) throws {
        for field in ["resourceVersion", "uid"] {
            if let wanted = new.text("metadata", field), wanted != old.text("metadata", field) {
                throw APIStatus(
                    code: 409, reason: "Conflict",
                    message: "\(name): the object has been modified; please apply your changes to the latest version")
            }
        }
    }

    /// Status writes keep everything else, other writes keep the status.
    private static func merged(_ old: Document, _ new: Document, _ subresource: String?) -> Document {
        var result = subresource == "status" ? old : new
        result["status"] = subresource == "status" ? new["status"] : old["status"]
        for field in ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"] {
            result.set(old.at("metadata", field), at: "metadata", field)
        }
        if result["spec"] != old["spec"] {
            result.set(Document((old.number("metadata", "generation") ?? 0) + 1), at: "metadata", "generation")
        }
        return result
    }

    @discardableResult
    private func change(
        _ key: String, _ name: String, _ make: (Document) throws -> Document
    ) throws -> Document {
        guard let resource = state.withLock({ $0.objects[key]?.resource }) else {
            throw APIStatus(code: 404, reason: "NotFound", message: "\(key) not found")
        }
        return try write(key, name, resource) { old in
            guard let old else { throw Self.notFound(resource, name) }
            let new = try make(old)
            // The last finalizer of a deleted object takes it along.
            let isHeld =
                !new.list("metadata", "finalizers").isEmpty
                || (resource == .namespaces ? !new.list("spec", "finalizers").isEmpty : resource == .pods)
            return new.text("metadata", "deletionTimestamp") != nil && !isHeld ? nil : new
        }
    }

    /// The one place where anything changes: what `make` answers becomes the object, nil removes it.
    private func write(
        _ key: String, _ name: String, _ resource: ResourceType,
        _ make: (Document?) throws -> Document?
    ) throws -> Document {
        let result = try state.withLock { state -> Document in
            let old = state.objects[key]?.object
            guard var new = try make(old) else {
                var last = old ?? .emptyObject
                state.revision += 1
                last.set(Document(String(state.revision)), at: "metadata", "resourceVersion")
                state.objects[key] = nil
                state.events.append(
                    Event(revision: state.revision, type: "DELETED", resource: resource, object: last, previous: old))
                return ["kind": "Status", "apiVersion": "v1", "status": "Success"]
            }
            if let old, new == old { return old }
            state.revision += 1
            new.set(Document(String(state.revision)), at: "metadata", "resourceVersion")
            state.objects[key] = Stored(resource: resource, object: new)
            state.events.append(
                Event(
                    revision: state.revision, type: old == nil ? "ADDED" : "MODIFIED", resource: resource, object: new,
                    previous: old))
            return new
        }
        change.wake()
        return result
    }
}
