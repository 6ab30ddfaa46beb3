import Basics
import Client
import Document
import Linux
import Synchronization
import Testing
import Wire

@testable import Overlay
@testable import Proxy

/// A server of a few collections: lists what it has, and tells watchers what is put later.
private final class ScriptedServer: Transport {
    private struct State {
        var version = 1
        var objects: [String: [String: Document]] = [:]
        var history: [(path: String, version: Int, line: [UInt8])] = []
        var watchers: [String: [AsyncStream<[UInt8]>.Continuation]] = [:]
    }

    private final class Answer: ResponseStream {
        let status = 200
        let headers = Headers()
        private let pieces: AsyncStream<[UInt8]>
        private let end: AsyncStream<[UInt8]>.Continuation
        init(_ pieces: AsyncStream<[UInt8]>, _ end: AsyncStream<[UInt8]>.Continuation) {
            self.pieces = pieces
            self.end = end
        }
        func next() async throws -> [UInt8]? {
            for await piece in pieces { return piece }
            return nil
        }
        func cancel() { end.finish() }
    }

    private let state = Mutex(State())

    func put(_ path: String, _ name: String, _ object: Document) {
        state.withLock { state in
            state.version += 1
            var object = object
            object.set(Document(name), at: "metadata", "name")
            object.set(Document("\(state.version)"), at: "metadata", "resourceVersion")
            let known = state.objects[path, default: [:]].updateValue(object, forKey: name) != nil
            let event: Document = ["type": known ? "MODIFIED" : "ADDED", "object": object]
            state.history.append((path, state.version, event.json + [10]))
            for watcher in state.watchers[path] ?? [] { watcher.yield(event.json + [10]) }
        }
    }

    func send(_ request: Request) async throws -> any ResponseStream {
        let parts = request.target.split(separator: "?", maxSplits: 1).map(String.init)
        let (pieces, more) = AsyncStream.makeStream(of: [UInt8].self)
        state.withLock { state in
            if parts.count > 1, parts[1].contains("watch=") {
                let since =
                    parts[1].split(separator: "&").first { $0.hasPrefix("resourceVersion=") }
                    .flatMap { Int($0.dropFirst(16)) } ?? 0
                for event in state.history where event.path == parts[0] && event.version > since {
                    more.yield(event.line)
                }
                state.watchers[parts[0], default: []].append(more)
                return
            }
            let list: Document = [
                "metadata": ["resourceVersion": Document("\(state.version)")],
                "items": Document(state.objects[parts[0]].map { Array($0.values) } ?? []),
            ]
            more.yield(list.json)
            more.finish()
        }
        return Answer(pieces, more)
    }
}

private struct TaskClock: WorldClock {
    var now: Timestamp { Timestamp(seconds: 0) }
    var uptime: Duration { .zero }
    func sleep(for duration: Duration) async throws { try await Task.sleep(for: duration) }
}

private struct NeverHappened: Error {}

/// Looks again until `condition` holds; gives up after what no working machine needs.
private func eventually(_ condition: () async throws -> Bool) async throws {
    for _ in 0..<1000 {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(10))
    }
    throw NeverHappened()
}

@Suite(.enabled(if: Kernel.isOurs, "needs network namespaces, VXLAN and nftables"))
struct OverlayProxyRunTests {
    private let server = ScriptedServer()
    private let world = World(clock: TaskClock(), random: ZeroRandomness(), network: NoNetwork())
    private var client: APIClient { APIClient(transport: server, userAgent: "test") }

    private func node(_ name: String, _ address: String, _ network: String?) -> Document {
        var node: Document = ["status": ["addresses": [["type": "InternalIP", "address": Document(address)]]]]
        node.set(network.map { Document($0) }, at: "spec", "podCIDR")
        return node
    }

    @Test func overlayFollowsTheNodes() async throws {
        let scratch = try Scratch()
        let namespace = try NetworkNamespace.make()
        let sockets = try RouteSocket(in: namespace)
        try sockets.create(NewLink("up", .veth(peerName: "peer", peerMAC: nil, peerNamespace: nil), up: true))
        try sockets.replace(
            LinkAddress(linkIndex: sockets.link(named: "up")!.index, address: IPAddress("10.89.0.2")!, prefix: 24))
        server.put("/api/v1/nodes", "a", node("a", "10.89.0.2", nil))
        let overlay = Overlay(
            nodeName: "a", nodeIP: IPAddress("10.89.0.2")!, client: client, stateDirectory: scratch.path, world: world,
            log: .silent, namespace: namespace)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await overlay.run() }
            #expect(await !overlay.ready)
            server.put("/api/v1/nodes", "a", node("a", "10.89.0.2", "10.244.0.0/24"))
            try await eventually { await overlay.ready }
            server.put("/api/v1/nodes", "b", node("b", "10.89.0.3", "10.244.1.0/24"))
            try await eventually { try sockets.routes().contains { $0.destination == CIDR("10.244.1.0/24") } }
            group.cancelAll()
        }
    }

    @Test func proxyFollowsServicesAndSlices() async throws {
        let namespace = try NetworkNamespace.make()
        let proxy = Proxy(
            nodeName: "a", nodeAddresses: [IPAddress("10.89.0.2")!], client: client, world: world, log: .silent,
            namespace: namespace)
        let tables = try Nftables(in: namespace)
        func count(_ set: String) throws -> Int { try tables.elements(table: "lab-proxy", set: set).count }
        server.put("/api/v1/services", "s", service("10.96.0.5"))
        var endpoints = slice([endpoint("10.244.0.2"), endpoint("10.244.0.3")])
        endpoints.set("ns", at: "metadata", "namespace")
        endpoints.set("s", at: "metadata", "labels", "kubernetes.io/service-name")
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await proxy.run() }
            try await eventually { await proxy.ready }
            try await eventually { try count("no-endpoints") == 1 }
            server.put("/apis/discovery.k8s.io/v1/endpointslices", "s-1", endpoints)
            try await eventually { try count("services") == 1 }
            #expect(try count("endpoints-2") == 2 && count("no-endpoints") == 0)
            // Somebody removes the table; the next change finds out.
            var batch = NftBatch(table: "lab-proxy")
            batch.deleteTable()
            try tables.commit(batch)
            server.put("/api/v1/services", "s", service("10.96.0.6"))
            try await eventually { try tables.hasTable("lab-proxy") && count("endpoints-2") == 2 }
            group.cancelAll()
        }
    }
}
