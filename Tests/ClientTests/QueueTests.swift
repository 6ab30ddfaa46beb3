import Basics
import Client
import Document
import Kinds
import Simulation
import Synchronization
import Testing
import Wire

@Suite struct WorkQueueTests {
    @Test func keyAddedWhileProcessedComesBackOnce() throws {
        let seen = try Simulation.run(seed: 1) { world in
            let queue = WorkQueue(clock: world.clock)
            var seen: [String] = []
            queue.add("a")
            queue.add("a")
            queue.add("b")
            seen.append(await queue.next() ?? "")
            queue.add("a")
            queue.add("a")
            seen.append(await queue.next() ?? "")
            #expect(queue.count == 0)
            queue.done("a")
            #expect(queue.count == 1)
            seen.append(await queue.next() ?? "")
            queue.done("a")
            queue.done("b")
            queue.shutDown()
            #expect(await queue.next() == nil)
            return seen
        }
        #expect(seen == ["a", "b", "a"])
    }

    @Test func delayedKeysComeInTheirTime() throws {
        let seen = try Simulation.run(seed: 1) { world in
            let queue = WorkQueue(clock: world.clock)
            queue.addAfter("late", .seconds(3))
            queue.addAfter("early", .seconds(1))
            queue.addAfter("late", .seconds(2))
            queue.addAfter("early", .seconds(9))
            var seen: [String] = []
            for _ in 0..<2 {
                let key = await queue.next() ?? ""
                seen.append("\(key) at \(world.clock.uptime.wholeSeconds)")
                queue.done(key)
            }
            return seen
        }
        #expect(seen == ["early at 1", "late at 2"])
    }

    @Test func failuresBackOffAndForgetResets() throws {
        let times = try Simulation.run(seed: 1) { world in
            let queue = WorkQueue(clock: world.clock, shortestDelay: .seconds(1), longestDelay: .seconds(5))
            var times: [Int64] = []
            for round in 0..<6 {
                if round == 5 { queue.forget("a") }
                let before = world.clock.uptime
                queue.addRateLimited("a")
                _ = await queue.next()
                queue.done("a")
                times.append((world.clock.uptime - before).wholeSeconds)
            }
            return times
        }
        #expect(times == [1, 2, 4, 5, 5, 1])
    }

    @Test func waitingWorkerWakesForKeysThatComeLater() throws {
        let key = try Simulation.run(seed: 4) { world in
            let queue = WorkQueue(clock: world.clock)
            return await withTaskGroup(of: String?.self) { group in
                group.addTask { await queue.next() }
                try? await world.clock.sleep(for: .seconds(1))
                queue.addAfter("a", .seconds(1))
                return await group.next() ?? nil
            }
        }
        #expect(key == "a")
    }
}

@Suite struct ReflectorTests {
    @Test func followsListThenWatchThenNewestVersion() {
        var reflector = Reflector()
        #expect(reflector.step == .list)
        #expect(reflector.finished(.listed("5"), jitter: 0) == .zero)
        #expect(reflector.step == .watch(from: "5"))
        reflector.advanced(to: "9")
        #expect(reflector.finished(.ended(deliveredEvents: true), jitter: 0) == .zero)
        #expect(reflector.step == .watch(from: "9"))
    }

    @Test func goneHistoryMeansListAgain() {
        var reflector = Reflector()
        _ = reflector.finished(.listed("5"), jitter: 0)
        #expect(reflector.finished(.expired, jitter: 0) == .zero)
        #expect(reflector.step == .list)
        #expect(reflector.finished(.expired, jitter: 0) == Reflector.shortestPause)
    }

    @Test func pausesDoubleUpToTheLongest() {
        var reflector = Reflector()
        #expect(reflector.finished(.failed, jitter: 0) == .milliseconds(50))
        #expect(reflector.finished(.failed, jitter: 0.5) == .milliseconds(150))
        for _ in 0..<20 { _ = reflector.finished(.failed, jitter: 0) }
        #expect(reflector.finished(.failed, jitter: 0) == Reflector.longestPause)
        _ = reflector.finished(.listed("1"), jitter: 0)
        reflector.advanced(to: "2")
        #expect(reflector.finished(.failed, jitter: 0) == .milliseconds(50))
    }
}

