import Basics
import Client
import Cluster
import Document
import Glibc
import Kinds
import Linux
import Wire

/// A cluster of the bench's own, and what is measured on it.
struct Measurements: Sendable {
    let binary: String
    let home: String
    let world: World
    let name = "bench"

    private var environment: [String: String] { ["LAB_HOME": home, "KUBECONFIG": "\(home)/kubeconfig"] }

    private func lab(_ words: String...) throws -> Double {
        let start = world.clock.uptime
        let ran = Command.run([binary] + words, extra: environment)
        guard ran.code == 0 else { throw Failure("\(ran)") }
        return (world.clock.uptime - start).inSeconds
    }

    // MARK: Cluster

    func startUp() throws -> Row {
        Row("lab version", "ms", try (0..<20).map { _ in try lab("version") * 1000 }, budget: 10)
    }

    /// Creates and deletes; the last cluster stays for the other measurements.
    func creation(runs: Int) throws -> [Row] {
        var creations: [Double] = []
        var deletions: [Double] = []
        for run in 1...runs {
            creations.append(try lab("create", name, "--workers", "2"))
            if run < runs { deletions.append(try lab("delete", name)) }
        }
        return [
            Row("create, 3 nodes ready", "s", creations, budget: 1), Row("delete", "s", deletions, budget: 1),
        ]
    }

    func deletion() throws { _ = try lab("delete", name) }

    func client() throws -> APIClient {
        let bytes = try Files.read("\(home)/clusters/\(name)/kubeconfig")
        return try Connect.client(try Kubeconfig(yaml: bytes), world: world, userAgent: "lab-bench")
    }

    // MARK: Memory

    struct Resident {
        var role: String
        var mebibytes: Double
    }

    /// Resident memory of the cluster's processes, by what each was started as.
    func memory() throws -> [Row] {
        var byNode: [String: Double] = [:]
        var byRole: [String: [Double]] = [:]
        var shares: [String: Double] = [:]
        for entry in try Files.list("/proc") where entry.utf8.allSatisfy({ (48...57).contains($0) }) {
            guard let cgroup = try? Files.text("/proc/\(entry)/cgroup"), let range = cgroup.range(of: "/lab/\(name)/"),
                let status = try? Files.text("/proc/\(entry)/status")
            else { continue }
            let path = cgroup[range.upperBound...].prefix { $0 != "\n" }.split(separator: "/")
            guard let node = path.first.map(String.init) else { continue }
            let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
            let kibibytes = line.flatMap { Double($0.split(whereSeparator: { !$0.isNumber }).first ?? "") } ?? 0
            byNode[node, default: 0] += kibibytes / 1024
            shares[node, default: 0] += Self.proportional(entry) / 1024
            let words = ((try? Files.text("/proc/\(entry)/cmdline")) ?? "").split(separator: "\0")
            let role = words.count > 2 && words[1] == "role" ? String(words[2]) : "supervisor"
            byRole[role, default: []].append(kibibytes / 1024)
        }
        var rows = [
            Row("memory: control plane node, all processes", "MiB", [byNode["\(name)-control-plane"] ?? 0], budget: 40),
            Row(
                "memory: worker node, all processes", "MiB", byNode.filter { $0.key.contains("worker") }.map(\.value),
                budget: 20),
        ]
        rows += [
            Row("memory: control plane node, shared pages counted once", "MiB", [shares["\(name)-control-plane"] ?? 0]),
            Row(
                "memory: worker node, shared pages counted once", "MiB",
                shares.filter { $0.key.contains("worker") }.map(\.value)),
        ]
        for (role, values) in byRole.sorted(by: { $0.key < $1.key }) {
            rows.append(Row("memory: \(role)", "MiB", values, budget: role == "supervisor" ? 1 : nil))
        }
        return rows
    }

    /// Kibibytes of a process where a page that several processes map counts for its share.
    private static func proportional(_ process: String) -> Double {
        let lines = ((try? Files.text("/proc/\(process)/smaps_rollup")) ?? "").split(separator: "\n")
        let line = lines.first { $0.hasPrefix("Pss:") }
        return line.flatMap { Double($0.split(whereSeparator: { !$0.isNumber }).first ?? "") } ?? 0
    }

