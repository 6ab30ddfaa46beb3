import Basics
import Client
import Document
import Kinds

/// Lists a service's pods in slices of at most a hundred endpoints, one set of slices for each address family
/// and each set of port numbers (pods may give one named port different numbers).
enum EndpointSlicePlan {
    static let manager = "endpointslice-controller.k8s.io"
    static let serviceLabel = "kubernetes.io/service-name"
    static let managerLabel = "endpointslice.kubernetes.io/managed-by"
    static let headlessLabel = "service.kubernetes.io/headless"
    static let largestSlice = 100

    private struct Group {
        var family: String
        var ports: Document
        var endpoints: [Document]
    }

    /// - Parameters:
    ///   - zones: the zone of each node that has one.
    ///   - shares: what each zone has of the cluster's processors; only read where the service wants it.
    static func plan(
        _ service: Document, pods: [Document], slices: [Document], zones: [String: String],
        shares: @autoclosure () -> ZoneShares? = nil, changedAt: Timestamp? = nil
    ) -> Plan {
        var plan = Plan()
        let slices = slices.filter { $0.labels[managerLabel] == manager && !$0.isTerminating }
        let selector = service.map("spec", "selector")
        if selector.isEmpty || service.isTerminating || service.text("spec", "type") == "ExternalName" { return plan }
        let families = service.list("spec", "ipFamilies").compactMap(\.string)
        var groups: [Group] = []
        for family in families.isEmpty ? ["IPv4"] : families {
            var own = self.groups(service, pods, family: family, zones: zones)
            if TopologyHints.isWanted(by: service) {
                let hinted = TopologyHints.spread(own.map(\.endpoints), shares())
                if case .spread(let endpoints) = hinted {
                    for index in own.indices { own[index].endpoints = endpoints[index] }
                }
                plan.then(TopologyHints.events(service, family, hinted, slices))
            }
            groups += own
        }
        var unclaimed = slices
        for group in groups {
            let mine = unclaimed.filter {
                $0.text("addressType") == group.family && Document($0.list("ports")).isSame(as: group.ports)
            }
            unclaimed.removeAll { slice in mine.contains { $0.uid == slice.uid } }
            fill(group, mine, service, changedAt, &plan)
        }
        plan.then(unclaimed.map { .delete(.endpointSlices, $0) })
        return plan
    }

    private static func groups(
        _ service: Document, _ pods: [Document], family: String, zones: [String: String]
    ) -> [Group] {
        var groups: [Group] = []
        for pod in pods {
            guard let address = address(of: pod, family: family), !pod.isFinished else { continue }
            let ports = self.ports(of: service, on: pod)
            let endpoint = self.endpoint(for: pod, address, service, zone: zones[pod.nodeName])
            if let index = groups.firstIndex(where: { $0.ports.isSame(as: ports) }) {
                groups[index].endpoints.append(endpoint)
            } else {
                groups.append(Group(family: family, ports: ports, endpoints: [endpoint]))
            }
        }
        // A service without pods keeps one empty slice, so that readers can tell it from one not seen yet.
        return groups.isEmpty ? [Group(family: family, ports: .emptyArray, endpoints: [])] : groups
    }

    static func address(of pod: Document, family: String) -> String? {
        let addresses = pod.list("status", "podIPs").compactMap { $0.text("ip") }
        return (addresses.isEmpty ? [pod.text("status", "podIP")].compactMap { $0 } : addresses).first {
            IPAddress($0).map { $0.isIPv6 == (family == "IPv6") } ?? false
        }
    }

    static func ports(of service: Document, on pod: Document) -> Document {
        var ports = Document.emptyArray
        for port in service.list("spec", "ports") {
            let number = port.number("port") ?? 0
            guard let target = resolve(port["targetPort"] ?? Document(number), fallback: number, port, pod) else {
                continue
            }
            var entry: Document = ["name": Document(port.text("name") ?? "")]
            entry["port"] = Document(target)
            entry["protocol"] = Document(port.text("protocol") ?? "TCP")
            entry["appProtocol"] = port["appProtocol"]
            ports.append(entry)
        }
        return ports
    }

    private static func resolve(_ target: Document, fallback: Int, _ port: Document, _ pod: Document) -> Int? {
        if let number = target.int { return number == 0 ? fallback : number }
        let wanted = port.text("protocol") ?? "TCP"
        let sidecars = pod.list("spec", "initContainers").filter { $0.text("restartPolicy") == "Always" }
        for container in pod.list("spec", "containers") + sidecars {
            for candidate in container.list("ports")
            where candidate.text("name") == target.string && (candidate.text("protocol") ?? "TCP") == wanted {
                return candidate.number("containerPort")
            }
        }
        return nil
    }

