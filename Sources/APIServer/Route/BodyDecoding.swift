import Basics
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
        let body = call.request.body
        var object: Document
        var repeated: [String] = []
        do {
            switch format {
            case .json: object = try Document(json: body, deepest: Document.deepestInput)
            case .yaml: (object, repeated) = try Document.yamlTolerant(body, deepest: Document.deepestInput)
            case .protobuf: object = try Self.protobuf(body, type: type)
            }
        } catch {
            throw format == .yaml
                ? Self.unrecognized(body, kind: kind, GoJSON.yamlMessage(for: error))
                : Self.unreadable(body, kind: kind, GoJSON.message(for: error, in: body))
        }
        if object.isNull { object = .emptyObject }
        if let problem = Self.envelopeProblem(object) { throw Self.unreadable(body, kind: kind, problem) }
        try checkKind(of: object, kind: kind, group: group, version: version)
        object["apiVersion"] = Document(group.isEmpty ? version : "\(group)/\(version)")
        object["kind"] = Document(kind)
        guard let type else { return object }
        try strict(
            &object, type: type, validation: validation, kind: kind, version: version,
            duplicates: format == .json ? DuplicateFields.find(in: body) : [], repeated: repeated)
        return object
    }

    /// Why kind and version cannot be read from a body that is well-formed.
    private static func envelopeProblem(_ object: Document) -> String? {
        guard object.isObject else {
            return "json: cannot unmarshal \(GoJSON.name(of: object)) into Go value of type struct { APIVersion string "
                + "\"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }"
        }
        for field in ["apiVersion", "kind"] {
            guard let value = object[field], !value.isNull, value.string == nil else { continue }
            return "json: cannot unmarshal \(GoJSON.name(of: value)) into Go struct field .\(field) of type string"
        }
        return nil
    }

    /// Drops what the type does not know, and tells of it as the client asked.
    func strict(
        _ object: inout Document, type: TypeID, validation: WriteOptions.FieldValidation, kind: String, version: String,
        duplicates: [String] = [], repeated: [String] = []
    ) throws(APIStatus) {
        let prefix = "\(kind) in version \"\(version)\" cannot be handled as a \(kind): "
        if let problem = registry.decodingError(in: object, type: type) { throw .badRequest(prefix + problem) }
        if validation != .ignore {
            let findings = findings(in: object, type: type, duplicates)
            if validation == .strict, !findings.isEmpty || !repeated.isEmpty {
                let lines = repeated.map { "\n  " + $0 }.joined()
                let all = (lines.isEmpty ? [] : ["yaml: unmarshal errors:" + lines]) + findings
                throw .badRequest(prefix + "strict decoding error: " + all.joined(separator: ", "))
            }
            for finding in repeated + findings { call.warnings.add(finding) }
        }
        registry.prune(&object, type: type)
    }

    /// Fields that are given twice or not known, in the order of the body.
    private func findings(in object: Document, type: TypeID, _ duplicates: [String]) -> [String] {
        let unknown = registry.unknownFields(in: object, type: type).map { (path: $0, text: "unknown field \"\($0)\"") }
        let twice = duplicates.map { (path: $0, text: "duplicate field \"\($0)\"") }
        guard !unknown.isEmpty, !twice.isEmpty, call.resource.custom == nil else {
            return (twice + unknown).map(\.text)
        }
        let order = DuplicateFields.order(of: call.request.body)
        return (twice + unknown).sorted { (order[$0.path] ?? 0) < (order[$1.path] ?? 0) }.map(\.text)
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

    private static func unreadable(_ body: [UInt8], kind: String, _ problem: String) -> APIStatus {
        unrecognized(body, kind: kind, "couldn't get version/kind; json parse error: \(problem)")
    }

    private static func unrecognized(_ body: [UInt8], kind: String, _ problem: String) -> APIStatus {
        // What does not look like JSON is shown in hexadecimal.
        let start = body.prefix(30)
        var shown = body.first == UInt8(ascii: "{") ? String(decoding: start, as: UTF8.self) : Hex.encode(Array(start))
        if body.isEmpty { shown = "<empty>" }
        if body.count > 30 { shown += " ..." }
        return .badRequest("the object provided is unrecognized (must be of type \(kind)): \(problem) (\(shown))")
    }

    /// Which of upstream's servers knows a group's kinds; messages name the place where it says so.
    private static func scheme(of group: String) -> String {
        group == "apiregistration.k8s.io"
            ? "pkg/apiserver/scheme/scheme.go:28" : "pkg/api/legacyscheme/scheme.go:30"
    }

    /// Any kind can be read as a custom one; whether it is the right one shows afterwards.
    private func checkCustomKind(of object: Document, kind: String, expected: String) throws(APIStatus) {
        let given = object.text("apiVersion") ?? ""
        if !given.isEmpty, given != expected {
            throw .badRequest(
                "the API version in the data (\(given)) does not match the expected API version (\(expected))")
        }
        let givenKind = object.text("kind") ?? ""
        if !givenKind.isEmpty, givenKind != kind {
            throw .invalid(
                kind: givenKind, group: call.resource.group, name: object.text("metadata", "name") ?? "",
                [.invalid("kind", Document(givenKind), "must be \(kind)")])
        }
    }

    private func checkKind(of object: Document, kind: String, group: String, version: String) throws(APIStatus) {
        let expected = group.isEmpty ? version : "\(group)/\(version)"
        let given = object.text("apiVersion") ?? ""
        if given.split(separator: "/", omittingEmptySubsequences: false).count > 2 {
            throw Self.unrecognized(call.request.body, kind: kind, "unexpected GroupVersion string: \(given)")
        }
        let givenKind = object.text("kind") ?? ""
        if call.resource.custom != nil, kind == call.resource.kind {
            return try checkCustomKind(of: object, kind: kind, expected: expected)
        }
        let apiVersion = given.isEmpty ? expected : given
        let name = givenKind.isEmpty ? kind : givenKind
        guard apiVersion != expected || name != kind else { return }
        // An eviction may still be written in its first version, whose group is not served any more.
        if kind == "Eviction", name == kind, apiVersion == "policy/v1beta1" { return }
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
                    + "\"\(Self.scheme(of: group))\"")
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
