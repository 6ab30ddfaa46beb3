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
