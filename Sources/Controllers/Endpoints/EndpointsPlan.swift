import Basics
import Client
import Document
import Kinds

/// What an Endpoints object has to say: addresses that offer the same ports stand in one subset.
enum EndpointsPlan {
    static let leaderAnnotation = "control-plane.alpha.kubernetes.io/leader"
    static let managedLabel = "endpoints.kubernetes.io/managed-by"
    static let manager = "endpoint-controller"
    private static let headlessLabel = "service.kubernetes.io/headless"
    private static let overCapacity = "endpoints.kubernetes.io/over-capacity"
    /// One object holds no more addresses; ready ones come first.
    private static let capacity = 1_000

    private struct Member {
        var address: Document
        var ip: String
        var isReady: Bool
        var ports: [Document]
    }

    static func plan(_ service: Document, pods: [Document], existing: Document?, changedAt: Timestamp?) -> Plan {
        let selector = service.map("spec", "selector")
        if selector.isEmpty || service.isTerminating || service.text("spec", "type") == "ExternalName" {
            return .nothing
        }
        var members = pods.compactMap { member($0, of: service) }
        let isTruncated = members.count > capacity
        if isTruncated {
            members = Array((members.filter(\.isReady) + members.filter { !$0.isReady }).prefix(capacity))
        }
        let subsets = Document(self.subsets(members))
        var labels = service.labels
        labels[managedLabel] = manager
        labels[headlessLabel] = EndpointSlicePlan.isHeadless(service) ? "" : nil
        if let existing, existing.labels == labels,
            Document(existing.list("subsets")).isSame(as: subsets),
            (existing.annotations[overCapacity] != nil) == isTruncated
        {
            return .nothing
        }
        var annotations = existing?.annotations ?? [:]
        annotations[TriggerTimes.annotation] = changedAt.map { $0.rfc3339() }
        annotations[overCapacity] = isTruncated ? "truncated" : nil
        var wanted =
            existing ?? [
                "apiVersion": "v1", "kind": "Endpoints",
                "metadata": ["name": Document(service.name), "namespace": Document(service.namespace ?? "")],
            ]
        wanted.set(Document(sorted: labels), at: "metadata", "labels")
        let noted = annotations.isEmpty ? nil : Optional(Document(sorted: annotations))
        wanted.set(noted, at: "metadata", "annotations")
        wanted["subsets"] = subsets
        return Plan(steps: [.inOrder([existing == nil ? .create(.endpoints, wanted) : .update(.endpoints, wanted)])])
    }

    private static func member(_ pod: Document, of service: Document) -> Member? {
        let publishes = service.flag("spec", "publishNotReadyAddresses") == true
        let family = service.list("spec", "ipFamilies").first?.string ?? "IPv4"
        guard !pod.isFinished, publishes || !pod.isTerminating,
            let ip = EndpointSlicePlan.address(of: pod, family: family)
        else { return nil }
        var address: Document = ["ip": Document(ip)]
        if let hostname = EndpointSlicePlan.hostname(of: pod, in: service) { address["hostname"] = Document(hostname) }
        if !pod.nodeName.isEmpty { address["nodeName"] = Document(pod.nodeName) }
        address["targetRef"] = [
            "kind": "Pod", "namespace": Document(pod.namespace ?? ""), "name": Document(pod.name),
            "uid": Document(pod.uid),
        ]
        let ports = EndpointSlicePlan.ports(of: service, on: pod).elements.map { port in
            var port = port
            if port.text("name") == "" { port["name"] = nil }
            return port
        }
        // A service without ports has endpoints only where it is headless.
        if ports.isEmpty, !(service.list("spec", "ports").isEmpty && EndpointSlicePlan.isHeadless(service)) {
            return nil
        }
        return Member(address: address, ip: ip, isReady: publishes || pod.isReadyPod, ports: ports)
    }

    private static func subsets(_ members: [Member]) -> [Document] {
        func order(_ port: Document) -> (Int, String, String) {
            (port.number("port") ?? 0, port.text("protocol") ?? "", port.text("name") ?? "")
        }
        var groups: [String: (ports: Document, ready: [Member], notReady: [Member])] = [:]
        for member in members {
            let ports = Document(member.ports.sorted { order($0) < order($1) })
            let key = ports.canonical.jsonText
            var group = groups[key] ?? (ports, [], [])
            if member.isReady { group.ready.append(member) } else { group.notReady.append(member) }
            groups[key] = group
        }
        func addresses(_ members: [Member]) -> Document {
            Document(members.sorted { ($0.ip, $0.address.jsonText) < ($1.ip, $1.address.jsonText) }.map(\.address))
        }
        return groups.sorted { $0.key < $1.key }.map { _, group in
            var subset = Document.emptyObject
            if !group.ready.isEmpty { subset["addresses"] = addresses(group.ready) }
            if !group.notReady.isEmpty { subset["notReadyAddresses"] = addresses(group.notReady) }
            if group.ports.count > 0 { subset["ports"] = group.ports }
            return subset
        }
    }
}
