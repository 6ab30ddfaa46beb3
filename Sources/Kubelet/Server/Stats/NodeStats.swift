import Basics
import Document
import Glibc
import Linux

/// What a node, its pods and their containers use, as one look at the kernel's counters finds it.
struct NodeStats: Sendable {
    struct Usage: Sendable, Equatable {
        var memoryBytes: Int64
        var workingSetBytes: Int64
        var cpuNanoseconds: Int64
        /// Where an earlier look is there to compare with.
        var nanoCores: Int64?
        var pids: Int64 = 0
    }

    struct Interface: Sendable, Equatable {
        var name: String
        var receivedBytes: Int64
        var receiveErrors: Int64
        var sentBytes: Int64
        var sendErrors: Int64
    }

    struct FileSystem: Sendable, Equatable {
        var capacity: Int64
        var available: Int64
        var used: Int64
        var inodes: Int64
        var inodesFree: Int64
    }

    struct Container: Sendable {
        var name: String
        var startedAt: Timestamp?
        var usage: Usage
        var logBytes: Int64
    }

    struct Pod: Sendable {
        var name: String
        var namespace: String
        var uid: String
        var startedAt: Timestamp?
        var usage: Usage
        var containers: [Container]
        /// Empty on the node's own network, where nothing is this pod's alone.
        var interfaces: [Interface]
    }

    var time: Timestamp
    var nodeName: String
    var startedAt: Timestamp?
    var usage: Usage
    var memoryCapacity: Int64
    var interfaces: [Interface]
    var fileSystem: FileSystem?
    var pods: [Pod]
}

extension NodeStats.Interface {
    /// Reads `/proc/PID/net/dev`: two lines of titles, then `name: ` and sixteen numbers.
    static func read(_ text: String) -> [NodeStats.Interface] {
        text.split(separator: "\n").dropFirst(2).compactMap { line in
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { return nil }
            let name = String(parts[0].drop { $0 == " " })
            let numbers = parts[1].split(separator: " ").compactMap { Int64($0) }
            guard name != "lo", numbers.count >= 11 else { return nil }
            return .init(
                name: name, receivedBytes: numbers[0], receiveErrors: numbers[2], sentBytes: numbers[8],
                sendErrors: numbers[10])
        }
    }

    static func of(process: String) -> [NodeStats.Interface] {
        (try? Files.text("/proc/\(process)/net/dev")).map(read) ?? []
    }
}

extension NodeStats.FileSystem {
    init?(_ path: String) {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { return nil }
        let size = Int64(status.f_frsize)
        capacity = Int64(status.f_blocks) * size
        available = Int64(status.f_bavail) * size
        used = capacity - Int64(status.f_bfree) * size
        inodes = Int64(status.f_files)
        inodesFree = Int64(status.f_ffree)
    }
}

/// Gathers the numbers. Reads files of the kernel, so it belongs on a thread that may block.
struct StatsCollector: Sendable {
    let configuration: KubeletConfiguration
    let machine: Machine
    let rates: UsageRates

    /// `sandboxes` are the pids of the pods' supervisors, `attempts` the processes of their running containers, by uid.
    func collect(
        _ pods: [Document], sandboxes: [String: Int32], running: [String: [String: Int]], now: Timestamp
    ) throws -> NodeStats {
        let layout = try CgroupLayout.ofProcess()
        var found: [NodeStats.Pod] = []
        for pod in pods {
            guard let uid = pod.text("metadata", "uid"), let sandbox = sandboxes[uid],
                let stats = try? self.pod(pod, uid, sandbox, running[uid] ?? [:], layout, now)
            else { continue }
            found.append(stats)
        }
        rates.forget(before: now + .seconds(-600))
        return NodeStats(
            time: now, nodeName: configuration.nodeName, startedAt: ProcTable.started(process: "1"),
            usage: usage(of: .root(layout), key: "", now) ?? wholeMachine(now),
            memoryCapacity: machine.memoryBytes, interfaces: NodeStats.Interface.of(process: "self"),
            fileSystem: NodeStats.FileSystem(configuration.rootDirectory),
            pods: found.sorted { ($0.namespace, $0.name, $0.uid) < ($1.namespace, $1.name, $1.uid) })
    }