    private static func endpoint(
        for pod: Document, _ address: String, _ service: Document, zone: String?
    ) -> Document {
        let serving = pod.isReadyPod
        let ready = service.flag("spec", "publishNotReadyAddresses") == true || (serving && !pod.isTerminating)
        var endpoint: Document = [
            "addresses": [Document(address)],
            "conditions": [
                "ready": Document(ready), "serving": Document(serving), "terminating": Document(pod.isTerminating),
            ],
        ]
        if let hostname = hostname(of: pod, in: service) { endpoint["hostname"] = Document(hostname) }
        endpoint["targetRef"] = [
            "kind": "Pod", "namespace": Document(pod.namespace ?? ""), "name": Document(pod.name),
            "uid": Document(pod.uid),
        ]
        if !pod.nodeName.isEmpty { endpoint["nodeName"] = Document(pod.nodeName) }
        if let zone { endpoint["zone"] = Document(zone) }
        if ready, !TopologyHints.isWanted(by: service) {
            endpoint["hints"] = hints(service, zone: zone, node: pod.nodeName)
        }
        return endpoint
    }

    /// For whom the endpoint is meant first, where the service prefers what is near.
    private static func hints(_ service: Document, zone: String?, node: String) -> Document? {
        let preference = service.text("spec", "trafficDistribution") ?? ""
        guard ["PreferClose", "PreferSameZone", "PreferSameNode"].contains(preference) else { return nil }
        var hints = Document.emptyObject
        if preference == "PreferSameNode", !node.isEmpty { hints["forNodes"] = [["name": Document(node)]] }
        if let zone { hints["forZones"] = [["name": Document(zone)]] }
        return hints.count > 0 ? hints : nil
    }

    /// The name that the pod has within the service's domain.
    static func hostname(of pod: Document, in service: Document) -> String? {
        guard let hostname = pod.text("spec", "hostname"), !hostname.isEmpty,
            pod.text("spec", "subdomain") == service.name
        else { return nil }
        return hostname
    }

    static func isHeadless(_ service: Document) -> Bool {
        let address = service.text("spec", "clusterIP") ?? ""
        return address.isEmpty || address == "None"
    }

    // MARK: Slices

    /// Endpoints stay in the slice where they are, so that one pod's change rewrites one slice;
    /// new ones fill the first slices with room, then new slices. Slices left empty go.
    private static func fill(
        _ group: Group, _ existing: [Document], _ service: Document, _ changedAt: Timestamp?, _ plan: inout Plan
    ) {
        var homeless: [String: Document] = [:]
        var order: [String] = []
        for endpoint in group.endpoints {
            let uid = endpoint.text("targetRef", "uid") ?? ""
            homeless[uid] = endpoint
            order.append(uid)
        }
        var contents = existing.map { slice in
            slice.list("endpoints").compactMap { homeless.removeValue(forKey: $0.text("targetRef", "uid") ?? "") }
        }
        var rest = order.compactMap { homeless[$0] }[...]
        for index in contents.indices where contents[index].count < largestSlice && !rest.isEmpty {
            let taken = rest.prefix(largestSlice - contents[index].count)
            contents[index] += taken
            rest = rest.dropFirst(taken.count)
        }
        // Of slices left empty, one may have to stay as the placeholder.
        var keepsEmpty = group.endpoints.isEmpty
        for (slice, endpoints) in zip(existing, contents) {
            if endpoints.isEmpty, !keepsEmpty {
                plan.then(.delete(.endpointSlices, slice))
                continue
            }
            if endpoints.isEmpty { keepsEmpty = false }
            var wanted = slice
            wanted["endpoints"] = Document(endpoints)
            wanted.set(Document(sorted: labels(of: service)), at: "metadata", "labels")
            let isCurrent =
                Document(slice.list("endpoints")).isSame(as: Document(endpoints)) && slice.labels == labels(of: service)
            if isCurrent { continue }
            let trigger = changedAt.map { Document($0.rfc3339()) }
            if trigger != nil || wanted.annotations[TriggerTimes.annotation] != nil {
                wanted.set(trigger, at: "metadata", "annotations", TriggerTimes.annotation)
            }
            plan.then(.update(.endpointSlices, wanted))
        }
        while !rest.isEmpty || (keepsEmpty && existing.isEmpty) {
            var slice = make(group, Array(rest.prefix(largestSlice)), service)
            if let changedAt {
                slice.set(Document(changedAt.rfc3339()), at: "metadata", "annotations", TriggerTimes.annotation)
            }
            plan.then(.create(.endpointSlices, slice))
            rest = rest.dropFirst(largestSlice)
            keepsEmpty = false
        }
    }

    private static func labels(of service: Document) -> [String: String] {
        var labels = service.labels
        labels[serviceLabel] = service.name
        labels[managerLabel] = manager
        labels[headlessLabel] = isHeadless(service) ? "" : nil
        return labels
    }

    private static func make(_ group: Group, _ endpoints: [Document], _ service: Document) -> Document {
        [
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": [
                "generateName": Document(service.name + "-"), "namespace": Document(service.namespace ?? ""),
                "labels": Document(sorted: labels(of: service)),
                "ownerReferences": [service.controllerReference(kind: "Service", apiVersion: "v1")],
            ],
            "addressType": Document(group.family), "endpoints": Document(endpoints), "ports": group.ports,
        ]
    }
}
