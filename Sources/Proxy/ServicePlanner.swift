import Basics
import Document

/// Reads a service and its endpoint slices, and says what they mean on one node. IPv4 only.
public struct ServicePlanner: Sendable {
    public static let serviceNameLabel = "kubernetes.io/service-name"
    /// Services that somebody else answers for: another proxy, nobody, or this node itself.
    private static let foreignLabels = ["service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless"]
    private static let nodeLocalLabel = "lab.dev/node-local"
    private static let defaultStickySeconds = 10_800
    /// Written by the controller that gives out load balancers' addresses.
    private static let announcerAnnotation = "lab.dev/announcing-node"

    public var nodeName: String
    public var nodeAddresses: [IPAddress]
    /// Where this node is, for endpoints that are meant for some zones first.
    public var zone: String?

    public init(nodeName: String, nodeAddresses: [IPAddress], zone: String? = nil) {
        self.nodeName = nodeName
        self.nodeAddresses = nodeAddresses
        self.zone = zone
    }

    /// Whether what a slice says depends on the node's zone.
    public static func asksForZone(_ slice: Document) -> Bool {
        slice.list("endpoints").contains { $0.at("hints", "forZones") != nil }
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
        let internalLocal = service.text("spec", "internalTrafficPolicy") == "Local"
        let sticky = Self.stickySeconds(of: service)
        for port in service.list("spec", "ports") {
            guard let transport = ServiceTransport(port.text("protocol") ?? "TCP"), let number = Self.port(port, "port")
            else { continue }
            let endpoints = Endpoints(
                slices: slices, port: port.text("name") ?? "", transport: transport, node: nodeName, zone: zone)
            plan.localEndpoints.formUnion(endpoints.maybeHere.map(\.address))
            let inside = endpoints.treatment(localOnly: internalLocal, stickySeconds: sticky)
            for address in clusterAddresses {
                plan.frontends[Frontend(address, transport, number)] = FrontendPlan(inside)
            }
            let cluster = Frontend(clusterAddresses[0], transport, number)
            addOutside(&plan, service, port, endpoints, cluster, inside)
        }
        addBalancer(&plan, service, slices)
        return plan
    }

    /// The frontends through which the service is reached from outside the cluster.
    private func addOutside(
        _ plan: inout ServicePlan, _ service: Document, _ port: Document, _ endpoints: Endpoints, _ cluster: Frontend,
        _ inside: Treatment
    ) {
        let isLocal = service.text("spec", "externalTrafficPolicy") == "Local"
        let treatment = endpoints.treatment(localOnly: isLocal, stickySeconds: Self.stickySeconds(of: service))
        var outside = FrontendPlan(treatment, masquerade: !isLocal)
        if isLocal, inside != treatment, case .balance(let backends, nil) = inside {
            outside.inside = FrontendPlan.Inside(cluster, endpoints: backends.count)
        }
        for address in Self.addresses(service.list("spec", "externalIPs").compactMap(\.string)) {
            plan.frontends[Frontend(address, cluster.transport, cluster.port)] = outside
        }
        if let nodePort = Self.port(port, "nodePort"),
            ["NodePort", "LoadBalancer"].contains(service.text("spec", "type") ?? "")
        {
            for address in nodeAddresses where !address.isIPv6 {
                plan.frontends[Frontend(address, cluster.transport, nodePort)] = outside
            }
        }
        let ranges = service.list("spec", "loadBalancerSourceRanges").compactMap { range in
            range.string.flatMap { CIDR($0.filter { !$0.isWhitespace }) }
        }
        if !ranges.isEmpty { outside.sources = ranges }
        for address in Self.balancerAddresses(of: service) {
            plan.frontends[Frontend(address, cluster.transport, cluster.port)] = outside
        }
    }

    /// What a load balancer has beside its frontends: the node that answers for it, and the port that tells how it is.
    private func addBalancer(_ plan: inout ServicePlan, _ service: Document, _ slices: [Document]) {
        guard service.text("spec", "type") == "LoadBalancer" else { return }
        if let announcer = service.map("metadata", "annotations")[Self.announcerAnnotation] {
            let addresses = Set(Self.balancerAddresses(of: service)).subtracting(nodeAddresses)
            // They lie on this node while it answers for them, so what no port of theirs takes must be refused.
            plan.clusterAddresses.formUnion(addresses)
            if announcer == nodeName { plan.announced = addresses }
        }
        guard service.text("spec", "externalTrafficPolicy") == "Local",
            let port = Self.port(service["spec"] ?? .null, "healthCheckNodePort"),
            let namespace = service.text("metadata", "namespace"), let name = service.text("metadata", "name")
        else { return }
        let ready = Set(
            slices.flatMap { $0.list("endpoints") }
                .filter { $0.text("nodeName") == nodeName && $0.flag("conditions", "ready") ?? true }
                .compactMap { $0.list("addresses").first?.string })
        plan.healthCheck = HealthCheck(port: port, service: "\(namespace)/\(name)", localEndpoints: ready.count)
    }

