import Basics
import Document
import Linux
import Synchronization
import Testing
import Wire

@testable import Images

/// `Wire` has digests too.
typealias ImageDigest = Images.Digest

/// A registry in this process that does what it is told, also what none should.
final class FakeRegistry: Sendable {
    struct State {
        var blobs: [String: [UInt8]] = [:]
        /// By `repository:name`.
        var manifests: [String: [UInt8]] = [:]
        var requests: [(method: String, target: String, headers: Headers)] = []
        /// Asked first; nil leaves the request to the registry.
        var script: @Sendable (Request, Int) -> Response? = { _, _ in nil }
    }

    let state = Mutex(State())

    func script(_ body: @escaping @Sendable (Request, Int) -> Response?) { state.withLock { $0.script = body } }

    var requests: [String] { state.withLock { $0.requests.map { "\($0.method) \($0.target)" } } }

    func headers(of request: String) -> [Headers] {
        state.withLock { $0.requests.filter { "\($0.method) \($0.target)" == request }.map(\.headers) }
    }

    /// An image of plain layers as `name`, with its blobs; gives the manifest's digest.
    @discardableResult
    func add(_ name: String, layers: [[UInt8]], architecture: String = "amd64") throws -> ImageDigest {
        var sample = SampleLayout()
        let entry = try sample.image(layers, architecture: architecture)
        let digest = try #require(ImageDigest(entry.text("digest") ?? ""))
        state.withLock { state in
            for (digest, bytes) in sample.blobs { state.blobs[digest.description] = bytes }
            let repository = name.prefix { $0 != ":" }
            state.manifests[name] = state.blobs[digest.description]
            state.manifests["\(repository):\(digest)"] = state.blobs[digest.description]
        }
        return digest
    }

    func set(_ name: String, manifest: [UInt8]) { state.withLock { $0.manifests[name] = manifest } }

    func handle(_ request: Request) -> Response {
        let (script, count) = state.withLock { state in
            state.requests.append((request.method, request.target, request.headers))
            return (state.script, state.requests.count)
        }
        return script(request, count) ?? answer(request)
    }

    func answer(_ request: Request) -> Response {
        let path = request.target.dropFirst("/v2/".count).prefix { $0 != "?" }
        let parts = path.split(separator: "/").map(String.init)
        guard parts.count >= 3 else { return Response(status: 404) }
        let repository = parts.dropLast(2).joined(separator: "/")
        switch parts[parts.count - 2] {
        case "manifests":
            guard let bytes = state.withLock({ $0.manifests["\(repository):\(parts[parts.count - 1])"] }) else {
                return Self.refusal(404, "MANIFEST_UNKNOWN", "manifest unknown")
            }
            return Response(status: 200, body: .bytes(bytes))
        case "blobs":
            guard let bytes = state.withLock({ $0.blobs[parts[parts.count - 1]] }) else {
                return Self.refusal(404, "BLOB_UNKNOWN", "blob unknown")
            }
            guard let range = request.headers["Range"], let start = Int(range.dropFirst(6).dropLast()) else {
                return Response(status: 200, body: .bytes(bytes))
            }
            return Response(
                status: 206,
                headers: Headers([("Content-Range", "bytes \(start)-\(bytes.count - 1)/\(bytes.count)")]),
                body: .bytes(Array(bytes[start...])))
        default: return Response(status: 404)
        }
    }

    static func refusal(_ status: Int, _ code: String, _ message: String) -> Response {
        let body: Document = ["errors": [["code": Document(code), "message": Document(message)]]]
        return Response(status: status, body: .bytes(body.json))
    }

    /// What a body of this length promises and does not hold.
    static func cutOff(_ bytes: [UInt8], after count: Int, status: Int = 200) -> Response {
        Response(
            status: status, headers: Headers([("Content-Length", String(bytes.count))]),
            body: .stream { writer in
                try await writer.write(Array(bytes.prefix(count)))
                throw CancellationError()
            })
    }

    static func hang(_ bytes: [UInt8], clock: any WorldClock) -> Response {
        Response(
            status: 200, headers: Headers([("Content-Length", String(bytes.count))]),
            body: .stream { writer in
                try await writer.write(Array(bytes.prefix(3)))
                try await clock.sleep(for: .seconds(600))
            })
    }
}

/// A store and a registry on the loopback.
struct RegistryBench: Sendable {
    let registry: FakeRegistry
    let store: ImageStore
    let world: World
    let blocking: BlockingPool
    let host: String
    var settings = RegistrySettings()
    var stall = Duration.seconds(30)

    static func run(
        _ scratch: Scratch, store: ImageStore? = nil,
        _ body: @escaping @Sendable (RegistryBench) async throws -> Void
    ) async throws {
        let store = try store ?? scratch.store()
        try await EventLoop.runOnThread { loop in
            let world = World.live(loop)
            let registry = FakeRegistry()
            let listener = try await world.network.listen(on: .ip(.loopback, port: 0))
            guard case .ip(_, let port) = listener.local else { return }
            let server = HTTPServer(listener: listener, clock: world.clock) { registry.handle($0) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await server.run() }
                defer { group.cancelAll() }
                try await body(
                    RegistryBench(
                        registry: registry, store: store, world: world, blocking: BlockingPool(),
                        host: "127.0.0.1:\(port)"))
            }
        }
    }

    func client() -> RegistryClient {
        var settings = settings
        // No TLS is tried where there is none.
        if settings.endpoints(of: host).first?.isMirror != true, settings.authorities == nil {
            settings =
                (try? RegistrySettings(
                    yaml: Array("mirrors: {\"\(host)\": {endpoint: [\"http://\(host)\"]}}".utf8), name: "test"))
                ?? settings
            settings.credentials = self.settings.credentials
            // A mirror has credentials under its own name, which is the registry's here.
        }
        return RegistryClient(
            settings: settings, world: world,
            plan: RetryPlan(attempts: 3, first: .milliseconds(1), longest: .milliseconds(2)))
    }

    func pull(_ name: String, progress: @escaping ProgressHandler = { _ in }) async throws -> ImagePuller.Outcome {
        var puller = ImagePuller(store: store, client: client(), blocking: blocking)
        puller.stall = stall
        return try await puller.pull("\(host)/\(name)", progress: progress)
    }

    /// Nothing of a failed pull is in the store but what the next one may go on with.
    func isClean() throws -> Bool {
        try store.list().isEmpty && Files.list(store.layout.layers).isEmpty
            && Files.list(store.layout.temporary).isEmpty
    }
}
