import Basics
import Client
import Document
import Kinds
import Linux
import Wire

/// Waits until a new cluster serves, and says what it is waiting for.
struct Readiness: Sendable {
    let client: APIClient
    let nodes: [String]
    let cluster: ClusterLayout
    let world: World
    let progress: any Progress
    /// What a node said of itself before is no news.
    var since: Timestamp?
    /// Whether it is enough that the nodes are there.
    var onlyRegistered = false

    func waitForAPI(within limit: Duration) async throws {
        let deadline = world.clock.uptime + limit
        var pause = Duration.milliseconds(5)
        var lastError = ""
        var last = "its first answer"
        while world.clock.uptime < deadline {
            do {
                let answer = try await client.raw(Request("GET", "/readyz"))
                let body = try await answer.collect(limit: 1 << 20)
                if answer.status == 200 { return }
                last = "/readyz, which says \(answer.status) \(String(decoding: body.prefix(200), as: UTF8.self))"
            } catch is CancellationError {
                throw CancellationError()
            } catch {
                // Refused and reset connections are what a server that is starting looks like through a forwarder.
                last = "its first answer"
                lastError = "\(error)"
            }
            progress.waiting(for: last)
            try await world.clock.sleep(for: pause)
            pause = min(pause * 2, .milliseconds(50))
        }
        throw Failure(
            "the API server of '\(cluster.name)' does not serve after \(limit.inSeconds) s; awaited: \(last) \(lastError)",
            remedy: "give it longer with --wait, or look at its log")
    }

    /// Follows the nodes by a watch, so that readiness is seen the moment it is written.
    func waitForNodes(within limit: Duration) async throws {
        let expected = Set(nodes)
        let unready = Unready(expected, since: since, onlyRegistered: onlyRegistered)
        try await withThrowingTaskGroup { group in
            group.addTask {
                while true {
                    let list = try await client.list(.nodes)
                    for node in list.list("items") { await unready.update(NodeView(node)) }
                    if await unready.isEmpty { return }
                    progress.waiting(for: await unready.summary)
                    let version = list.text("metadata", "resourceVersion") ?? "0"
                    let watch = try await client.watch(.nodes, resourceVersion: version)
                    defer { watch.cancel() }
                    while let event = try await watch.next() {
                        await unready.update(NodeView(event.object))
                        if await unready.isEmpty { return }
                        progress.waiting(for: await unready.summary)
                    }
                }
            }
            group.addTask {
                try await world.clock.sleep(for: limit)
                throw Failure(
                    "not every node is ready after \(limit.inSeconds) s: \(await unready.summary)",
                    remedy: "give them longer with --wait, or look at the node agents' logs")
            }
            try await group.next()
            group.cancelAll()
        }
    }
}

/// The nodes that are not ready yet, with the reason that each gives.
private actor Unready {
    private var reasons: [String: String]

    private let since: Timestamp?
    private let onlyRegistered: Bool

    init(_ names: Set<String>, since: Timestamp?, onlyRegistered: Bool) {
        self.since = since
        self.onlyRegistered = onlyRegistered
        reasons = Dictionary(uniqueKeysWithValues: names.map { ($0, "not registered") })
    }

    var isEmpty: Bool { reasons.isEmpty }
    var summary: String { reasons.sorted { $0.key < $1.key }.map { "\($0.key) (\($0.value))" }.joined(separator: ", ") }

    func update(_ node: NodeView) {
        let name = node.metadata.name
        guard reasons[name] != nil else { return }
        if let since, !isNews(node, since) {
            reasons[name] = "its agent has not reported yet"
        } else if onlyRegistered || node.isReady {
            reasons[name] = nil
        } else {
            reasons[name] = node.condition("Ready")?.text("message") ?? "no condition yet"
        }
    }

    /// Heartbeats have whole seconds.
    private func isNews(_ node: NodeView, _ since: Timestamp) -> Bool {
        guard let text = node.condition("Ready")?.text("lastHeartbeatTime"), let beat = Timestamp(rfc3339: text) else {
            return false
        }
        return beat.seconds >= since.seconds
    }
}
