import Document
import Kinds
import Schema
import Synchronization

/// One evaluation of a policy's expressions against one request, on one budget.
struct PolicyEvaluation {
    /// What the conditions of one policy may cost together.
    private static let conditionBudget = CEL.totalCostLimit / 4

    static let outOfBudget = CEL.Failure(
        "validation failed due to running out of cost budget, no further validation rules will be run")

    private var bindings: CEL.Bindings
    private var left = CEL.totalCostLimit

    init(_ bindings: CEL.Bindings, variables: [(name: String, expression: Policy.Expression)]) {
        self.bindings = bindings
        if !variables.isEmpty {
            self.bindings["variables"] = .object(PolicyVariables(variables, bindings))
        }
    }

    mutating func replaceObject(_ object: Document, variables: [(name: String, expression: Policy.Expression)]) {
        bindings["object"] = CEL.Value(object)
        bindings["variables"] = nil
        // What the variables came to before may be different now.
        if !variables.isEmpty { bindings["variables"] = .object(PolicyVariables(variables, bindings)) }
    }

    mutating func value(_ expression: Policy.Expression) throws(CEL.Failure) -> CEL.Value {
        let program = try expression.program.get()
        let evaluation = program.evaluate(bindings, costLimit: min(CEL.expressionCostLimit, left))
        if evaluation.cost >= left { throw Self.outOfBudget }
        left -= evaluation.cost
        return try evaluation.get()
    }

    /// Whether all conditions hold. One that is false decides, whatever errors the others have.
    static func hold(_ conditions: [Policy.Expression], _ bindings: CEL.Bindings) throws(CEL.Failure) -> Bool {
        var left = conditionBudget
        var failure: CEL.Failure?
        for condition in conditions {
            switch condition.program {
            case .failure(let error): failure = failure ?? error
            case .success(let program):
                let evaluation = program.evaluate(bindings, costLimit: min(CEL.expressionCostLimit, left))
                left -= min(left, evaluation.cost)
                switch evaluation.result {
                case .success(.bool(false)): return false
                case .success: break
                case .failure(let error):
                    let text = "expression '\(condition.source)' resulted in error: \(error.message)"
                    failure = failure ?? CEL.Failure(text)
                }
            }
        }
        if let failure { throw failure }
        return true
    }
}

/// The value of `variables`: each named expression is evaluated when it is first asked for, and once.
final class PolicyVariables: CEL.ObjectValue {
    private let expressions: [(name: String, expression: Policy.Expression)]
    private let outer: CEL.Bindings
    private let known = Mutex<[String: Result<CEL.Value, CEL.Failure>]>([:])

    init(_ expressions: [(name: String, expression: Policy.Expression)], _ outer: CEL.Bindings) {
        self.expressions = expressions
        self.outer = outer
    }

    var typeName: String { "kubernetes.variables" }

    func field(_ name: String, limit: UInt64) -> (result: Result<CEL.Value, CEL.Failure>, cost: UInt64)? {
        if let result = known.withLock({ $0[name] }) { return (result, 0) }
        guard let expression = expressions.first(where: { $0.name == name })?.expression else { return nil }
        let outcome: (result: Result<CEL.Value, CEL.Failure>, cost: UInt64)
        switch expression.program {
        case .failure(let failure): outcome = (.failure(failure), 0)
        case .success(let program):
            var bindings = outer
            // An expression sees only those before it, so asking goes on for a bounded number of steps.
            bindings["variables"] = .object(self)
            let evaluation = program.evaluate(bindings, costLimit: limit)
            outcome = (
                evaluation.result.mapError {
                    CEL.Failure("composited variable \"\(name)\" fails to evaluate: \($0.message)")
                }, evaluation.cost
            )
        }
        known.withLock { $0[name] = outcome.result }
        return outcome
    }
}

/// What a request is to expressions.
struct PolicyRequest {
    let request: WebhookRequest
    let resources: Resources

    /// The bindings that all expressions of a policy share; `params` come for each parameter.
    func bindings(_ used: Set<String>) async throws -> CEL.Bindings {
        let context = request.context
        var bindings = CEL.Bindings()
        bindings["object"] = request.object.map { CEL.Value($0) } ?? .null
        bindings["oldObject"] = request.old.map { CEL.Value($0) } ?? .null
        if used.contains("request") {
            var document = request.document(uid: "")
            for field in ["uid", "object", "oldObject"] { document[field] = nil }
            bindings["request"] = CEL.Value(document, as: AdmissionEnvironment.requestType)
        }
        if used.contains("namespaceObject") {
            bindings["namespaceObject"] = .null
            if !context.namespace.isEmpty, context.resource.namespaced {
                let namespace = try await RequestMatch.namespace(context.namespace, resources)
                bindings["namespaceObject"] = CEL.Value(namespace, as: AdmissionEnvironment.namespaceType)
            }
        }
        if used.contains("authorizer") || used.contains("authorizer.requestResource") {
            let decide = PolicyAuthorizer.decide(context.user, try await resources.access.snapshot(resources))
            bindings["authorizer"] = .opaque(CEL.AuthorizerValue(decide))
            var query = CEL.AuthorizationQuery()
            query.group = context.resource.group
            query.resource = context.resource.plural
            query.subresource = context.subresource
            query.namespace = context.namespace
            query.name = context.name
            bindings["authorizer.requestResource"] = .opaque(
                CEL.AuthorizerValue(requestResource: query, decide))
        }
        return bindings
    }
}

/// Expressions that ask whether somebody may do something.
enum PolicyAuthorizer {
    static func decide(_ user: UserInfo, _ rbac: RBAC) -> CEL.AuthorizerValue.Decide {
        { query in
            var asking = user
            if let account = query.serviceAccount {
                asking = UserInfo(
                    name: "system:serviceaccount:\(account.namespace):\(account.name)",
                    groups: [
                        "system:serviceaccounts", "system:serviceaccounts:\(account.namespace)", "system:authenticated",
                    ])
            }
            if asking.groups.contains("system:masters") { return CEL.AuthorizationDecision(allowed: true) }
            var attributes = AccessAttributes(user: asking, verb: query.verb)
            attributes.path = query.path
            attributes.group = query.group
            attributes.resource = query.resource
            attributes.subresource = query.subresource
            attributes.namespace = query.namespace
            attributes.name = query.name
            let decision = rbac.decide(attributes)
            return CEL.AuthorizationDecision(allowed: decision.allowed, reason: decision.reason)
        }
    }
}

extension Policy {
    /// The declared variables that any of its expressions mentions.
    var usedVariables: Set<String> {
        var expressions = conditions + variables.map(\.expression) + auditAnnotations + mutations.map(\.expression)
        for validation in validations {
            expressions.append(validation.expression)
            if let message = validation.messageExpression { expressions.append(message) }
        }
        var used: Set<String> = []
        for case .success(let program) in expressions.map(\.program) { used.formUnion(program.variables) }
        return used
    }
}