    private func pod(
        _ pod: Document, _ uid: String, _ sandbox: Int32, _ running: [String: Int], _ layout: CgroupLayout,
        _ now: Timestamp
    ) throws -> NodeStats.Pod? {
        let path = Resources.podCgroup(pod, root: configuration.cgroupRoot)
        guard let usage = usage(of: try Cgroup(path, layout: layout), key: path, now) else { return nil }
        var containers: [NodeStats.Container] = []
        for (name, attempt) in running.sorted(by: { $0.key < $1.key }) {
            let own = "\(path)/\(ProcessName(container: name, attempt: attempt).text)"
            guard let usage = self.usage(of: try Cgroup(own, layout: layout), key: own, now) else { continue }
            containers.append(
                .init(
                    name: name, startedAt: Self.started(name, in: pod), usage: usage,
                    logBytes: logBytes("\(configuration.logDirectory(of: pod))/\(name)")))
        }
        return .init(
            name: pod.text("metadata", "name") ?? "", namespace: pod.text("metadata", "namespace") ?? "", uid: uid,
            startedAt: pod.text("status", "startTime").flatMap { Timestamp(rfc3339: $0) }, usage: usage,
            containers: containers,
            interfaces: pod.flag("spec", "hostNetwork") == true
                ? [] : NodeStats.Interface.of(process: "\(sandbox)"))
    }

    private static func started(_ container: String, in pod: Document) -> Timestamp? {
        for member in ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"] {
            let status = pod.list("status", member).first { $0.text("name") == container }
            if let text = status?.text("state", "running", "startedAt") { return Timestamp(rfc3339: text) }
        }
        return nil
    }

    private func logBytes(_ directory: String) -> Int64 {
        ((try? Files.list(directory)) ?? []).reduce(0) { sum, name in
            var status = stat()
            return stat("\(directory)/\(name)", &status) == 0 ? sum + Int64(status.st_size) : sum
        }
    }

    /// Where the node is the machine itself: the kernel's first group has no counters of its own.
    private func wholeMachine(_ now: Timestamp) -> NodeStats.Usage {
        let memory = ProcTable.memory((try? Files.text("/proc/meminfo")) ?? "")
        let used = max(0, (memory["MemTotal"] ?? 0) - (memory["MemAvailable"] ?? 0))
        let cpu = ProcTable.cpuNanoseconds((try? Files.text("/proc/stat")) ?? "")
        return .init(
            memoryBytes: max(0, (memory["MemTotal"] ?? 0) - (memory["MemFree"] ?? 0)), workingSetBytes: used,
            cpuNanoseconds: cpu, nanoCores: rates.nanoCores("", cpu, now))
    }

    private func usage(of group: Cgroup, key: String, _ now: Timestamp) -> NodeStats.Usage? {
        guard let found = try? group.usage() else { return nil }
        return .init(
            memoryBytes: found.memoryBytes, workingSetBytes: found.workingSetBytes,
            cpuNanoseconds: found.cpuNanoseconds,
            nanoCores: rates.nanoCores(key, found.cpuNanoseconds, now), pids: found.pids)
    }
}

/// Counters of the whole machine.
enum ProcTable {
    /// Bytes by name, from lines such as `MemFree:  123 kB`.
    static func memory(_ text: String) -> [String: Int64] {
        var table: [String: Int64] = [:]
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count >= 2, let number = Int64(words[1]) else { continue }
            table[String(words[0].dropLast())] = number * 1024
        }
        return table
    }

    /// When a process began; of a node's first process, when the node did.
    static func started(process: String) -> Timestamp? {
        // The name stands in brackets and may hold blanks, so the fields are counted behind it.
        guard let line = try? Files.text("/proc/\(process)/stat"), let bracket = line.lastIndex(of: ")"),
            let boot = (try? Files.text("/proc/stat"))?.split(separator: "\n").first(where: { $0.hasPrefix("btime ") }),
            let bootSeconds = Int64(boot.dropFirst("btime ".count))
        else { return nil }
        let fields = line[line.index(after: bracket)...].split(separator: " ")
        guard fields.count > 19, let ticks = Int64(fields[19]) else { return nil }
        let perSecond = Int64(max(1, sysconf(Int32(_SC_CLK_TCK))))
        return Timestamp(seconds: bootSeconds) + .milliseconds(ticks * 1_000 / perSecond)
    }

    /// Of all processors together, from `cpu  user nice system idle iowait irq softirq steal …` in hundredths of seconds.
    static func cpuNanoseconds(_ text: String) -> Int64 {
        let numbers = (text.split(separator: "\n").first ?? "").split(separator: " ").dropFirst().compactMap {
            Int64($0)
        }
        guard numbers.count >= 8 else { return 0 }
        let busy = numbers[0] + numbers[1] + numbers[2] + numbers[5] + numbers[6] + numbers[7]
        return busy * 10_000_000
    }
}
