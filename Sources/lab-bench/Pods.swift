import Basics
import Client
import Cluster
import Document
import Glibc
import Kinds
import Linux
import Wire

/// Pods on one worker: how fast they start and go, alone and many at once; what a full node of idle ones costs; and how
/// soon a kubelet that was killed has them all again.
struct Pods: Sendable {
    let binary: String
    let home: String
    let world: World
    let quick: Bool

    private static let cluster = "bench"
    private static let worker = "bench-worker"
    /// What a kubelet takes at most, unless it is told otherwise.
    private static let full = 110
    /// For whatever is waited for here.
    private static let patience = Duration.seconds(120)

    private var environment: [String: String] { ["LAB_HOME": home, "KUBECONFIG": "\(home)/kubeconfig"] }

    func measure() async throws -> [Row] {
        let made = Command.run(
            [binary, "create", Self.cluster, "--workers", "1", "--egress", "false"], extra: environment)
        guard made.code == 0 else { throw Failure("\(made)") }
        defer { _ = Command.run([binary, "delete", Self.cluster], extra: environment) }
        let bytes = try Files.read("\(home)/clusters/\(Self.cluster)/kubeconfig")
        let client = try Connect.client(try Kubeconfig(yaml: bytes), world: world, userAgent: "lab-bench")
        var rows: [Row] = []
        for (count, rounds) in quick ? [(1, 5), (10, 2), (50, 1)] : [(1, 50), (10, 10), (100, 3)] {
            say("==> pods: \(count) at once")
            var starts: [Double] = []
            var ends: [Double] = []
            for round in 0..<rounds {
                let names = (0..<count).map { "p\(count)-\(round)-\($0)" }
                starts += try await start(names, client)
                ends += try await end(names, client)
            }
            let title = count == 1 ? "alone" : "\(count) at once"
            rows.append(Row("pod, \(title): create → Running", "ms", starts, budget: count == 1 ? 100 : nil))
            rows.append(Row("pod, \(title): delete → gone", "ms", ends))
        }
        say("==> pods: a full node")
        rows += try await fullNode(client)
        return rows
    }

    // MARK: Coming and going

    private func pod(_ name: String) -> Document {
        var pod = Measurements.pod(name)
        pod.set(["kubernetes.io/hostname": Document(Self.worker)], at: "spec", "nodeSelector")
        pod.set(1, at: "spec", "terminationGracePeriodSeconds")
        return pod
    }

    /// Milliseconds from each pod's request until the watch tells that it runs.
    private func start(_ names: [String], _ client: APIClient) async throws -> [Double] {
        try await times(names, client) { name in
            _ = try await client.create(.pods, namespace: "default", pod(name))
        } isDone: { event in
            event.object.text("status", "phase") == "Running"
        }
    }

    private func end(_ names: [String], _ client: APIClient) async throws -> [Double] {
        try await times(names, client) { name in
            _ = try await client.delete(.pods, namespace: "default", name: name)
        } isDone: { event in
            if case .deleted = event { true } else { false }
        }
    }

    /// Does something to each of the pods at once, and waits until it shows.
    private func times(
        _ names: [String], _ client: APIClient, _ act: @escaping @Sendable (String) async throws -> Void,
        isDone: @escaping @Sendable (WatchEvent) -> Bool
    ) async throws -> [Double] {
        let list = try await client.list(.pods, namespace: "default", limit: 1)
        let watch = try await client.watch(
            .pods, namespace: "default", resourceVersion: list.text("metadata", "resourceVersion") ?? "0")
        defer { watch.cancel() }
        let clock = world.clock
        return try await within("\(names.count) pods") {
            try await withThrowingTaskGroup(of: [String: Duration].self) { group in
                group.addTask {
                    var seen: [String: Duration] = [:]
                    while seen.count < names.count, let event = try await watch.next() {
                        let name = event.object.text("metadata", "name") ?? ""
                        if names.contains(name), seen[name] == nil, isDone(event) { seen[name] = clock.uptime }
                    }
                    return seen
                }
                for name in names {
                    group.addTask {
                        let begun = clock.uptime
                        try await act(name)
                        return ["+\(name)": begun]
                    }
                }
                var all: [String: Duration] = [:]
                for try await part in group { all.merge(part) { one, _ in one } }
                return names.compactMap { name in
                    guard let begun = all["+\(name)"], let done = all[name] else { return nil }
                    return (done - begun).inSeconds * 1000
                }
            }
        }
    }

    private func within<T: Sendable>(_ what: String, _ body: @escaping @Sendable () async throws -> T) async throws -> T
    {
        let clock = world.clock
        return try await withThrowingTaskGroup(of: T.self) { group in
            group.addTask { try await body() }
            group.addTask {
                try await clock.sleep(for: Self.patience)
                throw Failure("\(what): not within \(Self.patience)")
            }
            defer { group.cancelAll() }
            guard let first = try await group.next() else { throw CancellationError() }
            return first
        }
    }

