import Basics
import Client
import Document
import Glibc
import Images
import Linux
import Synchronization
import Wire

/// Pulls images for a cluster's nodes, which have no way to registries.
///
/// The process lives beside the cluster's supervisor and makes its sockets in the host's network namespace; what it
/// pulls goes into the store that the nodes have mounted. It is asked over a socket in a directory that is mounted
/// into every node:
///
///     POST /pull  {"reference": "nginx:1.27", "auths": [{"quay.io": {…}}]}
///     200         {"digest": "sha256:…"}  or  {"error": "…"}, when the pull has ended
///
/// Pulling leaves memory behind that an idle cluster shall not cost. So some time after its last pull the process ends,
/// and its supervisor starts it anew.
public struct ImageService: Sendable {
    static let quiet = Duration.seconds(20)
    static let mostPulls = 16

    let socket: String
    let home: String
    let store: ImageStore
    /// With the host's network.
    let world: World
    let log: Log
    let environment: [String: String]

    public init(socket: String, store: String, home: String, world: World, log: Log) throws {
        self.socket = socket
        self.home = home
        self.store = try ImageStore(root: store)
        self.world = world
        self.log = log
        environment = Self.environment
    }

    static func socket(in directory: String) -> String { "\(directory)/images.sock" }

    /// What of the user's environment says how registries are reached.
    static var inheritedEnvironment: [String] {
        let names =
            ProxySettings.variables + [
                "HOME", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "SSL_CERT_FILE",
            ]
        let all = environment
        return names.compactMap { name in all[name].map { "\(name)=\($0)" } }
    }

    private static var environment: [String: String] {
        var result: [String: String] = [:]
        var cursor = environ
        while let entry = cursor.pointee {
            let text = String(cString: entry)
            let name = text.prefix { $0 != "=" }
            result[String(name)] = String(text.dropFirst(name.count + 1))
            cursor += 1
        }
        return result
    }

    /// Where a machine's `registries.yaml` is looked for.
    public static func settingsFiles(home: String) -> [String] {
        ["\(home)/registries.yaml", "/etc/lab/registries.yaml"]
    }

    /// How this machine's user reaches registries, read anew each time: files and credentials change.
    /// `credentials` stand in for the user's own.
    public static func settings(home: String, credentials: CredentialSet? = nil) throws -> RegistrySettings {
        let environment = self.environment
        return try RegistrySettings.ofMachine(
            files: settingsFiles(home: home), environment: environment,
            credentials: try credentials ?? CredentialSet.ofUser(environment: environment))
    }

    /// Ends once there has been something to do and then nothing for a while.
    public func run() async throws {
        let listener = try await world.network.listen(on: .unix(socket))
        let blocking = BlockingPool(threads: 4)
        let activity = Activity()
        var limits = HTTPServer.Limits()
        limits.connections = 256
        limits.message.bodyBytes = 1 << 20
        let server = HTTPServer(listener: listener, limits: limits, clock: world.clock, log: log) { request in
            guard request.method == "POST", request.target == "/pull" else {
                return Response(status: 404, body: .bytes(Array("not found\n".utf8)))
            }
            return Response(
                status: 200, headers: Headers([("Content-Type", "application/json")]),
                body: .stream { writer in
                    let answer = await activity.run { await self.pull(request.body, blocking) }
                    try await writer.write(answer.json)
                })
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            group.addTask { try await activity.waitForQuiet(Self.quiet, self.world.clock) }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private func pull(_ body: [UInt8], _ blocking: BlockingPool) async -> Document {
        do {
            let request = try Document(json: body)
            guard let reference = request.text("reference") else {
                throw ImageError("pull", "the request names no reference")
            }
            // The pod's own credentials come before the machine's.
            var credentials = try CredentialSet(list: request["auths"] ?? .emptyArray, in: "pull secrets")
            var settings = try Self.settings(home: home)
            credentials.add(settings.credentials)
            settings.credentials = credentials
            let client = RegistryClient(settings: settings, world: world)
            defer { client.close() }
            let outcome = try await ImagePuller(store: store, client: client, blocking: blocking).pull(reference)
            log.info("\(reference): \(outcome.image.digest)\(outcome.wasCurrent ? " was here" : " pulled")")
            return ["digest": Document(outcome.image.digest)]
        } catch {
            log.warning("\(error)")
            return ["error": Document("\(error)")]
        }
    }

    /// Counts what is under way, and bounds it.
    private actor Activity {
        private let slots = Slots(count: ImageService.mostPulls)
        private var running = 0
        private let change = Wakeup()
        private var begun = 0

        func run(_ body: @Sendable () async -> Document) async -> Document {
            running += 1
            begun += 1
            await slots.take()
            let answer = await body()
            await slots.give()
            running -= 1
            change.wake()
            return answer
        }

        func waitForQuiet(_ time: Duration, _ clock: any WorldClock) async throws {
            while true {
                let ticket = change.ticket
                if begun > 0, running == 0 {
                    let seen = begun
                    try await clock.sleep(for: time)
                    if running == 0, begun == seen { return }
                } else {
                    try await change.wait(since: ticket)
                }
            }
        }
    }
}

/// A node's side of it.
struct ImageServiceClient: Sendable {
    /// So long the service may take to come back after it ended.
    static let patience = Duration.seconds(15)

    let socket: String
    let world: World

    /// The digest of the image's manifest, which the store has then.
    func pull(_ reference: String, credentials: CredentialSet) async throws -> String {
        var limits = HTTPTransport.Limits()
        // A pull takes as long as it takes; that it goes on is the service's business.
        limits.headTime = nil
        let transport = HTTPTransport(
            .unix(socket), host: "images", network: world.network, clock: world.clock, limits: limits)
        defer { transport.closeIdle() }
        let body: Document = ["reference": Document(reference), "auths": credentials.list]
        let response = try await send(Request("POST", "/pull", body: body.json), transport)
        let answer = try Document(json: try await response.collect(limit: 1 << 20))
        if let problem = answer.text("error") { throw Problem(description: problem) }
        guard response.status == 200, let digest = answer.text("digest") else {
            throw Problem(description: "the image service answers with status \(response.status)")
        }
        return digest
    }

    private func send(_ request: Request, _ transport: HTTPTransport) async throws -> any ResponseStream {
        let deadline = world.clock.uptime + Self.patience
        while true {
            do { return try await transport.send(request) } catch let error as SystemError {
                guard [ENOENT, ECONNREFUSED].contains(error.errno), world.clock.uptime < deadline else {
                    throw Problem(description: "the image service does not answer: \(error)")
                }
                try await world.clock.sleep(for: .milliseconds(100))
            }
        }
    }

    struct Problem: Error, CustomStringConvertible {
        var description: String
    }
}
