import Document
import Kinds
import Schema

/// The class among several that are marked as the default: the newest, and of those the first by name.
private func newestDefault(_ classes: [Document], marks: [String]) -> Document? {
    func isOlder(_ a: Document, _ b: Document) -> Bool {
        let (x, y) = (a.text("metadata", "creationTimestamp") ?? "", b.text("metadata", "creationTimestamp") ?? "")
        if x != y { return x < y }
        return (a.text("metadata", "name") ?? "") > (b.text("metadata", "name") ?? "")
    }
    return classes.filter { candidate in
        marks.contains { candidate.text("metadata", "annotations", $0) == "true" }
    }.max(by: isOlder)
}

/// A claim that names no class gets the default one.
struct DefaultStorageClass: AdmissionPlugin {
    private static let marks = [
        "storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class",
    ]

    func mutate(_ object: inout Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        guard context.isOn("persistentvolumeclaims"), context.operation == .create,
            object.at("spec", "storageClassName") == nil,
            object.at("metadata", "annotations", "volume.beta.kubernetes.io/storage-class") == nil
        else { return }
        let classes = try await resources.snapshots.all("storageclasses", group: "storage.k8s.io", resources)
        guard let name = newestDefault(classes.objects, marks: Self.marks)?.text("metadata", "name") else { return }
        object.set(Document(name), at: "spec", "storageClassName")
    }
}

/// An Ingress that names no class gets the default one.
struct DefaultIngressClass: AdmissionPlugin {
    func mutate(_ object: inout Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        guard context.isOn("ingresses.networking.k8s.io"), context.operation == .create,
            object.at("spec", "ingressClassName") == nil,
            object.at("metadata", "annotations", "kubernetes.io/ingress.class") == nil
        else { return }
        let classes = try await resources.snapshots.all("ingressclasses", group: "networking.k8s.io", resources)
        let mark = "ingressclass.kubernetes.io/is-default-class"
        guard let name = newestDefault(classes.objects, marks: [mark])?.text("metadata", "name") else { return }
        object.set(Document(name), at: "spec", "ingressClassName")
    }
}

/// Claims and volumes stay until nobody uses them: a finalizer waits for the controller that knows.
struct StorageObjectInUseProtection: AdmissionPlugin {
    private static let finalizers = [
        "persistentvolumeclaims": "kubernetes.io/pvc-protection", "persistentvolumes": "kubernetes.io/pv-protection",
        "volumeattributesclasses.storage.k8s.io": "kubernetes.io/vac-protection",
    ]

    func mutate(_ object: inout Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        guard context.operation == .create, context.subresource.isEmpty,
            let finalizer = Self.finalizers[context.resource.qualifiedName]
        else { return }
        let present = object.list("metadata", "finalizers")
        if present.contains(Document(finalizer)) { return }
        object.set(Document(present + [Document(finalizer)]), at: "metadata", "finalizers")
    }
}

/// A claim may ask for more only when it is bound, and its class lets volumes grow.
struct ClaimResize: AdmissionPlugin {
    func validate(_ object: Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        guard context.isOn("persistentvolumeclaims"), context.operation == .update, let old = context.old else {
            return
        }
        let size = PodResources.amounts(object.at("spec", "resources", "requests"))["storage"] ?? .zero
        let before = PodResources.amounts(old.at("spec", "resources", "requests"))["storage"] ?? .zero
        guard size > before else { return }
        guard old.text("status", "phase") == "Bound" else {
            throw context.refuse("Only bound persistent volume claims can be expanded")
        }
        let name = Self.storageClass(object)
        if !name.isEmpty, name == Self.storageClass(old) {
            let classes = try await resources.snapshots.all("storageclasses", group: "storage.k8s.io", resources)
            if classes.named(name)?.flag("allowVolumeExpansion") == true { return }
        }
        throw context.refuse(
            "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support "
                + "resize")
    }

    static func storageClass(_ claim: Document) -> String {
        claim.text("metadata", "annotations", "volume.beta.kubernetes.io/storage-class")
            ?? claim.text("spec", "storageClassName") ?? ""
    }
}

/// External addresses of Services take traffic away from whoever has them; here nobody may claim any.
struct DenyServiceExternalIPs: AdmissionPlugin {
    func validate(_ object: Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        guard context.isOn("services"), [.create, .update].contains(context.operation) else { return }
        let before = Set((context.old?.list("spec", "externalIPs") ?? []).compactMap(\.string))
        let added = object.list("spec", "externalIPs").compactMap(\.string).filter { !before.contains($0) }
        if !added.isEmpty { throw context.refuse("Use of external IPs is denied by admission control.") }
    }
}
