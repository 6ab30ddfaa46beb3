import Client
import Document
import Kinds

/// What tells replica sets and replication controllers apart; everything else is one mechanism.
struct ReplicatedKind: Sendable {
    /// The controller's name on the command line, and the one that its events carry.
    let controller: String
    let component: String
    let resource: ResourceType
    /// Which pods are meant; nil selects nothing.
    let selector: @Sendable (Document) -> LabelSelector?
    /// Whether the status counts pods that are on their way out.
    let countsTerminating: Bool

    static let replicaSet = ReplicatedKind(
        controller: "replicaset-controller", component: "replicaset-controller", resource: .replicaSets,
        selector: { $0.selector }, countsTerminating: true)
}
