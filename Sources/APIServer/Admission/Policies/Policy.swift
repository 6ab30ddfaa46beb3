import Document
import Kinds
import Schema

/// A policy with its expressions compiled. What does not compile fails where it would be evaluated.
struct Policy: Sendable {
    /// An expression, or why it does not compile.
    struct Expression: Sendable {
        let source: String
        let program: Result<CEL.Program, CEL.Failure>

        init(_ source: String, _ environment: CEL.Environment) {
            self.source = source
            do throws(CEL.CompileError) {
                program = .success(try environment.compile(source))
            } catch {
                program = .failure(CEL.Failure("compilation error: compilation failed: \(error)"))
            }
        }

        var resultType: CEL.ValueType { if case .success(let program) = program { program.resultType } else { .dyn } }
    }

    struct Validation: Sendable {
        let expression: Expression
        let message: String
        let messageExpression: Expression?
        let reason: String
    }

    enum Mutation: Sendable {
        case configuration(Expression)
        case patch(Expression)

        var expression: Expression {
            switch self {
            case .configuration(let expression), .patch(let expression): expression
            }
        }
    }

    let name: String
    let match: RequestMatch
    let ignoresFailure: Bool
    let mayRunAgain: Bool
    let paramKind: (apiVersion: String, kind: String)?
    let conditions: [Expression]
    let variables: [(name: String, expression: Expression)]
    let validations: [Validation]
    let auditAnnotations: [Expression]
    let mutations: [Mutation]

    init(_ policy: Document) {
        let spec = policy["spec"] ?? .emptyObject
        name = policy.text("metadata", "name") ?? ""
        match = RequestMatch(spec["matchConstraints"] ?? .emptyObject, rules: "resourceRules")
        ignoresFailure = spec.text("failurePolicy") == "Ignore"
        mayRunAgain = spec.text("reinvocationPolicy") == "IfNeeded"
        let kind = spec["paramKind"]
        paramKind = kind.map { ($0.text("apiVersion") ?? "", $0.text("kind") ?? "") }
        let hasParams = kind != nil
        let plain = AdmissionEnvironment.make(hasParams: hasParams, variables: .none)
        conditions = spec.list("matchConditions").map { Expression($0.text("expression") ?? "", plain) }
        let makesPatches = spec["mutations"] != nil
        var types: [(name: String, type: CEL.ValueType)] = []
        func environment() -> CEL.Environment {
            AdmissionEnvironment.make(hasParams: hasParams, variables: types, makesPatches: makesPatches)
        }
        var variables: [(name: String, expression: Expression)] = []
        for variable in spec.list("variables") {
            let name = variable.text("name") ?? ""
            let expression = Expression(variable.text("expression") ?? "", environment())
            variables.append((name, expression))
            types.append((name, expression.resultType))
        }
        self.variables = variables
        let full = environment()
        validations = spec.list("validations").map { validation in
            let message = validation.text("messageExpression") ?? ""
            return Validation(
                expression: Expression(validation.text("expression") ?? "", full),
                message: validation.text("message") ?? "",
                messageExpression: message.isEmpty ? nil : Expression(message, full),
                reason: validation.text("reason") ?? "")
        }
        auditAnnotations = spec.list("auditAnnotations").map { Expression($0.text("valueExpression") ?? "", full) }
        mutations = spec.list("mutations").map { mutation in
            mutation.text("patchType") == "JSONPatch"
                ? .patch(Expression(mutation.text("jsonPatch", "expression") ?? "", full))
                : .configuration(Expression(mutation.text("applyConfiguration", "expression") ?? "", full))
        }
    }
}

/// What puts a policy into effect.
struct PolicyBinding: Sendable {
    let name: String
    let policyName: String
    let match: RequestMatch?
    let paramRef: Document?
    let actions: Set<String>

    init(_ binding: Document) {
        name = binding.text("metadata", "name") ?? ""
        policyName = binding.text("spec", "policyName") ?? ""
        match = binding.at("spec", "matchResources").map {
            RequestMatch($0, rules: "resourceRules", needsRule: false)
        }
        paramRef = binding.at("spec", "paramRef")
        actions = Set(binding.list("spec", "validationActions").compactMap(\.string))
    }
}

/// The policies in effect, each with its bindings, in the order of their names.
struct PolicySet: Sendable {
    let policies: [(policy: Policy, bindings: [PolicyBinding])]

    static let group = "admissionregistration.k8s.io"

    /// - plural: of the policies; the bindings' is the policies' with `bindings` after the singular.
    static func current(_ plural: String, _ bindingPlural: String, _ resources: Resources) async throws -> PolicySet {
        let bindings = try await resources.snapshots.all(bindingPlural, group: group, resources)
        // Without a binding no policy does anything, and nothing needs to be compiled.
        if bindings.objects.isEmpty { return PolicySet(policies: []) }
        let policies = try await resources.snapshots.all(plural, group: group, resources)
        if policies.objects.isEmpty { return PolicySet(policies: []) }
        let compiled = policies.value("policies") { snapshot in
            snapshot.objects.map { Policy($0) }.sorted { $0.name < $1.name }
        }
        let byPolicy = bindings.value("bindings") { snapshot in
            Dictionary(grouping: snapshot.objects.map { PolicyBinding($0) }) { $0.policyName }
        }
        return PolicySet(
            policies: compiled.compactMap { policy in
                byPolicy[policy.name].map { (policy, $0.sorted { $0.name < $1.name }) }
            })
    }
}
