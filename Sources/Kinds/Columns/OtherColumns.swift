import Basics
import Document

enum NodeColumns {
    static func cells(_ node: Document, now: Timestamp) -> [Document] {
        let info = node.at("status", "nodeInfo") ?? .emptyObject
        func address(_ type: String) -> Document {
            Cells.orNone(node.list("status", "addresses").first { $0.text("type") == type }?.text("address"))
        }
        func fact(_ name: String) -> Document {
            let text = info.text(name) ?? ""
            return text.isEmpty ? "<unknown>" : Document(text)
        }
        let architecture = info.text("architecture") ?? ""
        let kernel = (fact("kernelVersion").string ?? "") + (architecture.isEmpty ? "" : " (\(architecture))")
        return [
            Document(status(node)), Document(roles(node)), Cells.age(node, now: now),
            info["kubeletVersion"] ?? "", address("InternalIP"), address("ExternalIP"), fact("osImage"),
            Document(kernel), fact("containerRuntimeVersion"),
        ]
    }

    private static func status(_ node: Document) -> String {
        let ready = node.list("status", "conditions").first { $0.text("type") == "Ready" }
        var text = ready.map { $0.text("status") == "True" ? "Ready" : "NotReady" } ?? "Unknown"
        if node.flag("spec", "unschedulable") == true { text += ",SchedulingDisabled" }
        return text
    }

    private static func roles(_ node: Document) -> String {
        let prefix = "node-role.kubernetes.io/"
        var roles: Set<String> = []
        for (key, value) in node.map("metadata", "labels") {
            if key.hasPrefix(prefix), key.count > prefix.count {
                roles.insert(String(key.dropFirst(prefix.count)))
            } else if key == "kubernetes.io/role", !value.isEmpty {
                roles.insert(value)
            }
        }
        return roles.isEmpty ? "<none>" : roles.sorted().joined(separator: ",")
    }
}

enum WorkloadColumns {
    static func deployment(_ deployment: Document, now: Timestamp) -> [Document] {
        let status = deployment["status"] ?? .emptyObject
        func count(_ name: String) -> Int { status.number(name) ?? 0 }
        return [
            Document("\(count("readyReplicas"))/\(deployment.number("spec", "replicas") ?? 0)"),
            Document(count("updatedReplicas")), Document(count("availableReplicas")),
            Cells.age(deployment, now: now),
        ] + Cells.containers(deployment.at("spec", "template"))
            + [Cells.selector(deployment.at("spec", "selector"))]
    }

    static func replicaSet(_ set: Document, now: Timestamp) -> [Document] {
        [
            Document(set.number("spec", "replicas") ?? 0), Document(set.number("status", "replicas") ?? 0),
            Document(set.number("status", "readyReplicas") ?? 0), Cells.age(set, now: now),
        ] + Cells.containers(set.at("spec", "template")) + [Cells.selector(set.at("spec", "selector"))]
    }
}

enum ServiceColumns {
    static func service(_ service: Document, now: Timestamp) -> [Document] {
        let type = service.text("spec", "type") ?? "<unknown>"
        let own = service.list("spec", "clusterIPs").first?.string ?? service.text("spec", "clusterIP")
        return [
            Document(type), Cells.orNone(own), Document(external(service, type)), ports(service),
            Cells.age(service, now: now), Cells.labels(service.map("spec", "selector")),
        ]
    }

    private static func external(_ service: Document, _ type: String) -> String {
        let listed = service.list("spec", "externalIPs").compactMap(\.string)
        switch type {
        case "LoadBalancer":
            let ingress = service.list("status", "loadBalancer", "ingress").compactMap { entry in
                [entry.text("ip"), entry.text("hostname")].compactMap { $0 }.first { !$0.isEmpty }
            }
            let all = Array(Set(ingress)).sorted() + listed
            return all.isEmpty ? "<pending>" : all.joined(separator: ",")
        case "ExternalName": return service.text("spec", "externalName") ?? ""
        default: return listed.isEmpty ? "<none>" : listed.joined(separator: ",")
        }
    }

    private static func ports(_ service: Document) -> Document {
        Cells.orNone(
            service.list("spec", "ports").map { port in
                let node = port.number("nodePort") ?? 0
                let number = port.number("port") ?? 0
                return "\(number)\(node > 0 ? ":\(node)" : "")/\(port.text("protocol") ?? "")"
            }.joined(separator: ","))
    }

    static func endpoints(_ endpoints: Document, now: Timestamp) -> [Document] {
        var all: [String] = []
        for subset in endpoints.list("subsets") {
            let addresses = subset.list("addresses").compactMap { $0.text("ip") }
            let ports = subset.list("ports").compactMap { $0.number("port") }
            if ports.isEmpty { all += addresses }
            for port in ports { all += addresses.map { $0.contains(":") ? "[\($0)]:\(port)" : "\($0):\(port)" } }
        }
        return [shortened(all, "<none>"), Cells.age(endpoints, now: now)]
    }

