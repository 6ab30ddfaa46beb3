import Document
import Kinds
import Schema

extension Resources {
    enum PatchKind: Sendable {
        case json, merge, strategic, apply

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
            case "application/apply-patch+yaml": self = .apply
            default: throw .failure(415, "UnsupportedMediaType", "415: Unsupported Media Type")
            }
        }
    }

    func patch(_ call: Call) async throws -> Answer {
        let kind = try PatchKind(call.request.headers["Content-Type"], call.resource)
        if kind == .apply { return try await applyPatch(call) }
        let options = try call.writeOptions(kind: "PatchOptions")
        let patch = try Self.readPatch(call, kind)
        let bytes = try await change(call, dryRun: options.dryRun) { old in
            var new = try apply(patch, kind, to: old, call)
            guard new.isObject else { throw APIStatus.badRequest("the patch leaves no object") }
            try decode(&new, patch, kind, call, options.fieldValidation)
            try checkIdentity(new, call)
            // A patch that does not speak of the revision goes onto whatever is there.
            if new.text("metadata", "resourceVersion") == old.text("metadata", "resourceVersion") {
                new.set(nil, at: "metadata", "resourceVersion")
            }
            return new
        }
        return .object(bytes)
    }

    /// Reads what a patch has made as an object of its kind.
    func decode(
        _ object: inout Document, _ patch: Document, _ kind: PatchKind, _ call: Call,
        _ validation: WriteOptions.FieldValidation
    ) throws(APIStatus) {
        let resource = call.resource
        let made = object
        func refuse(_ text: String) -> APIStatus {
            let shown: String
            switch kind {
            case .strategic: shown = GoText.value(patch)
            case .json: shown = PatchText.text(made, resource.type.info, PatchText.Trail(json: patch))
            case .merge, .apply: shown = PatchText.text(made, resource.type.info, PatchText.Trail(merge: patch))
            }
            return .invalid(kind: "", group: "", name: "", [.invalid("patch", Document(shown), text)])
        }
        let name = object.text("kind") ?? resource.kind
        let version = object.text("apiVersion") ?? resource.apiVersion
        if name != resource.kind || version != resource.apiVersion {
            throw refuse(
                "no kind \"\(name)\" is registered for version \"\(version)\" in scheme "
                    + "\"pkg/api/legacyscheme/scheme.go:30\"")
        }
        object["kind"] = Document(name)
        object["apiVersion"] = Document(version)
        if kind == .strategic, let text = StructureConversion.error(in: object, .object(resource.type.info)) {
            throw refuse(text)
        }
        if let text = registry.decodingError(in: object, type: resource.type) { throw refuse(text) }
        if validation != .ignore {
            // What is wrong with the patch itself comes before what it leads to.
            var findings = DuplicateFields.find(in: call.request.body).map { "duplicate field \"\($0)\"" }
            if kind == .json {
                findings += JSONPatching.unknownFields(patch).map { "unknown field \"\($0)\"" }
                findings = findings.map { "json patch \($0)" }
            }
            findings += registry.unknownFields(in: object, type: resource.type).map { "unknown field \"\($0)\"" }
            if validation == .strict, !findings.isEmpty {
                throw refuse("strict decoding error: " + findings.joined(separator: ", "))
            }
            for finding in findings { call.warnings.add(finding) }
        }
        registry.prune(&object, type: resource.type)
    }

    static func readPatch(_ call: Call, _ kind: PatchKind) throws(APIStatus) -> Document {
        let patch: Document
        do { patch = try Document(json: call.request.body, deepest: Document.deepestInput) } catch {
            throw .badRequest("error decoding patch: " + GoJSON.message(for: error, in: call.request.body))
        }
        // Null is no patch and no mistake.
        if patch.isNull { return kind == .json ? .emptyArray : .emptyObject }
        switch kind {
        case .json:
            guard patch.isArray else {
                throw .badRequest(
                    "error decoding patch: json: cannot unmarshal \(name(of: patch)) into Go value of type "
                        + "[]handlers.jsonPatchOp")
            }
        case .merge, .strategic, .apply:
            guard patch.isObject else {
                throw .badRequest(
                    "error decoding patch: json: cannot unmarshal \(name(of: patch)) into Go value of type "
                        + "map[string]interface {}")
            }
        }
        return patch
    }

    /// Strategic merge patches that are no such patch are bad requests, those that contradict themselves invalid.
    private static func refusal(_ error: any Error) -> APIStatus {
        switch (error as? StrategicMergeError)?.reason {
        case .malformed: .badRequest("\(error)")
        case .contradiction:
            .failure(422, "Invalid", "the server rejected our request due to an error in our request")
        case .other, nil: .failure(500, "", "\(error)")
        }
    }

    static func name(of value: Document) -> String {
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
        case .merge, .apply: return old.applyingMergePatch(patch)
        case .strategic:
            do {
                return try registry.strategicMerge(patch, into: old, type: call.resource.type)
            } catch {
                throw Self.refusal(error)
            }
        case .json:
            let most = Document.mostPatchOperations
            guard patch.count <= most else {
                throw APIStatus.failure(
                    413, "RequestEntityTooLarge",
                    "Request entity too large: The allowed maximum operations in a JSON patch is \(most), got \(patch.count)"
                )
            }
            do {
                return try JSONPatching.apply(patch, to: old)
            } catch {
                throw APIStatus.failure(
                    422, "Invalid", "the server rejected our request due to an error in our request")
            }
        }
    }
}
