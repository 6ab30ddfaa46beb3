import Basics
import Client
import Document

/// Which address a service gets, and which node answers for it.
enum LoadBalancerPlan {
    /// The node that answers for the service's address on the cluster's link; others forward what reaches them.
    static let announcerAnnotation = "lab.dev/announcing-node"
    private static let excludedLabel = "node.kubernetes.io/exclude-from-external-load-balancers"
    private static let retry = Duration.seconds(30)

    /// What of a node matters to the choice.
    struct Candidate: Equatable {
        var name: String
        var isReady: Bool
        var isExcluded: Bool

        init(_ node: Document) {
            name = node.name
            isReady = node.condition("Ready")?.text("status") == "True" && !node.isTerminating
            isExcluded = node.labels[excludedLabel] != nil
        }
    }

    struct Decision {
        var address: IPAddress?
        var plan = Plan()
    }

    static func isWanted(for service: Document) -> Bool {
        service.text("spec", "type") == "LoadBalancer" && service.text("spec", "loadBalancerClass") == nil
    }

    /// Whether the service still carries what it got as a load balancer.
    static func isServed(_ service: Document) -> Bool { service.annotations[announcerAnnotation] != nil }

    static func addresses(of service: Document) -> [IPAddress] {
        service.list("status", "loadBalancer", "ingress").compactMap { $0.text("ip").flatMap { IPAddress($0) } }
    }

    static func decide(
        _ service: Document, pool: CIDR, others: Set<IPAddress>, nodes: [Candidate], slices: [Document]
    ) -> Decision {
        var decision = Decision()
        guard isWanted(for: service) else {
            if isServed(service) { decision.plan.then(write(service, ingress: .emptyArray, announcer: nil)) }
            return decision
        }
        let current = addresses(of: service).first { pool.contains($0) && !others.contains($0) }
        let announcer = choose(service, nodes, slices)
        if let current, asked(service).map({ $0 == current || !pool.contains($0) }) ?? true {
            decision.address = current
            if service.annotations[announcerAnnotation] != announcer {
                decision.plan.then(write(service, ingress: nil, announcer: announcer))
            }
            return decision
        }
        decision.plan.then(
            .event(service, .normal, reason: "EnsuringLoadBalancer", message: "Ensuring load balancer"))
        switch take(for: service, pool, others) {
        case .success(let address):
            decision.address = address
            let ports = service.list("spec", "ports").map { port -> Document in
                ["port": port["port"] ?? 0, "protocol": Document(port.text("protocol") ?? "TCP")]
            }
            let ingress: Document = [["ip": Document("\(address)"), "ipMode": "VIP", "ports": Document(ports)]]
            decision.plan.then(
                write(service, ingress: ingress, announcer: announcer),
                .event(service, .normal, reason: "EnsuredLoadBalancer", message: "Ensured load balancer"))
        case .failure(let refusal):
            decision.plan.then(
                .event(
                    service, .warning, reason: "SyncLoadBalancerFailed",
                    message: "Error syncing load balancer: failed to ensure load balancer: \(refusal.text)"))
            decision.plan.lookAgain(after: retry)
        }
        return decision
    }

    // MARK: The address

    private struct Refusal: Error { var text: String }

    private static func asked(_ service: Document) -> IPAddress? {
        service.text("spec", "loadBalancerIP").flatMap { IPAddress($0) }
    }

    private static func take(
        for service: Document, _ pool: CIDR, _ others: Set<IPAddress>
    ) -> Result<IPAddress, Refusal> {
        if let wanted = asked(service) {
            guard pool.contains(wanted) else {
                return .failure(Refusal(text: "\(wanted) is not in the cluster's pool \(pool)"))
            }
            guard !others.contains(wanted) else { return .failure(Refusal(text: "\(wanted) is taken")) }
            return .success(wanted)
        }
        var next = pool.address(at: 1)
        while let candidate = next, pool.contains(candidate) {
            if !others.contains(candidate) { return .success(candidate) }
            next = candidate.advanced(by: 1)
        }
        return .failure(Refusal(text: "every address of the cluster's pool \(pool) is taken"))
    }

    // MARK: The node

    /// The node that answers now where it still can, else one that the service's name picks, so that services spread.
    private static func choose(_ service: Document, _ nodes: [Candidate], _ slices: [Document]) -> String? {
        let ready = nodes.filter(\.isReady)
        let meant = ready.filter { !$0.isExcluded }
        var candidates = (meant.isEmpty ? ready : meant).map(\.name)
        if service.text("spec", "externalTrafficPolicy") == "Local" {
            let holders = holders(slices)
            let able = candidates.filter { holders.contains($0) }
            if !able.isEmpty { candidates = able }
        }
        if let current = service.annotations[announcerAnnotation], candidates.contains(current) { return current }
        return candidates.min { weight(service, $0) < weight(service, $1) }
    }

    private static func holders(_ slices: [Document]) -> Set<String> {
        let endpoints = slices.flatMap { $0.list("endpoints") }
        let ready = endpoints.filter { $0.flag("conditions", "ready") ?? true }
        let leaving = endpoints.filter {
            $0.flag("conditions", "serving") == true && $0.flag("conditions", "terminating") == true
        }
        return Set((ready.isEmpty ? leaving : ready).compactMap { $0.text("nodeName") })
    }

    /// FNV-1a: each service orders the nodes in its own way, and one node's end moves only what it had.
    private static func weight(_ service: Document, _ node: String) -> UInt64 {
        (service.uid + "/" + node).utf8.reduce(14_695_981_039_346_656_037) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
    }

    private static func write(_ service: Document, ingress: Document?, announcer: String?) -> Action {
        let value: Document = announcer.map { Document($0) } ?? .null
        var patch: Document = ["metadata": ["annotations": Document(members: [(announcerAnnotation, value)])]]
        if let ingress { patch["status"] = ["loadBalancer": ["ingress": ingress.count == 0 ? .null : ingress]] }
        return .patch(
            .services, namespace: service.namespace, name: service.name, patch, subresource: "status")
    }
}
