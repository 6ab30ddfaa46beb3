import Client
import Document
import Kinds

struct EndpointSliceController: Controller {
    let name = "endpointslice-controller"
    let workers = 5
    private let services: Informer
    private let pods: Informer
    private let slices: Informer
    private let nodes: Informer
    private let triggers = TriggerTimes()

    init(_ informers: Informers) {
        services = informers(.services)
        pods = informers(.pods)
        slices = informers(.endpointSlices)
        nodes = informers(.nodes)
        pods.addIndex(PodIndex.namespace, PodIndex.byNamespace)
        services.addIndex("namespace") { [$0.namespace ?? ""] }
        slices.addIndex("service") { slice in
            let service = slice.labels[EndpointSlicePlan.serviceLabel] ?? ""
            return [ObjectKey.make(namespace: slice.namespace, name: service)]
        }
    }

    var sources: [Source] {
        let services = services
        return [
            Source(services),
            Source(pods, ServicePods.keys(services)),
            Source(slices) { change in
                [change.old, change.new].compactMap { $0 }.map {
                    ObjectKey.make(namespace: $0.namespace, name: $0.labels[EndpointSlicePlan.serviceLabel] ?? "")
                }
            },
            Source(nodes) { change in
                guard ZoneShares.differ(change.old, change.new) else { return [] }
                return services.all.filter { TopologyHints.dependsOnZones($0) }.map {
                    ObjectKey.make(namespace: $0.namespace, name: $0.name)
                }
            },
        ]
    }

    func plan(_ key: String, _ situation: Situation) -> Plan {
        guard let service = services.get(key: key) else {
            triggers.forget(key)
            return .nothing
        }
        let members = ServicePods.members(of: service, pods)
        var zones: [String: String] = [:]
        for name in Set(members.map(\.nodeName)) {
            zones[name] = nodes.get(key: name)?.labels["topology.kubernetes.io/zone"]
        }
        return EndpointSlicePlan.plan(
            service, pods: members, slices: slices.indexed("service", key), zones: zones,
            shares: ZoneShares(nodes.all), changedAt: triggers.latest(key, service, members))
    }
}
