import Basics
import Document
import Kinds
import Linux
import Runtime

/// How a worker changes the resources of a pod that runs.
extension PodWorker {
    func askForResize(_ generation: Int) {
        let wanted = state.withLock { $0.desired }
        if PodIdentity.isStatic(wanted) {
            inbox.answer(
                .resizeAnswered(
                    generation: generation, .infeasible("In-place resize of static-pods is not supported")))
            return
        }
        let inbox = self.inbox
        // An older or newer version than the one that is asked about is sorted out by its generation.
        let verdict = node.ledger.resize(wanted) { inbox.answer(.roomFreed) }
        inbox.answer(.resizeAnswered(generation: wanted.number("metadata", "generation") ?? generation, verdict))
    }

    func applyResources(_ generation: Int) async {
        let (pod, running) = state.withLock { ($0.pod, $0.running) }
        let root = node.configuration.cgroupRoot
        do {
            try await node.pool.run {
                let change = try ResourceChange(pod: pod, running: running, root: root)
                try change.apply()
            }
            await weighGroups()
            inbox.answer(.resourcesApplied(generation: generation, problem: nil))
        } catch {
            inbox.answer(.resourcesApplied(generation: generation, problem: "\(error)"))
        }
    }

    /// The runtimes that a pod may ask for: this node has one, known by these names.
    private static let handlers: Set<String> = ["", "lab", "runc"]

    /// Throws for a pod that wants what this node cannot give.
    func checkRuntime(_ pod: Document) async throws {
        if pod.flag("spec", "hostUsers") == false {
            throw StartProblem(
                reason: "FailedCreatePodSandBox",
                message: "user namespaces for pods (hostUsers: false) are not supported by this node agent")
        }
        guard let name = pod.text("spec", "runtimeClassName"), !name.isEmpty else { return }
        let handler: String
        do {
            handler = try await node.client.get(.runtimeClasses, name: name).text("handler") ?? ""
        } catch let status as APIStatus where status.isNotFound {
            throw StartProblem(
                reason: "FailedCreatePodSandBox",
                message: "failed to create sandbox for pod \"\(pod.text("metadata", "name") ?? "")\": "
                    + "RuntimeClass.node.k8s.io \"\(name)\" not found")
        }
        guard Self.handlers.contains(handler) else {
            throw StartProblem(
                reason: "FailedCreatePodSandBox",
                message: "failed to get sandbox runtime: no runtime for \"\(handler)\" is configured")
        }
    }

    /// The groups above the pods: best-effort pods share what is left over, burstable ones what they were promised.
    func weighGroups() async {
        let root = node.configuration.cgroupRoot
        let base = root.isEmpty ? "kubepods" : "\(root)/kubepods"
        let burstable = Resources.shares(node.ledger.burstableCPU)
        let wanted: (name: String, shares: Int64)
        if !node.configuration.reserved.isEmpty { await holdBack(base) }
        switch QualityOfService(pod) {
        case .guaranteed: return
        case .burstable: wanted = ("\(base)/burstable", burstable)
        case .bestEffort: wanted = ("\(base)/besteffort", 2)
        }
        do {
            try await node.pool.run {
                let group = try Cgroup(wanted.name, layout: CgroupLayout.ofProcess())
                guard group.exists else { return }
                var limits = CgroupLimits()
                limits.cpuShares = wanted.shares
                try group.apply(limits)
            }
        } catch { node.log.debug("weight of \(wanted.name): \(error)") }
    }
}

extension PodWorker {
    /// All pods together get no more than what is not reserved. Like the other groups above the pods this one goes when
    /// the last of them does, so it is seen to with each.
    private func holdBack(_ base: String) async {
        var limits = CgroupLimits()
        let eviction = node.configuration.eviction.hard.first { $0.signal == .memoryAvailable }
        limits.memoryBytes =
            node.ledger.limits["memory"] / 1000 + (eviction?.bytes(of: node.machine.memoryBytes) ?? 0)
        limits.cpuShares = Resources.shares(node.ledger.limits["cpu"])
        do {
            try await node.pool.run { [limits] in
                let group = try Cgroup(base, layout: CgroupLayout.ofProcess())
                if group.exists { try group.apply(limits) }
            }
        } catch { node.log.warning("limits of all pods: \(error)") }
    }
}

/// New limits for the control groups of a pod and its running containers.
struct ResourceChange {
    /// The group, its new limits, and whether it is the pod's own.
    let groups: [(group: Cgroup, limits: CgroupLimits, isPod: Bool)]

    init(pod: Document, running: [String: Int], root: String) throws {
        let layout = try CgroupLayout.ofProcess()
        let path = Resources.podCgroup(pod, root: root)
        var groups: [(group: Cgroup, limits: CgroupLimits, isPod: Bool)] = [
            (try Cgroup(path, layout: layout), Self.whole(Resources.limits(pod: pod)), true)
        ]
        for container in ResizeState.resizable(pod) {
            let name = container.text("name") ?? ""
            guard let attempt = running[name] else { continue }
            let own = "\(path)/\(ProcessName(container: name, attempt: attempt).text)"
            groups.append(
                (try Cgroup(own, layout: layout), Self.whole(Resources.limits(container["resources"])), false))
        }
        self.groups = groups
    }

    /// What has no limit now may have had one.
    private static func whole(_ limits: ResourceLimits) -> CgroupLimits {
        var result = CgroupLimits()
        result.memoryBytes = limits.memoryBytes ?? -1
        result.cpuQuota = limits.cpuQuota ?? -1
        result.cpuPeriod = limits.cpuPeriod
        result.cpuShares = limits.cpuShares
        return result
    }

    /// A child may never have more than its parent, not even in between: the pod's limits are first widened to the
    /// larger of old and new, then the containers' are set, then the pod's are what they shall be.
    func apply() throws {
        guard let pod = groups.first(where: \.isPod) else { return }
        var open = CgroupLimits()
        open.memoryBytes = -1
        open.cpuQuota = -1
        open.cpuShares = pod.limits.cpuShares
        for entry in groups {
            guard let limit = entry.limits.memoryBytes, limit >= 0 else { continue }
            let used = try entry.group.usage().memoryBytes
            if used > limit {
                throw StartProblem(
                    reason: "Error",
                    message: "attempting to set memory limit (\(Quantity.binary(limit))) of \(entry.group.path) below "
                        + "current usage (\(Quantity.binary(used)))")
            }
        }
        try pod.group.apply(open)
        for entry in groups where !entry.isPod { try entry.group.apply(entry.limits) }
        try pod.group.apply(pod.limits)
    }
}
