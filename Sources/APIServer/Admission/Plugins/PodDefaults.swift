import Document
import Kinds

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
    private static let group = "scheduling.k8s.io"

    /// Of the classes only one can be the default.
    func validate(_ object: Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        guard context.isOn("priorityclasses.scheduling.k8s.io"), object.flag("globalDefault") == true,
            context.operation == .create || context.operation == .update
        else { return }
        let classes = try await resources.snapshots.all("priorityclasses", group: Self.group, resources)
        let other = classes.objects.first {
            $0.flag("globalDefault") == true
                && (context.operation == .create || $0.text("metadata", "name") != context.name)
        }
        if let name = other?.text("metadata", "name") {
            throw context.refuse("PriorityClass \(name) is already marked as default. Only one default can exist")
        }
    }

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
        let classes = try await resources.snapshots.all("priorityclasses", group: Self.group, resources)
        var value = 0
        var policy = "PreemptLowerPriority"
        let given = object.text("spec", "priorityClassName") ?? ""
        let named: Document?
        if given.isEmpty {
            named = classes.value("default") { snapshot in
                snapshot.objects.filter { $0.flag("globalDefault") == true }.min {
                    ($0.number("value") ?? 0) < ($1.number("value") ?? 0)
                }
            }
            if let name = named?.text("metadata", "name") {
                object.set(Document(name), at: "spec", "priorityClassName")
            }
        } else {
            named = classes.named(given)
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
