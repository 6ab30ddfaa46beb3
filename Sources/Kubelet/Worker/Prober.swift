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

    /// 200 to 399 is healthy. Redirects are followed on the same host; one that leads away ends the probe well, but
    /// whoever wrote it shall know.
    func http(_ action: Document, host: IPAddress, container: Document, timeout: Duration) async -> ProbeResult {
        guard let port = Self.port(action["port"], container) else {
            return .failure("port \"\(action.text("port") ?? "")\" is not known")
        }
        let ownHost = action.text("host") ?? ""
        guard let address = ownHost.isEmpty ? host : IPAddress(ownHost) else {
            return .failure("host \"\(ownHost)\" is no address")
        }
        let path = action.text("path") ?? "/"
        let target = ProbeTarget(
            isSecure: action.text("scheme") == "HTTPS", host: address, port: port,
            path: path.hasPrefix("/") ? path : "/\(path)")
        let what = "Get \"\(target.url)\""
        do {
            return try await within(timeout, what) { try await ask(action.list("httpHeaders"), target) }
        } catch let problem as StartProblem { return .failure(problem.message) } catch {
            return .failure("\(what): \(error)")
        }
    }

    private func ask(_ headers: [Document], _ first: ProbeTarget) async throws -> ProbeResult {
        var target = first
        var keepsHost = true
        for _ in 0...ProbeTarget.mostRedirects {
            let request = Self.request(headers, target, keepsHost: keepsHost)
            let answer: ProbeAnswer
            do {
                guard let read = ProbeAnswer(try await exchange(request, target)) else {
                    return .failure("Get \"\(target.url)\": malformed HTTP response")
                }
                answer = read
            } catch let error as CancellationError { throw error } catch {
                return .failure("Get \"\(target.url)\": \(error)")
            }
            guard (200..<400).contains(answer.status) else { return .failure("\(Self.statusFailure)\(answer.status)") }
            if answer.status < 300 { return .success }
            guard ProbeTarget.redirections.contains(answer.status), let location = answer.location,
                case .follow(let next, let keeps) = target.next(location)
            else { return .warning("Probe terminated redirects, Response body: \(answer.body)") }
            (target, keepsHost) = (next, keepsHost && keeps)
        }
        return .failure("Get \"\(target.url)\": stopped after \(ProbeTarget.mostRedirects) redirects")
    }

    private static func request(_ headers: [Document], _ target: ProbeTarget, keepsHost: Bool) -> [UInt8] {
        var text = "GET \(target.path) HTTP/1.1\r\n"
        func has(_ name: String) -> Bool { headers.contains { $0.text("name")?.lowercased() == name } }
        if !keepsHost || !has("host") { text += "Host: \(target.endpoint)\r\n" }
        if !has("user-agent") { text += "User-Agent: kube-probe/1.36\r\n" }
        if !has("accept") { text += "Accept: */*\r\n" }
        for header in headers {
            let (name, value) = (header.text("name") ?? "", header.text("value") ?? "")
            if name.lowercased() == "host", !keepsHost { continue }
            // An empty value of these two is the wish to send none.
            if value.isEmpty, ["accept", "user-agent"].contains(name.lowercased()) { continue }
            text += "\(name): \(value)\r\n"
        }
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

    /// Sends the request and reads the answer's head; of one that leads elsewhere what there is of its body, too.
    private func exchange(_ request: [UInt8], _ target: ProbeTarget) async throws -> [UInt8] {
        var connection = try await network.connect(to: target.endpoint)
        defer { connection.close() }
        if target.isSecure {
            // Probes ask whether somebody answers, not who: no certificate is checked, as upstream.
            connection = try await TLSClientContext(caPEM: nil).connect(connection, serverName: "\(target.host)")
        }
        try await connection.write(request)
        var answer: [UInt8] = []
        while answer.count < Self.answerLimit {
            let piece = try await connection.read(atMost: Self.answerLimit - answer.count)
            if piece.isEmpty { break }
            answer += piece
            let leadsElsewhere = answer.count < 10 || answer.dropFirst(9).first == UInt8(ascii: "3")
            if leadsElsewhere ? ProbeAnswer(answer)?.isComplete == true : answer.contains(10) { break }
        }
        return answer
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
