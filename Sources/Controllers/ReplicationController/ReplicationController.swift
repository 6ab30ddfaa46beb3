import Client
import Document
import Kinds

extension ReplicatedKind {
    /// The older kind: its selector is a plain map of labels, and one without any label would mean every pod.
    static let replicationController = ReplicatedKind(
        controller: "replicationcontroller-controller", component: "replication-controller",
        resource: .replicationControllers,
        selector: { controller in
            let labels = controller.map("spec", "selector")
            return labels.isEmpty ? nil : LabelSelector(labels: labels)
        }, countsTerminating: false)
}
