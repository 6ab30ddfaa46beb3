import Client
import Document
import Kinds
import Schema

/// Says of a validating policy what its expressions get wrong about the kinds that they will meet.
struct ValidatingPolicyStatus: Controller {
    let name = "validatingadmissionpolicy-status-controller"
    let workers = 1
    private let policies: Informer

    init(_ informers: Informers) { policies = informers(.validatingAdmissionPolicies) }

    var sources: [Source] { [Source(policies) { $0.new == nil ? [] : [$0.key] }] }

    /// The policy, unless its present spec was looked at before.
    private func unchecked(_ key: String) -> Document? {
        policies.get(key: key).flatMap { policy in
            policy.number("metadata", "generation") == policy.number("status", "observedGeneration") ? nil : policy
        }
    }

    func questions(_ key: String, _ answers: Answers) -> [String] {
        unchecked(key).map { PolicyTypeCheck($0, answers).questions } ?? []
    }

    func plan(_ key: String, _ situation: Situation) throws -> Plan {
        guard let policy = unchecked(key) else { return .nothing }
        let check = PolicyTypeCheck(policy, situation.answers)
        if let trouble = check.trouble { throw trouble }
        let warnings = check.warnings
        let status: Document = [
            "observedGeneration": policy.at("metadata", "generation") ?? .null,
            "typeChecking": ["expressionWarnings": warnings.isEmpty ? .null : Document(warnings)],
        ]
        return Plan(steps: [
            .inOrder([
                .patch(
                    .validatingAdmissionPolicies, namespace: nil, name: policy.name, ["status": status],
                    subresource: "status")
            ])
        ])
    }
}

/// Compiles a policy's validations once for each kind that its rules name, with the kind's schema as the server
/// publishes it.
struct PolicyTypeCheck {
    struct Kind: Comparable {
        var group: String
        var version: String
        var kind: String

        static func < (left: Kind, right: Kind) -> Bool {
            (left.group, left.version, left.kind) < (right.group, right.version, right.kind)
        }

        var description: String { "\(group.isEmpty ? "" : "\(group)/")\(version), Kind=\(kind)" }
    }

    /// No more kinds than these are looked at.
    private static let most = 10

    let policy: Document
    let answers: Answers

    init(_ policy: Document, _ answers: Answers) {
        self.policy = policy
        self.answers = answers
    }

    private static func path(_ group: String, _ version: String) -> String {
        group.isEmpty ? "api/\(version)" : "apis/\(group)/\(version)"
    }

    /// The collections that rules name outright: one with a star could mean anything.
    private var collections: [(group: String, version: String, plural: String)] {
        var result: [(group: String, version: String, plural: String)] = []
        for rule in policy.list("spec", "matchConstraints", "resourceRules") {
            func words(_ member: String) -> [String] { rule.list(member).compactMap(\.string) }
            let (groups, versions) = (words("apiGroups"), words("apiVersions"))
            let plurals = words("resources").filter { !$0.contains("*") && !$0.contains("/") }
            if groups.contains("*") || versions.contains("*") { continue }
            for group in groups {
                for version in versions { result += plurals.map { (group, version, $0) } }
            }
        }
        return result
    }

    private var parameters: Kind? {
        guard let kind = policy.text("spec", "paramKind", "kind") else { return nil }
        let words = (policy.text("spec", "paramKind", "apiVersion") ?? "").split(separator: "/").map(String.init)
        return Kind(group: words.count == 2 ? words[0] : "", version: words.last ?? "", kind: kind)
    }

    private var lists: [String] {
        Array(Set(collections.map { "/\(Self.path($0.group, $0.version))" }).sorted().prefix(Answers.limit / 2))
    }

    private var documents: [String] {
        let needed = kinds + (parameters.map { [$0] } ?? [])
        return Set(needed.map { "/openapi/v3/\(Self.path($0.group, $0.version))" }).sorted()
    }

    /// Why there can be no verdict now. That the server does not know a kind is no reason: nothing can be said of it.
    var trouble: APIStatus? {
        for path in lists + documents {
            if case .failure(let status)? = answers[path], status.code != 404, status.code != 403 { return status }
        }
        return nil
    }

