import Basics
import Document
import Glibc
import Linux
import Synchronization
import Wire

/// The process behind all ports that a cluster has on the host, the API's included.
///
/// It lives in the fabric's network namespace: listeners are made in the host's (`outside`), connections in its own
/// (`inside`). So no rule on the host is needed. Ports come and go by requests over a socket in the cluster's
/// directory, and are remembered in a file there:
///
///     GET  /ports                  200 {"ports": […]}, each with `error` where it could not be opened
///     POST /ports   {"ports": […]} 200, or 409 where one of them cannot be opened: then none is
///     DELETE /ports {"ports": […]} 200; connections under way are cut off
public final class PortCarrier: Sendable {
    private struct Running {
        var port: CarriedPort
        /// Ends the port's task; nil while it could not be opened.
        var stop: AsyncStream<Void>.Continuation?
        var error: String?
    }

    private let file: String
    private let control: Endpoint
    private let outside: any Network
    private let inside: any Network
    private let clock: any WorldClock
    private let log: Log
    private let running = Mutex<[String: Running]>([:])
    private let work = AsyncStream<@Sendable () async -> Void>.makeStream(bufferingPolicy: .bufferingOldest(4_096))

    /// Far more than anybody publishes, and few enough for one process.
    public static let most = 1_000

    public init(
        file: String, control: Endpoint, outside: any Network, inside: any Network, clock: any WorldClock, log: Log
    ) {
        self.file = file
        self.control = control
        self.outside = outside
        self.inside = inside
        self.clock = clock
        self.log = log
    }

    public func run() async throws {
        let ports = try PortsFile.read(try Files.read(file, limit: 1 << 20))
        for port in ports {
            // One that is taken meanwhile must not keep the others from working.
            do { try await open(port) } catch {
                log.error("\(port.key): \(error)")
                running.withLock { $0[port.key] = Running(port: port, stop: nil, error: "\(error)") }
            }
        }
        let listener = try await inside.listen(on: control)
        if case .unix(let path) = control { chmod(path, 0o600) }
        var limits = HTTPServer.Limits()
        limits.connections = 8
        limits.message.bodyBytes = 1 << 20
        let server = HTTPServer(listener: listener, limits: limits, clock: clock, log: log) { await self.answer($0) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            group.addTask {
                await withDiscardingTaskGroup { relays in
                    for await relay in self.work.stream { relays.addTask(operation: relay) }
                }
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    // MARK: Ports

    /// Returns the port with the number that the kernel chose, where 0 was asked for.
    @discardableResult
    private func open(_ asked: CarriedPort) async throws -> CarriedPort {
        var port = asked
        let relay: @Sendable () async throws -> Void
        switch port.transport {
        case .tcp:
            let listener = try await outside.listen(on: port.listen)
            port.listen = listener.local
            let stream = StreamRelay(listener: listener, target: port.target, connecting: inside, log: log)
            relay = { try await stream.run() }
        case .udp:
            let socket = try await outside.datagrams(on: port.listen)
            port.listen = socket.local
            let datagrams = DatagramRelay(
                socket: socket, target: port.target, connecting: inside, clock: clock, log: log)
            relay = { try await datagrams.run() }
        }
        let (stopped, stop) = AsyncStream<Void>.makeStream()
        let key = port.key
        running.withLock { [port] in $0[key] = Running(port: port, stop: stop) }
        log.info("carrying \(port.key) to \(port.target)")
        work.continuation.yield {
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    do { try await relay() } catch is CancellationError {} catch {
                        self.log.error("\(key): \(error)")
                    }
                }
                group.addTask { for await _ in stopped {} }
                await group.next()
                group.cancelAll()
            }
        }
        return port
    }

    private func close(_ key: String) { running.withLock { $0.removeValue(forKey: key) }?.stop?.finish() }

    private var ports: [CarriedPort] {
        running.withLock { $0.values.map(\.port) }.sorted { $0.key < $1.key }
    }

    // MARK: Requests

    private func answer(_ request: Request) async -> Response {
        guard request.target == "/ports" else { return Self.json(404, ["error": "only /ports is here"]) }
        if request.method == "GET" { return list() }
        let asked: [CarriedPort]
        do { asked = try PortsFile.read(request.body) } catch { return Self.json(400, ["error": Document("\(error)")]) }
        do {
            switch request.method {
            case "POST": try await add(asked)
            case "DELETE": try remove(asked)
            default: return Self.json(405, ["error": "GET, POST and DELETE are known here"])
            }
        } catch let error as Failure {
            return Self.json(409, ["error": Document(error.message), "remedy": Document(error.remedy)])
        } catch {
            return Self.json(500, ["error": Document("\(error)")])
        }
        return list()
    }

    /// All or none. A port that asks for a free number is known by its real one from then on.
    private func add(_ asked: [CarriedPort]) async throws {
        var opened: [String] = []
        do {
            for port in asked {
                if let error = running.withLock({ $0[port.key] })?.error {
                    // It was remembered but could not be opened; asking for it again tries again.
                    log.info("\(port.key) once more, after: \(error)")
                } else if running.withLock({ $0[port.key] != nil }) {
                    throw Failure("\(port.key) is published already", remedy: "remove it first: 'lab port remove'")
                }
                guard ports.count < Self.most else { throw Failure("\(Self.most) ports are published already") }
                do { opened.append(try await open(port).key) } catch let error as SystemError {
                    throw Failure("\(port.key) cannot be published: \(error)", remedy: "choose another port")
                }
            }
            try remember()
        } catch {
            for key in opened { close(key) }
            throw error
        }
    }

    private func remove(_ asked: [CarriedPort]) throws {
        for port in asked {
            guard let found = running.withLock({ $0[port.key] }) else {
                throw Failure("\(port.key) is not published", remedy: "'lab port list' shows those that are")
            }
            guard !found.port.isAPI else {
                throw Failure("\(port.key) is the API's own port", remedy: "it stays with the cluster")
            }
        }
        for port in asked { close(port.key) }
        try remember()
    }

    private func remember() throws { try Files.write(PortsFile.bytes(ports), to: file, durable: true) }

    private func list() -> Response {
        let entries = running.withLock { $0 }.sorted { $0.key < $1.key }.map { _, running -> Document in
            var entry = running.port.document
            if let error = running.error { entry["error"] = Document(error) }
            return entry
        }
        return Self.json(200, ["ports": Document(entries)])
    }

    private static func json(_ status: Int, _ document: Document) -> Response {
        Response(
            status: status, headers: Headers([("Content-Type", "application/json")]), body: .bytes(document.json))
    }
}
