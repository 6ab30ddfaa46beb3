import APIServer
import Basics
import Client
import Document
import Kinds
import Store
import Synchronization
import Wire

/// A server over a store in memory, with a clock that stands still until a test moves it.
struct Harness: Sendable {
    let server: APIServer
    let clock: ManualClock
    let admin: PeerIdentity

    /// RSA and certificates are slow to make; all tests share one set.
    private static let identity: Result<(key: [UInt8], admin: [UInt8]), any Error> = Result {
        let now = ManualClock.start
        let authority = try CertificateAuthority.create(commonName: "test", now: now, validity: .seconds(86_400))
        let issued = try authority.issue(
            commonName: "admin", organizations: ["system:masters"], usage: .client, now: now,
            validity: .seconds(86_400))
        guard let certificate = try X509Certificate.parseAll(pem: issued.certificatePEM).first else {
            throw APIStatus(code: 500, reason: "", message: "no certificate was made")
        }
        return (try PrivateKey.generate().pem, certificate.der)
    }

    init(
        store: any Store = MemoryStore(), network: any Network = NoNetwork(),
        admission: AdmissionConfiguration = AdmissionConfiguration(), nodeTransport: NodeTransport? = nil,
        offersUsage: Bool = false
    ) async throws {
        let (key, admin) = try Self.identity.get()
        clock = ManualClock()
        self.admin = PeerIdentity(certificate: admin)
        guard let services = CIDR("10.96.0.0/16"), let address = IPAddress("10.89.0.2") else {
            throw APIStatus(code: 500, reason: "", message: "bad addresses")
        }
        var configuration = APIServerConfiguration(
            serviceCIDR: services, advertiseAddress: address, clientCA: [], serviceAccountKey: { key })
        configuration.dnsAddress = IPAddress("10.96.0.10")
        configuration.admission = admission
        configuration.nodeTransport = nodeTransport
        configuration.offersUsage = offersUsage
        configuration.build = BuildOrigin(commit: "c0ffee", date: "2026-01-02T03:04:05Z", treeState: "clean")
        server = try APIServer(
            configuration: configuration, store: store,
            world: World(clock: clock, random: SeededRandomness(7), network: network), log: .silent)
        try await server.bootstrap()
    }

    struct Reply: Sendable {
        var status: Int
        var headers: Headers
        var body: Document
        var bytes: [UInt8]
        var text: String { String(decoding: bytes, as: UTF8.self) }
    }

    /// Sends one request as the administrator, or as somebody else whom the administrator impersonates.
    func send(
        _ method: String, _ target: String, _ body: Document? = nil, type: String = "application/json",
        as user: String? = nil, groups: [String] = [], headers: [(String, String)] = [], bytes: [UInt8]? = nil,
        token: String? = nil
    ) async throws -> Reply {
        var fields = Headers(headers)
        if body != nil || bytes != nil { fields.add("Content-Type", type) }
        if let user { fields.add("Impersonate-User", user) }
        for group in groups { fields.add("Impersonate-Group", group) }
        if let token { fields.add("Authorization", "Bearer \(token)") }
        let request = Request(
            method, target, headers: fields, body: bytes ?? body?.json ?? [],
            peer: token == nil ? admin : PeerIdentity())
        let response = await server.handler(request)
        let answer: [UInt8] =
            switch response.body {
            case .bytes(let bytes): bytes
            case .pieces(let pieces): Array(pieces.joined())
            default: []
            }
        return Reply(
            status: response.status, headers: response.headers, body: (try? Document(json: answer)) ?? .null,
            bytes: answer)
    }

    /// Sends one request as the administrator and reads an answer that may be streamed.
    func stream(_ method: String, _ target: String, bytes: [UInt8] = []) async throws -> Reply {
        let response = await server.handler(Request(method, target, body: bytes, peer: admin))
        var text: [UInt8] = []
        switch response.body {
        case .bytes(let bytes): text = bytes
        case .pieces(let pieces): text = Array(pieces.joined())
        case .stream(let produce):
            let collector = Collector()
            try await produce(collector)
            text = collector.bytes.withLock { $0 }
        case .upgrade: break
        }
        return Reply(
            status: response.status, headers: response.headers, body: (try? Document(json: text)) ?? .null, bytes: text)
    }

