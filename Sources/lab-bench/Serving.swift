import Basics
import Client
import Cluster
import Document
import Glibc
import Kinds
import Linux
import Wire

/// The API server by itself, with a durable store: how soon it serves, what each call costs, and what it keeps.
struct Serving: Sendable {
    let binary: String
    let directory: String
    let world: World
    let quick: Bool

    private var clock: any WorldClock { world.clock }
    private var kubeconfig: String { "\(directory)/server.kubeconfig" }

    func measure() async throws -> [Row] {
        let starts = [try await startUp("in memory", ["--memory"]), try await startUp("a new directory", nil)]
        return try await starts + served("calls", measureCalls) + served("memory", measureMemory)
    }

    /// Against a durable server of its own.
    private func served(_ name: String, _ body: (Load) async throws -> [Row]) async throws -> [Row] {
        let data = "\(directory)/\(name)"
        try Files.makeDirectories(directory)
        defer { try? Files.removeTree(data) }
        let (command, client) = try await start(["--data", data])
        defer { stop(command) }
        // No controller gives pods their account here.
        _ = try await client.create(
            .serviceAccounts, namespace: "default",
            ["apiVersion": "v1", "kind": "ServiceAccount", "metadata": ["name": "default"]])
        return try await body(Load(client: client, meter: Meter(process: command.pid), clock: clock))
    }

    private func measureCalls(_ load: Load) async throws -> [Row] {
        try await calls(load) + deliveries(load)
    }

    /// What objects cost in memory, and whether more of them make calls dearer.
    private func measureMemory(_ load: Load) async throws -> [Row] {
        var rows = [try await resident(load, "idle", upstream: 314)]
        try await createPods(load.client, 0..<5_000)
        rows.append(try await resident(load, "5,000 pods", budget: 100))
        try await createOthers(load.client, 10_000)
        rows.append(try await resident(load, "5,000 pods, 10,000 ConfigMaps", upstream: 762))
        rows += try await lists(load)
        rows.append(try await resident(load, "the same after lists"))
        if !quick {
            rows += try await create(load, "create pods, 16 clients, 5,000 there", from: 1_000_000)
            try await createPods(load.client, 5_000..<50_000)
            rows += try await create(load, "create pods, 16 clients, 50,000 there", from: 2_000_000)
            rows.append(try await resident(load, "50,000 pods, 10,000 ConfigMaps"))
        }
        return rows
    }

    private func resident(
        _ load: Load, _ title: String, budget: Double? = nil, upstream: Double? = nil
    ) async throws -> Row {
        // What was in use for a moment is returned after a few seconds.
        try await clock.sleep(for: .seconds(5))
        return Row(
            "API server, resident: \(title)", "MiB", [try load.meter.resident], budget: budget, upstream: upstream)
    }

    // MARK: Start

    private func start(_ storage: [String]) async throws -> (Command, APIClient) {
        unlink(kubeconfig)
        let command = Command([binary, "apiserver", "--port", "0", "--kubeconfig", kubeconfig] + storage)
        let limit = clock.uptime + .seconds(30)
        // The server writes this file last.
        while !Files.exists(kubeconfig) {
            guard clock.uptime < limit else {
                stop(command)
                throw Failure("the API server does not start")
            }
            try await clock.sleep(for: .milliseconds(1))
        }
        let client = try Connect.client(
            try Kubeconfig(yaml: try Files.read(kubeconfig)), world: world, userAgent: "lab-bench")
        return (command, client)
    }

    private func stop(_ command: Command) {
        kill(command.pid, SIGKILL)
        _ = command.wait()
    }

    /// From exec to the answer of a client that connected with TLS.
    private func startUp(_ title: String, _ storage: [String]?) async throws -> Row {
        try Files.makeDirectories(directory)
        var samples: [Double] = []
        for run in 0..<(quick ? 5 : 20) {
            let data = "\(directory)/start-\(run)"
            defer { try? Files.removeTree(data) }
            let begun = clock.uptime
            let (command, client) = try await start(storage ?? ["--data", data])
            defer { stop(command) }
            let answer = try await client.raw(Request("GET", "/readyz"))
            guard answer.status == 200 else { throw Failure("/readyz answers \(answer.status)") }
            samples.append((clock.uptime - begun).inSeconds * 1000)
        }
        return Row("API server: exec → ready, \(title)", "ms", samples, budget: 100, upstream: 4_100)
    }

    // MARK: Single calls

