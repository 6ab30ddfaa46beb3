import Basics
import Document
import Kinds
import Schema
import Wire

/// Asks webhooks.
struct WebhookCaller: Sendable {
    let client: WebhookClient
    let world: World

    func ask(_ hook: Webhook, _ request: WebhookRequest, mutating: Bool) async throws -> WebhookVerdict {
        guard let version = hook.reviewVersion else {
            throw WebhookFailure(
                webhook: hook.name,
                reason: "could not create admission objects: webhook does not accept known AdmissionReview versions "
                    + "(v1, v1beta1)")
        }
        let uid = Identifier.uuid(from: world.random)
        let body = request.review(uid: uid, version: version)
        let answer: Document
        do {
            answer = try await client.post(body, to: hook.client, timeout: hook.timeout)
        } catch let error as WebhookClient.CallError {
            throw WebhookFailure(webhook: hook.name, reason: "failed to call webhook: \(error.message)")
        }
        do {
            return try WebhookVerdict(answer, uid: uid, version: version, mutating: mutating)
        } catch {
            throw WebhookFailure(webhook: hook.name, reason: "received invalid webhook response: \(error.description)")
        }
    }
}
