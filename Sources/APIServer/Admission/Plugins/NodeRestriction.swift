import Document
import Kinds
import Schema

/// A node may write itself and the pods that run on it, and nothing of other nodes.
struct NodeRestriction: AdmissionPlugin {
    /// The node that the caller is; nil for everybody else.
    private static func node(_ user: UserInfo) -> String? {
        let prefix = "system:node:"
        guard user.groups.contains("system:nodes"), user.name.hasPrefix(prefix) else { return nil }
        return String(user.name.dropFirst(prefix.count))
    }

    func mutate(_ object: inout Document, _ context: AdmissionContext, _ resources: Resources) async throws {
        guard context.operation != .connect, let node = Self.node(context.user) else { return }
        switch context.resource.qualifiedName {
        case "nodes": try checkNode(object, node, context)
        case "pods": try await checkPod(object, node, context, resources)
        case "persistentvolumeclaims": try checkClaim(object, node, context)
        case "persistentvolumes": try checkVolume(object, node, context)
        case "serviceaccounts": try await checkToken(object, node, context, resources)
        case "leases.coordination.k8s.io":
            guard context.namespace == "kube-node-lease" else {
                throw context.refuse("can only access leases in the \"kube-node-lease\" system namespace")
            }
            try checkName(node, context, "node lease")
        case "csinodes.storage.k8s.io": try checkName(node, context, "CSINode")
        case "resourceslices.resource.k8s.io":
            guard context.operation != .create || object.text("spec", "nodeName") == node else {
                throw context.refuse("can only create ResourceSlice with the same NodeName as the requesting node")
            }
            if context.operation == .delete, object.text("spec", "nodeName") != node {
                throw context.refuse("can only delete ResourceSlice with the same NodeName as the requesting node")
            }
        default: break
        }
    }

    private func checkName(_ node: String, _ context: AdmissionContext, _ what: String) throws {
        guard context.name == node else {
            throw context.refuse("can only access \(what) with the same name as the requesting node")
        }
    }

    // MARK: Nodes

    private static let ownLabels: Set = [
        "kubernetes.io/hostname", "kubernetes.io/arch", "kubernetes.io/os", "beta.kubernetes.io/instance-type",
        "beta.kubernetes.io/os", "beta.kubernetes.io/arch", "node.kubernetes.io/instance-type",
        "failure-domain.beta.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region",
        "topology.kubernetes.io/zone", "topology.kubernetes.io/region",
    ]

    /// Whether a node may set the label of itself: none that steer workloads to it, and of the project's domains only
    /// those that it reports.
    static func isNodesOwn(_ label: String) -> Bool {
        let domain = label.contains("/") ? String(label.split(separator: "/", maxSplits: 1).first ?? "") : ""
        func lies(in domains: [String]) -> Bool { domains.contains { domain == $0 || domain.hasSuffix(".\($0)") } }
        if lies(in: ["node-restriction.kubernetes.io"]) { return false }
        guard lies(in: ["kubernetes.io", "k8s.io"]), !ownLabels.contains(label) else { return true }
        return lies(in: ["node.kubernetes.io", "kubelet.kubernetes.io"])
    }

    private func checkNode(_ object: Document, _ node: String, _ context: AdmissionContext) throws {
        guard context.name == node else {
            throw context.refuse("node \"\(node)\" is not allowed to modify node \"\(context.name)\"")
        }
        guard context.operation == .create || context.operation == .update else { return }
        if context.operation == .update, let old = context.old,
            !(object.at("spec", "taints") ?? .emptyArray).means(old.at("spec", "taints") ?? .emptyArray)
        {
            throw context.refuse("node \"\(node)\" is not allowed to modify taints")
        }
        let labels = object.map("metadata", "labels")
        let before = context.old?.map("metadata", "labels") ?? [:]
        let changed = Set(labels.keys).union(before.keys).filter { labels[$0] != before[$0] }
        let restricted = changed.filter { label in
            // Our agents of control-plane nodes register with their role; upstream has an administrator add it.
            if context.operation == .create, label == "node-role.kubernetes.io/control-plane" { return false }
            return !Self.isNodesOwn(label)
        }.sorted()
        if restricted.isEmpty { return }
        throw context.refuse(
            context.operation == .create
                ? "node \"\(node)\" is not allowed to set the following labels: " + restricted.joined(separator: ", ")
                : "is not allowed to modify labels: \(restricted.joined(separator: ", "))")
    }

    // MARK: Pods

