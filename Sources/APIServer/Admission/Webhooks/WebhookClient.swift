import Basics
import Document
import Kinds
import Schema
import Store
import Synchronization
import Wire

/// Where a webhook is, by URL or behind a Service, and whom its certificate must come from.
struct WebhookTarget: Sendable, Hashable {
    enum Place: Sendable, Hashable {
        case url(String)
        case service(namespace: String, name: String, port: Int, path: String)
    }

    let place: Place
    /// PEM in base64; empty for the system's authorities.
    let authorities: String

    /// Reads a `WebhookClientConfig`.
    init(_ configuration: Document) {
        authorities = configuration.text("caBundle") ?? ""
        if let service = configuration["service"] {
            place = .service(
                namespace: service.text("namespace") ?? "", name: service.text("name") ?? "",
                port: service.number("port") ?? 443, path: service.text("path") ?? "")
        } else {
            place = .url(configuration.text("url") ?? "")
        }
    }
}

/// Posts JSON to servers outside: admission webhooks, and conversion webhooks of custom resources.
///
/// Connections to a server live on between requests, as long as its place and its authorities stay.
final class WebhookClient: Sendable {
    /// Why there is no answer, as the message goes on to the client.
    struct CallError: Error, Equatable { let message: String }

    /// Servers whose connections are kept; with more, those of all are closed.
    private static let mostTransports = 64
    private static let mostBytes = 16 << 20
    private static let systemAuthorities = "/etc/ssl/certs/ca-certificates.crt"

    private struct Key: Hashable {
        var endpoint: Endpoint
        var serverName: String
        var authorities: String
    }

    private let world: World
    private let resolver: HostResolver
    private let service: @Sendable (String, String) async throws -> Document?
    private let endpoints: @Sendable (String, String) async throws -> [Document]
    private let transports = Mutex<[Key: HTTPTransport]>([:])

    /// - service: finds a Service by namespace and name. - endpoints: its EndpointSlices.
    init(
        world: World, nameServers: [Endpoint],
        service: @escaping @Sendable (String, String) async throws -> Document?,
        endpoints: @escaping @Sendable (String, String) async throws -> [Document]
    ) {
        self.world = world
        resolver = HostResolver(world: world, servers: nameServers)
        self.service = service
        self.endpoints = endpoints
    }

    /// The answer's document. A status that tells of failure is an error, like everything that prevents an answer.
    func post(_ body: Document, to target: WebhookTarget, timeout: Duration) async throws -> Document {
        let place = try Route(target)
        let shown = "\(place.base)\(place.path)?timeout=\(timeout.components.seconds)s"
        let content = body.json
        do {
            return try await withDeadline(timeout, world.clock, shown) { [self] in
                try await exchange(content, target, place, timeout, shown)
            }
        } catch is HTTPTransport.TimedOut {
            throw CallError(message: "Post \"\(shown)\": context deadline exceeded")
        }
    }

    private func exchange(
        _ content: [UInt8], _ target: WebhookTarget, _ place: Route, _ timeout: Duration, _ shown: String
    ) async throws -> Document {
        let response: any ResponseStream
        let bytes: [UInt8]
        do {
            let endpoint = try await endpoint(target, place)
            let transport = try transport(endpoint, place, target)
            let request = Request(
                "POST", "\(place.path.isEmpty ? "/" : place.path)?timeout=\(timeout.components.seconds)s",
                headers: Headers([
                    ("Host", place.authority), ("Content-Type", "application/json"), ("Accept", "application/json"),
                    ("User-Agent", "kube-apiserver-admission"),
                ]), body: content)
            response = try await transport.send(request)
            bytes = try await response.collect(limit: Self.mostBytes)
        } catch let error as CancellationError {
            throw error
        } catch {
            throw CallError(message: "Post \"\(shown)\": \(Self.explain(error))")
        }
        guard (200..<300).contains(response.status) else { throw Self.refused(response.status, bytes) }
        do { return try Document(json: bytes) } catch {
            throw CallError(message: "the response of \(place.base) cannot be read: \(error)")
        }
    }

    // MARK: Places

    /// What a URL says, or what stands for a Service in its place.
    private struct Route {
        var authority: String
        var host: String
        var port: UInt16
        var path: String
        var base: String { "https://" + authority }

        init(_ target: WebhookTarget) throws {
            switch target.place {
            case .url(let text):
                guard let url = try? WebhookURL(text), !url.host.isEmpty else {
                    throw CallError(message: "parse \(text): no URL")
                }
                authority = url.authority
                host = url.host
                port = UInt16(exactly: url.port ?? 443) ?? 443
                path = url.path
            case .service(let namespace, let name, let number, let path):
                host = "\(name).\(namespace).svc"
                port = UInt16(exactly: number) ?? 443
                authority = "\(host):\(port)"
                self.path = path.isEmpty || path.hasPrefix("/") ? path : "/" + path
            }
        }
    }

    private struct NoAddress: Error, CustomStringConvertible { let description: String }

