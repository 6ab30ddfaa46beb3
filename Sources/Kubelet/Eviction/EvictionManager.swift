import Basics
import Client
import Document
import Glibc
import Linux
import Synchronization

/// What the node is short of, for whoever has to tell.
final class NodeHealth: Sendable {
    private let state = Mutex<Set<NodePressure>>([])
    private let change = Wakeup()

    var pressure: Set<NodePressure> { state.withLock { $0 } }

    func set(_ pressure: Set<NodePressure>) {
        let isNew = state.withLock { old in
            defer { old = pressure }
            return old != pressure
        }
        if isNew { change.wake() }
    }

    /// Returns once the pressure is another than `known`.
    func wait(while known: Set<NodePressure>) async throws {
        while true {
            let ticket = change.ticket
            if pressure != known { return }
            try await change.wait(since: ticket)
        }
    }
}

/// Looks after the node's memory, disk and processes, and takes pods off it when they run short; takes off pods that use
/// more disk than they may. It rests while the node has no pods.
struct EvictionManager: Sendable {
    let node: NodeContext
    let workers: WorkerTable

    static let interval = Duration.seconds(10)
    /// Ends at once leave this much for a signal to be heard.
    static let shortestGrace = Duration.seconds(1)

    func run() async throws {
        var state = EvictionState(node.configuration.eviction)
        while true {
            try await workers.waitForSome()
            try await step(&state)
            try await node.world.clock.sleep(for: Self.interval)
        }
    }

    func step(_ state: inout EvictionState) async throws {
        let sample = try await node.pool.run { [self] in Self.sample(node) }
        let due = state.observe(sample, now: node.world.clock.now)
        node.health.set(state.pressure)
        node.ledger.set(pressure: state.pressure)
        let living = workers.living
        try await enforceStorage(living)
        if let due { try await makeRoom(due, sample, living) }
    }

    // MARK: Looking

    static func sample(_ node: NodeContext) -> EvictionSample {
        var sample = EvictionSample()
        let table = ProcTable.memory((try? Files.text("/proc/meminfo")) ?? "")
        let capacity = node.machine.memoryBytes
        if let available = table["MemAvailable"] {
            sample.amounts[.memoryAvailable] = .init(available: min(available, capacity), capacity: capacity)
        }
        for (path, bytes, inodes) in [
            (node.configuration.rootDirectory, EvictionSignal.nodeAvailable, EvictionSignal.nodeInodesFree),
            (node.configuration.imageDirectory, .imagesAvailable, .imagesInodesFree),
        ] {
            guard let disk = NodeStats.FileSystem(path) else { continue }
            sample.amounts[bytes] = .init(available: disk.available, capacity: disk.capacity)
            if disk.inodes > 0 { sample.amounts[inodes] = .init(available: disk.inodesFree, capacity: disk.inodes) }
        }
        let limits = ["kernel/pid_max", "kernel/threads-max"].compactMap { name -> Int64? in
            let text = (try? Files.text("/proc/sys/\(name)")) ?? ""
            return text.split(separator: "\n").first.flatMap { Int64($0) }
        }
        // `0.20 0.18 0.12 1/80 11206`: running and all threads of the machine.
        let load = ((try? Files.text("/proc/loadavg")) ?? "").split(separator: " ")
        if let most = limits.min(), load.count > 3, let all = load[3].split(separator: "/").last.flatMap({ Int64($0) })
        {
            sample.amounts[.processesAvailable] = .init(available: max(0, most - all), capacity: most)
        }
        return sample
    }

    // MARK: Limits of single pods

    private func enforceStorage(_ living: [PodWorker]) async throws {
        for worker in living {
            let pod = worker.pod
            guard LocalStorage.isLimited(pod) else { continue }
            let storage = LocalStorage(pod: pod, configuration: node.configuration)
            let usage = try await node.pool.run { storage.measure() }
            guard let message = LocalStorage.excess(pod, usage) else { continue }
            evict(worker, message, grace: Self.shortestGrace)
        }
    }

    private func evict(_ worker: PodWorker, _ message: String, grace: Duration) {
        worker.inbox.answer(
            .evict(PodFailure(reason: "Evicted", message: message, grace: grace, isDisruption: true)))
    }

    // MARK: Room for all

