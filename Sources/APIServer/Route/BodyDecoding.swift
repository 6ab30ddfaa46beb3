import Document
import Kinds
import Schema
import Wire

/// Reads a request's body as an object of a resource: format, kind and version, unknown and repeated fields.
struct BodyDecoder {
    let registry: Schema.Registry
    let call: Call

    enum Format: Sendable { case json, yaml, protobuf }

    static func format(_ contentType: String?) throws(APIStatus) -> Format {
        let name = (contentType ?? "").split(separator: ";").first.map { $0.lowercased() } ?? ""
        switch name.filter({ $0 != " " }) {
        case "", "application/json": return .json
        case "application/yaml": return .yaml
        case "application/vnd.kubernetes.protobuf": return .protobuf
        default: throw .unknownBody()
        }
    }

    /// The object in the body; `kind`, `group` and `version` are what the path expects.
    func object(kind: String, group: String, version: String, type: TypeID?, validation: WriteOptions.FieldValidation)
        throws(APIStatus) -> Document
    {
        let format = try Self.format(call.request.headers["Content-Type"])
        var object: Document
        do {
            switch format {
            case .json: object = try Document(json: call.request.body)
            case .yaml: object = try Document.yamlDocuments(call.request.body).first ?? .null
            case .protobuf: object = try Self.protobuf(call.request.body, type: type)
            }
        } catch {
            throw Self.unreadable(call.request.body, kind: kind, error)
        }
        if object.isNull { object = .emptyObject }
        guard object.isObject else {
            throw Self.unreadable(call.request.body, kind: kind, "json: cannot unmarshal into a Go struct")
        }
        try checkKind(of: object, kind: kind, group: group, version: version)
        object["apiVersion"] = Document(group.isEmpty ? version : "\(group)/\(version)")
        object["kind"] = Document(kind)
        guard let type else { return object }
        try strict(
            &object, type: type, validation: validation, kind: kind, version: version,
            duplicates: format == .json ? DuplicateFields.find(in: call.request.body) : [])
        return object
    }

    /// Drops what the type does not know, and tells of it as the client asked.
    func strict(
        _ object: inout Document, type: TypeID, validation: WriteOptions.FieldValidation, kind: String, version: String,
        duplicates: [String] = []
    ) throws(APIStatus) {
        let prefix = "\(kind) in version \"\(version)\" cannot be handled as a \(kind): "
        if let problem = registry.decodingError(in: object, type: type) { throw .badRequest(prefix + problem) }
        if validation != .ignore {
            let findings =
                duplicates.map { "duplicate field \"\($0)\"" }
                + registry.unknownFields(in: object, type: type).map { "unknown field \"\($0)\"" }
            if validation == .strict, !findings.isEmpty {
                throw .badRequest(prefix + "strict decoding error: " + findings.joined(separator: ", "))
            }
            for finding in findings { call.warnings.add(finding) }
        }
        registry.prune(&object, type: type)
    }

    /// A protobuf body as the document that its JSON form would be. A body of another kind keeps only its name,
    /// which the check of kinds then refuses.
    static func protobuf(_ body: [UInt8], type: TypeID?) throws -> Document {
        let envelope = try ProtobufDecoder.envelope(body)
        var object = Document.emptyObject
        if let type, envelope.kind.isEmpty || envelope.kind == type.info.name {
            object = try ProtobufDecoder.object(envelope.message, type: type.info)
        }
        if !envelope.apiVersion.isEmpty { object["apiVersion"] = Document(envelope.apiVersion) }
        if !envelope.kind.isEmpty { object["kind"] = Document(envelope.kind) }
        return object
    }

    private static func unreadable(_ body: [UInt8], kind: String, _ error: any Error) -> APIStatus {
        unreadable(body, kind: kind, GoJSON.message(for: error, in: body))
    }

    private static func unreadable(_ body: [UInt8], kind: String, _ problem: String) -> APIStatus {
        var shown = body.isEmpty ? "<empty>" : String(decoding: body.prefix(30), as: UTF8.self)
        if body.count > 30 { shown += " ..." }
        return .badRequest(
            "the object provided is unrecognized (must be of type \(kind)): couldn't get version/kind; "
                + "json parse error: \(problem) (\(shown))")
    }

    private func checkKind(of object: Document, kind: String, group: String, version: String) throws(APIStatus) {
        let expected = group.isEmpty ? version : "\(group)/\(version)"
        let given = object.text("apiVersion") ?? ""
        let givenKind = object.text("kind") ?? ""
        let apiVersion = given.isEmpty ? expected : given
        let name = givenKind.isEmpty ? kind : givenKind
        guard apiVersion != expected || name != kind else { return }
        let parts = apiVersion.split(separator: "/", maxSplits: 1).map(String.init)
        let givenVersion = parts.last ?? ""
        let givenGroup = parts.count == 2 ? parts[0] : ""
        let isKnown =
            registry.type(group: givenGroup, version: givenVersion, name: name) != nil
            || registry.resource(group: givenGroup, version: givenVersion, kind: name) != nil
        let prefix = "\(name) in version \"\(givenVersion)\" cannot be handled as a \(kind): "
        guard isKnown else {
            throw .badRequest(
                prefix + "no kind \"\(name)\" is registered for version \"\(apiVersion)\" in scheme "
                    + "\"pkg/api/legacyscheme/scheme.go:30\"")
        }
        if name == kind {
            throw .badRequest(
                "the API version in the data (\(apiVersion)) does not match the expected API version (\(expected))")
        }
        let package = group.isEmpty ? "core" : group.split(separator: ".").first.map(String.init) ?? group
        throw .badRequest(
            prefix + "converting (\(givenVersion).\(name)) to (\(package).\(kind)): unknown conversion")
    }
}