    private func checkPod(
        _ object: Document, _ node: String, _ context: AdmissionContext, _ resources: Resources
    ) async throws {
        switch (context.subresource, context.operation) {
        case ("", .create): try await checkMirror(object, node, context, resources)
        case ("", .delete):
            guard home(object) == node else {
                throw context.refuse("node \"\(node)\" can only delete pods with spec.nodeName set to itself")
            }
        case ("", _):
            throw context.refuse(
                "unexpected operation \"\(context.operation.rawValue)\", node \"\(node)\" can only create and delete "
                    + "mirror pods")
        case ("status", .update): try checkStatus(object, node, context)
        case ("eviction", .create):
            let pod = try await pod(context.name, context, resources)
            guard home(pod) == node else {
                throw context.refuse("node \(node) can only evict pods with spec.nodeName set to itself")
            }
        case ("status", _), ("eviction", _):
            throw context.refuse("unexpected operation \"\(context.operation.rawValue)\"")
        default:
            throw context.refuse(
                "unexpected pod subresource \"\(context.subresource)\", only 'status' and 'eviction' are allowed")
        }
    }

    private func home(_ pod: Document) -> String { pod.text("spec", "nodeName") ?? "" }

    private func pod(_ name: String, _ context: AdmissionContext, _ resources: Resources) async throws -> Document {
        guard let pod = try await resources.object("pods", namespace: context.namespace, name: name) else {
            var status = APIStatus.failure(404, "NotFound", "pods \"\(name)\" not found")
            status.name = name
            status.kind = "pods"
            throw status
        }
        return pod
    }

    private func checkStatus(_ pod: Document, _ node: String, _ context: AdmissionContext) throws {
        guard let old = context.old, home(old) == node else {
            throw context.refuse(
                "node \"\(node)\" can only update pod status for pods with spec.nodeName set to itself")
        }
        if pod.map("metadata", "labels") != old.map("metadata", "labels") {
            throw context.refuse("node \"\(node)\" cannot update labels through pod status")
        }
        let claims = [pod, old].map { Document($0.list("status", "resourceClaimStatuses")) }
        if !claims[0].means(claims[1]) {
            throw context.refuse("node \"\(node)\" cannot update resource claim statues")
        }
    }

    /// A node shows the pods that it runs from its own files. Those use nothing that the API holds.
    private func checkMirror(
        _ pod: Document, _ node: String, _ context: AdmissionContext, _ resources: Resources
    ) async throws {
        guard pod.at("metadata", "annotations", "kubernetes.io/config.mirror") != nil else {
            throw context.refuse(
                "pod does not have \"kubernetes.io/config.mirror\" annotation, node \"\(node)\" can only create mirror "
                    + "pods")
        }
        let only = "node \"\(node)\" can only create pods with "
        guard home(pod) == node else { throw context.refuse(only + "spec.nodeName set to itself") }
        let owners = pod.list("metadata", "ownerReferences")
        if owners.count > 1 { throw context.refuse(only + "a single owner reference set to itself") }
        guard let owner = owners.first, owner.text("apiVersion") == "v1", owner.text("kind") == "Node",
            owner.text("name") == node
        else { throw context.refuse(only + "an owner reference set to itself") }
        guard owner.flag("controller") == true else {
            throw context.refuse(only + "a controller owner reference set to itself")
        }
        if owner.flag("blockOwnerDeletion") == true {
            throw context.refuse("node \"\(node)\" must not set blockOwnerDeletion on an owner reference")
        }
        guard let object = try await resources.snapshots.single("nodes", name: node, resources) else {
            var status = APIStatus.failure(404, "NotFound", "node \"\(node)\" not found")
            status.name = node
            status.kind = "node"
            throw status
        }
        let (given, actual) = (owner.text("uid") ?? "", object.text("metadata", "uid") ?? "")
        guard given == actual else {
            throw context.refuse("node \(node) UID mismatch: expected \(given) got \(actual)")
        }
        if let what = PodDependence.first(in: pod["spec"] ?? .emptyObject) {
            throw context.refuse("node \"\(node)\" can not create pods that reference \(what)")
        }
    }

    // MARK: Claims and tokens

    /// A node says of the volumes that it holds that their data is gone, and nothing else.
    private func checkVolume(_ volume: Document, _ node: String, _ context: AdmissionContext) throws {
        func rest(_ volume: Document) -> Document {
            var volume = volume
            for field in ["resourceVersion", "managedFields", "finalizers"] { volume.set(nil, at: "metadata", field) }
            return volume
        }
        guard context.operation == .update, context.subresource.isEmpty, let old = context.old,
            old.text("metadata", "labels", NodeDirectory.nodeLabel) == node, rest(volume).means(rest(old)),
            volume.list("metadata", "finalizers").compactMap(\.string)
                == old.list("metadata", "finalizers").compactMap(\.string).filter({ $0 != NodeDirectory.finalizer })
        else {
            throw context.refuse(
                "node \"\(node)\" can only remove the finalizer \"\(NodeDirectory.finalizer)\" from volumes that it holds"
            )
        }
    }

