import Document
import Kinds
import Schema

/// Policies that may refuse an object.
struct ValidatingPolicies: AdmissionPlugin {
    static let name = "ValidatingAdmissionPolicy"

    private struct Refusal {
        var message: String
        var reason: String
    }

    func validate(_ object: Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        let set = try await PolicySet.current(
            "validatingadmissionpolicies", "validatingadmissionpolicybindings", resources)
        if set.policies.isEmpty || Webhook.isExempt(context) { return }
        var refusals: [Refusal] = []
        for (policy, bindings) in set.policies {
            guard let resource = try await policy.match.resource(object, context, resources) else { continue }
            let request = try await WebhookRequest(
                object: object, context: context, resource: resource, resources: resources)
            var shared: CEL.Bindings?
            for binding in bindings {
                if let match = binding.match, try await match.resource(object, context, resources) == nil { continue }
                let here = "ValidatingAdmissionPolicy '\(policy.name)' with binding '\(binding.name)'"
                if shared == nil {
                    let source = PolicyRequest(request: request, resources: resources)
                    shared = try await source.bindings(policy.usedVariables)
                }
                do {
                    for params in try await PolicyParameters.find(policy, binding, context, resources) {
                        var values = shared ?? [:]
                        if policy.paramKind != nil { values["params"] = params.map { CEL.Value($0) } ?? .null }
                        for refusal in Self.refusals(policy, values) {
                            if binding.actions.contains("Warn") {
                                context.warnings.add("Validation failed for \(here): \(refusal.message)")
                            }
                            guard binding.actions.contains("Deny") else { continue }
                            refusals.append(
                                Refusal(message: "\(here) denied request: \(refusal.message)", reason: refusal.reason))
                        }
                    }
                } catch let fault as PolicyParameters.Fault {
                    if policy.ignoresFailure { continue }
                    refusals.append(Refusal(message: "\(here) denied request: \(fault.message)", reason: ""))
                }
            }
        }
        if let first = refusals.first { throw Self.status(first, context) }
    }

    /// What one policy says about one request with one parameter, in the order of its validations.
    private static func refusals(_ policy: Policy, _ bindings: CEL.Bindings) -> [Refusal] {
        do throws(CEL.Failure) {
            guard try PolicyEvaluation.hold(policy.conditions, bindings) else { return [] }
        } catch {
            return policy.ignoresFailure ? [] : [Refusal(message: error.message, reason: "")]
        }
        var evaluation = PolicyEvaluation(bindings, variables: policy.variables)
        var refusals: [Refusal] = []
        for validation in policy.validations {
            do throws(CEL.Failure) {
                if case .bool(true) = try evaluation.value(validation.expression) { continue }
                refusals.append(
                    Refusal(message: message(validation, &evaluation), reason: validation.reason))
            } catch {
                if !policy.ignoresFailure {
                    refusals.append(Refusal(message: failureText(validation.expression, error), reason: ""))
                }
                if error == PolicyEvaluation.outOfBudget { break }
            }
        }
        // The notes are for an audit log; that they cannot be made is an error like any other.
        for note in policy.auditAnnotations {
            do throws(CEL.Failure) {
                _ = try evaluation.value(note)
            } catch {
                if !policy.ignoresFailure { refusals.append(Refusal(message: failureText(note, error), reason: "")) }
            }
        }
        return refusals
    }

    private static func failureText(_ expression: Policy.Expression, _ failure: CEL.Failure) -> String {
        if failure == PolicyEvaluation.outOfBudget { return failure.message }
        if case .failure = expression.program { return failure.message }
        return "expression '\(expression.source)' resulted in error: \(failure.message)"
    }

    private static let longestMessage = 5 * 1024

    /// The message that an expression makes, or that is written down, or the expression itself.
    private static func message(_ validation: Policy.Validation, _ evaluation: inout PolicyEvaluation) -> String {
        if let expression = validation.messageExpression,
            case .string(let made)? = try? evaluation.value(expression)
        {
            let text = PolicyText.trimmed(made)
            let isLine = !text.utf8.contains { $0 == 10 || $0 == 13 }
            if !text.isEmpty, isLine, text.utf8.count <= longestMessage { return text }
        }
        if !validation.message.isEmpty { return PolicyText.trimmed(validation.message) }
        return "failed expression: \(PolicyText.trimmed(validation.expression.source))"
    }

    private static func status(_ refusal: Refusal, _ context: AdmissionContext) -> APIStatus {
        var status = context.refuse(refusal.message)
        status.reason = refusal.reason.isEmpty ? "Invalid" : refusal.reason
        status.code =
            switch status.reason {
            case "Unauthorized": 401
            case "Forbidden": 403
            case "RequestEntityTooLarge": 413
            default: 422
            }
        status.causes = [StatusCause(reason: "", message: refusal.message, field: "")]
        return status
    }
}

enum PolicyText {
    static func trimmed(_ text: String) -> String {
        var rest = Substring(text)
        while let first = rest.first, first.isWhitespace { rest = rest.dropFirst() }
        while let last = rest.last, last.isWhitespace { rest = rest.dropLast() }
        return String(rest)
    }
}
