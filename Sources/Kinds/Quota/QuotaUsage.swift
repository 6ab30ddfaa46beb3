import Basics
import Document
import Schema

/// What an object counts for in quotas, by kind. Kinds without a rule of their own count as themselves:
/// `count/deployments.apps`.
public enum QuotaUsage {
    /// Kinds that quotas also name without `count/`.
    private static let plainNames: Set = ["configmaps", "resourcequotas", "replicationcontrollers", "secrets"]
    private static let computeNames: Set = [
        "cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory", "requests.ephemeral-storage",
        "limits.cpu", "limits.memory", "limits.ephemeral-storage", "pods", "count/pods",
    ]

    /// Whether a quota for `name` concerns objects of the kind.
    public static func concerns(_ name: String, _ kind: String) -> Bool {
        if name == "count/" + kind { return true }
        switch kind {
        case "pods":
            return computeNames.contains(name) || name.hasPrefix("hugepages-") || name.hasPrefix("requests.hugepages-")
                || (name.hasPrefix("requests.") && isExtended(String(name.dropFirst("requests.".count))))
        case "services": return ["services", "services.nodeports", "services.loadbalancers"].contains(name)
        case "persistentvolumeclaims":
            return ["persistentvolumeclaims", "requests.storage"].contains(name)
                || name.hasSuffix(".storageclass.storage.k8s.io/requests.storage")
                || name.hasSuffix(".storageclass.storage.k8s.io/persistentvolumeclaims")
        case "resourceclaims.resource.k8s.io": return name.hasSuffix(".deviceclass.resource.k8s.io/devices")
        default: return plainNames.contains(kind) && name == kind
        }
    }

    /// A device or the like that somebody else than the project named.
    public static func isExtended(_ name: String) -> Bool {
        guard let slash = name.firstIndex(of: "/") else { return false }
        return !name[..<slash].hasSuffix("kubernetes.io") && !name.hasPrefix("requests.")
    }

    public static func usage(_ object: Document, kind: String, now: Timestamp) -> Amounts {
        var result: Amounts = ["count/" + kind: Quantity(1)]
        switch kind {
        case "pods":
            if isAlive(object, now: now) { result.merge(compute(object["spec"] ?? .emptyObject)) { $1 } }
        case "services": result.merge(service(object["spec"] ?? .emptyObject)) { $1 }
        case "persistentvolumeclaims": result.merge(claim(object)) { $1 }
        case "resourceclaims.resource.k8s.io": result.merge(devices(object)) { $1 }
        default: if plainNames.contains(kind) { result[kind] = Quantity(1) }
        }
        return result
    }

    // MARK: Pods

    /// Pods that have ended, or should long have gone, use nothing any more.
    private static func isAlive(_ pod: Document, now: Timestamp) -> Bool {
        if ["Succeeded", "Failed"].contains(pod.text("status", "phase") ?? "") { return false }
        guard let end = pod.text("metadata", "deletionTimestamp").flatMap({ Timestamp(rfc3339: $0) }),
            pod.number("metadata", "deletionGracePeriodSeconds") != nil
        else { return true }
        return now <= end
    }

    private static func compute(_ spec: Document) -> Amounts {
        compute(requests: ResourceAmounts.pod(spec, "requests"), limits: ResourceAmounts.pod(spec, "limits"))
    }

    /// The names under which quotas know requests and limits.
    public static func compute(requests: Amounts, limits: Amounts) -> Amounts {
        var result: Amounts = ["pods": Quantity(1)]
        for (name, amount) in requests {
            if ["cpu", "memory", "ephemeral-storage"].contains(name) || name.hasPrefix("hugepages-") {
                result[name] = amount
                result["requests." + name] = amount
            } else if isExtended(name) {
                result["requests." + name] = amount
            }
        }
        for name in ["cpu", "memory", "ephemeral-storage"] { result["limits." + name] = limits[name] }
        return result
    }

    private static let demanded: Set = [
        "cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory",
    ]

    /// Where a quota counts processors or memory, every container has to say what it needs.
    public static func missing(_ pod: Document, _ names: Set<String>) -> String? {
        let wanted = names.intersection(demanded)
        if wanted.isEmpty { return nil }
        let spec = pod["spec"] ?? .emptyObject
        // What is said for the whole pod need not be said for its parts.
        let whole = compute(
            requests: ResourceAmounts.amounts(spec.at("resources", "requests")),
            limits: ResourceAmounts.amounts(spec.at("resources", "limits")))
        var lacking: [String: Set<String>] = [:]
        for container in spec.list("containers") + spec.list("initContainers") {
            let own = compute(
                requests: ResourceAmounts.amounts(container.at("resources", "requests")),
                limits: ResourceAmounts.amounts(container.at("resources", "limits")))
            for name in wanted where own[name] == nil && whole[name] == nil {
                lacking[name, default: []].insert(container.text("name") ?? "")
            }
        }
        if lacking.isEmpty { return nil }
        let parts = lacking.sorted { $0.key < $1.key }.map { name, containers in
            "\(name) for: \(containers.sorted().joined(separator: ","))"
        }
        return "must specify " + parts.joined(separator: "; ")
    }

    // MARK: Services and claims

    private static func service(_ spec: Document) -> Amounts {
        let ports = spec.list("ports")
        var nodePorts = 0
        var balancers = 0
        switch spec.text("type") {
        case "NodePort": nodePorts = ports.count
        case "LoadBalancer":
            balancers = 1
            nodePorts =
                spec.flag("allocateLoadBalancerNodePorts") == false
                ? ports.filter { ($0.number("nodePort") ?? 0) != 0 }.count : ports.count
        default: break
        }
        return [
            "services": Quantity(1), "services.nodeports": Quantity(nodePorts),
            "services.loadbalancers": Quantity(balancers),
        ]
    }

    private static func claim(_ claim: Document) -> Amounts {
        var result: Amounts = ["persistentvolumeclaims": Quantity(1)]
        let storageClass =
            claim.text("metadata", "annotations", "volume.beta.kubernetes.io/storage-class")
            ?? claim.text("spec", "storageClassName") ?? ""
        let prefix = storageClass.isEmpty ? nil : storageClass + ".storageclass.storage.k8s.io/"
        if let prefix { result[prefix + "persistentvolumeclaims"] = Quantity(1) }
        if let wanted = ResourceAmounts.amounts(claim.at("spec", "resources", "requests"))["storage"] {
            // While a volume is being made larger, what was allocated for that counts too.
            let allocated = ResourceAmounts.amounts(claim.at("status", "allocatedResources"))["storage"] ?? .zero
            let storage = max(wanted, allocated)
            result["requests.storage"] = storage
            if let prefix { result[prefix + "requests.storage"] = storage }
        }
        return result
    }

    /// A claim for all devices of a class counts as the most that one claim can hold.
    private static let mostDevices = 32

    private static func devices(_ claim: Document) -> Amounts {
        var result: Amounts = [:]
        func count(_ request: Document) -> (String, Quantity) {
            let number = request.text("allocationMode") == "All" ? mostDevices : request.number("count") ?? 1
            let name = (request.text("deviceClassName") ?? "") + ".deviceclass.resource.k8s.io/devices"
            return (name, Quantity(number))
        }
        for request in claim.list("spec", "devices", "requests") {
            var largest: Amounts = [:]
            for option in request["exactly"].map({ [$0] }) ?? request.list("firstAvailable") {
                let (name, amount) = count(option)
                largest[name] = max(largest[name] ?? .zero, amount)
            }
            result = ResourceAmounts.sum(result, largest)
        }
        return result
    }
}
