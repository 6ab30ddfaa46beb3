import Basics
import Client
import Document
import Images
import Linux
import Runtime
import Synchronization

/// Drives one pod: feeds its `PodLifecycle` and carries out what it decides.
///
/// One loop owns the lifecycle; every action that takes time is a child task that answers through the inbox.
final class PodWorker: Sendable {
    struct State {
        var sandbox: (any Sandbox)?
        var sandboxNumber = 0
        var addresses: [IPAddress] = []
        var volumes: [String: VolumePath] = [:]
        var images: [String: Image] = [:]
        /// Each container's newest process, the model for what is executed beside it.
        var processes: [String: ProcessSpecification] = [:]
        var pids: [String: Int32] = [:]
        /// The attempt of each container that runs now.
        var running: [String: Int] = [:]
        var reported: Set<String> = []
        /// With the resources that it was granted.
        var pod: Document
        /// As the API server has it.
        var desired: Document
        var refreshAt: Timestamp?
        var isRefreshing = false
        /// Asked for, but not begun yet: what changes while a refresh goes on may not be in it.
        var wantsRefresh = false
    }

    let uid: String
    let node: NodeContext
    let inbox = Inbox()
    let writer: StatusWriter
    let exec: ExecRunner
    let state: Mutex<State>
    /// Why this node does not take the pod; nil: it does.
    private let refusal: PodFailure?

    init(pod: Document, node: NodeContext, refusal: PodFailure? = nil) {
        uid = PodIdentity.uid(pod)
        self.node = node
        self.refusal = refusal
        writer = StatusWriter(pod: pod, client: node.client, world: node.world, log: node.log)
        exec = ExecRunner(world: node.world, pool: node.pool)
        state = Mutex(State(pod: pod, desired: pod))
    }

    var pod: Document { state.withLock { $0.pod } }
    var now: Timestamp { node.world.clock.now }
    var podDirectory: String { node.configuration.podDirectory(uid) }
    /// The attempts of the containers that run now.
    var attempts: [String: Int] { state.withLock { $0.running } }
    var hasSandbox: Bool { state.withLock { $0.sandbox != nil } }
    var hostname: String { SandboxBuilder.hostname(of: pod, nodeName: node.configuration.nodeName) }
    var isHostNetwork: Bool { pod.flag("spec", "hostNetwork") == true }

    /// Returns once nothing of the pod is left and the API server knows it.
    func run() async {
        let first = pod
        await withDiscardingTaskGroup { group in
            group.addTask { try? await self.writer.run() }
            let found = await self.findSandbox(&group)
            let hasRemains = [self.podDirectory, self.node.sandboxDirectory(self.uid)].contains(where: Files.exists)
            var lifecycle = PodLifecycle(pod: first, found: found, hasRemains: hasRemains, now: self.now)
            if let refusal = self.refusal, found == nil { lifecycle.reject(refusal) }
            var status = first["status"] ?? .emptyObject
            while !Task.isCancelled {
                let ticket = self.inbox.arrival.ticket
                let contents = self.inbox.take()
                let now = self.now
                for input in contents.inputs { lifecycle.apply(input, now: now) }
                let actions = lifecycle.decide(now: now)
                let isChanged = self.share(lifecycle)
                if lifecycle.stage == .gone { break }
                status =
                    PodStatusBuilder(
                        lifecycle: lifecycle, hostIPs: self.node.configuration.nodeIPs, now: now, previous: status
                    ).build()
                // What has ended for good gives its room back, whatever becomes of its object; and before others hear of
                // the end, for they send the next pod at once.
                let isOver = ["Succeeded", "Failed"].contains(status.text("phase") ?? "")
                if isOver || lifecycle.stage == .clean { self.node.ledger.release(self.uid) }
                if self.shouldWrite(lifecycle) { self.writer.offer(status) }
                for action in actions { self.perform(action, in: &group) }
                let refreshAt = self.refreshIfDue(
                    contents.needsRefresh || isChanged, lifecycle, now: now, in: &group)
                let wake = [lifecycle.nextWake, refreshAt].compactMap { $0 }.min()
                do {
                    try await self.inbox.arrival.wait(
                        since: ticket, atMost: wake.map { max($0 - now, .milliseconds(1)) },
                        clock: self.node.world.clock)
                } catch { break }
            }
            group.cancelAll()
        }
        if !Task.isCancelled { await removeLogs() }
    }

