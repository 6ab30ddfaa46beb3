import Document
import Kinds
import Schema

/// Further conditions under which a webhook is asked, as expressions.
struct MatchConditions: Sendable {
    private let conditions: [Policy.Expression]

    init(_ document: Document?) {
        let listed = document?.elements ?? []
        if listed.isEmpty {
            conditions = []
        } else {
            let environment = AdmissionEnvironment.make(hasParams: false, variables: .none)
            conditions = listed.map { Policy.Expression($0.text("expression") ?? "", environment) }
        }
    }

    /// Whether all hold. One that is false decides, whatever the others do; one that fails counts as the webhook's
    /// own failure.
    func hold(for request: WebhookRequest, ignoresFailure: Bool, _ resources: Resources) async throws -> Bool {
        if conditions.isEmpty { return true }
        var used: Set<String> = []
        for case .success(let program) in conditions.map(\.program) { used.formUnion(program.variables) }
        let bindings = try await PolicyRequest(request: request, resources: resources).bindings(used)
        do throws(CEL.Failure) {
            return try PolicyEvaluation.hold(conditions, bindings)
        } catch {
            if ignoresFailure { return false }
            throw request.context.refuse(error.message)
        }
    }
}
