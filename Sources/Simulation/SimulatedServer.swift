import APIServer
import Basics
import Client
import Store
import Synchronization
import Wire

/// The server of a simulated cluster.
public enum SimulatedServer: Sendable, CaseIterable {
    /// The API server itself, over a store in memory.
    case real
    case model

    /// What clients present to the real server to be its administrator.
    static let token = "simulation"

    struct Running: Sendable {
        var handler: Handler
        /// The server's own work in the background.
        var run: @Sendable () async throws -> Void
    }

    func start(_ world: World, _ log: Log) async throws -> Running {
        switch self {
        case .model:
            let server = ModelServer(world: world)
            return Running(handler: server.handler, run: {})
        case .real:
            var configuration = APIServerConfiguration(
                serviceCIDR: CIDR(IPAddress(v4: 0x0A60_0000), prefix: 16), advertiseAddress: IPAddress(v4: 0x0A59_0002),
                clientCA: [], serviceAccountKey: { try PrivateKey.generateRSA().pem })
            configuration.staticTokens = [Self.token: UserInfo(name: "simulation", groups: ["system:masters"])]
            let server = try APIServer(
                configuration: configuration, store: MemoryStore(), world: world, log: log.named("apiserver"))
            try await server.bootstrap()
            return Running(handler: server.handler, run: { try await server.run() })
        }
    }
}

/// Every write in the order in which the server answered it, one line each: equal for equal seeds.
final class Trace: Sendable {
    private let recorded = Mutex<[String]>([])
    /// How often each target was read.
    private let read = Mutex<[String: Int]>([:])

    var lines: [String] { recorded.withLock { $0 } }

    func reads(_ prefix: String) -> Int {
        read.withLock { $0.reduce(0) { $1.key.hasPrefix(prefix) ? $0 + $1.value : $0 } }
    }

    func recording(_ handler: @escaping Handler, _ clock: any WorldClock) -> Handler {
        { request in
            if request.method == "GET" {
                let path = request.target.prefix { $0 != "?" }
                self.read.withLock { $0[String(path), default: 0] += 1 }
            }
            let response = await handler(request)
            if request.method != "GET" {
                let line = "\(clock.uptime.wholeNanoseconds) \(request.method) \(request.target) \(response.status)"
                self.recorded.withLock { $0.append(line) }
            }
            return response
        }
    }
}
