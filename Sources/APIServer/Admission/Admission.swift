import Document
import Kinds
import Schema

/// Which plug-ins a server runs, and their settings.
public struct AdmissionConfiguration: Sendable {
    /// Plug-ins that run although they are off by default, by upstream's names.
    public var enabled: Set<String> = []
    /// Plug-ins that do not run although they are on by default.
    public var disabled: Set<String> = []
    /// What the PodSecurity plug-in demands where a namespace's labels say nothing, and whom it lets pass.
    public var podSecurity = PodSecurityConfiguration()
    /// The node selectors of the PodNodeSelector plug-in by namespace; `clusterDefaultNodeSelector` is for the others.
    public var nodeSelectors: [String: String] = [:]
    /// The limits of the EventRateLimit plug-in.
    public var eventRateLimits: [EventRateLimitRule] = []

    public init() {}

    /// The names of all plug-ins, in the order in which they run.
    public static var knownNames: [String] { Admission.order.map(\.name) }

    /// The names given that no plug-in has.
    public var unknownNames: [String] { enabled.union(disabled).subtracting(Self.knownNames).sorted() }
}

enum Admission {
    /// What plug-ins are made of.
    struct Parts: Sendable {
        var configuration: AdmissionConfiguration
        var caller: WebhookCaller
    }

    struct Entry: Sendable {
        var name: String
        var isDefault: Bool
        var make: @Sendable (Parts) -> any AdmissionPlugin

        init(
            _ name: String, off: Bool = false,
            _ make: @escaping @Sendable (Parts) -> any AdmissionPlugin
        ) {
            self.name = name
            isDefault = !off
            self.make = make
        }
    }

    /// Upstream's order.
    static let order: [Entry] = [
        Entry("NamespaceLifecycle") { _ in NamespaceLifecycle() },
        Entry("NamespaceExists", off: true) { _ in NamespaceExists() },
        Entry("LimitPodHardAntiAffinityTopology", off: true) { _ in AntiAffinityTopology() },
        Entry("LimitRanger") { _ in LimitRanger() },
        Entry("ServiceAccount") { _ in ServiceAccountAdmission() },
        Entry("NodeRestriction") { _ in NodeRestriction() },
        Entry("TaintNodesByCondition") { _ in NewNodeTaint() },
        Entry("AlwaysPullImages", off: true) { _ in AlwaysPullImages() },
        Entry("PodSecurity") { PodSecurityAdmission(configuration: $0.configuration.podSecurity) },
        Entry("PodNodeSelector", off: true) { PodNodeSelector(selectors: $0.configuration.nodeSelectors) },
        Entry("Priority") { _ in PriorityAdmission() },
        Entry("DefaultTolerationSeconds") { _ in DefaultTolerations() },
        Entry("PodTolerationRestriction", off: true) { _ in PodTolerationRestriction() },
        Entry("EventRateLimit", off: true) { EventRateLimit(rules: $0.configuration.eventRateLimits) },
        Entry("ExtendedResourceToleration", off: true) { _ in ExtendedResourceToleration() },
        Entry("DefaultStorageClass") { _ in DefaultStorageClass() },
        Entry("StorageObjectInUseProtection") { _ in StorageObjectInUseProtection() },
        Entry("OwnerReferencesPermissionEnforcement", off: true) { _ in OwnerReferencesPermission() },
        Entry("PersistentVolumeClaimResize") { _ in ClaimResize() },
        Entry("RuntimeClass") { _ in RuntimeClassAdmission() },
        Entry("CertificateApproval") { _ in CertificateSigners(judges: ["approval"]) },
        Entry("CertificateSigning") { _ in CertificateSigners(judges: ["status"]) },
        Entry("CertificateSubjectRestriction") { _ in CertificateSubjectRestriction() },
        Entry("DefaultIngressClass") { _ in DefaultIngressClass() },
        Entry("PodTopologyLabels") { _ in PodTopologyLabels() },
        Entry("DenyServiceExternalIPs", off: true) { _ in DenyServiceExternalIPs() },
        Entry("MutatingAdmissionPolicy") { _ in MutatingPolicies() },
        Entry("MutatingAdmissionWebhook") { MutatingWebhooks(caller: $0.caller) },
        Entry("ValidatingAdmissionPolicy") { _ in ValidatingPolicies() },
        Entry("ValidatingAdmissionWebhook") { ValidatingWebhooks(caller: $0.caller) },
        Entry("ResourceQuota") { _ in QuotaAdmission() },
    ]

    /// What upstream does where it stores objects, so that nobody can turn it off.
    private static let always: [any AdmissionPlugin] = [
        CertificateRequester(), RBACEscalation(), DeviceAdminAccess(),
    ]

    /// The plug-ins of a server in the order in which they run.
    static func plugins(_ parts: Parts) -> [any AdmissionPlugin] {
        let configuration = parts.configuration
        let chosen = order.filter { entry in
            configuration.enabled.contains(entry.name)
                || (entry.isDefault && !configuration.disabled.contains(entry.name))
        }
        return chosen.map { $0.make(parts) } + always
    }
}

/// Nothing is created in a namespace that is missing or going.
struct NamespaceLifecycle: AdmissionPlugin {
    func mutate(_ object: inout Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        guard context.operation == .create, context.resource.namespaced, !context.namespace.isEmpty else { return }
        // An access review may ask about namespaces that do not exist.
        if context.resource.group == "authorization.k8s.io" { return }
        guard let namespace = try await resources.snapshots.single("namespaces", name: context.namespace, resources)
        else {
            var status = APIStatus.failure(404, "NotFound", "namespaces \"\(context.namespace)\" not found")
            status.name = context.namespace
            status.kind = "namespaces"
            throw status
        }
        guard namespace.text("metadata", "deletionTimestamp") == nil else {
            var status = context.refuse(
                "unable to create new content in namespace \(context.namespace) because it is being terminated")
            status.causes = [
                StatusCause(
                    reason: "NamespaceTerminating", message: "namespace \(context.namespace) is being terminated",
                    field: "metadata.namespace")
            ]
            throw status
        }
    }
}
