import Basics
import Document
import Kinds
import Schema
import Synchronization
import Wire

/// `metrics.k8s.io`: what nodes and pods use, for `kubectl top` and for scaling by use.
///
/// Nothing is gathered ahead: nodes are asked when somebody asks. Processor time is a rate, so it takes two looks; the
/// last ones are kept, and the start of a node or container counts as a look at zero.
struct ResourceUsage: Sendable {
    static let group = "metrics.k8s.io"

    let looks: UsageLooks
    let resources: Resources
    let proxy: NodeProxy

    func answer(_ call: Call) async throws -> Answer {
        guard call.resource.verbs.contains(call.info.verb) else { throw APIStatus.methodNotAllowed }
        let isNodes = call.resource.plural == "nodes"
        let items = try await isNodes ? nodes(call) : pods(call)
        guard call.name.isEmpty else {
            guard let item = items.first else {
                throw APIStatus.notFound(call.resource, isNodes ? call.name : "\(call.namespace)/\(call.name)")
            }
            return .object(ObjectCodec.bytes(item))
        }
        return .init(content: .list(items.map(ObjectCodec.bytes), metadata: .emptyObject))
    }

    private func nodes(_ call: Call) async throws -> [Document] {
        let nodes = try await chosen(call, among: "nodes")
        let usage = try await looks.histories(of: nodes.compactMap { $0.text("metadata", "name") }, ask)
        return nodes.compactMap { node in
            guard let found = usage[node.text("metadata", "name") ?? ""]?.node else { return nil }
            var item = head("NodeMetrics", of: node, found.time, found.window)
            item["usage"] = fields(found)
            return item
        }
    }

    private func pods(_ call: Call) async throws -> [Document] {
        let pods = try await chosen(call, among: "pods").filter { $0.text("status", "phase") == "Running" }
        let usage = try await looks.histories(of: Set(pods.compactMap { $0.text("spec", "nodeName") }).sorted(), ask)
        return pods.compactMap { pod in
            let key = "\(pod.text("metadata", "namespace") ?? "")/\(pod.text("metadata", "name") ?? "")"
            guard let containers = usage[pod.text("spec", "nodeName") ?? ""]?.pod(key) else { return nil }
            // What is said of the whole pod holds for the container that was looked at the shortest.
            guard let shortest = containers.min(by: { $0.usage.window < $1.usage.window })?.usage else { return nil }
            var item = head("PodMetrics", of: pod, shortest.time, shortest.window)
            item["containers"] = Document(
                containers.map { ["name": Document($0.container), "usage": fields($0.usage)] })
            return item
        }
    }

    /// The objects that are asked for, by the selection that their metrics share with them.
    private func chosen(_ call: Call, among plural: String) async throws -> [Document] {
        guard call.name.isEmpty else {
            return try await resources.object(plural, namespace: call.namespace, name: call.name).map { [$0] } ?? []
        }
        let selection = try Selection(call.info.query, resource: call.resource)
        return try await resources.objects(plural, namespace: call.namespace).filter {
            selection.isEmpty || selection.matches($0, resource: call.resource)
        }
    }

    private func head(_ kind: String, of object: Document, _ time: Timestamp, _ window: Duration) -> Document {
        var metadata: Document = ["name": object.at("metadata", "name") ?? ""]
        if let namespace = object.at("metadata", "namespace") { metadata["namespace"] = namespace }
        metadata["creationTimestamp"] = Document(resources.world.clock.now.description)
        if let labels = object.at("metadata", "labels") { metadata["labels"] = labels }
        return [
            "kind": Document(kind), "apiVersion": Document("\(Self.group)/v1beta1"), "metadata": metadata,
            "timestamp": Document(time.description), "window": Document(Self.text(window)),
        ]
    }

    private func fields(_ usage: Usage) -> Document {
        [
            "cpu": Document(Quantity(nano: Int128(usage.nanoCores), format: .decimal).description),
            "memory": Document(Quantity(usage.memoryBytes, format: .binary).description),
        ]
    }

    /// `15.042s`, `1m3.5s`, as Go writes durations.
    static func text(_ duration: Duration) -> String {
        let milliseconds = Int(duration.inSeconds * 1_000)
        var seconds = "\(milliseconds / 1_000 % 60)"
        if milliseconds % 1_000 > 0 {
            var fraction = String(milliseconds % 1_000 + 1_000).dropFirst()
            while fraction.last == "0" { fraction.removeLast() }
            seconds += "." + fraction
        }
        let minutes = milliseconds / 60_000
        return minutes > 0 ? "\(minutes)m\(seconds)s" : "\(seconds)s"
    }

    @Sendable private func ask(_ node: String) async throws -> UsageLook? {
        let stream = try await proxy.agent(of: node).transport.send(Request("GET", "/stats/summary"))
        defer { stream.cancel() }
        let bytes = try await stream.collect(limit: Self.summaryLimit)
        guard stream.status == 200 else { return nil }
        return UsageLook(summary: try Document(json: bytes))
    }

    private static let summaryLimit = 16 << 20
}

/// The last looks at every node that anybody asked about.
final class UsageLooks: Sendable {
    private let clock: any WorldClock
    private let log: Log
    private let histories = Mutex<[String: UsageHistory]>([:])

    private static let atOnce = 16
    private static let patience = Duration.seconds(5)

    init(clock: any WorldClock, log: Log) {
        self.clock = clock
        self.log = log
    }

    /// Asks the nodes, a second time after a moment where one look is not enough. Nodes that do not answer are missing.
    func histories(
        of nodes: [String], _ ask: @escaping @Sendable (String) async throws -> UsageLook?
    ) async throws -> [String: UsageHistory] {
        forgetOld()
        let stale = nodes.filter { !(history(of: $0)?.isFresh(clock.now) ?? false) }
        let answered = try await look(at: stale, ask)
        let unclear = answered.filter { history(of: $0)?.needsAnother ?? false }
        var seen = Set(nodes).subtracting(stale).union(answered)
        if !unclear.isEmpty {
            // A little more than the least, since both looks take their time.
            try await clock.sleep(for: UsageHistory.shortestWindow + .milliseconds(50))
            seen = seen.subtracting(unclear).union(try await look(at: unclear, ask))
        }
        return histories.withLock { all in all.filter { seen.contains($0.key) } }
    }

    private func history(of node: String) -> UsageHistory? { histories.withLock { $0[node] } }

    private func forgetOld() {
        let oldest = clock.now + .seconds(-600)
        histories.withLock { all in all = all.filter { ($0.value.newest?.node.time ?? oldest) > oldest } }
    }

    /// Which of the nodes answered.
    private func look(
        at nodes: [String], _ ask: @escaping @Sendable (String) async throws -> UsageLook?
    ) async throws -> [String] {
        try await withThrowingTaskGroup(of: String?.self) { group in
            var answered: [String] = []
            for (index, node) in nodes.enumerated() {
                if index >= Self.atOnce, let name = try await group.next() { name.map { answered.append($0) } }
                group.addTask { try await self.look(at: node, ask) ? node : nil }
            }
            for try await name in group { name.map { answered.append($0) } }
            return answered
        }
    }

    private func look(
        at node: String, _ ask: @escaping @Sendable (String) async throws -> UsageLook?
    ) async throws -> Bool {
        do {
            let found = try await withDeadline(Self.patience, clock, "asking \(node)") { try await ask(node) }
            guard let found else { return false }
            histories.withLock { $0[node, default: UsageHistory()].add(found) }
            return true
        } catch {
            try Task.checkCancellation()
            log.debug("use of node \(node): \(error)")
            return false
        }
    }
}
