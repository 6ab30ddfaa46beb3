import Basics
import Document
import Glibc
import Linux
import Synchronization
import Testing
import Wire

@testable import Images

@Suite(.enabled(if: isRoot, "unpacking layers takes root")) struct AccessTests {
    let scratch: Scratch

    init() throws { scratch = try Scratch() }

    private func layer() throws -> [UInt8] { try Files.read(try scratch.tar("layer.tar", [file("x", "y")])) }

    private static func challenge(_ text: String) -> Response {
        Response(status: 401, headers: Headers([("WWW-Authenticate", text)]))
    }

    @Test func aTokenIsHadForTheCredentialsThatFit() async throws {
        let layer = try layer()
        try await RegistryBench.run(scratch) { bench in
            var bench = bench
            try bench.registry.add("team/a:v1", layers: [layer])
            var set = CredentialSet(host: bench.host, RegistryCredentials(username: "wrong", password: "1"))
            set.add(CredentialSet(host: bench.host, RegistryCredentials(username: "ann", password: "2")))
            bench.settings.credentials = set
            let (host, ann) = (bench.host, RegistryCredentials(username: "ann", password: "2").basic)
            bench.registry.script { request, _ in
                if request.target.hasPrefix("/token?") {
                    guard request.headers["Authorization"] == ann else { return Response(status: 401) }
                    return Response(status: 200, body: .bytes(Array(#"{"access_token":"T1"}"#.utf8)))
                }
                if request.headers["Authorization"] == "Bearer T1" { return nil }
                return Self.challenge(#"Bearer realm="http://\#(host)/token",service="reg",scope="x""#)
            }
            _ = try await bench.pull("team/a:v1")
            let token = bench.registry.requests.last { $0.hasPrefix("GET /token") } ?? ""
            #expect(token.contains("service=reg&scope=repository:team/a:pull&account=ann"), "\(token)")
            // The token is used again: three requests for what is pulled, two refusals, two tokens asked for.
            #expect(bench.registry.requests.filter { $0.contains("/token") }.count == 2)
        }
    }

    @Test func anIdentityTokenIsExchanged() async throws {
        let layer = try layer()
        try await RegistryBench.run(scratch) { bench in
            var bench = bench
            try bench.registry.add("a/b:v1", layers: [layer])
            bench.settings.credentials = CredentialSet(
                host: bench.host, RegistryCredentials(identityToken: "refresh me"))
            let host = bench.host
            bench.registry.script { request, _ in
                if request.method == "POST", request.target == "/token" {
                    let form = String(decoding: request.body, as: UTF8.self)
                    guard form.contains("grant_type=refresh_token&refresh_token=refresh%20me") else {
                        return Response(status: 400)
                    }
                    return Response(status: 200, body: .bytes(Array(#"{"token":"T2"}"#.utf8)))
                }
                if request.headers["Authorization"] == "Bearer T2" { return nil }
                return Self.challenge(#"Bearer realm="http://\#(host)/token""#)
            }
            _ = try await bench.pull("a/b:v1")
        }
    }

    @Test(arguments: [
        ("Bearer realm=\"gopher://x\"", "names no usable token server"), ("Negotiate", "may require authorization"),
        ("Basic realm=x", "may require authorization"), ("Bearer realm=\"http://HOST/none\"", "not found"),
        ("Bearer realm=\"http://HOST/empty\"", "answers without a token"),
    ])
    func refusalsAreTold(challenge: String, words: String) async throws {
        try await RegistryBench.run(scratch) { bench in
            let text = challenge.replacing("HOST", with: bench.host)
            bench.registry.script { request, _ in
                if request.target.hasPrefix("/none") { return Response(status: 404) }
                if request.target.hasPrefix("/empty") { return Response(status: 200, body: .bytes(Array("{}".utf8))) }
                return Self.challenge(text)
            }
            let error = await #expect(throws: (any Error).self) { try await bench.pull("a/b:v1") }
            #expect("\(error.map { "\($0)" } ?? "")".contains(words), "\(error.map { "\($0)" } ?? "")")
        }
    }

    @Test func credentialsStayWithTheirServer() async throws {
        let layer = try layer()
        let outer = scratch
        try await RegistryBench.run(scratch) { other in
            try await RegistryBench.run(outer, store: other.store) { bench in
                var bench = bench
                try bench.registry.add("a/b:v1", layers: [layer])
                let blobs = bench.registry.state.withLock { $0.blobs }
                other.registry.state.withLock { $0.blobs = blobs }
                bench.settings.credentials = CredentialSet(
                    host: bench.host, RegistryCredentials(username: "ann", password: "2"))
                let elsewhere = other.host
                bench.registry.script { request, _ in
                    guard request.headers["Authorization"] != nil else { return Self.challenge("Basic realm=x") }
                    guard request.target.contains("/blobs/") else { return nil }
                    return Response(
                        status: 307, headers: Headers([("Location", "http://\(elsewhere)\(request.target)")]))
                }
                _ = try await bench.pull("a/b:v1")
                let seen = other.registry.state.withLock { $0.requests.map(\.headers) }
                #expect(seen.count == 2)
                #expect(seen.allSatisfy { $0["Authorization"] == nil })
            }
        }
    }

    @Test func endlessRedirectsEnd() async throws {
        try await RegistryBench.run(scratch) { bench in
            bench.registry.script { request, _ in
                Response(status: 302, headers: Headers([("Location", request.target + "x")]))
            }
            let error = await #expect(throws: (any Error).self) { try await bench.pull("a/b:v1") }
            #expect("\(error.map { "\($0)" } ?? "")".contains("redirects"))
        }
    }

    /// The client knows only the proxy; the proxy alone knows where `registry.test` is.
    @Test func aProxyTunnelsToTheRegistry() async throws {
        let layer = try layer()
        let scratch = self.scratch
        let store = try scratch.store()
        try await EventLoop.runOnThread { loop in
            let world = World.live(loop)
            let now = world.clock.now
            let issuer = try CertificateAuthority.create(commonName: "t", now: now, validity: .seconds(86_400))
            let issued = try issuer.issue(
                commonName: "registry.test", dnsNames: ["registry.test"], usage: .server, now: now,
                validity: .seconds(86_400))
            try Files.write(issuer.certificatePEM, to: "\(scratch.path)/ca.pem")
            let registry = FakeRegistry()
            try registry.add("a/b:v1", layers: [layer])
            let listener = try await world.network.listen(on: .ip(.loopback, port: 0))
            let tls = try TLSServerContext(certificatePEM: issued.certificatePEM, keyPEM: issued.keyPEM)
            let server = HTTPServer(listener: listener, tls: tls, clock: world.clock) { registry.handle($0) }
            let gate = try await world.network.listen(on: .ip(.loopback, port: 0))
            let asked = Heads()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await server.run() }
                group.addTask {
                    try await Self.serveTunnels(gate, to: listener.local, world) { line in
                        asked.all.withLock { $0.append(line) }
                    }
                }
                defer { group.cancelAll() }
                var settings = RegistrySettings()
                settings.set(registry: "registry.test:443", authorities: "\(scratch.path)/ca.pem", insecure: false)
                settings.proxies = ProxySettings(environment: ["HTTPS_PROXY": "http://me:pw@\(gate.local)"])
                let client = RegistryClient(settings: settings, world: world)
                let puller = ImagePuller(store: store, client: client, blocking: BlockingPool())
                let image = try await puller.pull("registry.test/a/b:v1").image
                #expect(try Files.text("\(image.layerDirectories[0])/x") == "y")
            }
            let heads = asked.all.withLock { $0 }
            #expect(heads.first?.hasPrefix("CONNECT registry.test:443 HTTP/1.1\r\n") == true)
            #expect(heads.allSatisfy { $0.contains("Proxy-Authorization: Basic bWU6cHc=\r\n") })
        }
    }

    private final class Heads: Sendable {
        let all = Mutex<[String]>([])
    }

    private static func serveTunnels(
        _ gate: any Listener, to target: Endpoint, _ world: World, _ told: @escaping @Sendable (String) -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            while true {
                let client = try await gate.accept()
                group.addTask {
                    var head: [UInt8] = []
                    while !head.suffix(4).elementsEqual(Array("\r\n\r\n".utf8)) {
                        head += try await client.read(atMost: 1)
                    }
                    told(String(decoding: head, as: UTF8.self))
                    let server = try await world.network.connect(to: target)
                    try await client.write(Array("HTTP/1.1 200 Connection established\r\n\r\n".utf8))
                    await withTaskGroup(of: Void.self) { group in
                        for (from, to) in [(client, server), (server, client)] {
                            group.addTask {
                                while let bytes = try? await from.read(atMost: 65_536), !bytes.isEmpty {
                                    try? await to.write(bytes)
                                }
                                to.close()
                            }
                        }
                    }
                }
            }
        }
    }
}