    private func calls(_ load: Load) async throws -> [Row] {
        let seconds = quick ? 2 : 10
        let payload = Document(String(repeating: "x", count: 1024))
        var rows = try await load.throughput(
            "create ConfigMap, 16 clients", clients: 16, seconds: seconds,
            upstream: Upstream(latency: 25, cpu: 2.7, share: 0.25)
        ) { client, number, turn in
            _ = try await client.create(
                .configMaps, namespace: "default",
                [
                    "apiVersion": "v1", "kind": "ConfigMap",
                    "metadata": ["name": Document("bench-\(number)-\(turn)")], "data": ["payload": payload],
                ])
        }
        for (clients, latency, cpu) in [(16, 11.0, 1.3), (1, 1.6, 2.3)] {
            rows += try await load.throughput(
                "get, \(clients) client\(clients == 1 ? "" : "s")", clients: clients, seconds: seconds,
                upstream: Upstream(latency: latency, cpu: cpu, share: 0.125)
            ) { client, _, _ in _ = try await client.get(.configMaps, namespace: "default", name: "bench-0-0") }
        }
        rows += try await load.throughput(
            "merge patch, 16 clients", clients: 16, seconds: seconds,
            upstream: Upstream(latency: 38, cpu: 3.9, share: 0.25)
        ) { client, number, turn in
            _ = try await client.patch(
                .configMaps, namespace: "default", name: "bench-\(number)-0", ["data": ["turn": Document("\(turn)")]])
        }
        rows += try await create(load, "create pods, 16 clients", from: 900_000)
        return rows
    }

    private func create(_ load: Load, _ title: String, from first: Int) async throws -> [Row] {
        try await load.throughput(
            title, clients: 16, seconds: quick ? 2 : 5, upstream: Upstream(latency: 46, cpu: 4.9, share: 0.25)
        ) { client, number, turn in
            _ = try await client.create(.pods, namespace: "default", Self.pod(first + number + turn * 16))
        }
    }

    private func createOthers(_ client: APIClient, _ count: Int) async throws {
        let payload = Document(String(repeating: "x", count: 1024))
        try await withThrowingDiscardingTaskGroup { group in
            for part in 0..<16 {
                group.addTask {
                    for number in 0..<count where number % 16 == part {
                        _ = try await client.create(
                            .configMaps, namespace: "default",
                            [
                                "apiVersion": "v1", "kind": "ConfigMap",
                                "metadata": ["name": Document("other-\(number)")], "data": ["payload": payload],
                            ])
                    }
                }
            }
        }
    }

    private func createPods(_ client: APIClient, _ numbers: Range<Int>) async throws {
        try await withThrowingDiscardingTaskGroup { group in
            for part in 0..<16 {
                group.addTask {
                    for number in numbers where number % 16 == part {
                        _ = try await client.create(.pods, namespace: "default", Self.pod(number))
                    }
                }
            }
        }
    }

    /// About as much as a pod of a small web application has: 3.6 kB of JSON as served.
    static func pod(_ number: Int) -> Document {
        let name = Document("web-7d4b9c6f5-\(number)")
        let variables = (0..<4).map { number -> Document in
            ["name": Document("SETTING_\(number)"), "value": "a value of some length"]
        }
        func container(_ name: String) -> Document {
            [
                "name": Document(name), "image": "registry.example.com/team/web:1.24.3",
                "ports": [["name": "http", "containerPort": 8080]], "env": Document(variables),
                "resources": [
                    "requests": ["cpu": "100m", "memory": "128Mi"], "limits": ["cpu": "500m", "memory": "256Mi"],
                ],
                "readinessProbe": ["httpGet": ["path": "/ready", "port": "http"], "periodSeconds": 5],
                "volumeMounts": [["name": "settings", "mountPath": "/etc/settings", "readOnly": true]],
            ]
        }
        return [
            "apiVersion": "v1", "kind": "Pod",
            "metadata": [
                "name": name, "labels": ["app": "web", "pod-template-hash": "7d4b9c6f5", "tier": "front"],
                "annotations": ["example.com/checksum": "8e0d7fa96d0b0f4a3a4c0ea09a8cd3e1fcd4ae2b"],
            ],
            "spec": [
                "containers": [container("web")],
                "volumes": [["name": "settings", "configMap": ["name": "settings"]]],
            ],
        ]
    }

    // MARK: Lists

    private func lists(_ load: Load) async throws -> [Row] {
        let path = "/api/v1/namespaces/default/pods"
        let protobuf = "application/vnd.kubernetes.protobuf"
        return try await list(load, "list 5,000 pods", path, upstream: Upstream(latency: 480, cpu: 475, share: 0.05))
            + list(
                load, "list 5,000 pods, resourceVersion=0", path + "?resourceVersion=0",
                upstream: Upstream(latency: 500, cpu: 450, share: 0.05))
            + list(
                load, "list 5,000 pods, protobuf", path, accept: protobuf,
                upstream: Upstream(latency: 290, cpu: 256, share: 0.05))
    }