    private static func shortened(_ list: [String], _ empty: Document) -> Document {
        if list.isEmpty { return empty }
        let shown = list.prefix(3).joined(separator: ",")
        return Document(list.count > 3 ? "\(shown) + \(list.count - 3) more..." : shown)
    }

    static func endpointSlice(_ slice: Document, now: Timestamp) -> [Document] {
        let ports = slice.list("ports").map { port in
            port.number("port").map(String.init) ?? (port.text("name").map { $0.isEmpty ? "*" : $0 } ?? "*")
        }
        let addresses = slice.list("endpoints").flatMap { $0.list("addresses").compactMap(\.string) }
        return [
            slice["addressType"] ?? "", shortened(ports, "<unset>"), shortened(addresses, "<unset>"),
            Cells.age(slice, now: now),
        ]
    }
}

enum EventColumns {
    static func cells(_ event: Document, now: Timestamp) -> [Document] {
        let object = event["involvedObject"] ?? event["regarding"] ?? .emptyObject
        let source = event["source"] ?? event["deprecatedSource"] ?? .emptyObject
        let count = event.number("series", "count") ?? event.number("count") ?? event.number("deprecatedCount") ?? 0
        let eventTime = time(event["eventTime"])
        let first = time(event["firstTimestamp"]) ?? time(event["deprecatedFirstTimestamp"]) ?? eventTime
        let last =
            time(event.at("series", "lastObservedTime")) ?? time(event["lastTimestamp"])
            ?? time(event["deprecatedLastTimestamp"]) ?? eventTime ?? first
        let reporter = event.text("reportingComponent") ?? event.text("reportingController") ?? ""
        let instance = event.text("reportingInstance") ?? ""
        let component = source.text("component") ?? ""
        let host = source.text("host") ?? ""
        let shownSource =
            component.isEmpty
            ? [reporter, instance].filter { !$0.isEmpty } : [component, host].filter { !$0.isEmpty }
        let message = event.text("message") ?? event.text("note") ?? ""
        return [
            Document(Cells.since(last, now: now)), event["type"] ?? "", event["reason"] ?? "",
            Document("\((object.text("kind") ?? "").lowercased())/\(object.text("name") ?? "")"),
            object["fieldPath"] ?? "", Document(shownSource.joined(separator: ", ")),
            Document(message.split(separator: "\n").joined(separator: " ")), Document(Cells.since(first, now: now)),
            Document(max(count, 1)), event.at("metadata", "name") ?? "",
        ]
    }

    private static func time(_ value: Document?) -> String? { value?.string }
}

enum RBACColumns {
    static func binding(_ binding: Document, now: Timestamp) -> [Document] {
        let role = binding["roleRef"] ?? .emptyObject
        func names(_ kind: String) -> Document {
            let subjects = binding.list("subjects").filter { $0.text("kind") == kind }
            return Document(
                subjects.map { subject in
                    let name = subject.text("name") ?? ""
                    return kind == "ServiceAccount" ? "\(subject.text("namespace") ?? "")/\(name)" : name
                }.joined(separator: ", "))
        }
        return [
            Document("\(role.text("kind") ?? "")/\(role.text("name") ?? "")"), Cells.age(binding, now: now),
            names("User"), names("Group"), names("ServiceAccount"),
        ]
    }
}

enum VolumeColumns {
    private static func modes(_ list: [Document]) -> Document {
        let short = [
            "ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP",
        ]
        return Document(list.compactMap { $0.string.flatMap { short[$0] } }.joined(separator: ","))
    }

    static func volume(_ volume: Document, now: Timestamp) -> [Document] {
        let claim = volume.at("spec", "claimRef")
        return [
            volume.at("spec", "capacity", "storage") ?? "", modes(volume.list("spec", "accessModes")),
            volume.at("spec", "persistentVolumeReclaimPolicy") ?? "", phase(volume),
            Document(claim.map { "\($0.text("namespace") ?? "")/\($0.text("name") ?? "")" } ?? ""),
            volume.at("spec", "storageClassName") ?? "",
            volume.at("spec", "volumeAttributesClassName") ?? "<unset>", volume.at("status", "reason") ?? "",
            Cells.age(volume, now: now), volume.at("spec", "volumeMode") ?? "<unset>",
        ]
    }

    static func claim(_ claim: Document, now: Timestamp) -> [Document] {
        let bound = !(claim.text("spec", "volumeName") ?? "").isEmpty
        return [
            phase(claim), claim.at("spec", "volumeName") ?? "",
            bound ? claim.at("status", "capacity", "storage") ?? "" : "",
            bound ? modes(claim.list("status", "accessModes")) : "", claim.at("spec", "storageClassName") ?? "",
            claim.at("spec", "volumeAttributesClassName") ?? "<unset>", Cells.age(claim, now: now),
            claim.at("spec", "volumeMode") ?? "<unset>",
        ]
    }

    private static func phase(_ object: Document) -> Document {
        object.at("metadata", "deletionTimestamp")?.string != nil
            ? "Terminating" : object.at("status", "phase") ?? ""
    }
}