    private static func port(_ document: Document, _ key: String) -> UInt16? {
        document.number(key).flatMap { UInt16(exactly: $0) }.flatMap { $0 == 0 ? nil : $0 }
    }

    private static func clusterAddresses(of service: Document) -> [IPAddress] {
        let listed = service.list("spec", "clusterIPs").compactMap(\.string)
        let texts = listed.isEmpty ? [service.text("spec", "clusterIP") ?? ""] : listed
        return texts.compactMap { IPAddress($0) }.filter { !$0.isIPv6 }
    }

    private static func balancerAddresses(of service: Document) -> [IPAddress] {
        guard service.text("spec", "type") == "LoadBalancer" else { return [] }
        // With mode Proxy the load balancer wants its traffic delivered to it, not cut short.
        return addresses(
            service.list("status", "loadBalancer", "ingress")
                .filter { ($0.text("ipMode") ?? "VIP") == "VIP" }.compactMap { $0.text("ip") })
    }

    private static func addresses(_ texts: [String]) -> [IPAddress] {
        texts.compactMap { IPAddress($0) }.filter { !$0.isIPv6 }
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
    /// Ready endpoints that are meant for this node, and for its zone, and whether every ready one is meant for
    /// somebody: where one is not, nobody may be sent to fewer.
    private var forNode: Set<Backend> = []
    private var forZone: Set<Backend> = []
    private var allNameNodes = true
    private var allNameZones = true

    /// Those of no known node, such as a user writes: one of them may be here.
    private var homeless: Set<Backend> = []

    /// All that may turn out to be the asking pod itself.
    var maybeHere: Set<Backend> { readyHere.union(leavingHere).union(homeless) }

    init(slices: [Document], port name: String, transport: ServiceTransport, node: String, zone: String?) {
        for slice in slices where slice.text("addressType") ?? "IPv4" == "IPv4" {
            for port in slice.list("ports") {
                guard port.text("name") ?? "" == name,
                    ServiceTransport(port.text("protocol") ?? "TCP") == transport,
                    let number = port.number("port").flatMap({ UInt16(exactly: $0) })
                else { continue }
                for endpoint in slice.list("endpoints") {
                    add(endpoint, port: number, node: node, zone: zone)
                }
            }
        }
    }

    private mutating func add(_ endpoint: Document, port: UInt16, node: String, zone: String?) {
        // Every address of an endpoint is the same pod; the first one stands for it.
        guard let address = endpoint.list("addresses").first?.string.flatMap({ IPAddress($0) }), !address.isIPv6 else {
            return
        }
        let backend = Backend(address, port)
        let place = endpoint.text("nodeName")
        let isHere = place == node
        if place == nil { homeless.insert(backend) }
        if endpoint.flag("conditions", "ready") ?? true {
            ready.insert(backend)
            if isHere { readyHere.insert(backend) }
            let nodes = endpoint.list("hints", "forNodes").compactMap { $0.text("name") }
            let zones = endpoint.list("hints", "forZones").compactMap { $0.text("name") }
            if nodes.isEmpty { allNameNodes = false }
            if zones.isEmpty { allNameZones = false }
            if nodes.contains(node) { forNode.insert(backend) }
            if let zone, zones.contains(zone) { forZone.insert(backend) }
        } else if endpoint.flag("conditions", "serving") == true, endpoint.flag("conditions", "terminating") == true {
            leaving.insert(backend)
            if isHere { leavingHere.insert(backend) }
        }
    }

    /// The ready endpoints that this node should use where it may use any.
    private var near: Set<Backend> {
        if allNameNodes, !forNode.isEmpty { return forNode }
        if allNameZones, !forZone.isEmpty { return forZone }
        return ready
    }

    func treatment(localOnly: Bool, stickySeconds: UInt32?) -> Treatment {
        let anywhere = ready.isEmpty ? leaving : near
        guard !anywhere.isEmpty else { return .reject }
        let here = readyHere.isEmpty ? leavingHere : readyHere
        let chosen = localOnly ? here : anywhere
        return chosen.isEmpty ? .drop : .balance(chosen.sorted(), stickySeconds: stickySeconds)
    }
}
