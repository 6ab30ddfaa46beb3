import Basics
import Document
import Wire

/// Asks containers how they are, from the node's network as Kubernetes does.
struct Prober: Sendable {
    let network: any Network
    let clock: any WorldClock

    /// Bytes of an answer that are read; only the status line matters.
    private static let answerLimit = 10 << 10

    /// Runs `body` for no longer than `limit`.
    func within<T: Sendable>(
        _ limit: Duration, _ what: String, _ body: @escaping @Sendable () async throws -> T
    ) async throws -> T {
        try await withThrowingTaskGroup(of: T.self) { group in
            group.addTask { try await body() }
            group.addTask {
                try await clock.sleep(for: limit)
                throw StartProblem(reason: "Timeout", message: "\(what): timed out after \(limit.wholeSeconds)s")
            }
            defer { group.cancelAll() }
            guard let first = try await group.next() else { throw CancellationError() }
            return first
        }
    }

    func tcp(_ endpoint: Endpoint, timeout: Duration) async -> ProbeResult {
        do {
            try await within(timeout, "dial tcp \(endpoint)") { try await network.connect(to: endpoint).close() }
            return .success
        } catch { return .failure("dial tcp \(endpoint): \(error)") }
    }

    /// 200 to 399 is healthy.
    func http(_ action: Document, host: IPAddress, container: Document, timeout: Duration) async -> ProbeResult {
        guard let port = Self.port(action["port"], container) else {
            return .failure("port \"\(action.text("port") ?? "")\" is not known")
        }
        let ownHost = action.text("host") ?? ""
        guard let address = ownHost.isEmpty ? host : IPAddress(ownHost) else {
            return .failure("host \"\(ownHost)\" is no address")
        }
        let isSecure = action.text("scheme") == "HTTPS"
        let endpoint = Endpoint.ip(address, port: port)
        let path = action.text("path") ?? "/"
        let url = "\(isSecure ? "https" : "http")://\(endpoint)\(path.hasPrefix("/") ? path : "/\(path)")"
        let request = Self.request(action, path: path, endpoint: endpoint)
        do {
            let line = try await within(timeout, "Get \"\(url)\"") { try await exchange(request, endpoint, isSecure) }
            let words = line.split(separator: " ", maxSplits: 2)
            guard words.count >= 2, words[0].hasPrefix("HTTP/"), let status = Int(words[1]) else {
                return .failure("Get \"\(url)\": malformed HTTP response")
            }
            return (200..<400).contains(status) ? .success : .failure("\(Self.statusFailure)\(status)")
        } catch { return .failure("Get \"\(url)\": \(error)") }
    }

    private static func request(_ action: Document, path: String, endpoint: Endpoint) -> [UInt8] {
        var text = "GET \(path.hasPrefix("/") ? path : "/\(path)") HTTP/1.1\r\n"
        let headers = action.list("httpHeaders")
        func has(_ name: String) -> Bool { headers.contains { $0.text("name")?.lowercased() == name } }
        if !has("host") { text += "Host: \(endpoint)\r\n" }
        if !has("user-agent") { text += "User-Agent: kube-probe/1.36\r\n" }
        if !has("accept") { text += "Accept: */*\r\n" }
        for header in headers { text += "\(header.text("name") ?? ""): \(header.text("value") ?? "")\r\n" }
        return Array((text + "Connection: close\r\n\r\n").utf8)
    }

    static let statusFailure = "HTTP probe failed with statuscode: "

    /// `grpc.health.v1.Health/Check` without TLS.
    func grpc(_ endpoint: Endpoint, service: String, timeout: Duration) async -> ProbeResult {
        let what = "service \"\(endpoint)\" within \(timeout.wholeSeconds)s"
        let connection: any Connection
        do {
            connection = try await within(timeout, "connect") { try await network.connect(to: endpoint) }
        } catch {
            return .failure("timeout: failed to connect \(what): \(error)")
        }
        defer { connection.close() }
        do {
            let answer = try await within(timeout, "health check") {
                try await GRPCCall.run(
                    GRPCHealth.path, message: GRPCHealth.request(service: service), authority: "\(endpoint)",
                    userAgent: "kube-probe/1.36", over: connection)
            }
            switch answer.status {
            case 0: break
            case 12:
                return .failure(
                    "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): "
                        + answer.detail)
            case 4: return .failure("timeout: health rpc did not complete within \(timeout.wholeSeconds)s")
            default: return .failure("error: health rpc probe failed: code \(answer.status): \(answer.detail)")
            }
            let status = GRPCHealth.status(answer.message ?? []) ?? "an answer that is none"
            return status == "SERVING" ? .success : .failure("service unhealthy (responded with \"\(status)\")")
        } catch is StartProblem {
            return .failure("timeout: health rpc did not complete within \(timeout.wholeSeconds)s")
        } catch { return .failure("error: health rpc probe failed: \(error)") }
    }

    /// Sends the request and answers the status line.
    private func exchange(_ request: [UInt8], _ endpoint: Endpoint, _ isSecure: Bool) async throws -> String {
        var connection = try await network.connect(to: endpoint)
        defer { connection.close() }
        if isSecure {
            guard case .ip(let address, _) = endpoint else {
                throw StartProblem(reason: "Probe", message: "\(endpoint) is no address")
            }
            // Probes ask whether somebody answers, not who: no certificate is checked, as upstream.
            connection = try await TLSClientContext(caPEM: nil).connect(connection, serverName: "\(address)")
        }
        try await connection.write(request)
        var answer: [UInt8] = []
        while answer.count < Self.answerLimit {
            let piece = try await connection.read(atMost: Self.answerLimit - answer.count)
            answer += piece
            if let end = answer.firstIndex(of: 13) ?? (piece.isEmpty ? answer.endIndex : nil) {
                return String(decoding: answer[..<end], as: UTF8.self)
            }
        }
        return ""
    }

    /// A number, or the name of one of the container's ports.
    static func port(_ port: Document?, _ container: Document) -> UInt16? {
        if let number = port?.int { return UInt16(exactly: number) }
        guard let name = port?.string else { return nil }
        if let number = UInt16(name) { return number }
        return container.list("ports").first { $0.text("name") == name }?.number("containerPort")
            .flatMap { UInt16(exactly: $0) }
    }
}
