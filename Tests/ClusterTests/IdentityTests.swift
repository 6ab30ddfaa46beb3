import Basics
import Client
import Document
import Glibc
import Linux
import Synchronization
import Testing
import Wire

@testable import Cluster

/// A server that answers with who asks, and what for.
private struct Mirror: Sendable {
    let world: World
    let port: UInt16
    let folder: String
    /// Answers 401 from now on, as long as it stands.
    let refuses = Flag()

    final class Flag: Sendable {
        private let value = Mutex(false)
        var isUp: Bool {
            get { value.withLock { $0 } }
            set { value.withLock { $0 = newValue } }
        }
    }

    static func run(
        secure: Bool = false, _ body: @escaping @Sendable (Mirror) async throws -> Void
    ) async throws {
        try await EventLoop.runOnThread { loop in
            let world = World.live(loop)
            var template = Array("/tmp/lab-identity-XXXXXX\0".utf8).map { CChar($0) }
            guard mkdtemp(&template) != nil else { throw SystemError("mkdtemp", errno: errno) }
            let folder = String(decoding: template.dropLast().map { UInt8($0) }, as: UTF8.self)
            defer { try? Files.removeTree(folder) }
            let listener = try await world.network.listen(on: .ip(.loopback, port: 0))
            guard case .ip(_, let port) = listener.local else { return }
            let mirror = Mirror(world: world, port: port, folder: folder)
            var tls: TLSServerContext?
            if secure {
                let authority = try CertificateAuthority.create(
                    commonName: "test", now: world.clock.now, validity: .seconds(3600))
                let issued = try authority.issue(
                    commonName: "mirror", dnsNames: ["mirror.test"], usage: .server, now: world.clock.now,
                    validity: .seconds(3600))
                try Files.write(authority.certificatePEM, to: "\(folder)/ca.crt")
                tls = try TLSServerContext(certificatePEM: issued.certificatePEM, keyPEM: issued.keyPEM)
            }
            let server = HTTPServer(listener: listener, tls: tls, clock: world.clock) { request in
                Response(
                    status: mirror.refuses.isUp ? 401 : 200,
                    body: .bytes(Array("\(request.headers["Authorization"] ?? "nobody") \(request.target)".utf8)))
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await server.run() }
                try await body(mirror)
                group.cancelAll()
            }
        }
    }

    /// A kubeconfig's cluster and user, as YAML flow.
    func access(cluster: String = "", user: String = "{}") throws -> Kubeconfig.Access {
        let server = cluster.contains("server:") ? "" : "server: 'http://localhost:\(port)',"
        let text = """
            {current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}],
             clusters: [{name: c, cluster: {\(server) \(cluster)}}], users: [{name: u, user: \(user)}]}
            """
        return try Kubeconfig(yaml: Array(text.utf8)).access(folder: folder)
    }

    func identity(_ access: Kubeconfig.Access) async throws -> Identity {
        try await Identity(access, world: world, blocking: BlockingPool(threads: 2))
    }

    func ask(_ identity: Identity, _ target: String = "/x") async throws -> String {
        String(decoding: try await identity.send(Request("GET", target)).collect(), as: UTF8.self)
    }

    func askSecurely(_ cluster: String) async throws -> String {
        try await ask(try await identity(try access(cluster: "server: 'https://localhost:\(port)', \(cluster)")))
    }

    /// A program that tells how often it was run in its token.
    func program(_ status: String, version: String = "v1") throws {
        let script = """
            #!/bin/sh
            echo run >> \(folder)/runs
            n=$(wc -l < \(folder)/runs)
            echo "$KUBERNETES_EXEC_INFO" > \(folder)/info
            echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/\(version)","status":'"\(status)"'}'
            """
        try Files.write(Array(script.utf8), to: "\(folder)/get-token", mode: 0o755)
    }

    static let exec = """
        {exec: {apiVersion: client.authentication.k8s.io/v1, command: ./get-token, args: [a], interactiveMode: Never,
          provideClusterInfo: true, env: [{name: WHO, value: jane}]}}
        """
}

@Suite("Whoever a kubeconfig says")
struct IdentityTests {
    @Test(arguments: [
        ("{}", "nobody /x"), ("{token: abc}", "Bearer abc /x"), ("{tokenFile: token}", "Bearer from-file /x"),
        ("{token: abc, tokenFile: token}", "Bearer from-file /x"),
        ("{username: jane, password: secret}", "Basic amFuZTpzZWNyZXQ= /x"),
    ])
    func isTold(user: String, answer: String) async throws {
        try await Mirror.run { mirror in
            try Files.write(Array("from-file\n".utf8), to: "\(mirror.folder)/token")
            let identity = try await mirror.identity(try mirror.access(user: user))
            #expect(try await mirror.ask(identity) == answer)
        }
    }

    @Test func aRequestsOwnProofStands() async throws {
        try await Mirror.run { mirror in
            let identity = try await mirror.identity(try mirror.access(user: "{token: abc}"))
            let request = Request("GET", "/x", headers: Headers([("Authorization", "Bearer other")]))
            let answer = try await identity.send(request).collect()
            #expect(String(decoding: answer, as: UTF8.self) == "Bearer other /x")
        }
    }