    // MARK: Pods

    /// One pod after the other: from the create's return to the watch event that says Running.
    func podStarts(count: Int) async throws -> Row {
        let client = try client()
        var samples: [Double] = []
        for number in 0..<count {
            let name = "bench-\(number)"
            let start = world.clock.uptime
            let pod = try await client.create(.pods, namespace: "default", Self.pod(name))
            let watch = try await client.watch(
                .pods, namespace: "default", fieldSelector: "metadata.name=\(name)",
                resourceVersion: pod.text("metadata", "resourceVersion") ?? "0")
            while let event = try await watch.next() {
                if event.object.text("status", "phase") == "Running" { break }
            }
            watch.cancel()
            samples.append((world.clock.uptime - start).inSeconds * 1000)
            _ = try await client.delete(
                .pods, namespace: "default", name: name,
                options: ["gracePeriodSeconds": 0, "kind": "DeleteOptions", "apiVersion": "v1"])
        }
        return Row("pod: create → Running", "ms", samples, budget: 100)
    }

    static func pod(_ name: String) -> Document {
        [
            "apiVersion": "v1", "kind": "Pod", "metadata": ["name": Document(name)],
            "spec": [
                "terminationGracePeriodSeconds": 0,
                "containers": [
                    [
                        "name": "main", "image": "lab.local/testbox", "imagePullPolicy": "IfNotPresent",
                        "args": ["sleep", "3600"],
                    ]
                ],
            ],
        ]
    }

    // MARK: API

    /// `clients` tasks in parallel repeat one operation for some seconds; rate, latency, and the server's CPU for each.
    func throughput(
        _ title: String, clients: Int, seconds: Int,
        _ operation: @escaping @Sendable (APIClient, Int, Int) async throws -> Void
    ) async throws -> [Row] {
        let client = try client()
        let server = try serverProcess()
        let before = try Self.cpu(of: server)
        let start = world.clock.uptime
        let deadline = start + .seconds(seconds)
        let clock = world.clock
        let samples = try await withThrowingTaskGroup(of: [Double].self) { group in
            for number in 0..<clients {
                group.addTask {
                    var own: [Double] = []
                    var turn = 0
                    while clock.uptime < deadline {
                        let begun = clock.uptime
                        try await operation(client, number, turn)
                        own.append((clock.uptime - begun).inSeconds * 1000)
                        turn += 1
                    }
                    return own
                }
            }
            var all: [Double] = []
            for try await own in group { all += own }
            return all
        }
        let took = (clock.uptime - start).inSeconds
        let used = try Self.cpu(of: server) - before
        return [
            Row("API: \(title), rate", "1/s", [Double(samples.count) / took], moreIsBetter: true),
            Row("API: \(title), latency", "ms", samples),
            Row("API: \(title), server CPU per operation", "ms", [used * 1000 / Double(max(1, samples.count))]),
        ]
    }

    private func serverProcess() throws -> String {
        for entry in try Files.list("/proc") where entry.utf8.allSatisfy({ (48...57).contains($0) }) {
            let words = ((try? Files.text("/proc/\(entry)/cmdline")) ?? "").split(separator: "\0")
            guard words.count > 2, words[1] == "role", words[2] == "apiserver",
                let cgroup = try? Files.text("/proc/\(entry)/cgroup"), cgroup.contains("/lab/\(name)/")
            else { continue }
            return entry
        }
        throw Failure("the API server's process is not found")
    }

    private static func cpu(of process: String) throws -> Double {
        let fields = try Files.text("/proc/\(process)/stat").split(separator: ")").last?.split(separator: " ") ?? []
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { return 0 }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }
}

extension String {
    /// Where `needle` first stands.
    fileprivate func range(of needle: String) -> Range<String.Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(needle) { return start..<index(start, offsetBy: needle.count) }
            start = index(after: start)
        }
        return nil
    }
}
