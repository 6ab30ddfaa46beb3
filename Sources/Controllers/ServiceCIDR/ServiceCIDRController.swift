import Basics
import Client
import Document
import Kinds

/// Says of ranges for Service addresses that they are ready, and lets one go only when no address would be left
/// without a range.
struct ServiceCIDRController: Controller {
    let name = "service-cidr-controller"
    let workers = 1
    private let ranges: Informer
    private let addresses: Informer

    init(_ informers: Informers) {
        ranges = informers(.serviceCIDRs)
        addresses = informers.metadata(.ipAddresses)
    }

    var sources: [Source] {
        [
            // A range that comes, goes or changes may be what another one waits for.
            Source(ranges) { [ranges] change in
                Set([change.key] + ranges.all.filter(\.isTerminating).map(\.name)).sorted()
            },
            Source(addresses) { [ranges] change in
                change.new == nil ? ranges.all.filter(\.isTerminating).map(\.name) : []
            },
        ]
    }

    func plan(_ key: String, _ situation: Situation) -> Plan {
        guard let range = ranges.get(key: key) else { return .nothing }
        return ServiceCIDRPlan.plan(
            range, others: ranges.all.filter { $0.name != key }, addresses: { addresses.all }, situation)
    }
}

enum ServiceCIDRPlan {
    static let finalizer = "networking.k8s.io/service-cidr-finalizer"
    private static let familyLabel = "ipaddress.kubernetes.io/ip-family"
    private static let managerLabel = "ipaddress.kubernetes.io/managed-by"
    private static let allocator = "ipallocator.k8s.io"
    /// Whoever allocates addresses has heard of the end of a range by then.
    private static let grace = Duration.seconds(10)

    static func plan(
        _ range: Document, others: [Document], addresses: () -> [Document], _ situation: Situation
    ) -> Plan {
        var plan = Plan()
        let hasFinalizer = range.finalizers.contains(finalizer)
        guard range.isTerminating else {
            if !hasFinalizer {
                plan.then(setFinalizers(of: range, to: range.finalizers + [finalizer]))
            }
            report(range, "True", "", "Kubernetes Service CIDR is ready", situation.now, &plan)
            return plan
        }
        if !hasFinalizer { return plan }
        guard mayGo(range, others: others, addresses) else {
            report(
                range, "False", "Terminating",
                "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR",
                situation.now, &plan)
            return plan
        }
        let deleted = range.time("metadata", "deletionTimestamp") ?? situation.now
        let left = deleted + grace - situation.now
        if left > .zero {
            plan.lookAgain(after: left)
        } else {
            plan.then(setFinalizers(of: range, to: range.finalizers.filter { $0 != finalizer }))
        }
        return plan
    }

    private static func cidrs(_ range: Document) -> [CIDR] {
        range.list("spec", "cidrs").compactMap { $0.string.flatMap { CIDR($0) } }
    }

    private static func mayGo(_ range: Document, others: [Document], _ addresses: () -> [Document]) -> Bool {
        let others = others.flatMap(cidrs)
        let own = cidrs(range).filter { cidr in !others.contains { $0.contains(cidr) } }
        if own.isEmpty { return true }
        for object in addresses() where object.labels[managerLabel] == allocator {
            guard let address = IPAddress(object.name) else { continue }
            if own.contains(where: { $0.contains(address) }), !others.contains(where: { $0.contains(address) }) {
                return false
            }
        }
        return true
    }

    private static func setFinalizers(of range: Document, to finalizers: [String]) -> Action {
        .patch(
            .serviceCIDRs, namespace: nil, name: range.name,
            [
                "metadata": [
                    "uid": Document(range.uid),
                    "resourceVersion": range.at("metadata", "resourceVersion") ?? .null,
                    "finalizers": finalizers.isEmpty ? .null : Document(finalizers),
                ]
            ])
    }

    private static func report(
        _ range: Document, _ status: String, _ reason: String, _ message: String, _ now: Timestamp,
        _ plan: inout Plan
    ) {
        let old = range.condition("Ready")
        if old?.text("status") == status, old?.text("message") == message { return }
        let condition: Document = [
            "type": "Ready", "status": Document(status), "reason": Document(reason), "message": Document(message),
        ]
        let conditions = Document(range.list("status", "conditions")).settingCondition(condition, at: now)
        plan.finally.append(
            .patch(
                .serviceCIDRs, namespace: nil, name: range.name, ["status": ["conditions": conditions]],
                subresource: "status"))
    }
}
