import Document
import Kinds
import Schema

/// Policies that change an object on its way in.
struct MutatingPolicies: AdmissionPlugin {
    static let name = "MutatingAdmissionPolicy"

    func mutate(_ object: inout Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        let set = try await PolicySet.current(
            "mutatingadmissionpolicies", "mutatingadmissionpolicybindings", resources)
        if set.policies.isEmpty || Webhook.isExempt(context) || context.operation == .delete { return }
        let rounds = context.reinvocation
        rounds?.compare(Self.name, object)
        for (policy, bindings) in set.policies {
            for binding in bindings {
                guard let resource = try await policy.match.resource(object, context, resources) else { continue }
                if let match = binding.match, try await match.resource(object, context, resources) == nil { continue }
                let id = "policy/\(policy.name)/\(binding.name)"
                // Who was not asked the first time is not asked the second time either.
                if let rounds, rounds.isSecondRound, !rounds.isDue(id) { continue }
                let here = "policy '\(policy.name)' with binding '\(binding.name)'"
                do {
                    for params in try await PolicyParameters.find(policy, binding, context, resources) {
                        let changed = try await change(&object, policy, params, resource, context, resources)
                        if changed { rounds?.changed() }
                    }
                } catch let fault as PolicyParameters.Fault {
                    guard policy.ignoresFailure else {
                        throw Self.status("\(here) denied request: \(fault.message)", context)
                    }
                } catch let failure as CEL.Failure {
                    guard policy.ignoresFailure else {
                        throw Self.status("\(here) denied request: \(failure.message)", context)
                    }
                }
                if policy.mayRunAgain { rounds?.ran(id) }
            }
        }
        rounds?.leave(Self.name, object)
    }

    /// Makes all changes of a policy, or, where one fails, none; whether the object is another afterwards.
    private func change(
        _ object: inout Document, _ policy: Policy, _ params: Document?, _ resource: ResourceInfo,
        _ context: AdmissionContext, _ resources: Resources
    ) async throws -> Bool {
        let request = try await WebhookRequest(
            object: object, context: context, resource: resource, resources: resources)
        guard var current = request.object else { return false }
        let source = PolicyRequest(request: request, resources: resources)
        var bindings = try await source.bindings(policy.usedVariables)
        if policy.paramKind != nil { bindings["params"] = params.map { CEL.Value($0) } ?? .null }
        guard try PolicyEvaluation.hold(policy.conditions, bindings) else { return false }
        try Self.apply(policy, bindings, &current, resource, context)
        if context.kind.kind == context.resource.kind {
            current = try await Equivalents.converted(current, from: resource, to: context.resource, resources)
            Kinds.applyDefaults(to: &current, resource: context.resource)
        }
        if current.means(object) { return false }
        object = current
        return true
    }

    private static func apply(
        _ policy: Policy, _ bindings: CEL.Bindings, _ current: inout Document, _ resource: ResourceInfo,
        _ context: AdmissionContext
    ) throws(CEL.Failure) {
        var evaluation = PolicyEvaluation(bindings, variables: policy.variables)
        for mutation in policy.mutations {
            let expression = mutation.expression
            func failure(_ reason: String) -> CEL.Failure {
                CEL.Failure("expression '\(expression.source)' resulted in error: \(reason)")
            }
            let value: CEL.Value
            do throws(CEL.Failure) {
                value = try evaluation.value(expression)
            } catch {
                if error == PolicyEvaluation.outOfBudget { throw error }
                throw failure(error.message)
            }
            switch mutation {
            case .configuration: try merge(value, into: &current, resource, context)
            case .patch:
                guard let patch = value.document, patch.isArray else {
                    throw failure("type of JSONPatch is not a list")
                }
                do throws(PatchError) {
                    current = try current.applyingJSONPatch(patch)
                } catch {
                    throw CEL.Failure("JSON Patch: \(error.message)")
                }
            }
            if context.kind.kind == context.resource.kind { Kinds.applyDefaults(to: &current, resource: resource) }
            evaluation.replaceObject(current, variables: policy.variables)
        }
    }

    private static func merge(
        _ value: CEL.Value, into current: inout Document, _ resource: ResourceInfo, _ context: AdmissionContext
    ) throws(CEL.Failure) {
        guard case .structure(let structure) = value, structure.typeName == "Object", var partial = value.document
        else {
            throw CEL.Failure("unexpected result type of an apply configuration: \(value.type.resultName)")
        }
        guard context.kind.kind == context.resource.kind else {
            current = current.applyingMergePatch(partial)
            return
        }
        if let place = resource.type.atomicPlace(in: partial) {
            throw CEL.Failure(
                "error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: \(place)"
            )
        }
        partial["apiVersion"] = nil
        partial["kind"] = nil
        current = resource.type.merging(partial, into: current)
    }

    private static func status(_ message: String, _ context: AdmissionContext) -> APIStatus {
        var status = context.refuse(message)
        status.message = message
        status.reason = "Invalid"
        status.causes = [StatusCause(reason: "", message: message, field: "")]
        return status
    }
}