    @Test func anAPIMayLieInAFolder() async throws {
        try await Mirror.run { mirror in
            for end in ["", "/"] {
                let server = "server: 'http://127.0.0.1:\(mirror.port)/k8s/clusters/c-1\(end)'"
                let identity = try await mirror.identity(try mirror.access(cluster: server))
                #expect(try await mirror.ask(identity, "/api/v1?limit=1") == "nobody /k8s/clusters/c-1/api/v1?limit=1")
            }
        }
    }

    @Test func aProgramIsAskedOnceAndAgainWhenItsAnswerIsOver() async throws {
        try await Mirror.run { mirror in
            try mirror.program(#"{\"token\":\"t$n\"}"#)
            let identity = try await mirror.identity(
                try mirror.access(cluster: "tls-server-name: other", user: Mirror.exec))
            #expect(try await mirror.ask(identity) == "Bearer t1 /x")
            #expect(try await mirror.ask(identity) == "Bearer t1 /x")
            // What was refused is not tried again.
            mirror.refuses.isUp = true
            #expect(try await mirror.ask(identity) == "Bearer t1 /x")
            mirror.refuses.isUp = false
            #expect(try await mirror.ask(identity) == "Bearer t2 /x")
            let info = try Document(json: try Files.read("\(mirror.folder)/info"))
            #expect(info.text("apiVersion") == "client.authentication.k8s.io/v1")
            #expect(info.flag("spec", "interactive") == false)
            #expect(info.text("spec", "cluster", "tls-server-name") == "other")
            #expect(info.text("spec", "cluster", "server") == "http://localhost:\(mirror.port)")

            // Over before it began: every request asks.
            try mirror.program(#"{\"token\":\"t$n\",\"expirationTimestamp\":\"2001-01-01T00:00:00Z\"}"#)
            let short = try await mirror.identity(try mirror.access(user: Mirror.exec))
            #expect(try await mirror.ask(short) == "Bearer t4 /x")
            #expect(try await mirror.ask(short) == "Bearer t5 /x")
        }
    }

    @Test(arguments: [
        (#"{}"#, "v1", "gave neither a token nor a certificate"),
        (#"{\"clientKeyData\":\"k\"}"#, "v1", "gave a certificate or a key alone"),
        (#"{\"token\":\"t\"}"#, "v1beta1", "answered in client.authentication.k8s.io/v1beta1"),
        ("nonsense", "v1", "printed no ExecCredential"),
    ])
    func whatAProgramGetsWrongIsTold(status: String, version: String, problem: String) async throws {
        try await Mirror.run { mirror in
            try mirror.program(status, version: version)
            let error = await #expect(throws: KubeconfigError.self) {
                try await mirror.identity(try mirror.access(user: Mirror.exec))
            }
            #expect(error?.description.contains(problem) == true, "\(error?.description ?? "")")
        }
    }

    @Test func aProgramThatFailsOrIsNotThereIsTold() async throws {
        try await Mirror.run { mirror in
            try Files.write(
                Array("#!/bin/sh\necho no session for $WHO >&2\nexit 3\n".utf8), to: "\(mirror.folder)/get-token",
                mode: 0o755)
            let failed = await #expect(throws: Failure.self) {
                try await mirror.identity(try mirror.access(user: Mirror.exec))
            }
            #expect(failed?.message.contains("ended with code 3: no session for jane") == true)
            let absent = await #expect(throws: Failure.self) {
                try await mirror.identity(
                    try mirror.access(
                        user: """
                            {exec: {apiVersion: client.authentication.k8s.io/v1, command: no-such-program-here,
                              installHint: get it from the cloud}}
                            """))
            }
            #expect(absent?.remedy == "get it from the cloud")
        }
    }

    @Test(arguments: [
        ("", "{auth-provider: {name: gcp}}", "'auth-provider', which is not supported"),
        ("", "{as: jane}", "'as', which is not supported"),
        ("proxy-url: 'http://proxy:3128'", "{}", "'proxy-url', which is not supported"),
        ("", "{exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: x}}", "exec has the apiVersion"),
        ("", "{exec: {apiVersion: client.authentication.k8s.io/v1}}", "exec has no command"),
        (
            "", "{exec: {apiVersion: client.authentication.k8s.io/v1, command: x, interactiveMode: Always}}",
            "wants to talk to somebody"
        ),
        ("server: 'ftp://x'", "{}", "is no http or https address"),
        (
            "server: 'https://x', insecure-skip-tls-verify: true, certificate-authority: ca.crt", "{}",
            "exclude each other"
        ),
    ])
    func whatCannotBeDoneIsRefused(cluster: String, user: String, problem: String) async throws {
        try await Mirror.run { mirror in
            let error = await #expect(throws: KubeconfigError.self) {
                try await mirror.identity(try mirror.access(cluster: cluster, user: user))
            }
            #expect(error?.description.contains(problem) == true, "\(error?.description ?? "")")
        }
    }

    @Test func certificatesAreHeldAgainstTheNameThatIsMeant() async throws {
        try await Mirror.run(secure: true) { mirror in
            // The authority's file lies beside the configuration.
            let good = try await mirror.askSecurely("certificate-authority: ca.crt, tls-server-name: mirror.test")
            #expect(good == "nobody /x")
            let blind = try await mirror.askSecurely("insecure-skip-tls-verify: true")
            #expect(blind == "nobody /x")
            for wrong in ["certificate-authority: ca.crt", "tls-server-name: mirror.test"] {
                await #expect(throws: (any Error).self, "\(wrong)") { try await mirror.askSecurely(wrong) }
            }
        }
    }
}
