import Basics
import Client
import Document

/// Marks the tokens in Secrets that nobody has used for a long time as invalid, and removes them after the same time
/// again. Only those that a service account lists as its own, for these were made without being asked for.
///
/// Whether a token is used is written by the API server: on which day last, as a label, and since when it has been
/// looking, in a ConfigMap. Where nobody looks, nothing is removed.
struct LegacyTokenCleaner: Controller {
    let name = "legacy-serviceaccount-token-cleaner-controller"
    let workers = 1
    let initialKeys = [key]
    static let lastUsed = "kubernetes.io/legacy-token-last-used"
    static let invalidSince = "kubernetes.io/legacy-token-invalid-since"
    private static let key = "tokens"
    private static let tracking =
        "/api/v1/namespaces/kube-system/configmaps/kube-apiserver-legacy-service-account-token-tracking"

    private let secrets: Informer
    private let accounts: Informer
    private let pods: Informer
    private let patience: Duration

    init(_ informers: Informers, patience: Duration) {
        secrets = informers.selected(.secrets, fieldSelector: "type=\(TokenController.secretType)")
        accounts = informers(.serviceAccounts)
        pods = informers(.pods)
        self.patience = patience
    }

    /// Looked at once a day, whatever happens meanwhile.
    var sources: [Source] { [Source(onlyRead: secrets), Source(onlyRead: accounts), Source(onlyRead: pods)] }

    func questions(_ key: String, _ answers: Answers) -> [String] { secrets.all.isEmpty ? [] : [Self.tracking] }

    func plan(_ key: String, _ situation: Situation) -> Plan {
        var plan = Plan(lookAgain: min(.seconds(86_400), patience))
        guard case .success(let map)? = situation.answers[Self.tracking],
            let since = Self.day(map.text("data", "since")), since + patience <= situation.now
        else { return plan }
        for secret in secrets.all.sorted(by: { ($0.namespace ?? "", $0.name) < ($1.namespace ?? "", $1.name) }) {
            guard isOwn(secret), !isMounted(secret),
                let action = Self.action(secret, patience: patience, now: situation.now)
            else { continue }
            plan.steps.append(.together([action]))
        }
        return plan
    }

    /// What becomes of a token that an account lists as its own.
    static func action(_ secret: Document, patience: Duration, now: Timestamp) -> Action? {
        guard !secret.isTerminating, secret.created + patience <= now else { return nil }
        let used = day(secret.labels[lastUsed])
        if let used, used + patience > now { return nil }
        if let marked = day(secret.labels[invalidSince]), used.map({ $0 <= marked }) ?? true {
            return marked + patience <= now ? .delete(.secrets, secret) : nil
        }
        return .patch(
            .secrets, namespace: secret.namespace, name: secret.name,
            ["metadata": ["labels": Document(members: [(invalidSince, Document(String(now.rfc3339().prefix(10))))])]])
    }

    private func isOwn(_ secret: Document) -> Bool {
        guard let name = secret.annotations["kubernetes.io/service-account.name"],
            let account = accounts.get(namespace: secret.namespace, name: name)
        else { return false }
        return account.list("secrets").contains { $0.text("name") == secret.name }
    }

    private func isMounted(_ secret: Document) -> Bool {
        pods.all.contains { pod in
            pod.namespace == secret.namespace
                && pod.list("spec", "volumes").contains { $0.text("secret", "secretName") == secret.name }
        }
    }

    /// `2006-01-02`, the day's beginning.
    private static func day(_ text: String?) -> Timestamp? {
        text.flatMap { $0.utf8.count == 10 ? Timestamp(rfc3339: $0 + "T00:00:00Z") : nil }
    }
}
