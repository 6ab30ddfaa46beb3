import Client
import Document
import Kinds

struct DeploymentController: Controller {
    let name = "deployment-controller"
    let workers = 5
    private let deployments: Informer
    private let sets: Informer
    private let pods: Informer

    init(_ informers: Informers) {
        deployments = informers(.deployments)
        sets = informers(.replicaSets)
        pods = informers(.pods)
        pods.addIndex(PodIndex.controller, PodIndex.byController)
        sets.addIndex("namespace") { [$0.namespace ?? ""] }
        deployments.addIndex("namespace") { [$0.namespace ?? ""] }
    }

    var sources: [Source] {
        let (deployments, sets) = (deployments, sets)
        return [
            Source(deployments),
            Source(sets) { change in
                [change.old, change.new].compactMap { $0 }.flatMap { set -> [String] in
                    if let owner = set.controllerReference {
                        guard owner.text("kind") == "Deployment" else { return [] }
                        return [ObjectKey.make(namespace: set.namespace, name: owner.text("name") ?? "")]
                    }
                    let labels = set.labels
                    return deployments.indexed("namespace", set.namespace ?? "")
                        .filter { $0.selector?.matches(labels) ?? false }
                        .map { ObjectKey.of($0) }
                }
            },
            // A Deployment that recreates waits for the last old pod to go.
            Source(pods) { change in
                guard change.new?.isFinished ?? true, let pod = change.old, let owner = pod.controllerReference,
                    owner.text("kind") == "ReplicaSet",
                    let set = sets.get(namespace: pod.namespace, name: owner.text("name") ?? ""),
                    let deployment = set.controllerReference, deployment.text("kind") == "Deployment"
                else { return [] }
                return [ObjectKey.make(namespace: pod.namespace, name: deployment.text("name") ?? "")]
            },
        ]
    }

    func plan(_ key: String, _ situation: Situation) -> Plan {
        guard let deployment = deployments.get(key: key) else { return .nothing }
        let candidates = sets.indexed("namespace", deployment.namespace ?? "")
        var running: [String: Int] = [:]
        for set in candidates where set.controllerUID == deployment.uid {
            running[set.uid] = pods.indexed(PodIndex.controller, set.uid).filter { !$0.isFinished }.count
        }
        return DeploymentPlan.plan(deployment, sets: candidates, runningPods: running, situation)
    }
}
