import Basics
import Document
import Kinds
import Schema
import Wire

/// Where `…/NAME/proxy/PATH` leads: what a pod, a Service or a node answers on some port.
///
/// The name may say more than the name: `NAME`, `NAME:PORT` or `SCHEME:NAME:PORT`, with `http` or `https`.
struct ProxyTarget: Sendable {
    struct Reference: Equatable {
        var scheme: String
        var name: String
        var port: String

        init?(_ text: String) {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            switch parts.count {
            case 1: (scheme, name, port) = ("", parts[0], "")
            case 2: (scheme, name, port) = ("", parts[0], parts[1])
            case 3: (scheme, name, port) = (parts[0], parts[1], parts[2])
            default: return nil
            }
            guard !name.isEmpty, ["", "http", "https"].contains(scheme) else { return nil }
        }
    }

    var transport: any Transport
    /// `ADDRESS:PORT`, as answers name the place that they come from.
    var host: String

    // MARK: Pods

    static func pod(_ call: Call, _ resources: Resources) async throws -> ProxyTarget {
        guard let reference = Reference(call.name) else {
            throw APIStatus.badRequest("invalid pod request \(Document(call.name).jsonText)")
        }
        guard
            let pod = try await resources.document(call.resource, namespace: call.namespace, name: reference.name)
        else { throw APIStatus.notFound(call.resource, reference.name) }
        var port = reference.port
        if port.isEmpty {
            let first = pod.list("spec", "containers").compactMap { $0.list("ports").first }.first
            port = first?.number("containerPort").map(String.init) ?? ""
        }
        let ip = pod.list("status", "podIPs").first?.text("ip") ?? ""
        guard let address = IPAddress(ip), isAllowed(address) else { throw APIStatus.badRequest("address not allowed") }
        return try direct(address, port, scheme: reference.scheme, resources.world)
    }

    /// Neither the server itself nor its link: a request must not reach there in the server's name.
    static func isAllowed(_ address: IPAddress) -> Bool {
        if address.isLoopback { return false }
        let refused = [
            "0.0.0.0/32", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32", "::/128", "fe80::/10", "ff00::/8",
        ]
        return !refused.contains { CIDR($0)?.contains(address) ?? false }
    }

    private static func direct(
        _ address: IPAddress, _ port: String, scheme: String, _ world: World
    ) throws -> ProxyTarget {
        let isSecure = scheme == "https"
        let host = address.isIPv6 ? "[\(address)]" : "\(address)"
        let number: UInt16
        if port.isEmpty {
            number = isSecure ? 443 : 80
        } else {
            guard let given = UInt16(port), given > 0 else {
                throw APIStatus.unreachable("dial tcp: address \(host):\(port): invalid port")
            }
            number = given
        }
        var limits = HTTPTransport.Limits()
        limits.headTime = nil
        return ProxyTarget(
            // Nothing in the cluster says which authority vouches for a pod.
            transport: HTTPTransport(
                .ip(address, port: number), host: host + (port.isEmpty ? "" : ":\(port)"),
                tls: isSecure ? try TLSClientContext(caPEM: nil) : nil, network: world.network, clock: world.clock,
                limits: limits),
            host: host + (port.isEmpty ? "" : ":\(port)"))
    }

    // MARK: Services

    static func service(_ call: Call, _ resources: Resources) async throws -> ProxyTarget {
        guard let reference = Reference(call.name) else {
            throw APIStatus.badRequest("invalid service request \(Document(call.name).jsonText)")
        }
        guard
            let service = try await resources.document(
                call.resource, namespace: call.namespace, name: reference.name)
        else { throw APIStatus.notFound(call.resource, reference.name) }
        var portName = reference.port
        if let number = Int(reference.port) {
            guard let port = service.list("spec", "ports").first(where: { $0.number("port") == number }) else {
                throw APIStatus.unavailable("no service port \(number) found for service \"\(reference.name)\"")
            }
            portName = port.text("name") ?? ""
        }
        let slices = try await resources.objects(
            "endpointslices", group: "discovery.k8s.io", namespace: call.namespace
        ).filter { $0.text("metadata", "labels", "kubernetes.io/service-name") == reference.name }
        // A Service that nobody has looked for endpoints of is answered like none.
        guard !slices.isEmpty else { throw APIStatus.notFound(call.resource, reference.name) }
        var candidates: [(IPAddress, Int)] = []
        for slice in slices {
            let port = slice.list("ports").first { ($0.text("name") ?? "") == portName }
            guard let number = port?.number("port") else { continue }
            for endpoint in slice.list("endpoints") where endpoint.flag("conditions", "ready") != false {
                guard let text = endpoint.list("addresses").first?.string, let address = IPAddress(text),
                    isAllowed(address)
                else { continue }
                candidates.append((address, number))
            }
        }
        guard !candidates.isEmpty else {
            let named = slices.contains { !$0.list("endpoints").isEmpty } ? call.name : reference.name
            throw APIStatus.unavailable("no endpoints available for service \"\(named)\"")
        }
        let (address, port) = candidates[resources.world.random.below(candidates.count)]
        return try direct(address, String(port), scheme: reference.scheme, resources.world)
    }

    // MARK: Nodes

    /// The node's agent, with this server's own certificate; or any other port of the node, without.
    static func node(_ call: Call, _ proxy: NodeProxy) async throws -> ProxyTarget {
        guard let reference = Reference(call.name) else {
            throw APIStatus.badRequest("invalid node request \(Document(call.name).jsonText)")
        }
        let agent = try await proxy.agent(of: reference.name)
        if reference.port.isEmpty || reference.port == String(agent.port) {
            return ProxyTarget(transport: agent.transport, host: "\(agent.address):\(agent.port)")
        }
        guard isAllowed(agent.address) else { throw APIStatus.badRequest("address not allowed") }
        return try direct(agent.address, reference.port, scheme: reference.scheme, proxy.resources.world)
    }
}

extension APIStatus {
    static func unavailable(_ message: String) -> APIStatus { failure(503, "ServiceUnavailable", message) }
    static func unreachable(_ why: String) -> APIStatus { unavailable("error trying to reach service: \(why)") }
}
