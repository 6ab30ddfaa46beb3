import Document
import Kinds
import Schema

/// What a write is about, as admission sees it.
struct AdmissionContext: Sendable {
    enum Operation: Sendable { case create, update, delete }

    var operation: Operation
    var resource: ResourceInfo
    var subresource: String
    var namespace: String
    var name: String
    var user: UserInfo
    var old: Document?
    var dryRun: Bool
    var warnings: Warnings

    /// Whether it is about objects of this resource themselves.
    func isOn(_ qualifiedName: String) -> Bool { subresource.isEmpty && resource.qualifiedName == qualifiedName }

    func refuse(_ why: String) -> APIStatus { .forbidden(resource, name, why) }
}

/// One concern of admission. `mutate` may complete the object before it is validated,
/// `validate` may refuse it afterwards. Plug-ins run in the order of the server's list.
protocol AdmissionPlugin: Sendable {
    func mutate(_ object: inout Document, _ context: AdmissionContext, _ resources: Resources) async throws
    func validate(_ object: Document, _ context: AdmissionContext, _ resources: Resources) async throws
}

extension AdmissionPlugin {
    func mutate(_ object: inout Document, _ context: AdmissionContext, _ resources: Resources) async throws {}
    func validate(_ object: Document, _ context: AdmissionContext, _ resources: Resources) async throws {}
}

enum Admission {
    /// Upstream's order, as far as the plug-ins exist here.
    static var standard: [any AdmissionPlugin] {
        [
            NamespaceLifecycle(), ServiceAccountAdmission(), NodeRestriction(), NewNodeTaint(), PriorityAdmission(),
            DefaultTolerations(), RBACEscalation(), CertificateRequester(), CertificateSigners(),
            CertificateSubjectRestriction(), DeviceAdminAccess(),
        ]
    }
}

/// Nothing is created in a namespace that is missing or going.
struct NamespaceLifecycle: AdmissionPlugin {
    func mutate(_ object: inout Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        guard context.operation == .create, context.resource.namespaced, !context.namespace.isEmpty else { return }
        // An access review may ask about namespaces that do not exist.
        if context.resource.group == "authorization.k8s.io" { return }
        guard let namespace = try await resources.object("namespaces", name: context.namespace) else {
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

/// A new node takes no pods until the node controller has seen it ready.
struct NewNodeTaint: AdmissionPlugin {
    private static let key = "node.kubernetes.io/not-ready"

    func mutate(_ object: inout Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        guard context.isOn("nodes"), context.operation == .create else { return }
        var taints = object.list("spec", "taints")
        guard !taints.contains(where: { $0.text("key") == Self.key && $0.text("effect") == "NoSchedule" }) else {
            return
        }
        taints.append(["key": Document(Self.key), "effect": "NoSchedule"])
        object.set(Document(taints), at: "spec", "taints")
    }
}

/// Pods on a node that is not ready or not reachable stay for five minutes, unless they say otherwise.
struct DefaultTolerations: AdmissionPlugin {
    private static let keys = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]

    func mutate(_ object: inout Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        guard context.isOn("pods"), context.operation == .create || context.operation == .update else { return }
        var tolerations = object.list("spec", "tolerations")
        for key in Self.keys {
            let tolerates = tolerations.contains { toleration in
                let effect = toleration.text("effect") ?? ""
                let own = toleration.text("key") ?? ""
                return (own == key || own.isEmpty) && (effect == "NoExecute" || effect.isEmpty)
            }
            if !tolerates {
                tolerations.append([
                    "key": Document(key), "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300,
                ])
            }
        }
        if !tolerations.isEmpty { object.set(Document(tolerations), at: "spec", "tolerations") }
    }
}

/// A pod's priority is a number that follows from the class it names, or from the default class.
struct PriorityAdmission: AdmissionPlugin {
    func mutate(_ object: inout Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        guard context.isOn("pods") else { return }
        if context.operation == .update, let old = context.old {
            // The priority was computed when the pod was made; updates that leave it out keep it.
            for field in ["priority", "preemptionPolicy"] where object.at("spec", field) == nil {
                if let value = old.at("spec", field) { object.set(value, at: "spec", field) }
            }
            return
        }
        guard context.operation == .create else { return }
        let group = "scheduling.k8s.io"
        var value = 0
        var policy = "PreemptLowerPriority"
        let given = object.text("spec", "priorityClassName") ?? ""
        let named: Document?
        if given.isEmpty {
            named = try await resources.objects("priorityclasses", group: group)
                .filter { $0.flag("globalDefault") == true }.min {
                    ($0.number("value") ?? 0) < ($1.number("value") ?? 0)
                }
            if let name = named?.text("metadata", "name") {
                object.set(Document(name), at: "spec", "priorityClassName")
            }
        } else {
            named = try await resources.object("priorityclasses", group: group, name: given)
            if named == nil { throw context.refuse("no PriorityClass with name \(given) was found") }
        }
        if let named {
            value = named.number("value") ?? 0
            policy = named.text("preemptionPolicy") ?? policy
        }
        if let stated = object.number("spec", "priority"), stated != value {
            throw context.refuse(
                "the integer value of priority (\(stated)) must not be provided in pod spec; priority admission "
                    + "controller computed \(value) from the given PriorityClass name")
        }
        if let stated = object.text("spec", "preemptionPolicy"), stated != policy {
            throw context.refuse(
                "the string value of PreemptionPolicy (\(stated)) must not be provided in pod spec; priority admission "
                    + "controller computed \(policy) from the given PriorityClass name")
        }
        object.set(Document(value), at: "spec", "priority")
        object.set(Document(policy), at: "spec", "preemptionPolicy")
    }
}
