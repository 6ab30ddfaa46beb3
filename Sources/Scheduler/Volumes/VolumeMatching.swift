import Document
import Kinds

/// Finds volumes for the claims that wait for a node.
struct VolumeMatching {
    let storage: StorageState

    enum Failure: Error { case nothingAvailable, notEnoughSpace }

    /// The volumes for `claims` on the node, smallest first; what no volume fits is to be provisioned.
    func plan(_ claims: [Document], _ node: NodeInfo) throws(Failure) -> VolumePlan {
        var plan = VolumePlan(node: node.name)
        var taken: Set<String> = []
        let bySize = claims.sorted { (request($0), ClaimKey($0).text) < (request($1), ClaimKey($1).text) }
        for claim in bySize {
            let key = ClaimKey(claim).text
            let chosen = claim.text("metadata", "annotations", "volume.kubernetes.io/selected-node")
            if let chosen, !chosen.isEmpty {
                if chosen != node.name { throw .nothingAvailable }
                plan.provisions.append(key)
            } else if let volume = match(claim, node, taken) {
                taken.insert(volume)
                plan.bindings.append(.init(claim: key, volume: volume))
            } else {
                try checkProvisioning(claim, node)
                plan.provisions.append(key)
            }
        }
        return plan
    }

    private func match(_ claim: Document, _ node: NodeInfo, _ taken: Set<String>) -> String? {
        let key = ClaimKey(claim)
        let wanted = request(claim)
        let modes = Set(claim.list("spec", "accessModes").compactMap(\.string))
        let mode = claim.text("spec", "volumeMode") ?? "Filesystem"
        let className = claim.text("spec", "storageClassName") ?? ""
        let selector = claim.at("spec", "selector").flatMap { LabelSelector($0) }
        var best: (size: Quantity, name: String)?
        for (name, volume) in storage.volumes {
            if taken.contains(name) || volume.text("metadata", "deletionTimestamp") != nil { continue }
            if let holder = storage.promised[name], holder != key.text { continue }
            let size = volume.quantities("spec", "capacity")["storage"] ?? .zero
            if size < wanted || (volume.text("spec", "volumeMode") ?? "Filesystem") != mode { continue }
            guard NodeRules.allows(volume, node) else { continue }
            if let holder = volume.at("spec", "claimRef") {
                // Set aside for this very claim.
                guard holder.text("namespace") == key.namespace, holder.text("name") == key.name,
                    [nil, "", claim.text("metadata", "uid")].contains(holder.text("uid"))
                else { continue }
                return name
            }
            guard volume.text("status", "phase") == "Available",
                (volume.text("spec", "storageClassName") ?? "") == className,
                modes.isSubset(of: volume.list("spec", "accessModes").compactMap(\.string)),
                selector?.matches(volume.map("metadata", "labels")) ?? true
            else { continue }
            if best.map({ (size, name) < ($0.size, $0.name) }) ?? true { best = (size, name) }
        }
        return best?.name
    }

    private func request(_ claim: Document) -> Quantity {
        claim.quantities("spec", "resources", "requests")["storage"] ?? .zero
    }

    private func checkProvisioning(_ claim: Document, _ node: NodeInfo) throws(Failure) {
        guard let storageClass = storage.storageClass(claim), let provisioner = storageClass.text("provisioner"),
            !provisioner.isEmpty, provisioner != "kubernetes.io/no-provisioner"
        else { throw .nothingAvailable }
        let topologies = storageClass.list("allowedTopologies")
        let isAllowed =
            topologies.isEmpty
            || topologies.contains { term in
                term.list("matchLabelExpressions").allSatisfy { expression in
                    let value = node.labels[expression.text("key") ?? ""]
                    return value.map { expression.list("values").compactMap(\.string).contains($0) } ?? false
                }
            }
        if !isAllowed { throw .nothingAvailable }
        guard storage.capacityDrivers.contains(provisioner) else { return }
        let wanted = request(claim)
        let name = storageClass.text("metadata", "name") ?? ""
        let hasSpace = storage.capacities.values.contains { capacity in
            guard capacity.text("storageClassName") == name,
                let topology = capacity["nodeTopology"], let selector = LabelSelector(topology),
                selector.matches(node.labels)
            else { return false }
            let limit = capacity["maximumVolumeSize"] ?? capacity["capacity"]
            return limit?.string.flatMap { Quantity($0) }.map { wanted <= $0 } ?? false
        }
        if !hasSpace { throw .notEnoughSpace }
    }
}

/// Where a volume can be used.
enum NodeRules {
    static func allows(_ volume: Document, _ node: NodeInfo) -> Bool {
        guard let required = volume.at("spec", "nodeAffinity", "required") else { return true }
        return NodeSelection(required).matches(node.labels, name: node.name)
    }
}

/// `namespace/name` of an object, in its parts.
struct ClaimKey {
    let namespace: String
    let name: String

    init(_ document: Document) {
        namespace = document.text("metadata", "namespace") ?? ""
        name = document.text("metadata", "name") ?? ""
    }

    var text: String { namespace.isEmpty ? name : "\(namespace)/\(name)" }
}
