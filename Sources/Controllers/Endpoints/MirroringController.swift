import Basics
import Client
import Document
import Kinds

/// Repeats Endpoints that users wrote for services without a selector as slices, which is what everyone reads.
struct MirroringController: Controller {
    let name = "endpointslice-mirroring-controller"
    let workers = 5
    private let services: Informer
    private let endpoints: Informer
    private let slices: Informer

    init(_ informers: Informers) {
        services = informers(.services)
        endpoints = informers(.endpoints)
        slices = informers(.endpointSlices)
        slices.addIndex("service") { slice in
            let service = slice.labels[EndpointSlicePlan.serviceLabel] ?? ""
            return [ObjectKey.make(namespace: slice.namespace, name: service)]
        }
    }

    var sources: [Source] {
        [
            Source(services) { change in
                change.old?.at("spec", "selector") == change.new?.at("spec", "selector") && change.old != nil
                    && change.new != nil ? [] : [change.key]
            },
            Source(endpoints),
            Source(slices) { change in
                [change.old, change.new].compactMap { $0 }
                    .filter { $0.labels[EndpointSlicePlan.managerLabel] == MirroringPlan.manager }
                    .map {
                        ObjectKey.make(namespace: $0.namespace, name: $0.labels[EndpointSlicePlan.serviceLabel] ?? "")
                    }
            },
        ]
    }

    func plan(_ key: String, _ situation: Situation) -> Plan {
        MirroringPlan.plan(
            endpoints.get(key: key), service: services.get(key: key), slices: slices.indexed("service", key))
    }
}

/// One slice for each set of ports and each family of addresses.
enum MirroringPlan {
    static let manager = "endpointslicemirroring-controller.k8s.io"
    private static let skipLabel = "endpointslice.kubernetes.io/skip-mirror"
    private static let largestSubset = 1_000
    private static let notCopied: Set = [
        TriggerTimes.annotation, "kubectl.kubernetes.io/last-applied-configuration",
    ]

    private struct Group {
        var family: String
        var ports: Document
        var endpoints: [Document] = []
    }

    static func plan(_ endpoints: Document?, service: Document?, slices: [Document]) -> Plan {
        var unclaimed = slices.filter { $0.labels[EndpointSlicePlan.managerLabel] == manager && !$0.isTerminating }
        var plan = Plan()
        guard let endpoints, isMirrored(endpoints, service) else {
            plan.then(unclaimed.map { .delete(.endpointSlices, $0) })
            return plan
        }
        var skipped = (invalid: 0, surplus: 0)
        for group in groups(endpoints, &skipped) {
            let wanted = slice(endpoints, group)
            let index = unclaimed.firstIndex {
                $0.text("addressType") == group.family && Document($0.list("ports")).isSame(as: group.ports)
            }
            guard let index else {
                if !endpoints.isTerminating { plan.then(.create(.endpointSlices, wanted)) }
                continue
            }
            var existing = unclaimed.remove(at: index)
            let isCurrent =
                Document(existing.list("endpoints")).isSame(as: Document(group.endpoints))
                && existing.labels == wanted.labels && existing.annotations == wanted.annotations
            if isCurrent { continue }
            existing["endpoints"] = Document(group.endpoints)
            existing.set(Document(sorted: wanted.labels), at: "metadata", "labels")
            let annotations = wanted.annotations.isEmpty ? nil : Optional(Document(sorted: wanted.annotations))
            existing.set(annotations, at: "metadata", "annotations")
            plan.then(.update(.endpointSlices, existing))
        }
        plan.then(unclaimed.map { .delete(.endpointSlices, $0) })
        if !plan.steps.isEmpty { report(skipped, on: endpoints, &plan) }
        return plan
    }

    private static func isMirrored(_ endpoints: Document, _ service: Document?) -> Bool {
        guard let service, service.map("spec", "selector").isEmpty else { return false }
        return endpoints.labels[skipLabel] != "true" && endpoints.annotations[EndpointsPlan.leaderAnnotation] == nil
    }

    private static func groups(_ endpoints: Document, _ skipped: inout (invalid: Int, surplus: Int)) -> [Group] {
        var groups: [Group] = []
        for subset in endpoints.list("subsets") {
            let ports = Document(
                subset.list("ports").map { port -> Document in
                    var entry: Document = ["name": Document(port.text("name") ?? "")]
                    entry["port"] = port["port"]
                    entry["protocol"] = Document(port.text("protocol") ?? "TCP")
                    entry["appProtocol"] = port["appProtocol"]
                    return entry
                })
            let all =
                subset.list("addresses").map { ($0, true) } + subset.list("notReadyAddresses").map { ($0, false) }
            skipped.surplus += max(0, all.count - largestSubset)
            for (address, isReady) in all.prefix(largestSubset) {
                guard let ip = IPAddress(address.text("ip") ?? "") else {
                    skipped.invalid += 1
                    continue
                }
                let family = ip.isIPv6 ? "IPv6" : "IPv4"
                var endpoint: Document = [
                    "addresses": [Document(ip.description)], "conditions": ["ready": Document(isReady)],
                ]
                for field in ["hostname", "targetRef", "nodeName"] { endpoint[field] = address[field] }
                if let index = groups.firstIndex(where: { $0.family == family && $0.ports.isSame(as: ports) }) {
                    groups[index].endpoints.append(endpoint)
                } else {
                    groups.append(Group(family: family, ports: ports, endpoints: [endpoint]))
                }
            }
        }
        return groups
    }

    private static func slice(_ endpoints: Document, _ group: Group) -> Document {
        var labels = endpoints.labels
        labels[EndpointSlicePlan.serviceLabel] = endpoints.name
        labels[EndpointSlicePlan.managerLabel] = manager
        var metadata: Document = [
            "generateName": Document(endpoints.name + "-"), "namespace": Document(endpoints.namespace ?? ""),
            "labels": Document(sorted: labels),
            "ownerReferences": [endpoints.controllerReference(kind: "Endpoints", apiVersion: "v1")],
        ]
        let annotations = endpoints.annotations.filter { !notCopied.contains($0.key) }
        if !annotations.isEmpty { metadata["annotations"] = Document(sorted: annotations) }
        return [
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata,
            "addressType": Document(group.family), "endpoints": Document(group.endpoints), "ports": group.ports,
        ]
    }

    private static func report(_ skipped: (invalid: Int, surplus: Int), on endpoints: Document, _ plan: inout Plan) {
        if skipped.invalid > 0 {
            plan.then(
                .event(
                    endpoints, .warning, reason: "InvalidIPAddress",
                    message: "Skipped \(skipped.invalid) invalid IP addresses when mirroring to EndpointSlices"))
        }
        if skipped.surplus > 0 {
            plan.then(
                .event(
                    endpoints, .warning, reason: "TooManyAddressesToMirror",
                    message:
                        "A max of \(largestSubset) addresses can be mirrored to EndpointSlices per Endpoints subset. "
                        + "\(skipped.surplus) addresses were skipped"))
        }
    }
}