@Suite struct InformerTests {
    private static func config(_ name: String) -> Document {
        ["apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": Document(name), "namespace": "default"]]
    }

    private static func withServer<Value: Sendable>(
        _ body: @escaping @Sendable (APIClient, Flaky, World) async throws -> Value
    ) throws -> Value {
        try Simulation.run(seed: 1, limit: .seconds(3_600)) { world in
            let server = ModelServer(world: world)
            let flaky = Flaky(server.handler)
            let transport = InProcessTransport(handler: flaky.handler)
            return try await withThrowingTaskGroup(of: Value?.self) { group in
                group.addTask {
                    try await transport.run()
                    return nil
                }
                let client = APIClient(transport: transport, userAgent: "test")
                _ = try await client.create(
                    .namespaces, ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "default"]])
                group.addTask { try await body(client, flaky, world) }
                defer { group.cancelAll() }
                while let result = try await group.next() { if let value = result { return value } }
                throw CancellationError()
            }
        }
    }

    /// A server that answers watches, or everything, with an error for a while.
    final class Flaky: Sendable {
        private let base: Handler
        private let failing = Mutex<(code: Int, onlyWatches: Bool, count: Int)>((0, false, 0))
        let requests = Mutex(0)

        init(_ base: @escaping Handler) { self.base = base }

        func fail(_ code: Int, onlyWatches: Bool = false, times: Int) {
            failing.withLock { $0 = (code, onlyWatches, times) }
        }

        var handler: Handler {
            { request in
                self.requests.withLock { $0 += 1 }
                let code = self.failing.withLock { failing -> Int? in
                    guard failing.count > 0, !failing.onlyWatches || request.target.contains("watch=true") else {
                        return nil
                    }
                    failing.count -= 1
                    return failing.code
                }
                guard let code else { return await self.base(request) }
                return Response(
                    status: code, body: .bytes(APIStatus(code: code, reason: "", message: "no").document.json))
            }
        }
    }

    private static func follow(
        _ informer: Informer, _ changes: AsyncStream<Change>, until last: String,
        meanwhile: @escaping @Sendable () async throws -> Void
    ) async throws -> [String] {
        try await withThrowingTaskGroup(of: [String]?.self) { group in
            group.addTask {
                try await informer.run()
                return nil
            }
            group.addTask {
                var seen: [String] = []
                for await change in changes {
                    let kind = change.old == nil ? "+" : change.new == nil ? "-" : "~"
                    seen.append(kind + change.key)
                    if seen.last == last { break }
                }
                return seen
            }
            group.addTask {
                try await meanwhile()
                return nil
            }
            defer { group.cancelAll() }
            while let result = try await group.next() { if let seen = result { return seen } }
            return []
        }
    }

    @Test func deliversTheListAndWhatFollows() throws {
        let seen = try Self.withServer { client, _, world in
            _ = try await client.create(.configMaps, Self.config("a"))
            let informer = Informer(client, .configMaps, world: world, log: .silent)
            return try await Self.follow(informer, informer.changes(), until: "-default/a") {
                try await informer.waitForSync()
                #expect(informer.get(namespace: "default", name: "a")?.text("kind") == "ConfigMap")
                _ = try await client.create(.configMaps, Self.config("b"))
                try await world.clock.sleep(for: .seconds(1))
                _ = try await client.patch(.configMaps, namespace: "default", name: "b", ["data": ["x": "1"]])
                try await world.clock.sleep(for: .seconds(1))
                _ = try await client.delete(.configMaps, namespace: "default", name: "a")
            }
        }
        #expect(seen == ["+default/a", "+default/b", "~default/b", "-default/a"])
    }

    @Test(arguments: [410, 500, 503]) func survivesErrors(code: Int) throws {
        let seen = try Self.withServer { client, flaky, world in
            _ = try await client.create(.configMaps, Self.config("a"))
            flaky.fail(code, times: 3)
            let informer = Informer(client, .configMaps, world: world, log: .silent)
            return try await Self.follow(informer, informer.changes(), until: "+default/b") {
                try await informer.waitForSync()
                _ = try await client.create(.configMaps, Self.config("b"))
            }
        }
        #expect(seen == ["+default/a", "+default/b"])
    }

    @Test func slowReadersGetOneChangePerKey() throws {
        let changes = try Self.withServer { client, _, world in
            let informer = Informer(client, .configMaps, world: world, log: .silent)
            let changes = informer.changes()
            return try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await informer.run() }
                try await informer.waitForSync()
                _ = try await client.create(.configMaps, Self.config("gone"))
                _ = try await client.create(.configMaps, Self.config("kept"))
                for round in 0..<10 {
                    _ = try await client.patch(
                        .configMaps, namespace: "default", name: "kept", ["data": ["x": Document("\(round)")]])
                }
                _ = try await client.delete(.configMaps, namespace: "default", name: "gone")
                _ = try await client.create(.configMaps, Self.config("last"))
                let isThere = try await informer.wait(atMost: .seconds(5)) { informer.get(key: "default/last") != nil }
                #expect(isThere)
                var seen: [Change] = []
                for await change in changes {
                    seen.append(change)
                    if change.key == "default/last" { break }
                }
                group.cancelAll()
                return seen
            }
        }
        #expect(changes.map(\.key) == ["default/kept", "default/last"])
        #expect(changes.first?.old == nil)
        #expect(changes.first?.new?.text("data", "x") == "9")
    }

    @Test func indexesFollowTheObjects() throws {
        try Self.withServer { client, _, world in
            let informer = Informer(client, .configMaps, world: world, log: .silent)
            informer.addIndex("color") { [$0.text("data", "color") ?? "none"] }
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await informer.run() }
                var red = Self.config("a")
                red["data"] = ["color": "red"]
                let created = try await client.create(.configMaps, red)
                _ = try await informer.wait(atMost: .seconds(5)) {
                    informer.hasReached(created.text("metadata", "resourceVersion") ?? "")
                }
                #expect(informer.indexed("color", "red").count == 1)
                let changed = try await client.patch(
                    .configMaps, namespace: "default", name: "a", ["data": ["color": "blue"]])
                _ = try await informer.wait(atMost: .seconds(5)) {
                    informer.hasReached(changed.text("metadata", "resourceVersion") ?? "")
                }
                #expect(informer.indexed("color", "red").isEmpty)
                #expect(informer.indexed("color", "blue").count == 1)
                group.cancelAll()
            }
        }
    }

    @Test func repeatedEventsAreCounted() throws {
        let events = try Self.withServer { client, _, world in
            let subject = try await client.create(.configMaps, Self.config("a"))
            let recorder = EventRecorder(client, component: "test", world: world)
            for _ in 0..<3 {
                await recorder.record(subject, type: "Warning", reason: "Bad", message: "again")
                try await world.clock.sleep(for: .seconds(1))
            }
            await recorder.record(subject, type: "Normal", reason: "Good", message: "once")
            for number in 0..<100 {
                await recorder.record(subject, type: "Normal", reason: "Flood", message: "\(number)")
            }
            return try await client.list(.events, namespace: "default").list("items")
        }
        let bad = events.first { $0.text("reason") == "Bad" }
        #expect(bad?.number("count") == 3)
        #expect(bad?.text("involvedObject", "name") == "a")
        #expect(bad?.text("lastTimestamp") != bad?.text("firstTimestamp"))
        // 25 at once, of which three went into one object.
        #expect(events.count == 23)
    }

    @Test func oneLeaderAtATime() throws {
        let order = try Self.withServer { client, _, world in
            let order = Notes()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for identity in ["a", "b"] {
                    let elector = LeaderElector(
                        client, namespace: "default", name: "lead", identity: identity, world: world, log: .silent)
                    group.addTask {
                        try await elector.run {
                            order.lines.withLock { $0.append("\(identity) begins") }
                            try await world.clock.sleep(for: .seconds(60))
                            order.lines.withLock { $0.append("\(identity) ends") }
                        }
                    }
                }
                try await group.waitForAll()
            }
            return order.lines.withLock { $0 }
        }
        let first = order.first?.first.map(String.init) ?? ""
        let second = first == "a" ? "b" : "a"
        #expect(order == ["\(first) begins", "\(first) ends", "\(second) begins", "\(second) ends"])
    }
}

private final class Notes: Sendable {
    let lines = Mutex<[String]>([])
}
