import Basics
import Cluster
import Document
import Linux

/// What a user waits for: making, stopping, starting, copying and deleting clusters of several sizes, what they hold
/// of the memory, and many of them at once. Each run is the real command, from its start to its end.
struct Clusters: Sendable {
    let binary: String
    let home: String
    let world: World
    let quick: Bool

    private var environment: [String: String] { ["LAB_HOME": home, "KUBECONFIG": "\(home)/kubeconfig"] }

    /// Seconds.
    private func lab(_ words: String...) throws -> Double {
        let start = world.clock.uptime
        let ran = Command.run([binary] + words, extra: environment)
        guard ran.code == 0 else { throw Failure("\(ran)") }
        return (world.clock.uptime - start).inSeconds
    }

    func measure() throws -> [Row] {
        defer { _ = Command.run([binary, "delete", "--all"], extra: environment) }
        var rows: [Row] = []
        for nodes in quick ? [1, 3] : [1, 3, 10] {
            say("==> clusters of \(nodes)")
            rows += try life(nodes: nodes, runs: quick ? 2 : nodes == 10 ? 3 : 5)
        }
        say("==> many clusters at once")
        rows += try many(quick ? 3 : 10)
        return rows
    }

    private func life(nodes: Int, runs: Int) throws -> [Row] {
        var samples: [String: [Double]] = [:]
        var memory: [Double] = []
        for _ in 0..<runs {
            func take(_ name: String, _ seconds: Double) { samples[name, default: []].append(seconds) }
            take("create", try lab("create", "bench", "--workers", "\(nodes - 1)"))
            memory.append(Self.proportionalMemory(below: "lab/bench"))
            take("stop", try lab("stop", "bench"))
            take("start", try lab("start", "bench"))
            take("snapshot", try lab("snapshot", "bench", "s"))
            take("fork", try lab("fork", "bench", "bench-fork"))
            take("delete", try lab("delete", "bench-fork"))
            take("restore", try lab("restore", "bench", "s"))
            take("delete", try lab("delete", "bench"))
            _ = try lab("snapshot", "--delete", "bench", "s")
        }
        let size = nodes == 1 ? "1 node" : "\(nodes) nodes"
        let order = ["create", "stop", "start", "snapshot", "fork", "restore", "delete"]
        return order.map { name in
            // Promised for three nodes.
            Row("\(name), \(size)", "s", samples[name] ?? [], budget: nodes == 3 && name != "restore" ? 1 : nil)
        } + [Row("memory, \(size), shared pages counted once", "MiB", memory)]
    }

    /// Made one after the other, living at once.
    private func many(_ count: Int) throws -> [Row] {
        var creations: [Double] = []
        for number in 0..<count { creations.append(try lab("create", "many-\(number)", "--workers", "2")) }
        let memory = Self.proportionalMemory(below: "lab/many-")
        let start = world.clock.uptime
        _ = try lab("delete", "--all")
        let deletion = (world.clock.uptime - start).inSeconds
        return [
            Row("create, 3 nodes, beside up to \(count - 1) others", "s", creations),
            Row("memory, \(count) clusters of 3 nodes", "MiB", [memory], budget: 4_096),
            Row("delete, \(count) clusters of 3 nodes", "s", [deletion]),
        ]
    }

    /// Mebibytes of all processes whose control group begins so; a page that several map counts for its share.
    private static func proportionalMemory(below group: String) -> Double {
        var kibibytes = 0.0
        for entry in (try? Files.list("/proc")) ?? [] where entry.utf8.allSatisfy({ (48...57).contains($0) }) {
            guard let text = try? Files.text("/proc/\(entry)/cgroup"),
                text.split(separator: "\n").contains(where: {
                    $0.split(separator: ":").last?.hasPrefix("/\(group)") == true
                }),
                let rollup = try? Files.text("/proc/\(entry)/smaps_rollup"),
                let line = rollup.split(separator: "\n").first(where: { $0.hasPrefix("Pss:") })
            else { continue }
            kibibytes += Double(line.split(whereSeparator: { !$0.isNumber }).first ?? "") ?? 0
        }
        return kibibytes / 1_024
    }
}
