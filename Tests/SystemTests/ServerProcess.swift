import Basics
import Client
import Cluster
import Glibc
import Kinds
import Linux
import Testing
import Wire

/// A real `lab apiserver` with a directory of its own, which a test may kill and start again.
final class ServerProcess {
    struct Failed: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    let directory: String
    let data: String
    private(set) var command: Command?

    static let why = "needs the release binary in LAB_BINARY ('make test' sets it)"

    init(_ purpose: String) {
        directory = "/var/tmp/lab-test-\(getpid())-\(purpose)"
        data = "\(directory)/data"
        mkdir(directory, 0o755)
    }

    var pid: pid_t { command?.pid ?? -1 }

    /// Returns once requests are answered: the server writes its kubeconfig last.
    func start(data: String? = nil) throws {
        let data = data ?? self.data
        unlink("\(directory)/kubeconfig")
        let command = Command([
            Machine.binary ?? "lab", "apiserver", "--data", data, "--port", "0", "--kubeconfig",
            "\(directory)/kubeconfig",
        ])
        self.command = command
        for _ in 0..<6_000 {
            if Files.exists("\(directory)/kubeconfig") { return }
            guard !hasEnded else { break }
            usleep(10_000)
        }
        kill(command.pid, SIGKILL)
        self.command = nil
        throw Failed("the server did not start: \(command.wait())")
    }

    /// Without reaping it, so that its outcome can still be asked for.
    private var hasEnded: Bool {
        guard let text = try? Files.text("/proc/\(pid)/stat"), let bracket = text.lastIndex(of: ")") else {
            return true
        }
        return text[bracket...].dropFirst(2).first == "Z"
    }

    var isRunning: Bool { pid > 0 && !hasEnded }

    @discardableResult
    func stop(_ signal: Int32 = SIGTERM) -> Ran? {
        guard let command else { return nil }
        kill(command.pid, signal)
        self.command = nil
        return command.wait()
    }

    func remove() {
        stop(SIGKILL)
        try? Files.removeTree(directory)
    }

    var openFiles: Int { (try? Files.list("/proc/\(pid)/fd").count) ?? -1 }

    /// Resident memory in MiB.
    var resident: Int {
        guard let text = try? Files.text("/proc/\(pid)/status"),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("VmRSS:") })
        else { return -1 }
        return (Int(line.filter(\.isNumber)) ?? 0) / 1_024
    }

    var access: Kubeconfig.Access {
        get throws { try Kubeconfig(yaml: try Files.read("\(directory)/kubeconfig")).access() }
    }
}

/// A client of that server which may say whatever it likes.
struct RawClient: Sendable {
    let world: World
    let endpoint: Endpoint
    let tls: TLSClientContext
    let api: APIClient

    init(_ access: Kubeconfig.Access, world: World) throws {
        func bytes(_ material: Kubeconfig.Material?) -> [UInt8]? {
            if case .bytes(let bytes)? = material { bytes } else { nil }
        }
        guard let colon = access.server.lastIndex(of: ":"), let port = UInt16(access.server[colon...].dropFirst())
        else {
            throw ServerProcess.Failed("no port in \(access.server)")
        }
        self.world = world
        endpoint = .ip(.loopback, port: port)
        tls = try TLSClientContext(
            caPEM: bytes(access.authority), certificatePEM: bytes(access.certificate), keyPEM: bytes(access.key))
        api = APIClient(
            transport: HTTPTransport(
                endpoint, host: "127.0.0.1:\(port)", tls: tls, network: world.network, clock: world.clock),
            userAgent: "lab-test")
    }

    func plain() async throws -> any Connection { try await world.network.connect(to: endpoint) }

    func open() async throws -> any Connection { try await tls.connect(try await plain(), serverName: "127.0.0.1") }

    /// Fails instead of hanging where the server says nothing.
    func within<Value: Sendable>(
        _ time: Duration = .seconds(60), _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask { try await body() }
            group.addTask {
                try await world.clock.sleep(for: time)
                return nil
            }
            defer { group.cancelAll() }
            guard let first = try await group.next(), let value = first else {
                throw ServerProcess.Failed("nothing within \(time)")
            }
            return value
        }
    }

    struct Answer: Sendable {
        /// 0 where the server closed the connection without a word.
        var status = 0
        var body: [UInt8] = []
        var text: String { String(decoding: body, as: UTF8.self) }
    }

    /// Reads `count` answers, or fewer where the server closes.
    func answers(_ count: Int = 1, to method: String = "GET", on connection: any Connection) async throws -> [Answer] {
        try await within { [self] in
            var parser = HTTPParser(.responses)
            parser.expect(answerTo: method)
            var answers: [Answer] = []
            var answer = Answer()
            while answers.count < count {
                switch try parser.next() {
                case .head(let head): answer.status = head.status
                case .body(let piece): answer.body += piece
                case .end:
                    if answer.status >= 200 { answers.append(answer) }
                    answer = Answer()
                    parser.expect(answerTo: method)
                case nil:
                    let bytes = try await ended(connection)
                    if bytes.isEmpty { return answers }
                    parser.feed(bytes)
                }
            }
            return answers
        }
    }

    /// A connection that was reset has ended, too.
    private func ended(_ connection: any Connection) async throws -> [UInt8] {
        do { return try await connection.read(atMost: 64 << 10) } catch is CancellationError {
            throw CancellationError()
        } catch { return [] }
    }

    /// One attempt on a connection of its own.
    func attempt(_ bytes: [UInt8], finish: Bool = false) async throws -> Answer {
        let connection = try await open()
        defer { connection.close() }
        // The server may answer and close before it has taken everything.
        async let sent: Void = {
            try? await connection.write(bytes)
            if finish { try? await connection.finishWriting() }
        }()
        let answer = try await answers(on: connection).first ?? Answer()
        connection.close()
        await sent
        return answer
    }

    func request(_ method: String, _ target: String, type: String = "application/json", _ body: [UInt8]) -> [UInt8] {
        Array(
            "\(method) \(target) HTTP/1.1\r\nHost: a\r\nContent-Type: \(type)\r\nContent-Length: \(body.count)\r\n\r\n"
                .utf8)
            + body
    }
}
