import Basics
import Document
import Kinds

/// What one look at a node's counters showed.
struct UsageLook: Sendable {
    struct Counters: Sendable, Equatable {
        var time: Timestamp
        /// When the counting began, at zero.
        var start: Timestamp?
        var cpuNanoseconds: Int
        var memoryBytes: Int
    }

    var node: Counters
    /// By `NAMESPACE/NAME`, then by container.
    var pods: [String: [String: Counters]]

    /// Reads the agent's `/stats/summary`. Whatever has no counters is left out.
    init?(summary: Document) {
        guard let whole = summary["node"], let node = Self.counters(whole) else { return nil }
        self.node = node
        pods = [:]
        for pod in summary.list("pods") {
            guard let name = pod.text("podRef", "name"), let namespace = pod.text("podRef", "namespace") else {
                continue
            }
            var containers: [String: Counters] = [:]
            for container in pod.list("containers") {
                guard let name = container.text("name"), let counters = Self.counters(container) else { continue }
                containers[name] = counters
            }
            pods["\(namespace)/\(name)"] = containers
        }
    }

    private static func counters(_ stats: Document) -> Counters? {
        guard let time = stats.time("cpu", "time"), let cpu = stats.number("cpu", "usageCoreNanoSeconds"),
            let memory = stats.number("memory", "workingSetBytes"), cpu >= 0, memory >= 0
        else { return nil }
        return Counters(time: time, start: stats.time("startTime"), cpuNanoseconds: cpu, memoryBytes: memory)
    }
}

/// What was used within a time.
struct Usage: Sendable, Equatable {
    var time: Timestamp
    var window: Duration
    var nanoCores: Int
    var memoryBytes: Int

    /// Between two looks, or since the counting began where that is all that was seen of it; nil where too little was
    /// seen to tell.
    init?(from earlier: UsageLook.Counters?, to later: UsageLook.Counters) {
        let since: Timestamp
        let before: Int
        if let earlier, earlier.cpuNanoseconds <= later.cpuNanoseconds, earlier.start == later.start {
            (since, before) = (earlier.time, earlier.cpuNanoseconds)
        } else {
            guard let start = later.start, later.time - start >= Self.shortestLife,
                later.time - start <= UsageHistory.longestWindow
            else { return nil }
            (since, before) = (start, 0)
        }
        guard later.time - since >= UsageHistory.shortestWindow else { return nil }
        time = later.time
        window = later.time - since
        nanoCores = Int(Double(later.cpuNanoseconds - before) / window.inSeconds)
        memoryBytes = later.memoryBytes
    }

    /// Starts are told in whole seconds: of what is younger, the rate would be a guess.
    private static let shortestLife = Duration.seconds(3)
}

/// The looks at one node that are worth keeping: two of them. Pure.
struct UsageHistory: Sendable {
    private(set) var base: UsageLook?
    private(set) var newest: UsageLook?

    /// Rates over shorter times would be noise.
    static let shortestWindow = Duration.seconds(1)
    /// Rates over longer times would not be about now.
    static let longestWindow = Duration.seconds(90)
    /// From here on the newest look is far enough from the base to become it.
    private static let goodWindow = Duration.seconds(15)

    mutating func add(_ look: UsageLook) {
        guard let last = newest else {
            newest = look
            return
        }
        guard look.node.time - last.node.time >= Self.shortestWindow else { return }
        if base.map({ last.node.time - $0.node.time >= Self.goodWindow }) ?? true { base = last }
        newest = look
        if let base, look.node.time - base.node.time > Self.longestWindow { self.base = nil }
    }

    /// Whether rates cannot be told from what was seen, and a second look is needed.
    var needsAnother: Bool {
        guard let newest else { return true }
        if base != nil { return false }
        return newest.node.start.map { newest.node.time - $0 > Self.longestWindow } ?? true
    }

    /// Whether what was seen is as good as what a look at `now` would show.
    func isFresh(_ now: Timestamp) -> Bool {
        guard let newest, !needsAnother else { return false }
        let age = now - newest.node.time
        return age >= .zero && age < Self.shortestWindow
    }

    var node: Usage? { newest.flatMap { Usage(from: base?.node, to: $0.node) } }

    /// Of a pod's containers; nil where nothing can be said of one of them.
    func pod(_ key: String) -> [(container: String, usage: Usage)]? {
        guard let containers = newest?.pods[key], !containers.isEmpty else { return nil }
        var found: [(container: String, usage: Usage)] = []
        for (name, counters) in containers.sorted(by: { $0.key < $1.key }) {
            guard let usage = Usage(from: base?.pods[key]?[name], to: counters) else { return nil }
            found.append((name, usage))
        }
        return found
    }
}