    private func checkClaim(_ claim: Document, _ node: String, _ context: AdmissionContext) throws {
        guard context.subresource == "status" else { throw context.refuse("may only update PVC status") }
        guard context.operation == .update, let old = context.old else {
            throw context.refuse("unexpected operation \"\(context.operation.rawValue)\"")
        }
        func rest(_ claim: Document) -> Document {
            var claim = claim
            for field in ["resourceVersion", "managedFields"] { claim.set(nil, at: "metadata", field) }
            for field in ["capacity", "conditions", "allocatedResourceStatuses", "allocatedResources"] {
                claim.set(nil, at: "status", field)
            }
            return claim
        }
        guard rest(claim).means(rest(old)) else {
            throw context.refuse(
                "node \"\(node)\" is not allowed to update fields other than status.capacity and status.conditions")
        }
    }

    /// A node gets tokens of service accounts only for the pods that run on it.
    private func checkToken(
        _ request: Document, _ node: String, _ context: AdmissionContext, _ resources: Resources
    ) async throws {
        guard context.operation == .create, context.subresource == "token" else { return }
        let bound = request.at("spec", "boundObjectRef") ?? .emptyObject
        let name = bound.text("name") ?? ""
        guard bound.text("apiVersion") == "v1", bound.text("kind") == "Pod", !name.isEmpty else {
            throw context.refuse("node requested token not bound to a pod")
        }
        let uid = bound.text("uid") ?? ""
        if uid.isEmpty { throw context.refuse("node requested token with a pod binding without a uid") }
        let pod = try await pod(name, context, resources)
        guard pod.text("metadata", "uid") == uid else {
            throw context.refuse(
                "the UID in the bound object reference (\(uid)) does not match the UID in record. The object might have "
                    + "been deleted and then recreated")
        }
        guard home(pod) == node else {
            throw context.refuse("node requested token bound to a pod scheduled on a different node")
        }
    }
}

/// What a pod refers to in the API.
enum PodDependence {
    /// The first thing that a pod of a node's own may not refer to; nil where it stands alone.
    static func first(in spec: Document) -> String? {
        if !(spec.text("serviceAccountName") ?? "").isEmpty { return "a service account" }
        if usesSecrets(spec) { return "secrets" }
        if usesConfigMaps(spec) { return "configmaps" }
        let volumes = spec.list("volumes")
        if volumes.contains(where: { $0.list("projected", "sources").contains { $0["clusterTrustBundle"] != nil } }) {
            return "clustertrustbundles"
        }
        if volumes.contains(where: { $0["persistentVolumeClaim"] != nil }) { return "persistentvolumeclaims" }
        if !spec.list("resourceClaims").isEmpty { return "resourceclaims" }
        return nil
    }

    private static func environment(_ spec: Document, _ key: String, _ source: String) -> Bool {
        ["initContainers", "containers", "ephemeralContainers"].flatMap { spec.list($0) }.contains { container in
            container.list("env").contains { $0.at("valueFrom", key) != nil }
                || container.list("envFrom").contains { $0[source] != nil }
        }
    }

    private static let secretSources = [
        ["secret"], ["azureFile", "secretName"], ["cephfs", "secretRef"], ["cinder", "secretRef"],
        ["flexVolume", "secretRef"], ["rbd", "secretRef"], ["scaleIO", "secretRef"], ["iscsi", "secretRef"],
        ["storageos", "secretRef"], ["csi", "nodePublishSecretRef"],
    ]

    static func usesSecrets(_ spec: Document) -> Bool {
        if !spec.list("imagePullSecrets").isEmpty || environment(spec, "secretKeyRef", "secretRef") { return true }
        return spec.list("volumes").contains { volume in
            secretSources.contains { path in path.reduce(volume as Document?) { $0?[$1] } != nil }
                || volume.list("projected", "sources").contains { $0["secret"] != nil }
        }
    }

    static func usesConfigMaps(_ spec: Document) -> Bool {
        environment(spec, "configMapKeyRef", "configMapRef")
            || spec.list("volumes").contains { volume in
                volume["configMap"] != nil || volume.list("projected", "sources").contains { $0["configMap"] != nil }
            }
    }
}
