import Basics
import Document

/// Reads a service and its endpoint slices, and says what they mean on one node. IPv4 only.
public struct ServicePlanner: Sendable {
    public static let serviceNameLabel = "kubernetes.io/service-name"
    /// Services that somebody else answers for: another proxy, nobody, or this node itself.
    private static let foreignLabels = ["service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless"]
    private static let nodeLocalLabel = "lab.dev/node-local"
    private static let defaultStickySeconds = 10_800

    public var nodeName: String
    public var nodeAddresses: [IPAddress]

    public init(nodeName: String, nodeAddresses: [IPAddress]) {
        self.nodeName = nodeName
        self.nodeAddresses = nodeAddresses
    }

    public func plan(service: Document, slices: [Document]) -> ServicePlan {
        var plan = ServicePlan()
        let labels = service.map("metadata", "labels")
        guard service.text("spec", "type") != "ExternalName", labels[Self.nodeLocalLabel] != "true",
            !Self.foreignLabels.contains(where: { labels[$0] != nil })
        else { return plan }
        let clusterAddresses = Self.clusterAddresses(of: service)
        guard !clusterAddresses.isEmpty else { return plan }
        plan.clusterAddresses = Set(clusterAddresses)
        let external = Self.externalAddresses(of: service)
        let sticky = Self.stickySeconds(of: service)
        let internalLocal = service.text("spec", "internalTrafficPolicy") == "Local"
        let externalLocal = service.text("spec", "externalTrafficPolicy") == "Local"
        for port in service.list("spec", "ports") {
            guard let transport = ServiceTransport(port.text("protocol") ?? "TCP"), let number = Self.port(port, "port")
            else { continue }
            let endpoints = Endpoints(
                slices: slices, port: port.text("name") ?? "", transport: transport, node: nodeName)
            plan.localEndpoints.formUnion(endpoints.local.map(\.address))
            let inside = endpoints.treatment(localOnly: internalLocal, stickySeconds: sticky)
            for address in clusterAddresses {
                plan.frontends[Frontend(address, transport, number)] = FrontendPlan(inside)
            }
            let outside = FrontendPlan(
                endpoints.treatment(localOnly: externalLocal, stickySeconds: sticky), masquerade: !externalLocal)
            for address in external {
                plan.frontends[Frontend(address, transport, number)] = outside
            }
            if ["NodePort", "LoadBalancer"].contains(service.text("spec", "type") ?? ""),
                let nodePort = Self.port(port, "nodePort")
            {
                for address in nodeAddresses where !address.isIPv6 {
                    plan.frontends[Frontend(address, transport, nodePort)] = outside
                }
            }
        }
        return plan
    }

    private static func port(_ document: Document, _ key: String) -> UInt16? {
        document.number(key).flatMap { UInt16(exactly: $0) }.flatMap { $0 == 0 ? nil : $0 }
    }

    private static func clusterAddresses(of service: Document) -> [IPAddress] {
        let listed = service.list("spec", "clusterIPs").compactMap(\.string)
        let texts = listed.isEmpty ? [service.text("spec", "clusterIP") ?? ""] : listed
        return texts.compactMap { IPAddress($0) }.filter { !$0.isIPv6 }
    }

    private static func externalAddresses(of service: Document) -> [IPAddress] {
        let listed = service.list("spec", "externalIPs").compactMap(\.string)
        // With mode Proxy the load balancer wants its traffic delivered to it, not cut short.
        let ingress =
            service.text("spec", "type") == "LoadBalancer"
            ? service.list("status", "loadBalancer", "ingress")
                .filter { ($0.text("ipMode") ?? "VIP") == "VIP" }.compactMap { $0.text("ip") } : []
        return (listed + ingress).compactMap { IPAddress($0) }.filter { !$0.isIPv6 }
    }

    private static func stickySeconds(of service: Document) -> UInt32? {
        guard service.text("spec", "sessionAffinity") == "ClientIP" else { return nil }
        let seconds = service.number("spec", "sessionAffinityConfig", "clientIP", "timeoutSeconds")
        return UInt32(exactly: seconds ?? defaultStickySeconds)
    }
}

/// The endpoints of one service port, by what may be sent to them.
private struct Endpoints {
    private var ready: Set<Backend> = []
    private var readyHere: Set<Backend> = []
    /// Endpoints that are going away but still answer serve while there is nobody better.
    private var leaving: Set<Backend> = []
    private var leavingHere: Set<Backend> = []

    var local: Set<Backend> { readyHere.union(leavingHere) }

    init(slices: [Document], port name: String, transport: ServiceTransport, node: String) {
        for slice in slices where slice.text("addressType") ?? "IPv4" == "IPv4" {
            for port in slice.list("ports") {
                guard port.text("name") ?? "" == name,
                    ServiceTransport(port.text("protocol") ?? "TCP") == transport,
                    let number = port.number("port").flatMap({ UInt16(exactly: $0) })
                else { continue }
                for endpoint in slice.list("endpoints") { add(endpoint, port: number, node: node) }
            }
        }
    }

    private mutating func add(_ endpoint: Document, port: UInt16, node: String) {
        // Every address of an endpoint is the same pod; the first one stands for it.
        guard let address = endpoint.list("addresses").first?.string.flatMap({ IPAddress($0) }), !address.isIPv6 else {
            return
        }
        let backend = Backend(address, port)
        let isHere = endpoint.text("nodeName") == node
        if endpoint.flag("conditions", "ready") ?? true {
            ready.insert(backend)
            if isHere { readyHere.insert(backend) }
        } else if endpoint.flag("conditions", "serving") == true, endpoint.flag("conditions", "terminating") == true {
            leaving.insert(backend)
            if isHere { leavingHere.insert(backend) }
        }
    }

    func treatment(localOnly: Bool, stickySeconds: UInt32?) -> Treatment {
        let anywhere = ready.isEmpty ? leaving : ready
        guard !anywhere.isEmpty else { return .reject }
        let here = readyHere.isEmpty ? leavingHere : readyHere
        let chosen = localOnly ? here : anywhere
        return chosen.isEmpty ? .drop : .balance(chosen.sorted(), stickySeconds: stickySeconds)
    }
}