    private final class Collector: BodyWriter {
        let bytes = Mutex<[UInt8]>([])
        func write(_ piece: [UInt8]) async throws { bytes.withLock { $0 += piece } }
    }

    /// Makes an object, which must succeed.
    @discardableResult
    func create(_ target: String, _ body: Document) async throws -> Document {
        let reply = try await send("POST", target, body)
        guard reply.status == 201 else {
            throw APIStatus(reply.body) ?? APIStatus(code: reply.status, reason: "", message: reply.text)
        }
        return reply.body
    }

    /// Runs `body` with a client in the same process, whose streams are produced meanwhile.
    func withClient<Value: Sendable>(
        _ body: @escaping @Sendable (APIClient) async throws -> Value
    ) async throws -> Value {
        let transport = InProcessTransport(handler: server.handler, identity: admin)
        return try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask {
                try await transport.run()
                return nil
            }
            group.addTask { try await body(APIClient(transport: transport, userAgent: "test")) }
            defer { group.cancelAll() }
            while let value = try await group.next() {
                if let value { return value }
            }
            throw CancellationError()
        }
    }

    static func configMap(_ name: String, labels: Document = [:], data: Document = [:]) -> Document {
        [
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": Document(name), "labels": labels],
            "data": data,
        ]
    }

    static func pod(_ name: String) -> Document {
        [
            "apiVersion": "v1", "kind": "Pod", "metadata": ["name": Document(name)],
            "spec": ["containers": [["name": "c", "image": "i"]]],
        ]
    }

    static let serviceAccount: Document = [
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": ["name": "default"],
    ]
}

/// Time that moves when it is told to. Sleepers wake when their time has come.
final class ManualClock: WorldClock {
    static let start = Timestamp(seconds: 1_800_000_000)

    private struct State {
        var uptime = Duration.zero
        var sleepers: [Int: (end: Duration, continuation: CheckedContinuation<Void, any Error>)] = [:]
        var nextID = 0
        var cancelled: Set<Int> = []
    }

    private let state = Mutex(State())

    var now: Timestamp { Self.start + uptime }
    var uptime: Duration { state.withLock { $0.uptime } }

    func advance(by duration: Duration) {
        let due = state.withLock { state in
            state.uptime += duration
            let due = state.sleepers.filter { $0.value.end <= state.uptime }
            for id in due.keys { state.sleepers[id] = nil }
            return due.values.map(\.continuation)
        }
        for continuation in due { continuation.resume() }
    }

    func sleep(for duration: Duration) async throws {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let isCancelled = state.withLock { state in
                    if state.cancelled.remove(id) != nil { return true }
                    state.sleepers[id] = (state.uptime + duration, continuation)
                    return false
                }
                if isCancelled { continuation.resume(throwing: CancellationError()) }
            }
        } onCancel: {
            let continuation = state.withLock { state in
                guard let sleeper = state.sleepers.removeValue(forKey: id) else {
                    state.cancelled.insert(id)
                    return nil as CheckedContinuation<Void, any Error>?
                }
                return sleeper.continuation
            }
            continuation?.resume(throwing: CancellationError())
        }
    }
}

final class SeededRandomness: Randomness {
    private let state: Mutex<UInt64>
    init(_ seed: UInt64) { state = Mutex(seed) }

    func next() -> UInt64 {
        state.withLock { state in
            state &+= 0x9E37_79B9_7F4A_7C15
            var word = state
            word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
            word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
            return word ^ (word >> 31)
        }
    }
}

struct NoNetwork: Network {
    struct Absent: Error {}
    func connect(to endpoint: Endpoint) async throws -> any Connection { throw Absent() }
    func listen(on endpoint: Endpoint) async throws -> any Listener { throw Absent() }
    func datagrams(on endpoint: Endpoint) async throws -> any DatagramSocket { throw Absent() }
}