    private func list(
        _ load: Load, _ title: String, _ path: String, accept: String = "application/json", upstream: Upstream
    ) async throws -> [Row] {
        var samples: [Double] = []
        var megabytes = 0.0
        let before = try load.meter.cpu
        for _ in 0..<(quick ? 10 : 40) {
            let begun = clock.uptime
            var request = Request("GET", path)
            request.headers["Accept"] = accept
            let answer = try await load.client.raw(request)
            guard answer.status == 200 else { throw Failure("\(path) answers \(answer.status)") }
            var length = 0
            while let piece = try await answer.next() { length += piece.count }
            megabytes = Double(length) / 1e6
            samples.append((clock.uptime - begun).inSeconds * 1000)
        }
        let used = try load.meter.cpu - before
        return [
            Row("API: \(title) (\(Report.text(megabytes)) MB)", "ms", samples, upstream: upstream.latency),
            Row(
                "API: \(title), server CPU", "ms", [used * 1000 / Double(samples.count)], budget: upstream.budget,
                upstream: upstream.cpu),
        ]
    }

    // MARK: Watches

    private static let watchers = 100

    private func deliveries(_ load: Load) async throws -> [Row] {
        let fast = try await delivery(
            load, "as fast as it goes", pause: nil, upstream: Upstream(latency: 27, cpu: 75, share: 0.05))
        let slow = try await delivery(
            load, "50 writes/s", pause: .milliseconds(20), upstream: Upstream(latency: 35, cpu: 105, share: 0.05))
        return fast + slow
    }

    /// One object is written again and again; each write carries the time at which it was sent.
    private func delivery(_ load: Load, _ title: String, pause: Duration?, upstream: Upstream) async throws -> [Row] {
        let name = "watched-\(pause == nil ? "fast" : "slow")"
        let made = try await load.client.create(
            .configMaps, namespace: "default",
            ["apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": Document(name)], "data": ["at": "0"]])
        let from = made.text("metadata", "resourceVersion") ?? "0"
        let before = try load.meter.cpu
        let begun = clock.uptime
        let writes = pause == nil ? (quick ? 200 : 1_000) : (quick ? 50 : 250)
        let samples = try await withThrowingTaskGroup(of: [Double].self) { group in
            for _ in 0..<Self.watchers {
                group.addTask { try await watch(load.client, name, from: from, events: writes) }
            }
            group.addTask {
                for _ in 0..<writes {
                    let at = String(clock.uptime.wholeNanoseconds)
                    _ = try await load.client.patch(
                        .configMaps, namespace: "default", name: name, ["data": ["at": Document(at)]])
                    if let pause { try await clock.sleep(for: pause) }
                }
                return []
            }
            var all: [Double] = []
            for try await own in group { all += own }
            return all
        }
        let took = (clock.uptime - begun).inSeconds
        let used = try load.meter.cpu - before
        return [
            Row("API: 100 watchers, \(title), events", "1/s", [Double(samples.count) / took], moreIsBetter: true),
            Row("API: 100 watchers, \(title), write → event", "ms", samples, upstream: upstream.latency),
            Row(
                "API: 100 watchers, \(title), server CPU per event", "µs", [used * 1e6 / Double(samples.count)],
                budget: upstream.budget, upstream: upstream.cpu),
        ]
    }

    /// The milliseconds from each write to its event, read from the bytes without parsing them.
    private func watch(_ client: APIClient, _ name: String, from version: String, events: Int) async throws -> [Double]
    {
        let query = "watch=true&fieldSelector=metadata.name%3D\(name)&resourceVersion=\(version)"
        let stream = try await client.raw(Request("GET", "/api/v1/namespaces/default/configmaps?\(query)"))
        defer { stream.cancel() }
        let mark = Array("\"at\":\"".utf8)
        var samples: [Double] = []
        var rest: [UInt8] = []
        while samples.count < events, let piece = try await stream.next() {
            rest += piece
            let now = clock.uptime
            while let end = rest.firstIndex(of: 10) {
                let line = rest[..<end]
                guard let place = line.firstRange(of: mark) else { throw Failure("an event without its time") }
                var nanoseconds = 0
                for byte in line[place.upperBound...] {
                    guard (48...57).contains(byte) else { break }
                    nanoseconds = nanoseconds * 10 + Int(byte) - 48
                }
                samples.append(Double(now.wholeNanoseconds - Int64(nanoseconds)) / 1e6)
                rest.removeSubrange(...end)
            }
        }
        return samples
    }
}

extension ArraySlice<UInt8> {
    /// Where `needle` first stands.
    fileprivate func firstRange(of needle: [UInt8]) -> Range<Int>? {
        guard count >= needle.count else { return nil }
        for start in startIndex...(endIndex - needle.count) where self[start] == needle[0] {
            if self[start..<start + needle.count].elementsEqual(needle) { return start..<start + needle.count }
        }
        return nil
    }
}