    private func endpoint(_ target: WebhookTarget, _ place: Route) async throws -> Endpoint {
        guard case .service(let namespace, let name, let port, _) = target.place else {
            return .ip(try await resolver.address(place.host), port: place.port)
        }
        guard let service = try await service(namespace, name) else {
            throw NoAddress(description: "service \"\(name)\" not found")
        }
        if service.text("spec", "type") == "ExternalName" {
            return .ip(
                try await resolver.address(service.text("spec", "externalName") ?? ""), port: UInt16(clamping: port))
        }
        let wanted = service.list("spec", "ports").first { $0.number("port") == port }
        guard let wanted else { throw NoAddress(description: "no service port \(port) found for service \"\(name)\"") }
        if let text = service.text("spec", "clusterIP"), let address = IPAddress(text) {
            return .ip(address, port: UInt16(clamping: port))
        }
        return try await podEndpoint(namespace, name, wanted.text("name") ?? "")
    }

    /// A Service without an address of its own leads to one of its pods.
    private func podEndpoint(_ namespace: String, _ name: String, _ portName: String) async throws -> Endpoint {
        var found: [Endpoint] = []
        for slice in try await endpoints(namespace, name) {
            guard let port = slice.list("ports").first(where: { ($0.text("name") ?? "") == portName })?.number("port")
            else { continue }
            for endpoint in slice.list("endpoints") where endpoint.flag("conditions", "ready") != false {
                if let text = endpoint.list("addresses").first?.string, let address = IPAddress(text) {
                    found.append(.ip(address, port: UInt16(clamping: port)))
                }
            }
        }
        guard !found.isEmpty else {
            throw NoAddress(description: "no endpoints available for service \"\(name)\"")
        }
        return found[world.random.below(found.count)]
    }

    // MARK: Connections

    private func transport(_ endpoint: Endpoint, _ place: Route, _ target: WebhookTarget) throws -> HTTPTransport {
        let key = Key(endpoint: endpoint, serverName: place.host, authorities: target.authorities)
        if let known = transports.withLock({ $0[key] }) { return known }
        let tls: TLSClientContext
        if target.authorities.isEmpty {
            tls = try TLSClientContext(systemAuthorities: Self.systemAuthorities)
        } else {
            guard let pem = Base64.decode(target.authorities) else {
                throw CallError(message: "unable to load root certificates: the CA bundle is no base64")
            }
            tls = try TLSClientContext(caPEM: pem)
        }
        var limits = HTTPTransport.Limits()
        limits.message.bodyBytes = Self.mostBytes
        let fresh = HTTPTransport(
            endpoint, host: place.authority, tls: tls, serverName: place.host, network: world.network,
            clock: world.clock, limits: limits)
        transports.withLock { transports in
            if transports.count >= Self.mostTransports {
                for transport in transports.values { transport.closeIdle() }
                transports.removeAll()
            }
            transports[key] = fresh
        }
        return fresh
    }

    /// Failures of the network in upstream's words, where it has some.
    private static func explain(_ error: any Error) -> String {
        if let error = error as? CallError { return error.message }
        let text = "\(error)"
        let unknown = ["self-signed certificate", "unable to get local issuer", "unable to get issuer"]
        if text.hasPrefix("TLS handshake: "), unknown.contains(where: text.contains) {
            return "tls: failed to verify certificate: x509: certificate signed by unknown authority"
        }
        if text.hasSuffix(": Connection refused") {
            let parts = text.split(separator: " ")
            let place = parts.count > 1 ? parts[1].drop { $0 == ":" } : ""
            return "dial tcp \(place.hasSuffix(":") ? place.dropLast() : place): connect: connection refused"
        }
        return text
    }

    private static func refused(_ code: Int, _ bytes: [UInt8]) -> CallError {
        if let document = try? Document(json: bytes), let status = APIStatus(document), !status.message.isEmpty {
            return CallError(message: status.message)
        }
        let body = String(decoding: bytes.prefix(2_048), as: UTF8.self)
        switch code {
        case 400: return CallError(message: "the server rejected our request for an unknown reason")
        case 401: return CallError(message: "the server has asked for the client to provide credentials")
        case 403: return CallError(message: body.isEmpty ? "unknown" : body)
        case 404: return CallError(message: "the server could not find the requested resource")
        case 405: return CallError(message: "the server does not allow this method on the requested resource")
        case 503: return CallError(message: "the server is currently unable to handle the request")
        default:
            let shown = Document(body.isEmpty ? "unknown" : body).jsonText
            return CallError(message: "an error on the server (\(shown)) has prevented the request from succeeding")
        }
    }
}

extension WebhookClient {
    /// A client that finds Services where this server keeps them.
    convenience init(world: World, nameServers: [Endpoint], store: any Store, registry: Schema.Registry) {
        self.init(
            world: world, nameServers: nameServers,
            service: { namespace, name in
                guard let services = registry.resource(group: "", version: "v1", plural: "services"),
                    let record = try await store.get(ObjectCodec.key(services, namespace: namespace, name: name))
                else { return nil }
                return try ObjectCodec.document(record.value, services)
            },
            endpoints: { namespace, name in
                guard
                    let slices = registry.resource(group: "discovery.k8s.io", version: "v1", plural: "endpointslices")
                else { return [] }
                let prefix = ObjectCodec.prefix(slices, namespace: namespace)
                let page = try await store.list(prefix: prefix, after: nil, limit: nil, at: nil)
                return try page.records.map { try ObjectCodec.document($0.value, slices) }
                    .filter { $0.text("metadata", "labels", "kubernetes.io/service-name") == name }
            })
    }
}
