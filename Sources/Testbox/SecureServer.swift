import Basics
import Wire

extension Testbox {
    /// Serves HTTPS until a signal comes, with a certificate made on the spot for `names`. The authority that issued
    /// it is the first line of the log, in the form that a `caBundle` takes: whoever started the pod reads it there.
    func serveSecurely(
        _ port: UInt16, names: [String], clientAuthority: [UInt8]? = nil, _ handler: @escaping Handler
    ) async throws -> Int32 {
        let now = world.clock.now
        let validity = Duration.seconds(86_400)
        let authority = try CertificateAuthority.create(commonName: "testbox", now: now, validity: validity)
        let own = try authority.issue(
            commonName: names.first ?? "testbox", dnsNames: names, usage: [.server], now: now, validity: validity)
        let tls = try TLSServerContext(
            certificatePEM: own.certificatePEM, keyPEM: own.keyPEM, clientCAPEM: clientAuthority)
        let listener = try await world.network.listen(on: .ip(IPAddress(v4: 0), port: port))
        let server = HTTPServer(listener: listener, tls: tls, clock: world.clock, handler: handler)
        Output.line(Base64.encode(authority.certificatePEM))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            if let signals { group.addTask { _ = try await signals.next() } }
            try await group.next()
            group.cancelAll()
        }
        return 0
    }
}

extension Response {
    /// A JSON text as an answer.
    static func json(_ status: Int, _ bytes: [UInt8]) -> Response {
        Response(
            status: status, headers: Headers([("Content-Type", "application/json")]), body: .bytes(bytes))
    }
}