    /// Those of the collections that the server has.
    private var kinds: [Kind] {
        var kinds: [Kind] = []
        for (group, version, plural) in collections {
            guard case .success(let list)? = answers["/\(Self.path(group, version))"],
                let kind = list.list("resources").first(where: { $0.text("name") == plural })?.text("kind")
            else { continue }
            let found = Kind(group: group, version: version, kind: kind)
            if !kinds.contains(found) { kinds.append(found) }
        }
        return Array(kinds.prefix(Self.most)).sorted()
    }

    /// What to read next: first what the collections hold, then what that looks like.
    var questions: [String] {
        let open = lists.filter { answers[$0] == nil }
        return open.isEmpty ? documents.filter { answers[$0] == nil } : open
    }

    /// Entries of `status.typeChecking.expressionWarnings`.
    var warnings: [Document] {
        let params = parameters.map { type(of: $0) ?? CEL.DeclaredType(.dyn) }
        let types = kinds.compactMap { kind in type(of: kind).map { (kind, $0) } }
        var warnings: [Document] = []
        for (index, validation) in policy.list("spec", "validations").enumerated() {
            for member in ["expression", "messageExpression"] {
                guard let source = validation.text(member), !source.isEmpty else { continue }
                let found = types.compactMap { kind, type -> String? in
                    problem(of: source, object: type, params: params).map { "\(kind.description): \($0)" }
                }
                if found.isEmpty { continue }
                warnings.append([
                    "fieldRef": Document("spec.validations[\(index)].\(member)"),
                    "warning": Document(found.joined(separator: "\n")),
                ])
            }
        }
        return warnings
    }

    private func problem(of source: String, object: CEL.DeclaredType, params: CEL.DeclaredType?) -> String? {
        var variables: [(name: String, type: CEL.ValueType)] = []
        func environment() -> CEL.Environment {
            AdmissionEnvironment.make(hasParams: params != nil, variables: variables)
                .declaring("object", object).declaring("oldObject", object)
                .declaring("params", params ?? CEL.DeclaredType(.dyn))
        }
        for variable in policy.list("spec", "variables") {
            // One that does not compile for this kind has any type: it is its own trouble.
            let program = try? environment().compile(variable.text("expression") ?? "")
            variables.append((variable.text("name") ?? "", program?.resultType ?? .dyn))
        }
        do throws(CEL.CompileError) {
            _ = try environment().compile(source)
            return nil
        } catch {
            return error.description
        }
    }

    private func type(of kind: Kind) -> CEL.DeclaredType? {
        guard case .success(let document)? = answers["/openapi/v3/\(Self.path(kind.group, kind.version))"],
            let schemas = document.at("components", "schemas")
        else { return nil }
        let root = schemas.members.first { member in
            member.value.list("x-kubernetes-group-version-kind").contains {
                $0.text("group") == kind.group && $0.text("version") == kind.version && $0.text("kind") == kind.kind
            }
        }
        return root.flatMap { CEL.DeclaredType.schema(PublishedSchema(schemas).whole($0.value)) }
    }
}

/// The schemas of an OpenAPI document, which refer to one another by name.
struct PublishedSchema {
    private let schemas: Document
    /// What expressions may take for anything.
    private static let anything: Document = ["x-kubernetes-int-or-string": true]

    init(_ schemas: Document) { self.schemas = schemas }

    /// A schema with all that it refers to in place. Where one contains itself, and where nothing is known of the
    /// inside, anything may come.
    func whole(_ schema: Document, inside names: Set<String> = []) -> Document {
        if let reference = schema.text("$ref") ?? schema.list("allOf").first?.text("$ref") {
            let name = reference.split(separator: "/").last.map(String.init) ?? ""
            guard !names.contains(name), let target = schemas[name] else { return Self.anything }
            return whole(target, inside: names.union([name]))
        }
        var result = schema
        switch schema.text("type") {
        case "object":
            if let properties = schema["properties"], !properties.members.isEmpty {
                result["properties"] = Document(
                    members: properties.members.map { ($0.key, whole($0.value, inside: names)) })
            } else if let values = schema["additionalProperties"], values.isObject {
                result["additionalProperties"] = whole(values, inside: names)
            } else {
                return Self.anything
            }
        case "array": result["items"] = schema["items"].map { whole($0, inside: names) } ?? Self.anything
        case nil: return Self.anything
        default: break
        }
        return result
    }
}