    /// A pod that was over when we first saw it keeps the status that it has.
    private func shouldWrite(_ lifecycle: PodLifecycle) -> Bool {
        !lifecycle.vanished && !lifecycle.wasOverAtFirst && lifecycle.stage != .confirming
    }

    /// Makes the parts of the lifecycle visible that actions need. True when the pod's volumes show something that has
    /// changed.
    private func share(_ lifecycle: PodLifecycle) -> Bool {
        let granted = lifecycle.grantedPod
        return state.withLock { state in
            let isChanged =
                VolumeManager.showsPod(granted)
                && (state.pod.at("metadata", "labels") != granted.at("metadata", "labels")
                    || state.pod.at("metadata", "annotations") != granted.at("metadata", "annotations")
                    || state.pod.at("spec", "containers") != granted.at("spec", "containers"))
            state.pod = granted
            state.desired = lifecycle.pod
            state.running = [:]
            for record in lifecycle.containers {
                guard case .running(let pid, _) = record.phase else { continue }
                state.pids[record.name] = pid
                state.running[record.name] = record.attempt
            }
            return isChanged
        }
    }

    private func removeLogs() async {
        let path = node.configuration.logDirectory(of: pod)
        do { try await node.pool.run { try Files.removeTree(path) } } catch {
            node.log.warning("logs of pod \(uid): \(error)")
        }
    }

    // MARK: Finding a living sandbox

    /// The newest sandbox of the pod if its supervisor is still there; follows it in `group`.
    private func findSandbox(_ group: inout DiscardingTaskGroup) async -> FoundSandbox? {
        let directory = node.sandboxDirectory(uid)
        guard let newest = ((try? Files.list(directory)) ?? []).compactMap({ Int($0) }).max() else { return nil }
        state.withLock { $0.sandboxNumber = newest }
        do {
            guard let sandbox = try await node.runtime.attach(stateDirectory: "\(directory)/\(newest)") else {
                return nil
            }
            let processes = try await sandbox.processes()
            let record = SandboxRecord.read("\(podDirectory)/sandbox.json")
            guard let record, record.number == newest else {
                // It was never finished: without addresses it is of no use.
                try await sandbox.destroy()
                return nil
            }
            state.withLock { state in
                state.sandbox = sandbox
                state.addresses = record.addresses
            }
            follow(sandbox, number: newest, in: &group)
            for process in processes where ExecRunner.owns(process.id) { try? await sandbox.remove(process.id) }
            return FoundSandbox(addresses: record.addresses, processes: processes.map(observed))
        } catch {
            node.log.warning("pod \(uid): its sandbox cannot be taken over: \(error)")
            return nil
        }
    }

    func follow(_ sandbox: any Sandbox, number: Int, in group: inout DiscardingTaskGroup) {
        group.addTask { await self.follow(sandbox, number: number) }
    }

    func follow(_ sandbox: any Sandbox, number: Int) async {
        do {
            try await sandbox.follow { statuses in
                for status in statuses where ExecRunner.owns(status.id) { self.exec.finished(status) }
                self.inbox.observe(statuses.filter { !ExecRunner.owns($0.id) }.map(self.observed))
            }
        } catch {
            if Task.isCancelled { return }
            node.log.warning("pod \(uid): following its sandbox: \(error)")
        }
        exec.lost()
        let isCurrent = state.withLock { state in
            guard state.sandboxNumber == number, state.sandbox != nil else { return false }
            state.sandbox = nil
            return true
        }
        if isCurrent, !Task.isCancelled { inbox.answer(.sandboxDied) }
    }

