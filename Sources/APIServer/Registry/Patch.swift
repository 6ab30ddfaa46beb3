import Document
import Kinds
import Schema

extension Resources {
    enum PatchKind: Sendable {
        case json, merge, strategic

        init(_ contentType: String?, _ resource: ResourceInfo) throws(APIStatus) {
            let name = (contentType ?? "").split(separator: ";").first.map(String.init) ?? ""
            let known = [
                "application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml",
            ]
            // Strategic merges need declared types.
            if resource.custom != nil, !known.contains(name) {
                throw .failure(
                    415, "UnsupportedMediaType",
                    "the body of the request was in an unknown format - accepted media types include: "
                        + known.joined(separator: ", "))
            }
            try self.init(contentType)
        }

        init(_ contentType: String?) throws(APIStatus) {
            let name = (contentType ?? "").split(separator: ";").first.map(String.init) ?? ""
            switch name {
            case "application/json-patch+json": self = .json
            case "application/merge-patch+json": self = .merge
            case "application/strategic-merge-patch+json": self = .strategic
            case "application/apply-patch+yaml", "application/apply-patch+cbor":
                throw .failure(
                    415, "UnsupportedMediaType",
                    "server-side apply is not served by this server; use a merge patch, or kubectl apply without "
                        + "--server-side")
            default: throw .failure(415, "UnsupportedMediaType", "415: Unsupported Media Type")
            }
        }
    }

    func patch(_ call: Call) async throws -> Answer {
        let kind = try PatchKind(call.request.headers["Content-Type"], call.resource)
        let options = try call.writeOptions(kind: "PatchOptions")
        let patch = try Self.readPatch(call, kind)
        let decoder = BodyDecoder(registry: registry, call: call)
        let bytes = try await change(call, dryRun: options.dryRun) { old in
            var new = try apply(patch, kind, to: old, call)
            guard new.isObject else { throw APIStatus.badRequest("the patch leaves no object") }
            try decoder.strict(
                &new, type: call.resource.type, validation: options.fieldValidation, kind: call.resource.kind,
                version: call.resource.version)
            try checkIdentity(new, call)
            // A patch that does not speak of the revision goes onto whatever is there.
            if new.text("metadata", "resourceVersion") == old.text("metadata", "resourceVersion") {
                new.set(nil, at: "metadata", "resourceVersion")
            }
            return new
        }
        return .object(bytes)
    }

    static func readPatch(_ call: Call, _ kind: PatchKind) throws(APIStatus) -> Document {
        let patch: Document
        do { patch = try Document(json: call.request.body) } catch {
            throw .badRequest("error decoding patch: \(error)")
        }
        switch kind {
        case .json:
            guard patch.isArray else {
                throw .badRequest(
                    "error decoding patch: json: cannot unmarshal \(name(of: patch)) into Go value of type "
                        + "[]handlers.jsonPatchOp")
            }
        case .merge, .strategic:
            guard patch.isObject else {
                throw .badRequest(
                    "error decoding patch: json: cannot unmarshal \(name(of: patch)) into Go value of type "
                        + "map[string]interface {}")
            }
        }
        return patch
    }

    private static func name(of value: Document) -> String {
        switch value.kind {
        case .null: "null"
        case .bool: "bool"
        case .int, .double: "number"
        case .string: "string"
        case .array: "array"
        case .object: "object"
        }
    }

    func apply(_ patch: Document, _ kind: PatchKind, to old: Document, _ call: Call) throws -> Document {
        switch kind {
        case .merge: return old.applyingMergePatch(patch)
        case .strategic:
            do {
                return try registry.strategicMerge(patch, into: old, type: call.resource.type)
            } catch {
                throw APIStatus.failure(500, "", "\(error)")
            }
        case .json:
            do {
                return try Self.jsonPatched(old, patch)
            } catch {
                throw APIStatus.failure(
                    422, "Invalid", "the server rejected our request due to an error in our request")
            }
        }
    }

    /// RFC 6902, as upstream reads it: what a `replace` does not find it adds, and a `copy` of nothing is null.
    private static func jsonPatched(_ old: Document, _ patch: Document) throws(PatchError) -> Document {
        guard patch.count <= Document.mostPatchOperations else { throw PatchError(.malformed, "too many operations") }
        var result = old
        for operation in patch.elements {
            do {
                result = try result.applyingJSONPatch([operation])
            } catch {
                var addition = operation
                switch operation.text("op") {
                case "replace" where error.reason == .missing: break
                case "copy" where error.reason == .missing: addition["value"] = .some(.null)
                default: throw error
                }
                addition["op"] = "add"
                addition["from"] = .none
                result = try result.applyingJSONPatch([addition])
            }
        }
        return result
    }
}
