import Document
import Kinds

/// What a node is short of.
enum NodePressure: String, Sendable, CaseIterable, Comparable {
    case memory = "MemoryPressure"
    case disk = "DiskPressure"
    case pid = "PIDPressure"

    static func < (one: NodePressure, other: NodePressure) -> Bool { one.rawValue < other.rawValue }
}

/// Whether a node takes a pod that was bound to it. Usually the scheduler has seen to that; pods that name their node
/// themselves come here unseen.
struct PodAdmission {
    let nodeName: String
    /// Nil while nobody has told yet.
    let labels: [String: String]?
    /// In thousandths, as all amounts here.
    let limits: Amounts
    let used: Amounts
    let podCount: Int
    let pressure: Set<NodePressure>
    let sysctls: SysctlPolicy
    /// Ports of this node that other pods have.
    var takenPorts: [PodHostPort] = []

    func refusal(_ pod: Document, _ wanted: Amounts) -> PodFailure? {
        refusalForPressure(pod) ?? refusalForProfiles(pod) ?? refusalForSysctls(pod) ?? refusalForRoom(pod, wanted)
            ?? refusalForPlace(pod) ?? refusalForPorts(pod)
    }

    private static func refuse(_ reason: String, _ message: String) -> PodFailure {
        PodFailure(reason: reason, message: "Pod was rejected: \(message)")
    }

    /// Under memory pressure alone, pods that ask for some memory still come in.
    private func refusalForPressure(_ pod: Document) -> PodFailure? {
        guard !pressure.isEmpty, !Self.isCritical(pod) else { return nil }
        if pressure == [.memory] {
            if QualityOfService(pod) != .bestEffort { return nil }
            let tolerates = pod.list("spec", "tolerations").contains { toleration in
                let key = toleration.text("key") ?? ""
                let effect = toleration.text("effect") ?? ""
                return (key == "node.kubernetes.io/memory-pressure" || key.isEmpty)
                    && (effect == "NoSchedule" || effect.isEmpty)
            }
            if tolerates { return nil }
        }
        let names = pressure.sorted().map(\.rawValue).joined(separator: " ")
        return Self.refuse("Evicted", "The node had condition: [\(names)]. ")
    }

    /// Static pods, and those of the system's priorities.
    static func isCritical(_ pod: Document) -> Bool {
        pod.at("metadata", "annotations", "kubernetes.io/config.source") != nil
            || (pod.number("spec", "priority") ?? 0) >= 2_000_000_000
    }

    /// AppArmor is not spoken here, so nobody shall believe to be protected by it.
    private func refusalForProfiles(_ pod: Document) -> PodFailure? {
        var contexts = [pod.at("spec", "securityContext")]
        for list in ["initContainers", "containers"] {
            contexts += pod.list("spec", list).map { $0["securityContext"] }
        }
        let asks = contexts.contains { context in
            context?.text("appArmorProfile", "type").map { $0 != "Unconfined" } ?? false
        }
        return asks
            ? Self.refuse("AppArmor", "Cannot enforce AppArmor: AppArmor is not enabled on the host") : nil
    }

    private func refusalForSysctls(_ pod: Document) -> PodFailure? {
        sysctls.problem(pod).map { Self.refuse("SysctlForbidden", $0) }
    }

    private func refusalForRoom(_ pod: Document, _ wanted: Amounts) -> PodFailure? {
        let places = limits["pods"] / 1000
        if places > 0, podCount + 1 > places {
            return Self.refuse(
                "OutOfpods",
                "Node didn't have enough resource: pods, requested: 1, used: \(podCount), capacity: \(places)")
        }
        for (name, amount) in wanted.values.sorted(by: { $0.key < $1.key }) where amount > 0 {
            let limit = limits[name]
            // What nobody counts here, such as huge pages of other sizes, is none of this check's.
            let isExtended = name.contains("/") && labels != nil
            if !["cpu", "memory", "ephemeral-storage"].contains(name), !isExtended { continue }
            guard used[name] > limit || amount > limit - used[name] else { continue }
            let unit: Int64 = name == "cpu" ? 1 : 1000
            return Self.refuse(
                "OutOf\(name)",
                "Node didn't have enough resource: \(name), requested: \(amount / unit), used: \(used[name] / unit), "
                    + "capacity: \(limit / unit)")
        }
        return nil
    }

