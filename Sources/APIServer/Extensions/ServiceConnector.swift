import Basics
import Document
import Kinds
import Synchronization
import Wire

/// Makes connections to the servers that extend this one: those behind Services of the cluster, and those with an
/// address of their own. Connections live on between requests.
final class ServiceConnector: Sendable {
    struct Failure: Error, CustomStringConvertible { let description: String }

    private let resources: Resources
    private let resolver: HostResolver
    private let clientCertificate: (certificatePEM: [UInt8], keyPEM: [UInt8])?
    private let transports = Mutex<[Target: HTTPTransport]>([:])
    private static let mostTransports = 128
    private static let systemAuthorities = "/etc/ssl/certs/ca-certificates.crt"

    /// Whom to believe.
    enum Trust: Hashable, Sendable {
        case authorities([UInt8])
        case system
        case everyone
    }

    struct Target: Hashable, Sendable {
        var endpoint: Endpoint
        var host: String
        var serverName: String
        var trust: Trust
        var timeout: Duration
    }

    init(
        resources: Resources, nameServers: [Endpoint],
        clientCertificate: (certificatePEM: [UInt8], keyPEM: [UInt8])? = nil
    ) {
        self.resources = resources
        resolver = HostResolver(world: resources.world, servers: nameServers)
        self.clientCertificate = clientCertificate
    }

    /// Where a Service of the cluster is reached: its own address.
    func endpoint(namespace: String, name: String, port: Int) async throws -> Endpoint {
        guard let service = try await resources.object("services", namespace: namespace, name: name) else {
            throw Failure(description: "service \"\(name)\" not found")
        }
        guard service.list("spec", "ports").contains(where: { $0.number("port") == port }) else {
            throw Failure(description: "no service port \(port) found for service \"\(name)\"")
        }
        guard let address = IPAddress(service.text("spec", "clusterIP") ?? "") else {
            throw Failure(description: "service \"\(name)\" has no address of its own")
        }
        return .ip(address, port: UInt16(clamping: port))
    }

    func target(
        namespace: String, service: String, port: Int, trust: Trust, timeout: Duration
    ) async throws -> Target {
        let endpoint = try await endpoint(namespace: namespace, name: service, port: port)
        let name = "\(service).\(namespace).svc"
        return Target(
            endpoint: endpoint, host: port == 443 ? name : "\(name):\(port)", serverName: name, trust: trust,
            timeout: timeout)
    }

    /// - spec: of an APIService that names a Service.
    func target(spec: Document, timeout: Duration) async throws -> Target {
        let bundle = spec.text("caBundle").flatMap { Base64.decode($0) } ?? []
        var trust: Trust = bundle.isEmpty ? .system : .authorities(bundle)
        if spec.flag("insecureSkipTLSVerify") == true { trust = .everyone }
        return try await target(
            namespace: spec.text("service", "namespace") ?? "", service: spec.text("service", "name") ?? "",
            port: spec.number("service", "port") ?? 443, trust: trust, timeout: timeout)
    }

    /// A Service, nil where it is missing, and its endpoints.
    func serviceParts(namespace: String, name: String) async throws -> (service: Document?, slices: [Document]) {
        guard let service = try await resources.object("services", namespace: namespace, name: name) else {
            return (nil, [])
        }
        let slices = try await resources.objects("endpointslices", group: "discovery.k8s.io", namespace: namespace)
        return (
            service, slices.filter { $0.text("metadata", "labels", "kubernetes.io/service-name") == name }
        )
    }

    /// - client: a `clientConfig` with `url` or `service`, and `caBundle`.
    func target(client: Document, timeout: Duration) async throws -> (target: Target, path: String, url: String) {
        let bundle = client.text("caBundle").flatMap { Base64.decode($0) } ?? []
        let trust: Trust = bundle.isEmpty ? .system : .authorities(bundle)
        if let service = client["service"], service.isObject {
            let (name, namespace) = (service.text("name") ?? "", service.text("namespace") ?? "")
            let port = service.number("port") ?? 443
            let path = service.text("path") ?? "/"
            let target = try await target(
                namespace: namespace, service: name, port: port, trust: trust, timeout: timeout)
            let rooted = path.hasPrefix("/") ? path : "/" + path
            return (target, rooted, "https://\(name).\(namespace).svc:\(port)\(rooted)")
        }
        let text = client.text("url") ?? ""
        let url: WebhookURL
        do { url = try WebhookURL(text) } catch { throw Failure(description: error.description) }
        let port = url.port ?? 443
        let address = try await address(of: url.host)
        let target = Target(
            endpoint: .ip(address, port: UInt16(clamping: port)), host: url.authority, serverName: url.host,
            trust: trust, timeout: timeout)
        let path = (url.path.isEmpty ? "/" : url.path) + (url.query.isEmpty ? "" : "?" + url.query)
        return (target, path, text)
    }

    /// Services by the names that they have in the cluster, and whatever else the name servers know.
    private func address(of host: String) async throws -> IPAddress {
        let parts = host.split(separator: ".").map(String.init)
        if parts.count >= 3, parts[2] == "svc",
            let service = try await resources.object("services", namespace: parts[1], name: parts[0]),
            let address = IPAddress(service.text("spec", "clusterIP") ?? "")
        {
            return address
        }
        return try await resolver.address(host)
    }

    func transport(_ target: Target) throws -> HTTPTransport {
        if let known = transports.withLock({ $0[target] }) { return known }
        let certificate = clientCertificate
        func context(_ authorities: [UInt8]?) throws -> TLSClientContext {
            try TLSClientContext(
                caPEM: authorities, certificatePEM: certificate?.certificatePEM, keyPEM: certificate?.keyPEM)
        }
        let tls =
            switch target.trust {
            case .authorities(let bundle): try context(bundle)
            case .everyone: try context(nil)
            case .system: try TLSClientContext(systemAuthorities: Self.systemAuthorities)
            }
        var limits = HTTPTransport.Limits()
        limits.connections = 256
        limits.waiting = 1_024
        limits.headTime = target.timeout
        let fresh = HTTPTransport(
            target.endpoint, host: target.host, tls: tls, serverName: target.serverName,
            network: resources.world.network, clock: resources.world.clock, limits: limits)
        return transports.withLock { transports in
            if let known = transports[target] { return known }
            // Targets that are gone are not worth a calendar: forgetting all costs a handshake each.
            if transports.count >= Self.mostTransports {
                for old in transports.values { old.closeIdle() }
                transports = [:]
            }
            transports[target] = fresh
            return fresh
        }
    }
}
