import Basics
import Client
import Document
import Kinds

/// Lists a service's pods in the one Endpoints object of its name, for those who do not read slices.
struct EndpointsController: Controller {
    let name = "endpoints-controller"
    let workers = 5
    private let services: Informer
    private let pods: Informer
    private let endpoints: Informer
    private let triggers = TriggerTimes()

    init(_ informers: Informers) {
        services = informers(.services)
        pods = informers(.pods)
        endpoints = informers(.endpoints)
        pods.addIndex(PodIndex.namespace, PodIndex.byNamespace)
        services.addIndex("namespace") { [$0.namespace ?? ""] }
    }

    var sources: [Source] {
        [
            Source(services), Source(pods, ServicePods.keys(services)),
            // What someone removed comes back. What someone made for a service that is not there is left to them.
            Source(endpoints) { $0.new == nil ? [$0.key] : [] },
        ]
    }

    func plan(_ key: String, _ situation: Situation) -> Plan {
        let existing = endpoints.get(key: key)
        guard let service = services.get(key: key) else {
            triggers.forget(key)
            guard let existing, existing.annotations[EndpointsPlan.leaderAnnotation] == nil else { return .nothing }
            return Plan(steps: [.inOrder([.delete(.endpoints, existing)])])
        }
        let members = ServicePods.members(of: service, pods)
        let changed = triggers.latest(key, service, members)
        return EndpointsPlan.plan(service, pods: members, existing: existing, changedAt: changed)
    }
}

/// Which services a pod's change concerns, and which pods belong to a service.
enum ServicePods {
    static func keys(_ services: Informer) -> @Sendable (Change) -> [String] {
        { change in
            if let old = change.old, let new = change.new, !matters(old, new) { return [] }
            let keys = [change.old, change.new].compactMap { $0 }.flatMap { pod -> [String] in
                let labels = pod.labels
                return services.indexed("namespace", pod.namespace ?? "").filter { service in
                    let selector = service.map("spec", "selector")
                    return !selector.isEmpty && selector.allSatisfy { labels[$0.key] == $0.value }
                }.map { ObjectKey.of($0) }
            }
            return Set(keys).sorted()
        }
    }

    /// Whether the change of a pod can show in an endpoint.
    private static func matters(_ old: Document, _ new: Document) -> Bool {
        old.labels != new.labels || old.isReadyPod != new.isReadyPod || old.isTerminating != new.isTerminating
            || old.nodeName != new.nodeName || old.isFinished != new.isFinished
            || old.at("status", "podIPs") != new.at("status", "podIPs") || old.uid != new.uid
    }

    static func members(of service: Document, _ pods: Informer) -> [Document] {
        let selector = service.map("spec", "selector")
        if selector.isEmpty { return [] }
        return pods.indexed(PodIndex.namespace, service.namespace ?? "").filter { pod in
            let labels = pod.labels
            return selector.allSatisfy { labels[$0.key] == $0.value }
        }
    }
}