    /// Adds what the end of a process left in its termination message file.
    private func observed(_ status: ProcessStatus) -> ObservedProcess {
        guard case .exited(let code, _, _, _) = status.state, let name = ProcessName(status.id) else {
            return ObservedProcess(status: status)
        }
        let file = "\(podDirectory)/containers/\(name.container)/\(name.attempt)-termination"
        var message = Array(
            ((try? Files.read(file, limit: 1 << 20)) ?? []).suffix(
                TerminationMessage.limit(containers: pod.list("spec", "containers").count)))
        let policy = containerSpecification(name.container)?.text("terminationMessagePolicy")
        if message.isEmpty, code != 0, policy == "FallbackToLogsOnError" {
            let log = node.configuration.logFile(pod, container: name.container, attempt: name.attempt)
            message = TerminationMessage.tail(ofLog: log)
        }
        let text = String(decoding: message, as: UTF8.self)
        return ObservedProcess(status: status, message: text.isEmpty ? nil : text)
    }

    func containerSpecification(_ name: String) -> Document? {
        let pod = self.pod
        for list in ["containers", "initContainers", "ephemeralContainers"] {
            if let found = pod.list("spec", list).first(where: { $0.text("name") == name }) { return found }
        }
        return nil
    }

    /// Frees the writable layers of containers that have ended; what they have printed stays.
    func removeDeadLayers() async {
        guard let sandbox = state.withLock({ $0.sandbox }), let processes = try? await sandbox.processes() else {
            return
        }
        for process in processes {
            guard case .exited = process.state, let name = ProcessName(process.id) else { continue }
            let layer = "\(podDirectory)/containers/\(name.container)/\(name.attempt)"
            do { try await node.pool.run { try Files.removeTree(layer) } } catch {
                node.log.warning("pod \(uid): layer of \(process.id): \(error)")
            }
        }
    }

    // MARK: Volumes that follow the API

    /// Starts a refresh when one is due; answers when the next is.
    private func refreshIfDue(
        _ isAsked: Bool, _ lifecycle: PodLifecycle, now: Timestamp, in group: inout DiscardingTaskGroup
    ) -> Timestamp? {
        if isAsked { state.withLock { $0.wantsRefresh = true } }
        guard lifecycle.stage == .alive, lifecycle.volumes == .ready else { return nil }
        let starts = state.withLock { state in
            let isDue = state.wantsRefresh || state.refreshAt.map({ $0 <= now }) ?? false
            guard !state.isRefreshing, isDue else { return false }
            state.isRefreshing = true
            state.wantsRefresh = false
            return true
        }
        if starts { group.addTask { await self.refreshVolumes() } }
        return state.withLock { $0.isRefreshing ? nil : $0.refreshAt }
    }

    private func refreshVolumes() async {
        let (pod, addresses) = state.withLock { ($0.pod, $0.addresses) }
        var next: Timestamp?
        do {
            next = try await node.volumes.prepare(pod, fields: node.fields(pod, podIPs: addresses)).refreshAt
        } catch {
            node.log.warning("pod \(uid): refreshing volumes: \(error)")
            next = now + .seconds(10)
        }
        state.withLock { state in
            state.refreshAt = next
            state.isRefreshing = false
        }
        inbox.arrival.wake()
    }
}

/// What a container leaves behind as its last words.
enum TerminationMessage {
    private static let longest = 4096
    private static let longestOfPod = 12_288
    /// What one container may say: all those of a pod together have a bound, too.
    static func limit(containers: Int) -> Int { min(longest, longestOfPod / max(1, containers)) }
    private static let logLimit = 2048
    private static let logLines = 80

    static func tail(ofLog path: String) -> [UInt8] {
        guard let bytes = try? Files.read(path) else { return [] }
        let lines = bytes.split(separator: 10).suffix(logLines).compactMap { LogLine($0)?.text }
        return Array(lines.joined().suffix(logLimit))
    }
}

/// What has to be known of a sandbox beside what its supervisor tells.
struct SandboxRecord: Sendable, Equatable {
    var number: Int
    var addresses: [IPAddress]

    static func read(_ path: String) -> SandboxRecord? {
        guard let bytes = try? Files.read(path), let document = try? Document(json: bytes),
            let number = document.number("number")
        else { return nil }
        return SandboxRecord(
            number: number, addresses: document.list("addresses").compactMap { $0.string.flatMap { IPAddress($0) } })
    }

    func write(_ path: String) throws {
        let document: Document = [
            "number": Document(number), "addresses": Document(addresses.map(\.description)),
        ]
        // No sandbox survives a crash of the machine, so its record need not reach the disk.
        try PlainFile.replace(document.json, at: path, mode: 0o600)
    }
}
