import Basics
import Document
import Kinds
import Schema

/// A configured webhook, read once.
struct Webhook: Sendable {
    /// Unique among all configurations.
    let id: String
    let name: String
    let match: RequestMatch
    let ignoresFailure: Bool
    let timeout: Duration
    let canDryRun: Bool
    /// The first version of AdmissionReview that both sides know.
    let reviewVersion: String?
    let mayRunAgain: Bool
    let client: WebhookTarget
    let conditions: MatchConditions

    init(_ hook: Document, configuration: String, index: Int) {
        name = hook.text("name") ?? ""
        id = "\(configuration)/\(name)/\(index)"
        match = RequestMatch(hook, rules: "rules")
        ignoresFailure = hook.text("failurePolicy") == "Ignore"
        timeout = .seconds(hook.number("timeoutSeconds") ?? 10)
        canDryRun = ["None", "NoneOnDryRun"].contains(hook.text("sideEffects") ?? "")
        reviewVersion = hook.list("admissionReviewVersions").compactMap(\.string).first {
            ["v1", "v1beta1"].contains($0)
        }
        mayRunAgain = hook.text("reinvocationPolicy") == "IfNeeded"
        client = WebhookTarget(hook["clientConfig"] ?? .emptyObject)
        conditions = MatchConditions(hook["matchConditions"])
    }

    /// All webhooks of a kind of configuration, in the order of the configurations' names.
    static func all(_ plural: String, _ resources: Resources) async throws -> [Webhook] {
        let snapshot = try await resources.snapshots.all(plural, group: "admissionregistration.k8s.io", resources)
        if snapshot.objects.isEmpty { return [] }
        return snapshot.value("webhooks") { snapshot in
            snapshot.objects.sorted { ($0.text("metadata", "name") ?? "") < ($1.text("metadata", "name") ?? "") }
                .flatMap { configuration in
                    configuration.list("webhooks").enumerated().map { index, hook in
                        Webhook(hook, configuration: configuration.text("metadata", "name") ?? "", index: index)
                    }
                }
        }
    }

    private static let exemptKinds: Set = [
        "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration", "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding",
    ]

    /// What configures admission is not admitted by it, or a mistake could never be mended.
    static func isExempt(_ context: AdmissionContext) -> Bool {
        context.kind.group == "admissionregistration.k8s.io" && exemptKinds.contains(context.kind.kind)
    }

    /// The request as this webhook sees it; nil where it is not asked.
    func request(_ object: Document?, _ context: AdmissionContext, _ resources: Resources) async throws
        -> WebhookRequest?
    {
        guard let resource = try await match.resource(object, context, resources) else { return nil }
        let request = try await WebhookRequest(
            object: object, context: context, resource: resource, resources: resources)
        guard try await conditions.hold(for: request, ignoresFailure: ignoresFailure, resources) else { return nil }
        if context.dryRun, !canDryRun {
            throw APIStatus.badRequest("admission webhook \"\(name)\" does not support dry run")
        }
        return request
    }
}

/// Why a webhook gave no verdict.
struct WebhookFailure: Error {
    let webhook: String
    let reason: String

    var status: APIStatus { .internalError("failed calling webhook \"\(webhook)\": \(reason)") }
}