    private func makeRoom(
        _ threshold: EvictionThreshold, _ sample: EvictionSample, _ living: [PodWorker]
    ) async throws {
        let name = node.configuration.nodeName
        let object: Document = [
            "apiVersion": "v1", "kind": "Node", "metadata": ["name": Document(name), "uid": Document(name)],
        ]
        node.events.add(
            object, type: "Warning", reason: "EvictionThresholdMet",
            message: "Attempting to reclaim \(threshold.signal.resource)")
        if threshold.signal.pressure == .disk {
            // What nobody uses goes before what somebody does.
            await reclaim(for: threshold, sample, living)
            let now = try await node.pool.run { [self] in Self.sample(node) }
            if !threshold.isMet(by: now) {
                return node.log.info("eviction: enough of \(threshold.signal.resource) without evicting a pod")
            }
        }
        let candidates = try await node.pool.run { [self] in
            living.filter { !PodAdmission.isCritical($0.pod) }.map { candidate($0, threshold.signal) }
        }
        // One at a time: the next look tells whether that was enough.
        guard let first = EvictionCandidate.ranked(candidates, for: threshold.signal).first,
            let worker = living.first(where: { $0.uid == first.uid })
        else { return }
        var grace = Self.shortestGrace
        if threshold.grace != nil {
            let own = Duration.seconds(worker.pod.number("spec", "terminationGracePeriodSeconds") ?? 30)
            grace = max(grace, min(own, node.configuration.eviction.longestPodGrace))
        }
        evict(worker, first.message(threshold, sample), grace: grace)
    }

    /// The layers of containers that have ended, and images.
    private func reclaim(for threshold: EvictionThreshold, _ sample: EvictionSample, _ living: [PodWorker]) async {
        for worker in living { await worker.removeDeadLayers() }
        // No more than is missing: the images may be those of other nodes, too. Those that came just now have somebody
        // who is about to use them.
        let missing = sample.amounts[threshold.signal].map { threshold.bytes(of: $0.capacity) - $0.available } ?? 0
        let bytes = threshold.signal.resource == "inodes" ? Int64.max : max(0, missing)
        let limit = node.world.clock.now + (.zero - node.configuration.imageMinimumAge)
        do {
            let outcome = try await node.images.collect(bytes: bytes, unusedSince: limit)
            if outcome.freed > 0 { node.log.info("eviction: removed \(outcome.removed), \(outcome.freed) bytes") }
        } catch { node.log.warning("eviction: removing images: \(error)") }
    }

    private func candidate(_ worker: PodWorker, _ signal: EvictionSignal) -> EvictionCandidate {
        let pod = worker.pod
        let resource = signal.pressure == .disk ? "ephemeral-storage" : "memory"
        var candidate = EvictionCandidate(
            uid: worker.uid, priority: pod.number("spec", "priority") ?? 0, usage: 0,
            request: Amounts(pod: pod)[resource] / 1000)
        let layout = try? CgroupLayout.ofProcess()
        let group = Resources.podCgroup(pod, root: node.configuration.cgroupRoot)
        func usage(_ path: String) -> CgroupUsage? {
            layout.flatMap { try? Cgroup(path, layout: $0).usage() }
        }
        switch signal.pressure {
        case .disk:
            let storage = LocalStorage(pod: pod, configuration: node.configuration).measure()
            candidate.usage = storage.total
            candidate.containers = containers(pod, resource) { storage.containers[$0] ?? 0 }
        case .pid: candidate.usage = usage(group)?.pids ?? 0
        case .memory:
            candidate.usage = usage(group)?.workingSetBytes ?? 0
            let running = worker.attempts
            candidate.containers = containers(pod, resource) { name in
                guard let attempt = running[name] else { return 0 }
                let own = ProcessName(container: name, attempt: attempt).text
                return usage("\(group)/\(own)")?.workingSetBytes ?? 0
            }
        }
        return candidate
    }

    private func containers(
        _ pod: Document, _ resource: String, usage: (String) -> Int64
    ) -> [EvictionCandidate.Container] {
        pod.list("spec", "containers").map { container in
            let name = container.text("name") ?? ""
            return .init(
                name: name, usage: usage(name),
                request: Quantity.value(container.at("resources", "requests", resource)) ?? 0)
        }
    }
}
