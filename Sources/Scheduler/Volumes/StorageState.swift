import Document
import Kinds

/// Volumes, claims and what can make volumes, as the API shows them and as decisions have promised them.
struct StorageState {
    var claims: [String: Document] = [:]
    var volumes: [String: Document] = [:]
    var classes: [String: Document] = [:]
    /// By node: how many volumes each driver can attach.
    var limits: [String: [String: Int]] = [:]
    /// Drivers that publish how much storage they have left.
    var capacityDrivers: Set<String> = []
    var capacities: [String: Document] = [:]
    /// Volumes that a decision gave to a claim, before the API shows it.
    private(set) var promised: [String: String] = [:]
    /// Claims whose volume is to be made for a node.
    private(set) var chosenNodes: [String: String] = [:]
    /// How many placed pods use each claim.
    private(set) var users: [String: Int] = [:]

    mutating func use(_ pod: PodInfo, _ change: Int) {
        for claim in pod.volumes.claims {
            let count = (users[claim.key] ?? 0) + change
            users[claim.key] = count > 0 ? count : nil
        }
    }

    mutating func promise(_ plan: VolumePlan) {
        for binding in plan.bindings { promised[binding.volume] = binding.claim }
        for claim in plan.provisions { chosenNodes[claim] = plan.node }
    }

    mutating func release(_ plan: VolumePlan) {
        for binding in plan.bindings where promised[binding.volume] == binding.claim { promised[binding.volume] = nil }
        for claim in plan.provisions where chosenNodes[claim] == plan.node { chosenNodes[claim] = nil }
    }

    /// The volume that a claim is bound to, fully: both sides say so.
    func boundVolume(_ claim: Document) -> String? {
        guard let name = claim.text("spec", "volumeName"), !name.isEmpty,
            claim.at("metadata", "annotations", "pv.kubernetes.io/bind-completed") != nil
        else { return nil }
        return name
    }

    func storageClass(_ claim: Document) -> Document? {
        let name =
            claim.text("metadata", "annotations", "volume.beta.kubernetes.io/storage-class")
            ?? claim.text("spec", "storageClassName") ?? ""
        return classes[name]
    }

    /// Whether the claim waits for a pod to choose a node.
    func waitsForConsumer(_ claim: Document) -> Bool {
        storageClass(claim)?.text("volumeBindingMode") == "WaitForFirstConsumer"
    }

    /// The CSI driver and handle of a claim's volume; the claim itself stands for a volume that is not made yet.
    func attachment(_ key: String) -> (driver: String, handle: String)? {
        guard let claim = claims[key] else { return nil }
        if let name = claim.text("spec", "volumeName"), !name.isEmpty {
            guard let source = volumes[name]?.at("spec", "csi"), let driver = source.text("driver") else { return nil }
            return (driver, source.text("volumeHandle") ?? name)
        }
        guard let provisioner = storageClass(claim)?.text("provisioner"),
            !provisioner.hasPrefix("kubernetes.io/")
        else { return nil }
        return (provisioner, key)
    }
}

/// Which volumes a pod's claims get once it goes to a node.
struct VolumePlan: Sendable, Equatable {
    struct Binding: Sendable, Equatable {
        var claim: String
        var volume: String
    }

    var node: String
    var bindings: [Binding] = []
    /// Claims that get a volume made for the node.
    var provisions: [String] = []

    var isEmpty: Bool { bindings.isEmpty && provisions.isEmpty }
}
