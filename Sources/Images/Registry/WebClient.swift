import Basics
import Glibc
import Linux
import Synchronization
import Wire

/// HTTP requests to any server: one pool of connections per origin, with the certificates and proxies that the
/// settings name for it.
final class WebClient: Sendable {
    /// Until the head of an answer is there. Registries that have to fetch a blob themselves take their time.
    static let patience: Duration = .seconds(60)
    static let mostOrigins = 32

    private let settings: RegistrySettings
    private let names: MachineNames
    private let transports = Mutex<[WebAddress.Origin: HTTPTransport]>([:])

    init(settings: RegistrySettings, world: World) {
        self.settings = settings
        names = MachineNames(world: world)
    }

    func send(
        _ method: String, _ address: WebAddress, _ headers: Headers = Headers(), body: [UInt8] = []
    ) async throws -> any ResponseStream {
        let transport = try transport(to: address.origin)
        var headers = headers
        headers["Host"] = address.origin.authority
        headers["User-Agent"] = "lab"
        var target = address.target.isEmpty ? "/" : address.target
        if !address.origin.isSecure, let proxy = try settings.proxies.proxy(for: address.origin) {
            target = "\(address.origin)\(target)"
            if let authorization = proxy.authorization { headers["Proxy-Authorization"] = authorization }
        }
        return try await transport.send(Request(method, target, headers: headers, body: body))
    }

    func closeIdle() { for transport in transports.withLock({ Array($0.values) }) { transport.closeIdle() } }

    private func transport(to origin: WebAddress.Origin) throws -> HTTPTransport {
        if let known = transports.withLock({ $0[origin] }) { return known }
        let proxy = try settings.proxies.proxy(for: origin)
        let tls = origin.isSecure ? try context(for: origin) : nil
        let proxyTLS = try proxy.flatMap { $0.address.origin.isSecure ? try context(for: $0.address.origin) : nil }
        let dialer = Dialer(origin: origin, proxy: proxy, names: names, tls: proxyTLS)
        var limits = HTTPTransport.Limits()
        limits.connections = 16
        limits.idle = 8
        limits.connectTime = .seconds(45)
        limits.headTime = Self.patience
        // The dialer knows where to go; the endpoint only names the server in messages.
        let endpoint = Endpoint.ip(IPAddress(origin.host) ?? .any, port: origin.port)
        let made = HTTPTransport(
            endpoint, host: origin.authority, tls: tls, serverName: origin.host, network: dialer, clock: names.clock,
            limits: limits)
        return transports.withLock { transports in
            if let known = transports[origin] { return known }
            // Redirects may lead anywhere; the oldest pools are not worth telling apart.
            if transports.count >= Self.mostOrigins { transports.removeAll() }
            transports[origin] = made
            return made
        }
    }

    private func context(for origin: WebAddress.Origin) throws -> TLSClientContext {
        let tls = settings.tls(for: origin)
        let certificate = try tls.certificate.map { try Files.read($0, limit: 1 << 20) }
        let key = try tls.key.map { try Files.read($0, limit: 1 << 20) }
        if tls.skipsVerification { return try TLSClientContext(caPEM: nil, certificatePEM: certificate, keyPEM: key) }
        if let own = tls.authorities {
            var pem = try Files.read(own, limit: 8 << 20)
            if let system = settings.authorities { pem += [10] + (try Files.read(system, limit: 8 << 20)) }
            return try TLSClientContext(caPEM: pem, certificatePEM: certificate, keyPEM: key)
        }
        guard let system = settings.authorities else {
            throw ImageError(
                "\(origin)",
                "this machine has no certificates of authorities; install ca-certificates, or set SSL_CERT_FILE")
        }
        if certificate == nil { return try TLSClientContext(systemAuthorities: system) }
        return try TLSClientContext(
            caPEM: try Files.read(system, limit: 8 << 20), certificatePEM: certificate, keyPEM: key)
    }
}
