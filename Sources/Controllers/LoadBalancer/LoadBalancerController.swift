import Basics
import Client
import Document
import Kinds
import Synchronization

/// Gives services of type LoadBalancer an address of the cluster's pool, and names the node that answers for it.
///
/// A service that asks for another implementation by `loadBalancerClass` is left to that one.
struct LoadBalancerController: Controller {
    static let controllerName = "service-lb-controller"

    let name = controllerName
    let component = "service-controller"
    /// One decision after the other: each must know what the one before it took.
    let workers = 1
    private let pool: CIDR
    private let services: Informer
    private let slices: Informer
    private let nodes: Informer
    private let taken = Taken()

    /// Addresses that were given and that the cache may not show yet.
    private final class Taken: Sendable {
        let addresses = Mutex<[String: IPAddress]>([:])
    }

    init(_ informers: Informers, pool: CIDR) {
        self.pool = pool
        services = informers(.services)
        slices = informers(.endpointSlices)
        nodes = informers(.nodes)
        slices.addIndex("service") { [Self.service(of: $0)] }
    }

    private static func service(of slice: Document) -> String {
        ObjectKey.make(namespace: slice.namespace, name: slice.labels[EndpointSlicePlan.serviceLabel] ?? "")
    }

    var sources: [Source] {
        let services = services
        return [
            Source(services) { change in
                let isOurs = [change.old, change.new].contains { service in
                    service.map { LoadBalancerPlan.isWanted(for: $0) || LoadBalancerPlan.isServed($0) } ?? false
                }
                return isOurs ? [change.key] : []
            },
            Source(nodes) { change in
                // Most changes of nodes are heartbeats.
                if change.old.map(LoadBalancerPlan.Candidate.init) == change.new.map(LoadBalancerPlan.Candidate.init) {
                    return []
                }
                return services.all.filter { LoadBalancerPlan.isWanted(for: $0) }.map { ObjectKey.of($0) }
            },
            Source(slices) { change in
                // Where the endpoints are matters to services that keep traffic on its node alone.
                [change.old, change.new].compactMap { $0.map(Self.service(of:)) }.filter { key in
                    services.get(key: key).map {
                        LoadBalancerPlan.isWanted(for: $0) && $0.text("spec", "externalTrafficPolicy") == "Local"
                    } ?? false
                }
            },
        ]
    }

    func plan(_ key: String, _ situation: Situation) -> Plan {
        guard let service = services.get(key: key), !service.isTerminating else {
            taken.addresses.withLock { $0[key] = nil }
            return .nothing
        }
        var others: Set<IPAddress> = []
        for other in services.all where ObjectKey.of(other) != key {
            others.formUnion(LoadBalancerPlan.addresses(of: other))
        }
        return taken.addresses.withLock { taken in
            for (other, address) in taken where other != key { others.insert(address) }
            let decision = LoadBalancerPlan.decide(
                service, pool: pool, others: others, nodes: nodes.all.map(LoadBalancerPlan.Candidate.init),
                slices: slices.indexed("service", key))
            taken[key] = decision.address
            return decision.plan
        }
    }
}
