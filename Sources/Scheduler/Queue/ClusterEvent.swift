/// What happened in the cluster that may give a waiting pod a place.
enum ClusterEvent: Sendable {
    case nodeAdded(String)
    case nodeChanged(String, NodeInfo.Changes)
    /// A pod got its node, or one on a node changed its labels.
    case podPlaced(PodInfo, node: String)
    case podChanged(PodInfo, was: PodInfo, node: String)
    /// A pod left its node, or finished, or gave back what was kept for it.
    case podRemoved(PodInfo, node: String)
    case namespaceChanged(String)
    case claimChanged(String)
    case volumeChanged(String)
    case storageClassChanged(String)
    case storageNodeChanged(String)
    case driverChanged(String)
    case capacityChanged
    case serviceChanged

    /// As the metrics and the log call it.
    var name: String {
        switch self {
        case .nodeAdded: "NodeAdd"
        case .nodeChanged(_, let changes):
            if changes.contains(.resources) {
                "NodeAllocatableChange"
            } else if changes.contains(.taints) {
                "NodeTaintChange"
            } else {
                "NodeLabelChange"
            }
        case .podPlaced: "AssignedPodAdd"
        case .podChanged: "AssignedPodUpdate"
        case .podRemoved: "AssignedPodDelete"
        case .namespaceChanged: "NamespaceUpdate"
        case .claimChanged: "PvcUpdate"
        case .volumeChanged: "PvUpdate"
        case .storageClassChanged: "StorageClassUpdate"
        case .storageNodeChanged: "CSINodeUpdate"
        case .driverChanged: "CSIDriverUpdate"
        case .capacityChanged: "CSIStorageCapacityUpdate"
        case .serviceChanged: "ServiceUpdate"
        }
    }

    /// The node that is new, or other than before.
    func changedNode(_ cluster: Cluster, _ interesting: NodeInfo.Changes) -> NodeInfo? {
        switch self {
        case .nodeAdded(let name): cluster.node(name)
        case .nodeChanged(let name, let changes) where !changes.isDisjoint(with: interesting): cluster.node(name)
        default: nil
        }
    }
}
