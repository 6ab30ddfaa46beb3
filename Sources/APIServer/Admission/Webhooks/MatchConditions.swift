import Document
import Kinds
import Schema

/// Further conditions under which a webhook is asked, as expressions.
struct MatchConditions: Sendable {
    private let conditions: [(name: String, expression: String)]

    init(_ document: Document?) {
        conditions = (document?.elements ?? []).map { ($0.text("name") ?? "", $0.text("expression") ?? "") }
    }

    /// Whether all hold. One that is false decides, whatever the others do; one that fails counts as the webhook's
    /// own failure.
    func hold(for request: WebhookRequest, ignoresFailure: Bool, _ resources: Resources) async throws -> Bool {
        if conditions.isEmpty { return true }
        throw APIStatus.notImplemented("match conditions of webhooks are not evaluated by this server yet")
    }
}
