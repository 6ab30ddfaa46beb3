import Document
import Kinds
import Schema

/// A pod that names a RuntimeClass bears the runtime's overhead, and goes where the runtime is.
struct RuntimeClassAdmission: AdmissionPlugin {
    private static let mismatch = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"

    /// The class that a new pod names; nil where it names none.
    private func runtimeClass(_ pod: Document, _ context: AdmissionContext, _ resources: Resources) async throws
        -> Document?
    {
        guard let name = pod.text("spec", "runtimeClassName") else { return nil }
        let classes = try await resources.snapshots.all("runtimeclasses", group: "node.k8s.io", resources)
        guard let found = classes.named(name) else {
            throw context.refuse("pod rejected: RuntimeClass \"\(name)\" not found")
        }
        return found
    }

    private static func agrees(_ overhead: Document?, _ fixed: Document?) -> Bool {
        PodResources.amounts(overhead) == PodResources.amounts(fixed)
    }

    func mutate(_ object: inout Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        guard context.isOn("pods"), context.operation == .create,
            let runtimeClass = try await runtimeClass(object, context, resources)
        else { return }
        if let overhead = runtimeClass["overhead"] {
            let fixed = overhead["podFixed"]
            let own = object.at("spec", "overhead")
            if let own, own.count > 0, !Self.agrees(own, fixed) { throw context.refuse(Self.mismatch) }
            object.set(fixed, at: "spec", "overhead")
        }
        guard let scheduling = runtimeClass["scheduling"] else { return }
        for member in scheduling["nodeSelector"]?.members ?? [] {
            let wanted = member.value.string ?? ""
            if let own = object.text("spec", "nodeSelector", member.key), own != wanted {
                throw context.refuse(
                    "conflict: runtimeClass.scheduling.nodeSelector[\(member.key)] = \(wanted); "
                        + "pod.spec.nodeSelector[\(member.key)] = \(own)")
            }
            object.set(member.value, at: "spec", "nodeSelector", member.key)
        }
        let tolerations = scheduling.list("tolerations")
        if !tolerations.isEmpty {
            let merged = Tolerations.merged(object.list("spec", "tolerations"), tolerations)
            object.set(Document(merged), at: "spec", "tolerations")
        }
    }

    func validate(_ object: Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        guard context.isOn("pods"), context.operation == .create else { return }
        let overhead = object.at("spec", "overhead")
        guard let fixed = try await runtimeClass(object, context, resources)?["overhead"] else {
            if (overhead?.count ?? 0) > 0 {
                throw context.refuse(
                    "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead")
            }
            return
        }
        if !Self.agrees(overhead, fixed["podFixed"]) { throw context.refuse(Self.mismatch) }
    }
}
