import Basics
import Document
import Kinds
import Schema

/// Servers outside that may change an object, or refuse it: asked one after the other.
struct MutatingWebhooks: AdmissionPlugin {
    static let name = "MutatingAdmissionWebhook"
    let caller: WebhookCaller

    func mutate(_ object: inout Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        if context.isInternal { return }
        let hooks = try await Webhook.all("mutatingwebhookconfigurations", resources)
        if hooks.isEmpty || Webhook.isExempt(context) { return }
        let rounds = context.reinvocation
        rounds?.compare(Self.name, object)
        for hook in hooks {
            guard let request = try await hook.request(object, context, resources) else { continue }
            // Who was not asked the first time is not asked the second time either.
            if let rounds, rounds.isSecondRound, !rounds.isDue(hook.id) { continue }
            do {
                if try await change(&object, hook, request, context, resources) { rounds?.changed() }
            } catch let failure as WebhookFailure {
                guard hook.ignoresFailure else { throw failure.status }
            }
            if hook.mayRunAgain { rounds?.ran(hook.id) }
        }
        rounds?.leave(Self.name, object)
    }

    /// Asks one webhook; whether the object is another afterwards.
    private func change(
        _ object: inout Document, _ hook: Webhook, _ request: WebhookRequest, _ context: AdmissionContext,
        _ resources: Resources
    ) async throws -> Bool {
        let verdict = try await caller.ask(hook, request, mutating: true)
        for warning in verdict.warnings { context.warnings.add(warning) }
        guard verdict.isAllowed else { throw verdict.refusal(hook.name) }
        guard let patch = verdict.patch, patch.count > 0 else { return false }
        guard let seen = request.object else {
            throw APIStatus.internalError(
                "admission webhook \"\(hook.name)\" attempted to modify the object, which is not supported for this "
                    + "operation")
        }
        var patched: Document
        do { patched = try seen.applyingJSONPatch(patch) } catch { throw APIStatus.internalError(error.message) }
        if context.kind.kind == context.resource.kind {
            patched = try await Equivalents.converted(
                patched, from: request.resource, to: context.resource, resources)
            // A webhook that breaks the object's form has failed; the one who sent the object has not.
            if let problem = Kinds.registry.decodingError(in: patched, type: context.resource.type) {
                throw APIStatus.internalError(problem)
            }
            // What the type does not know stays out, whoever adds it.
            Kinds.registry.prune(&patched, type: context.resource.type)
            Kinds.applyDefaults(to: &patched, resource: context.resource)
        }
        if patched.means(object) { return false }
        object = patched
        return true
    }
}

/// Servers outside that may refuse an object: asked all at once.
struct ValidatingWebhooks: AdmissionPlugin {
    static let name = "ValidatingAdmissionWebhook"
    let caller: WebhookCaller

    func validate(_ object: Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        if context.isInternal { return }
        let hooks = try await Webhook.all("validatingwebhookconfigurations", resources)
        if hooks.isEmpty || Webhook.isExempt(context) { return }
        var asked: [(Webhook, WebhookRequest)] = []
        for hook in hooks {
            if let request = try await hook.request(object, context, resources) { asked.append((hook, request)) }
        }
        if asked.isEmpty { return }
        let refusals = try await withThrowingTaskGroup(of: (Int, APIStatus?).self) { group in
            for (index, (hook, request)) in asked.enumerated() {
                group.addTask { (index, try await refusal(hook, request, context)) }
            }
            var found: [(Int, APIStatus)] = []
            for try await (index, status) in group { if let status { found.append((index, status)) } }
            return found
        }
        // Of several the first in the order of the configurations, so that the answer does not depend on chance.
        if let first = refusals.min(by: { $0.0 < $1.0 }) { throw first.1 }
    }

    private func refusal(_ hook: Webhook, _ request: WebhookRequest, _ context: AdmissionContext) async throws
        -> APIStatus?
    {
        do {
            let verdict = try await caller.ask(hook, request, mutating: false)
            for warning in verdict.warnings { context.warnings.add(warning) }
            return verdict.isAllowed ? nil : verdict.refusal(hook.name)
        } catch let failure as WebhookFailure {
            return hook.ignoresFailure ? nil : failure.status
        }
    }
}
