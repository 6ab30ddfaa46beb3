import Document
import Runtime

/// Requests and limits as control groups understand them.
enum Resources {
    static func limits(_ resources: Document?) -> ResourceLimits {
        var result = ResourceLimits()
        let limit = Quantity.milli(resources?.at("limits", "cpu"))
        let request = Quantity.milli(resources?.at("requests", "cpu")) ?? limit
        result.cpuShares = shares(request ?? 0)
        if let limit, limit > 0 { result.cpuQuota = max(1000, limit * result.cpuPeriod / 1000) }
        if let memory = Quantity.value(resources?.at("limits", "memory")), memory > 0 { result.memoryBytes = memory }
        return result
    }

    static func shares(_ milliCPU: Int64) -> Int64 { min(262_144, max(2, milliCPU * 1024 / 1000)) }

    /// The whole pod's limits: the sums, where every container has one; init containers run one at a time.
    static func limits(pod: Document) -> ResourceLimits {
        let mains = pod.list("spec", "containers")
        let sidecars = pod.list("spec", "initContainers").filter { $0.text("restartPolicy") == "Always" }
        let initials = pod.list("spec", "initContainers").filter { $0.text("restartPolicy") != "Always" }
        func total(_ read: (Document) -> Int64?) -> Int64? {
            var sum: Int64 = 0
            for container in mains + sidecars {
                guard let value = read(container), value > 0 else { return nil }
                sum += value
            }
            var most = sum
            for container in initials {
                guard let value = read(container), value > 0 else { return nil }
                most = max(most, value)
            }
            return most
        }
        var result = ResourceLimits()
        let requests = (mains + sidecars).reduce(Int64(0)) {
            $0
                + (Quantity.milli($1.at("resources", "requests", "cpu")) ?? Quantity.milli(
                    $1.at("resources", "limits", "cpu")) ?? 0)
        }
        result.cpuShares = shares(requests)
        if let cpu = total({ Quantity.milli($0.at("resources", "limits", "cpu")) }) {
            result.cpuQuota = max(1000, cpu * result.cpuPeriod / 1000)
        }
        result.memoryBytes = total { Quantity.value($0.at("resources", "limits", "memory")) }
        // What the pod says as a whole goes before the sums.
        if let whole = pod.at("spec", "resources") {
            if let cpu = Quantity.milli(whole.at("requests", "cpu")) ?? Quantity.milli(whole.at("limits", "cpu")) {
                result.cpuShares = shares(cpu)
            }
            if let cpu = Quantity.milli(whole.at("limits", "cpu")), cpu > 0 {
                result.cpuQuota = max(1000, cpu * result.cpuPeriod / 1000)
            }
            if let memory = Quantity.value(whole.at("limits", "memory")), memory > 0 { result.memoryBytes = memory }
        }
        // What running the pod costs by itself comes on top.
        if let overhead = pod.at("spec", "overhead") {
            if let cpu = Quantity.milli(overhead["cpu"]) {
                result.cpuShares = min(262_144, (result.cpuShares ?? 2) + cpu * 1024 / 1000)
                result.cpuQuota = result.cpuQuota.map { $0 + cpu * result.cpuPeriod / 1000 }
            }
            if let memory = Quantity.value(overhead["memory"]) {
                result.memoryBytes = result.memoryBytes.map { $0 + memory }
            }
        }
        return result
    }

    /// `kubepods[/burstable|/besteffort]/podUID`: guaranteed pods lie directly below `kubepods`.
    static func podCgroup(_ pod: Document, root: String) -> String {
        let base = root.isEmpty ? "kubepods" : "\(root)/kubepods"
        let uid = pod.text("metadata", "uid") ?? ""
        switch QualityOfService(pod) {
        case .guaranteed: return "\(base)/pod\(uid)"
        case .burstable: return "\(base)/burstable/pod\(uid)"
        case .bestEffort: return "\(base)/besteffort/pod\(uid)"
        }
    }

    /// Wherever `podCgroup` may have put a pod of which only the uid is known.
    static func possibleCgroups(ofPod uid: String, root: String) -> [String] {
        let base = root.isEmpty ? "kubepods" : "\(root)/kubepods"
        return ["", "/burstable", "/besteffort"].map { "\(base)\($0)/pod\(uid)" }
    }

    /// Who dies first when memory runs out: the less of the node's memory a burstable container asked for, the sooner.
    static func oomScoreAdjust(container: Document, pod: Document, memoryCapacity: Int64) -> Int {
        switch QualityOfService(pod) {
        case .guaranteed: return -997
        case .bestEffort: return 1000
        case .burstable:
            let request =
                Quantity.value(container.at("resources", "requests", "memory"))
                ?? Quantity.value(container.at("resources", "limits", "memory")) ?? 0
            let share = memoryCapacity > 0 ? Int(Double(request) / Double(memoryCapacity) * 1000) : 0
            return min(999, max(3, 1000 - share))
        }
    }
}
