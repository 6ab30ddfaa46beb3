import Basics
import Client
import Cluster
import DNS
import Document
import Glibc
import Ingress
import Linux
import Wire

/// Names and ways in: our DNS server beside dnsmasq, our ingress beside nginx, each in a process of its own, asked by
/// the same load in the same run. Those that are not installed have no figure.
struct Names: Sendable {
    let world: World
    let directory: String
    let quick: Bool

    private static let name = "web.default.svc.cluster.local"
    private static let clients = 16
    private var seconds: Int { quick ? 2 : 5 }
    private var clock: any WorldClock { world.clock }

    func measure() async throws -> [Row] {
        try Files.makeDirectories(directory)
        return try await resolvers() + ways()
    }

    // MARK: DNS

    private func resolvers() async throws -> [Row] {
        let other = Self.exists("/usr/sbin/dnsmasq") ? try await dnsmasq() : nil
        let own = try await withOwn(backend: 9) { ports, meter in
            try await load("DNS", meter) { try await ask(.ip(.loopback, port: ports.dns)) }
        }
        return rows("DNS", own, beside: other)
    }

    private func dnsmasq() async throws -> Figures {
        let port = try await freePort()
        let command = Command([
            "/usr/sbin/dnsmasq", "--keep-in-foreground", "--port=\(port)", "--listen-address=127.0.0.1",
            "--bind-interfaces", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--pid-file=",
            "--address=/\(Self.name)/10.96.0.7",
        ])
        defer { stop(command) }
        let place = Endpoint.ip(.loopback, port: port)
        try await until { try await ask(place) }
        return try await load("dnsmasq", Meter(process: command.pid)) { try await ask(place) }
    }

    private func ask(_ server: Endpoint) async throws {
        let socket = try await world.network.datagrams(on: .ip(.loopback, port: 0))
        defer { socket.close() }
        guard let name = DNSName(Self.name) else { return }
        let query = DNSMessage(query: DNSQuestion(name, .a), id: UInt16(truncatingIfNeeded: world.random.next()))
        try await socket.send(Datagram(bytes: query.serialized(), peer: server))
        let answer = try await withDeadline(.seconds(2), clock, "a DNS answer") { try await socket.receive() }
        let message = try DNSMessage(parsing: answer.bytes)
        guard message.answers.count == 1 else {
            throw Failure("\(server) does not know \(Self.name): \(message.code)")
        }
    }

    // MARK: Ingress