    // MARK: A full node

    private func fullNode(_ client: APIClient) async throws -> [Row] {
        let count = quick ? 50 : Self.full
        let names = (0..<count).map { "idle-\($0)" }
        for first in stride(from: 0, to: count, by: 25) {
            _ = try await start(Array(names[first..<min(first + 25, count)]), client)
        }
        // Idle means settled.
        try await world.clock.sleep(for: .seconds(10))
        let seconds = quick ? 5 : 20
        let processes = try self.processes()
        guard let agent = processes.first(where: { $0.role == "agent" }) else { throw Failure("no agent runs") }
        let supervisors = processes.filter { $0.role == "supervisor" }
        func cpu(_ list: [Process]) throws -> Double { try list.reduce(0) { $0 + (try Meter(process: $1.pid).cpu) } }
        let (agentBefore, othersBefore) = (try cpu([agent]), try cpu(supervisors))
        try await world.clock.sleep(for: .seconds(seconds))
        let (agentUse, othersUse) = (try cpu([agent]) - agentBefore, try cpu(supervisors) - othersBefore)
        let title = "\(count) idle pods"
        var rows = [
            Row("\(title): kubelet's part of a processor", "%", [agentUse / Double(seconds) * 100]),
            Row("\(title): all supervisors' part", "%", [othersUse / Double(seconds) * 100]),
            Row("\(title): kubelet, resident", "MiB", [try Meter(process: agent.pid).resident]),
            Row(
                "\(title): a supervisor, resident", "MiB", try supervisors.map { try Meter(process: $0.pid).resident },
                budget: 1),
            Row(
                "\(title): a supervisor, shared pages counted once", "MiB",
                supervisors.map { Self.proportional($0.pid) }),
        ]
        var restarts: [Double] = []
        for _ in 0..<(quick ? 1 : 5) { restarts.append(try await restart(count, client)) }
        rows.append(Row("\(title): killed kubelet → has them all", "ms", restarts))
        rows.append(Row("\(title): create → Running beside them", "ms", try await beside(client)))
        return rows
    }

    /// One pod more while the node is nearly full: room is made for it first.
    private func beside(_ client: APIClient) async throws -> [Double] {
        var samples: [Double] = []
        _ = try await end(["idle-0"], client)
        for round in 0..<(quick ? 3 : 20) {
            let name = "beside-\(round)"
            samples += try await start([name], client)
            _ = try await end([name], client)
        }
        return samples
    }

    /// Milliseconds from the kill until the new kubelet counts every pod as running.
    private func restart(_ count: Int, _ client: APIClient) async throws -> Double {
        guard let agent = try processes().first(where: { $0.role == "agent" }) else { throw Failure("no agent runs") }
        let begun = world.clock.uptime
        guard kill(agent.pid, SIGKILL) == 0 else { throw SystemError("kill", "\(agent.pid)", errno: errno) }
        let clock = world.clock
        return try await within("the kubelet's return") {
            while true {
                let path = "/api/v1/nodes/\(Self.worker)/proxy/metrics"
                if let answer = try? await client.raw(Request("GET", path)), answer.status == 200,
                    let body = try? await answer.collect(limit: 16 << 20),
                    String(decoding: body, as: UTF8.self).contains("kubelet_running_pods \(count)\n")
                {
                    return (clock.uptime - begun).inSeconds * 1000
                }
                try await clock.sleep(for: .milliseconds(5))
            }
        }
    }

    // MARK: Processes

    private struct Process {
        var pid: pid_t
        /// `agent`, or `supervisor` for that of a pod.
        var role: String
    }

    /// Those of the worker that run pods.
    private func processes() throws -> [Process] {
        try Files.list("/proc").compactMap { entry in
            guard let pid = pid_t(entry), let groups = try? Files.text("/proc/\(entry)/cgroup"),
                groups.contains("/lab/\(Self.cluster)/\(Self.worker)/"),
                let words = try? Files.text("/proc/\(entry)/cmdline").split(separator: "\0")
            else { return nil }
            if words.dropFirst().starts(with: ["role", "agent"]) { return Process(pid: pid, role: "agent") }
            let isPods = words.dropFirst().first == "lab:supervise" && words.contains { $0.contains("/sandboxes/") }
            return isPods ? Process(pid: pid, role: "supervisor") : nil
        }
    }

    /// Mebibytes where a page that several processes map counts for its share.
    private static func proportional(_ pid: pid_t) -> Double {
        let lines = ((try? Files.text("/proc/\(pid)/smaps_rollup")) ?? "").split(separator: "\n")
        let line = lines.first { $0.hasPrefix("Pss:") }
        return (line.flatMap { Double($0.split(whereSeparator: { !$0.isNumber }).first ?? "") } ?? 0) / 1024
    }
}
