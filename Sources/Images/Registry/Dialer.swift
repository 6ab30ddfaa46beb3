import Basics
import Wire

/// Connects to one origin, whatever endpoint it is asked for, and asks the proxy for a tunnel where there is one.
struct Dialer: Network {
    static let patience: Duration = .seconds(10)
    /// The head of a proxy's answer to CONNECT.
    static let longestAnswer = 16 << 10

    let origin: WebAddress.Origin
    let proxy: ProxySettings.Proxy?
    let names: MachineNames
    /// For a proxy that is spoken to over TLS.
    let tls: TLSClientContext?

    private var network: any Network { names.network }
    private var clock: any WorldClock { names.clock }

    func connect(to endpoint: Endpoint) async throws -> any Connection {
        guard let proxy else { return try await reach(origin) }
        let connection: any Connection
        do { connection = try await reach(proxy.address.origin) } catch let error as CancellationError {
            throw error
        } catch { throw ImageError("proxy \(proxy.address.origin)", "\(error)") }
        do {
            return try await withDeadline(Self.patience, clock, "proxy \(proxy.address.origin)") {
                try await through(proxy, connection)
            }
        } catch {
            connection.close()
            throw error
        }
    }

    private func reach(_ origin: WebAddress.Origin) async throws -> any Connection {
        do { return try await names.connect(to: origin.host, port: origin.port) } catch let failure
            as MachineNames.Failure
        {
            throw ImageError(origin.authority, failure.problem)
        }
    }

    private func through(_ proxy: ProxySettings.Proxy, _ plain: any Connection) async throws -> any Connection {
        var connection = plain
        if proxy.address.origin.isSecure {
            guard let tls else { throw ImageError("proxy \(proxy.address.origin)", "no TLS is set up") }
            connection = try await tls.connect(plain, serverName: proxy.address.origin.host)
        }
        // Requests for plain HTTP go to the proxy as they are.
        guard origin.isSecure else { return connection }
        let host = origin.host.contains(":") ? "[\(origin.host)]" : origin.host
        let authority = "\(host):\(origin.port)"
        let authorization = proxy.authorization.map { "Proxy-Authorization: \($0)\r\n" } ?? ""
        let request = "CONNECT \(authority) HTTP/1.1\r\nHost: \(authority)\r\n\(authorization)\r\n"
        try await connection.write(Array(request.utf8))
        var parser = HTTPParser(.responses)
        // A tunnel's answer has no body, like one to HEAD.
        parser.expect(answerTo: "HEAD")
        var taken = 0
        while true {
            if case .head(let head) = try parser.next() {
                guard head.status == 200 else {
                    throw ImageError(
                        "proxy \(proxy.address.origin)", "refuses a tunnel to \(authority) with status \(head.status)")
                }
                _ = try parser.next()
                let early = parser.takeRest()
                guard early.isEmpty else {
                    throw ImageError("proxy \(proxy.address.origin)", "sends bytes before the tunnel is asked for any")
                }
                return connection
            }
            let bytes = try await connection.read(atMost: 4096)
            taken += bytes.count
            guard !bytes.isEmpty, taken <= Self.longestAnswer else {
                throw ImageError("proxy \(proxy.address.origin)", "hung up without an answer")
            }
            parser.feed(bytes)
        }
    }

    func listen(on endpoint: Endpoint) async throws -> any Listener { try await network.listen(on: endpoint) }
    func datagrams(on endpoint: Endpoint) async throws -> any DatagramSocket {
        try await network.datagrams(on: endpoint)
    }
}