    private func ways() async throws -> [Row] {
        let listener = try await world.network.listen(on: .ip(.loopback, port: 0))
        guard case .ip(_, let backend) = listener.local else { return [] }
        let page = [UInt8](repeating: UInt8(ascii: "x"), count: 1_024)
        let server = HTTPServer(listener: listener, clock: clock) { _ in
            Response(status: 200, body: .bytes(page))
        }
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            let other = Self.exists("/usr/sbin/nginx") ? try await nginx(backend) : nil
            let own = try await withOwn(backend: backend) { ports, meter in
                try await requests("Ingress", ports.http, meter)
            }
            group.cancelAll()
            return rows("Ingress", own, beside: other)
        }
    }

    private func nginx(_ backend: UInt16) async throws -> Figures {
        let port = try await freePort()
        let configuration = """
            daemon off; worker_processes 1; pid \(directory)/nginx.pid; error_log /dev/null;
            events { worker_connections 1024; }
            http {
              access_log off;
              upstream s { server 127.0.0.1:\(backend); keepalive 64; }
              server {
                listen 127.0.0.1:\(port);
                server_name web.example;
                location / {
                  proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
                  proxy_set_header X-Forwarded-For $remote_addr; proxy_pass http://s;
                }
              }
            }
            """
        let file = "\(directory)/nginx.conf"
        try Files.write(Array(configuration.utf8), to: file)
        let command = Command(["/usr/sbin/nginx", "-c", file, "-e", "/dev/null", "-p", directory])
        defer { stop(command) }
        try await until { try await get(transport(port)) }
        // The worker does the work.
        let children = try Files.text("/proc/\(command.pid)/task/\(command.pid)/children").split(separator: " ")
        let worker = children.first.flatMap { pid_t($0) } ?? command.pid
        return try await requests("nginx", port, Meter(process: worker))
    }

    private func requests(_ title: String, _ port: UInt16, _ meter: Meter) async throws -> Figures {
        let transport = transport(port)
        try await until { try await get(transport) }
        return try await load(title, meter) { try await get(transport) }
    }

    private func transport(_ port: UInt16) -> HTTPTransport {
        HTTPTransport(.ip(.loopback, port: port), host: "web.example", network: world.network, clock: clock)
    }

    private func get(_ transport: HTTPTransport) async throws {
        let answer = try await transport.send(Request("GET", "/"))
        let body = try await answer.collect()
        guard answer.status == 200, body.count == 1_024 else { throw Failure("HTTP status \(answer.status)") }
    }

    // MARK: Load

    private struct Figures: Sendable {
        var rate: Double
        var latencies: [Double]
        /// Microseconds of the server's processor for each.
        var cpu: Double
    }

    private func load(
        _ title: String, _ meter: Meter, _ operation: @escaping @Sendable () async throws -> Void
    ) async throws -> Figures {
        let before = try meter.cpu
        let start = clock.uptime
        let deadline = start + .seconds(seconds)
        let samples = try await withThrowingTaskGroup(of: [Double].self) { group in
            for _ in 0..<Self.clients {
                group.addTask {
                    var own: [Double] = []
                    while clock.uptime < deadline {
                        let begun = clock.uptime
                        try await operation()
                        own.append((clock.uptime - begun).inSeconds * 1000)
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
        return Figures(
            rate: Double(samples.count) / took, latencies: samples,
            cpu: used * 1_000_000 / Double(max(1, samples.count)))
    }

    private func rows(_ title: String, _ own: Figures, beside other: Figures?) -> [Row] {
        let latencies = other.map(\.latencies)?.sorted() ?? []
        return [
            Row(
                "\(title): rate, \(Self.clients) clients", "1/s", [own.rate], upstream: other?.rate, moreIsBetter: true),
            Row(
                "\(title): latency", "ms", own.latencies,
                upstream: latencies.isEmpty ? nil : latencies[latencies.count / 2]),
            Row("\(title): server CPU per operation", "µs", [own.cpu], upstream: other?.cpu),
        ]
    }

    // MARK: Processes

    private static func exists(_ path: String) -> Bool { access(path, X_OK) == 0 }

    private func stop(_ command: Command) {
        kill(command.pid, SIGTERM)
        _ = command.wait()
    }

    private func freePort() async throws -> UInt16 {
        let listener = try await world.network.listen(on: .ip(.loopback, port: 0))
        defer { listener.close() }
        guard case .ip(_, let port) = listener.local else { throw Failure("no free port") }
        return port
    }

    private func until(_ works: () async throws -> Void) async throws {
        let limit = clock.uptime + .seconds(20)
        while true {
            do { return try await works() } catch {
                guard clock.uptime < limit else { throw error }
                try await clock.sleep(for: .milliseconds(20))
            }
        }
    }

    private struct OwnPorts: Sendable {
        var dns: UInt16
        var http: UInt16
    }

    /// Our servers, in another process of this program.
    private func withOwn(
        backend: UInt16, _ body: (OwnPorts, Meter) async throws -> Figures
    ) async throws -> Figures {
        let ports = OwnPorts(dns: try await freePort(), http: try await freePort())
        let command = Command([
            "/proc/self/exe", Self.role, "\(ports.dns)", "\(ports.http)", "\(try await freePort())", "\(backend)",
        ])
        defer { stop(command) }
        try await until { try await ask(.ip(.loopback, port: ports.dns)) }
        return try await body(ports, Meter(process: command.pid))
    }

    static let role = "serve-names"

    /// DNS and ingress over an API of four objects, until the process is ended.
    static func serve(_ words: [String], loop: EventLoop) async throws {
        let numbers = words.compactMap { UInt16($0) }
        guard numbers.count == 4 else { throw Failure("\(role) takes four ports") }
        let world = World.live(loop)
        let transport = InProcessTransport(handler: NamesObjects(backend: numbers[3]).handler)
        let client = APIClient(transport: transport, userAgent: "lab-bench")
        let dns = try DNSServer(
            addresses: [.loopback], port: numbers[0], clusterDomain: "cluster.local", client: client, upstreams: [],
            world: world, log: .silent)
        var ports = IngressServer.Ports()
        ports.http = numbers[1]
        ports.https = numbers[2]
        let ingress = IngressServer(
            client: client, address: .loopback, ports: ports, writesStatus: false, world: world, log: .silent)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await transport.run() }
            group.addTask { try await dns.run() }
            group.addTask { try await ingress.run() }
            try await group.waitForAll()
        }
    }
}

/// One service with one endpoint, and an ingress that leads to it.
private struct NamesObjects: Sendable {
    let backend: UInt16

    var handler: Handler {
        { request in
            if request.target.contains("watch=") {
                return Response(
                    status: 200,
                    body: .stream { _ in
                        let (forever, _) = AsyncStream<Void>.makeStream()
                        for await _ in forever {}
                    })
            }
            let path = request.target.prefix { $0 != "?" }
            let items = objects[String(path.split(separator: "/").last ?? "")] ?? []
            let list: Document = [
                "kind": "List", "metadata": ["resourceVersion": "5"], "items": Document(items),
            ]
            return Response(
                status: 200, headers: Headers([("Content-Type", "application/json")]), body: .bytes(list.json))
        }
    }

    private var objects: [String: [Document]] {
        let meta: Document = ["name": "web", "namespace": "default"]
        let service: Document = ["service": ["name": "web", "port": ["number": 80]]]
        return [
            "namespaces": [["metadata": ["name": "default"]]],
            "services": [["metadata": meta, "spec": ["clusterIP": "10.96.0.7", "ports": [["port": 80]]]]],
            "endpointslices": [
                [
                    "metadata": [
                        "name": "web", "namespace": "default", "labels": ["kubernetes.io/service-name": "web"],
                    ],
                    "ports": [["name": "", "port": Document(Int(backend))]],
                    "endpoints": [["addresses": ["127.0.0.1"]]],
                ]
            ],
            "ingressclasses": [
                ["metadata": ["name": "lab"], "spec": ["controller": Document(IngressServer.controllerName)]]
            ],
            "ingresses": [
                [
                    "metadata": meta,
                    "spec": [
                        "ingressClassName": "lab",
                        "rules": [
                            [
                                "host": "web.example",
                                "http": ["paths": [["path": "/", "pathType": "Prefix", "backend": service]]],
                            ]
                        ],
                    ],
                ]
            ],
        ]
    }
}