    private func refusalForPlace(_ pod: Document) -> PodFailure? {
        if let system = pod.text("spec", "os", "name"), system != "linux" {
            return Self.refuse(
                "PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS")
        }
        guard let labels else { return nil }
        let selector = pod.map("spec", "nodeSelector")
        let required = pod.at("spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
        let fits =
            selector.allSatisfy { labels[$0.key] == $0.value }
            && (required.map { NodeTerms.match($0, name: nodeName, labels: labels) } ?? true)
        return fits ? nil : Self.refuse("NodeAffinity", "Predicate NodeAffinity failed")
    }

    private func refusalForPorts(_ pod: Document) -> PodFailure? {
        guard !takenPorts.isEmpty else { return nil }
        let isTaken = PodHostPort.all(of: pod).contains { own in takenPorts.contains { own.collides(with: $0) } }
        return isTaken ? Self.refuse("NodePorts", "Predicate NodePorts failed") : nil
    }

    static func resize(_ wanted: Amounts, limits: Amounts, used: Amounts) -> ResizeVerdict {
        for name in ["cpu", "memory"] where wanted[name] > limits[name] {
            let unit: Int64 = name == "cpu" ? 1 : 1000
            return .infeasible(
                "Node didn't have enough capacity: \(name), requested: \(wanted[name] / unit), capacity: "
                    + "\(limits[name] / unit)")
        }
        for name in ["cpu", "memory"] where used[name] > limits[name] - wanted[name] {
            let unit: Int64 = name == "cpu" ? 1 : 1000
            return .deferred(
                "Node didn't have enough resource: \(name), requested: \(wanted[name] / unit), used: "
                    + "\(used[name] / unit), capacity: \(limits[name] / unit)")
        }
        return .granted
    }
}

/// Which kernel settings pods may have: those that concern only their own namespaces and harm nobody, and those that
/// this node's administrator allows besides.
struct SysctlPolicy: Sendable, Equatable {
    static let safe: Set<String> = [
        "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
    ]

    /// Names, or beginnings of names that end with `*`.
    let allowed: [String]

    init(_ allowed: [String] = []) { self.allowed = allowed.map(Self.dotted) }

    /// Dots as separators, as `sysctl -a` shows names. The first separator tells which of the two forms it is.
    static func dotted(_ name: String) -> String {
        guard let first = name.first(where: { $0 == "." || $0 == "/" }), first == "/" else { return name }
        return String(name.map { $0 == "/" ? "." : $0 == "." ? "/" : $0 })
    }

    func problem(_ pod: Document) -> String? {
        for sysctl in pod.list("spec", "securityContext", "sysctls") {
            let name = Self.dotted(sysctl.text("name") ?? "")
            let quoted = "forbidden sysctl: \"\(name)\""
            let isKnown =
                Self.safe.contains(name)
                || allowed.contains {
                    $0.hasSuffix("*") ? name.hasPrefix(String($0.dropLast())) : $0 == name
                }
            guard isKnown else { return "\(quoted) not allowlisted" }
            if pod.flag("spec", "hostNetwork") == true, name.hasPrefix("net.") {
                return "\(quoted) not allowed with host net enabled"
            }
            let ipc = ["kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue."]
            if pod.flag("spec", "hostIPC") == true, ipc.contains(where: { name.hasPrefix($0) }) {
                return "\(quoted) not allowed with host ipc enabled"
            }
        }
        return nil
    }
}
