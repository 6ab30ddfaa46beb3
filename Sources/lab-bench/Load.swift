import Basics
import Client
import Glibc
import Linux

/// What kube-apiserver 1.36 with etcd 3.6 took for the same on a machine of this kind (two cores, fsync on, TLS with
/// client certificates, the load on the same machine): the middle of three runs.
struct Upstream: Sendable {
    var latency: Double?
    var cpu: Double?
    /// The part of upstream's CPU that is our goal.
    var share: Double

    init(latency: Double? = nil, cpu: Double? = nil, share: Double) {
        self.latency = latency
        self.cpu = cpu
        self.share = share
    }

    var budget: Double? { cpu.map { $0 * share } }
}

/// A process, and the processor time that it has used.
struct Meter: Sendable {
    let process: pid_t

    /// Seconds of all its threads.
    var cpu: Double {
        get throws {
            let tasks = try Files.list("/proc/\(process)/task")
            return tasks.reduce(0) { sum, task in
                // Nanoseconds on a processor, and two figures more.
                let fields = try? Files.text("/proc/\(process)/task/\(task)/schedstat").split(separator: " ")
                return sum + (fields?.first.flatMap { Double($0) } ?? 0) / 1e9
            }
        }
    }

    /// Mebibytes resident.
    var resident: Double {
        get throws {
            let lines = try Files.text("/proc/\(process)/status").split(separator: "\n")
            let line = lines.first { $0.hasPrefix("VmRSS:") }
            return (line.flatMap { Double($0.filter(\.isNumber)) } ?? 0) / 1024
        }
    }
}

/// A server under load: its clients are tasks of the bench.
struct Load: Sendable {
    let client: APIClient
    let meter: Meter
    let clock: any WorldClock

    /// `clients` tasks in parallel repeat one operation for some seconds; rate, latency, and the server's CPU for each.
    func throughput(
        _ title: String, clients: Int, seconds: Int, upstream: Upstream,
        _ operation: @escaping @Sendable (APIClient, Int, Int) async throws -> Void
    ) async throws -> [Row] {
        let before = try meter.cpu
        let start = clock.uptime
        let deadline = start + .seconds(seconds)
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
        let used = try meter.cpu - before
        return [
            Row("API: \(title), rate", "1/s", [Double(samples.count) / took], moreIsBetter: true),
            Row("API: \(title), latency", "ms", samples, upstream: upstream.latency),
            Row(
                "API: \(title), server CPU per operation", "ms", [used * 1000 / Double(max(1, samples.count))],
                budget: upstream.budget, upstream: upstream.cpu),
        ]
    }
}
