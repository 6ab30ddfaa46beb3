import APIServer
import Basics
import Document
import Glibc
import Linux
import Store
import Synchronization
import Testing
import Wire

enum TraceFolder {
    static let path = getenv("LAB_TRACES").map { String(cString: $0) }
}

/// Recorded conversations with a Kubernetes API server, had again with ours. They lie in the folder that LAB_TRACES
/// names.
@Suite(.enabled(if: TraceFolder.path != nil, "LAB_TRACES names no folder"))
struct TraceReplayTests {
    /// What is different, and why it stays so.
    private static let exceptions = [
        "apiextensions/customresourcedefinitions-delete":
            "a definition without objects is gone at once; the recorded server waits for others of its kind",
        "apiextensions/customresourcedefinitions-finalizer": "as before",
        "patch/json-values": "the number 1.0 of the record is sent as 1, which passes its test",
        "core/persistentvolumeclaims-apply": "an apply that changes nothing writes nothing",
    ]

    private static func files() throws -> [String] {
        let root = TraceFolder.path ?? ""
        return try Files.list(root).sorted().flatMap { group in
            ((try? Files.list("\(root)/\(group)")) ?? []).filter { $0.hasSuffix(".json") }.sorted().map {
                "\(root)/\(group)/\($0)"
            }
        }
    }

    private static func server(_ world: World) throws -> (APIServer, PeerIdentity) {
        let now = world.clock.now
        let authority = try CertificateAuthority.create(commonName: "test", now: now, validity: .seconds(86_400))
        let admin = try authority.issue(
            commonName: "admin", organizations: ["system:masters"], usage: .client, now: now, validity: .seconds(86_400)
        )
        guard let services = CIDR("10.96.0.0/16"),
            let leaf = try X509Certificate.parseAll(pem: admin.certificatePEM).first
        else { throw TraceMismatch(place: "setup", lines: ["no server"]) }
        let key = try PrivateKey.generateRSA().pem
        // The recorded server's own port is in some answers.
        var configuration = APIServerConfiguration(
            serviceCIDR: services, advertiseAddress: .loopback, advertisePort: 36_443,
            clientCA: authority.certificatePEM, serviceAccountKey: { key })
        let network = world.network
        let clock = world.clock
        configuration.nodeTransport = { _, addresses, port in
            let address = addresses.first ?? .loopback
            return HTTPTransport(
                .ip(address, port: port), host: "\(address):\(port)", tls: try? TLSClientContext(caPEM: nil),
                network: network, clock: clock)
        }
        let server = try APIServer(configuration: configuration, store: MemoryStore(), world: world, log: .silent)
        return (server, PeerIdentity(certificate: leaf.der))
    }

    private final class Outcomes: Sendable {
        private struct State {
            var passed = 0
            var excused = 0
            var failures: [String] = []
        }

        private let state = Mutex(State())

        var passed: Int { state.withLock { $0.passed } }
        var total: Int { state.withLock { $0.passed + $0.excused + $0.failures.count } }
        var failures: [String] { state.withLock { $0.failures.sorted() } }

        func note(_ name: String, _ error: (any Error)?) {
            state.withLock { state in
                if let error, TraceReplayTests.exceptions[name] == nil {
                    state.failures.append("\(name): \(error)")
                } else if error != nil {
                    state.excused += 1
                } else {
                    state.passed += 1
                }
            }
        }
    }

    private static func replay(
        _ file: String, _ number: Int, _ server: APIServer, _ caller: PeerIdentity, _ world: World, _ outcomes: Outcomes
    ) async {
        let trace = (try? Files.read(file, limit: 64 << 20)).flatMap { try? Document(json: $0) }
        guard let trace, trace["steps"] != nil else { return }
        let name = "\(trace["group"]?.string ?? "")/\(trace["name"]?.string ?? "")"
        if let wanted, !name.hasPrefix(wanted) { return }
        do {
            try await TraceRun(trace, number: number, server: server, caller: caller, world: world).execute()
            outcomes.note(name, nil)
        } catch {
            outcomes.note(name, error)
        }
    }

    /// For looking at a few: the beginning of their names.
    private static let wanted = getenv("LAB_TRACE").map { String(cString: $0) }
    private static let atOnce = 8

    @Test func answersAreAsRecorded() async throws {
        let files = try Self.files()
        let outcomes = Outcomes()
        try await EventLoop.runOnThread { loop in
            let world = World.live(loop)
            let (server, caller) = try Self.server(world)
            try await server.bootstrap()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await server.run() }
                group.addTask {
                    await withTaskGroup(of: Void.self) { runs in
                        for (number, file) in files.enumerated() {
                            if number >= Self.atOnce { await runs.next() }
                            runs.addTask { await Self.replay(file, number, server, caller, world, outcomes) }
                        }
                    }
                }
                // The replaying ends; the server never does.
                try await group.next()
                group.cancelAll()
            }
        }
        let failures = outcomes.failures
        #expect(failures.isEmpty, "\(failures.count) differ:\n\(failures.prefix(40).joined(separator: "\n"))")
        #expect(outcomes.total > 0)
        if Self.wanted == nil { #expect(outcomes.passed > files.count * 9 / 10) }
    }
}
