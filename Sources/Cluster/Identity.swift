import Basics
import Client
import Linux
import Synchronization
import Wire

/// The way to a server for whoever a kubeconfig says, whatever means it names: a certificate, a token, a file or a
/// program that gives one, a name and a password.
public struct Identity: UpgradingTransport {
    private let transport: any UpgradingTransport
    private let proof: Proof

    private enum Proof: Sendable {
        /// The connection's certificate, or nothing at all.
        case none
        case header(String)
        case file(TokenFile)
        case plugin(PluginCredentials)
    }

    public init(_ access: Kubeconfig.Access, world: World, blocking: BlockingPool) async throws {
        var access = access
        if let plugin = access.plugin {
            let credentials = PluginCredentials(plugin, clock: world.clock, blocking: blocking)
            let first = try await credentials.current()
            if let certificate = first.certificate, let key = first.key {
                (access.certificate, access.key) = (.bytes(certificate), .bytes(key))
            }
            proof = .plugin(credentials)
        } else if let path = access.tokenFile {
            proof = .file(TokenFile(path, clock: world.clock))
        } else if let token = access.token, !token.isEmpty {
            proof = .header("Bearer \(token)")
        } else if let user = access.user {
            proof = .header("Basic \(Base64.encode(Array("\(user):\(access.password ?? "")".utf8)))")
        } else {
            proof = .none
        }
        transport = try Connect.transport(access, world: world)
    }

    public func send(_ request: Request) async throws -> any ResponseStream {
        let response = try await transport.send(try await identified(request))
        if response.status == 401 { refused() }
        return response
    }

    public func upgrade(_ request: Request) async throws -> Upgrade {
        let answer = try await transport.upgrade(try await identified(request))
        if case .refused(let response) = answer, response.status == 401 { refused() }
        return answer
    }

    /// What was refused is not tried again: the next request asks anew.
    private func refused() {
        if case .plugin(let credentials) = proof { credentials.forget() }
    }

    private func identified(_ request: Request) async throws -> Request {
        guard request.headers["Authorization"] == nil else { return request }
        var request = request
        switch proof {
        case .none: break
        case .header(let value): request.headers["Authorization"] = value
        case .file(let file): request.headers["Authorization"] = "Bearer \(try file.token())"
        case .plugin(let credentials):
            if let token = try await credentials.current().token {
                request.headers["Authorization"] = "Bearer \(token)"
            }
        }
        return request
    }
}

/// A token that somebody else keeps fresh in a file, such as the kubelet in a pod.
private final class TokenFile: Sendable {
    private static let age: Duration = .seconds(60)

    private let path: String
    private let clock: any WorldClock
    private let last = Mutex<(token: String, at: Duration)?>(nil)

    init(_ path: String, clock: any WorldClock) {
        self.path = path
        self.clock = clock
    }

    func token() throws -> String {
        let now = clock.uptime
        if let last = last.withLock({ $0 }), now - last.at < Self.age { return last.token }
        let token = String(try Files.text(path).filter { !$0.isWhitespace })
        last.withLock { $0 = (token, now) }
        return token
    }
}

/// What a program answered, until it is over.
final class PluginCredentials: Sendable {
    private let plugin: CredentialPlugin
    private let clock: any WorldClock
    private let blocking: BlockingPool
    private let last = Mutex<CredentialPlugin.Answer?>(nil)
    /// Held while the program runs: whoever waits meanwhile takes what it answered.
    private let running = Mutex(())

    init(_ plugin: CredentialPlugin, clock: any WorldClock, blocking: BlockingPool) {
        self.plugin = plugin
        self.clock = clock
        self.blocking = blocking
    }

    func forget() { last.withLock { $0 = nil } }

    func current() async throws -> CredentialPlugin.Answer {
        if let answer = usable { return answer }
        return try await blocking.run { [self] in try running.withLock { _ in try usable ?? ask() } }
    }

    private func ask() throws -> CredentialPlugin.Answer {
        let ran = Command.run(plugin.words, extra: plugin.environment)
        let name = plugin.words[0]
        guard ran.code != 127 else {
            throw Failure(
                "the kubeconfig's program '\(name)' cannot be started", remedy: plugin.hint ?? "install it, or see PATH"
            )
        }
        guard ran.code == 0 else {
            throw Failure(
                "the kubeconfig's program '\(name)' ended with code \(ran.code): \(ran.err.suffix(2_000))",
                remedy: "run it by hand: \(plugin.words.joined(separator: " "))")
        }
        let answer = try plugin.answer(ran.out)
        last.withLock { $0 = answer }
        return answer
    }

    private var usable: CredentialPlugin.Answer? {
        guard let answer = last.withLock({ $0 }) else { return nil }
        if let expires = answer.expires, expires <= clock.now { return nil }
        return answer
    }
}
