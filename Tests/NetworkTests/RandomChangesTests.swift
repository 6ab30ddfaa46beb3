import Basics
import Document
import Glibc
import Linux
import Testing

@testable import Overlay
@testable import Policy
@testable import Proxy

/// A long life of a node in little: services, endpoints, pods, policies, namespaces and nodes come, change and go, and
/// the kernel is told of each change alone. In the end it must hold what it would hold had it been told the outcome.
///
/// `LAB_CHANGES` says how many changes (1,000), `LAB_SEED` which.
@Suite(.serialized, .enabled(if: Kernel.isOurs, "needs network namespaces, VXLAN and nftables"))
struct RandomChangesTests {
    private static func setting(_ name: String) -> UInt64? { getenv(name).flatMap { UInt64(String(cString: $0)) } }

    @Test func kernelHoldsWhatTheObjectsSay() async throws {
        let changes = Int(Self.setting("LAB_CHANGES") ?? 1_000)
        let seed = Self.setting("LAB_SEED") ?? 7
        let life = try RandomLife(seed: seed)
        for number in 1...max(changes, 1) {
            try life.change()
            if number % 250 == 0 || number == changes {
                try life.compare("seed \(seed), after \(number) changes")
            }
        }
        // And when all is gone nothing is left.
        try life.removeEverything()
        try life.compare("seed \(seed), after the end")
        #expect(life.isEmpty)
    }
}

/// Objects, and the kernel that follows them.
private final class RandomLife {
    private static let own = OverlayNode(
        name: "node0", address: IPAddress("10.89.0.2")!, podNetwork: CIDR("10.244.0.0/24")!)

    private var random: SplitMix
    private let node: NetworkNamespace
    private var services: [String: (service: Document, slices: [Document])] = [:]
    private var policies: [String: PolicyText] = [:]
    private var pods: [String: PolicyPod] = [:]
    private var namespaces: [String: [String: String]] = [:]
    private var peers: [String: OverlayNode] = [:]

    private let planner = ServicePlanner(nodeName: "node0", nodeAddresses: [IPAddress("10.89.0.2")!], zone: "a")
    private var table = ProxyTable()
    private var proxy: ProxyKernel
    private var policyPlanner = PolicyPlanner(node: "node0")
    private let policyKernel: PolicyKernel
    private var overlay: OverlayKernel

    init(seed: UInt64) throws {
        random = SplitMix(state: seed)
        node = try Self.place()
        proxy = try ProxyKernel(namespace: node, podNetwork: CIDR("10.244.0.0/16"))
        policyKernel = try PolicyKernel(namespace: node)
        overlay = try OverlayKernel(namespace: node)
        try proxy.rebuild(table)
        try policyKernel.rebuild(policyPlanner.whole())
        for name in ["n0", "n1", "n2"] { change(namespace: name) }
        try follow()
    }

    /// A namespace with the node's own link.
    private static func place() throws -> NetworkNamespace {
        let namespace = try NetworkNamespace.make()
        let routes = try RouteSocket(in: namespace)
        try routes.create(NewLink("eth0", .bridge, up: true))
        let link = try routes.link(named: "eth0")!
        try routes.replace(LinkAddress(linkIndex: link.index, address: own.address, prefix: 24))
        return namespace
    }

    var isEmpty: Bool { services.isEmpty && policies.isEmpty && pods.isEmpty && peers.isEmpty }

    // MARK: Changes

    private func roll(_ count: Int) -> Int { Int(random.next() % UInt64(count)) }
    private func chance(_ percent: Int) -> Bool { roll(100) < percent }
    private func one<T>(_ choices: [T]) -> T { choices[roll(choices.count)] }

    func change() throws {
        switch roll(100) {
        case ..<55: try change(service: "n\(roll(3))/s\(roll(40))")
        case ..<75: change(pod: "p\(roll(30))")
        case ..<92: try change(policy: "n\(roll(3))/r\(roll(15))")
        case ..<96: change(namespace: "n\(roll(3))")
        default: change(peer: "node\(1 + roll(8))")
        }
        try follow()
    }

    func removeEverything() throws {
        for key in services.keys.sorted() {
            services[key] = nil
            try proxy.apply(table.update([(key: key, plan: ServicePlan?.none)]))
        }
        for key in policies.keys.sorted() { policyPlanner.set(policy: key, nil) }
        for key in pods.keys.sorted() { policyPlanner.set(pod: key, nil) }
        (policies, pods, peers) = ([:], [:], [:])
        try follow()
    }

    /// Brings the policies' and the overlay's kernel up to date; the services' is told at once.
    private func follow() throws {
        try policyKernel.apply(policyPlanner.flush())
        _ = try overlay.apply(plan)
    }

    private var plan: OverlayPlan {
        OverlayPlan(own: Self.own, all: peers.values.sorted { $0.name < $1.name }, uplinkMTU: 1500)
    }

    private func change(service key: String) throws {
        if chance(15) {
            services[key] = nil
            return try proxy.apply(table.update([(key: key, plan: ServicePlan?.none)]))
        }
        let number = Int(key.split(separator: "s").last ?? "") ?? 0
        // Some claim an address that another has.
        let address = "10.96.0.\(10 + (chance(5) ? roll(40) : number))"
        let type = one(["ClusterIP", "ClusterIP", "NodePort", "LoadBalancer", "ExternalName"])
        let transport = one(["TCP", "TCP", "UDP"])
        var document = service(type == "ExternalName" ? "None" : address, type: type, protocolName: transport)
        document.set(Document(String(key.split(separator: "/")[0])), at: "metadata", "namespace")
        if chance(30) { document.set("ClientIP", at: "spec", "sessionAffinity") }
        if chance(25) { document.set("Local", at: "spec", "externalTrafficPolicy") }
        if chance(10) { document.set("Local", at: "spec", "internalTrafficPolicy") }
        if chance(10) { document.set(["192.0.2.\(1 + roll(9))".asDocument], at: "spec", "externalIPs") }
        if type == "NodePort" || type == "LoadBalancer" {
            document.set(
                [["name": "p", "protocol": Document(transport), "port": 80, "nodePort": Document(30_000 + number)]],
                at: "spec", "ports")
        }
        if type == "LoadBalancer" {
            document.set([["ip": "198.51.100.\(1 + number)".asDocument]], at: "status", "loadBalancer", "ingress")
            if chance(40) {
                document.set([one(["10.0.0.0/8", "192.0.2.0/24"]).asDocument], at: "spec", "loadBalancerSourceRanges")
            }
        }
        let slices = (0..<roll(3)).map { _ in
            slice(
                (0..<roll(6)).map { _ in
                    let here = chance(50)
                    return endpoint(
                        "10.244.\(here ? 0 : 1 + roll(3)).\(2 + roll(30))", node: here ? "node0" : "node1",
                        ready: chance(80), leaving: chance(10))
                }, protocolName: transport, port: one([8080, 8081]))
        }
        services[key] = (document, slices)
        try proxy.apply(table.update([(key: key, plan: planner.plan(service: document, slices: slices))]))
    }

    private func change(pod uid: String) {
        if chance(25) {
            pods[uid] = nil
        } else {
            let number = Int(uid.dropFirst()) ?? 0
            let here = number % 2 == 0
            pods[uid] = PolicyFixture.pod(
                uid, "10.244.\(here ? 0 : 1).\(2 + number + (chance(10) ? 50 : 0))",
                labels: ["app": one(["a", "b", "c"]), "tier": one(["x", "y"])], namespace: "n\(number % 3)",
                node: here ? "node0" : "node1", port: chance(50) ? ("web", one([80, 81])) : nil)
        }
        policyPlanner.set(pod: uid, pods[uid])
    }

    private func change(namespace name: String) {
        namespaces[name] = ["team": one(["a", "b"])]
        policyPlanner.set(namespace: name, labels: namespaces[name])
    }

    private func change(peer name: String) {
        let number = Int(name.dropFirst(4)) ?? 0
        peers[name] =
            chance(40)
            ? .none
            : OverlayNode(
                name: name, address: IPAddress("10.89.0.\(10 + number + (chance(20) ? 50 : 0))")!,
                podNetwork: CIDR("10.244.\(number + (chance(20) ? 50 : 0)).0/24")!)
    }

    private func change(policy key: String) throws {
        if chance(25) {
            policies[key] = nil
        } else {
            let peer = {
                self.one([
                    "{podSelector: {matchLabels: {app: \(self.one(["a", "b", "c"]))}}}",
                    "{namespaceSelector: {matchLabels: {team: \(self.one(["a", "b"]))}}}",
                    "{namespaceSelector: {}, podSelector: {matchLabels: {tier: \(self.one(["x", "y"]))}}}",
                    "{ipBlock: {cidr: 10.\(self.roll(3)).0.0/16, except: [10.\(self.roll(3)).\(self.roll(4)).0/24]}}",
                    "{ipBlock: {cidr: 10.244.0.\(self.roll(4) * 64)/26}}",
                ])
            }
            let port = {
                self.one([
                    "{port: \(80 + self.roll(4))}", "{port: web}", "{protocol: UDP}",
                    "{port: 90, endPort: \(90 + self.roll(9))}",
                    "{port: 53, protocol: UDP}",
                ])
            }
            func rules(_ side: String) -> String {
                (0..<roll(3)).map { _ in
                    let peers = (0..<roll(3)).map { _ in peer() }.joined(separator: ", ")
                    let ports = (0..<roll(3)).map { _ in port() }.joined(separator: ", ")
                    return "{\(side): [\(peers)], ports: [\(ports)]}"
                }.joined(separator: ", ")
            }
            let selector = one([
                "{}", "{matchLabels: {app: a}}", "{matchLabels: {tier: x}}", "{matchLabels: {app: b, tier: y}}",
            ])
            let types = one(["[Ingress]", "[Egress]", "[Ingress, Egress]"])
            let text =
                "{podSelector: \(selector), policyTypes: \(types), ingress: [\(rules("from"))], egress: [\(rules("to"))]}"
            policies[key] = try PolicyFixture.policy(text, namespace: String(key.split(separator: "/")[0]))
        }
        policyPlanner.set(policy: key, policies[key])
    }

    // MARK: Comparison

    /// A second kernel is told the outcome only; both must hold the same.
    func compare(_ when: String) throws {
        let fresh = try Self.place()
        try compareServices(fresh, when)
        try comparePolicies(fresh, when)
        try compareOverlay(fresh, when)
    }

    private func compareServices(_ fresh: NetworkNamespace, _ when: String) throws {
        var outcome = ProxyTable()
        _ = outcome.update(
            services.map { (key: $0.key, plan: planner.plan(service: $0.value.service, slices: $0.value.slices)) })
        var kernel = try ProxyKernel(namespace: fresh, podNetwork: CIDR("10.244.0.0/16"))
        try kernel.rebuild(outcome)
        let found = try Nftables(in: node).content(of: "lab-proxy")
        let wanted = try Nftables(in: fresh).content(of: "lab-proxy")
        // Sets and chains for a number of endpoints stay when no service has that number, and then are of no use.
        for (name, elements) in found.sets {
            let expected = wanted.sets[name] ?? []
            #expect(elements == expected, "\(when): set \(name)")
        }
        #expect(Set(wanted.sets.keys).isSubset(of: found.sets.keys), "\(when)")
        for (name, rules) in wanted.chains { #expect(found.chains[name] == rules, "\(when): chain \(name)") }
        for name in found.chains.keys where wanted.chains[name] == nil {
            #expect(
                ["balance-", "sticky-", "inside-", "sources-", "guard"].contains { name.hasPrefix($0) },
                "\(when): chain \(name) is left over")
        }
    }

    private func comparePolicies(_ fresh: NetworkNamespace, _ when: String) throws {
        var outcome = PolicyPlanner(node: "node0")
        for (name, labels) in namespaces { outcome.set(namespace: name, labels: labels) }
        for (uid, pod) in pods { outcome.set(pod: uid, pod) }
        for (key, policy) in policies { outcome.set(policy: key, policy) }
        try PolicyKernel(namespace: fresh).rebuild(outcome.whole())
        let found = Permissions(try Nftables(in: node).content(of: "lab-policy"))
        let wanted = Permissions(try Nftables(in: fresh).content(of: "lab-policy"))
        #expect(found.byAddress == wanted.byAddress, "\(when): policies")
        #expect(found.unused == [] && wanted.unused == [], "\(when): left over")
    }

    private func compareOverlay(_ fresh: NetworkNamespace, _ when: String) throws {
        var kernel = try OverlayKernel(namespace: fresh)
        _ = try kernel.apply(plan)
        func entries(_ namespace: NetworkNamespace) throws -> [[String]] {
            let routes = try RouteSocket(in: namespace)
            guard let link = try routes.link(named: OverlayPlan.linkName) else { return [] }
            return [
                try routes.addresses().filter { $0.linkIndex == link.index && !$0.address.isIPv6 }.map {
                    "\($0.address)/\($0.prefix)"
                },
                try routes.routes().filter { !$0.destination.base.isIPv6 }.map {
                    "\($0.destination) \($0.gateway.map { "\($0)" } ?? "-")"
                },
                try routes.neighbours().filter { $0.linkIndex == link.index && !$0.address.isIPv6 }.map {
                    "\($0.address) \($0.mac)"
                },
                try routes.forwardingEntries(linkIndex: link.index).map { "\($0.mac) \($0.destination)" },
            ].map { $0.sorted() }
        }
        #expect(try entries(node) == entries(fresh), "\(when): overlay")
        #expect(
            try Nftables(in: node).content(of: "lab-overlay") == Nftables(in: fresh).content(of: "lab-overlay"),
            "\(when): overlay's rules")
    }
}

/// What the policies' table lets each address do, whatever the numbers of its profiles are.
private struct Permissions {
    private(set) var byAddress: [String: String] = [:]
    /// Chains and sets that no address leads to.
    private(set) var unused: [String] = []

    init(_ content: NftContent) {
        var used: Set<String> = ["forward", "self", "ingress", "egress"]
        for direction in ["ingress", "egress"] {
            for element in content.sets[direction] ?? [] {
                guard case .verdict(.jump(let chain)) = element.value else { continue }
                let sets = content.sets.filter { $0.key.hasPrefix("\(chain)-") }
                used.insert(chain)
                used.formUnion(sets.keys)
                let rules = (content.chains[chain] ?? []).map { Self.text($0, of: chain) }
                let parts = sets.sorted { $0.key < $1.key }.map { name, elements in
                    "\(name.dropFirst(chain.utf8.count)): "
                        + elements.map { "\(Hex.encode($0.key))\($0.endsRange ? "!" : "")" }.sorted().joined(
                            separator: " ")
                }
                byAddress["\(direction) \(Hex.encode(element.key))"] = "\(rules) \(parts)"
            }
        }
        unused = (Array(content.chains.keys) + content.sets.keys).filter { !used.contains($0) }.sorted()
    }

    /// A rule names its profile's sets, so the profile's name is cut out of it.
    private static func text(_ rule: NftContent.Rule, of chain: String) -> String {
        (NetlinkAttributes(rule.expressions[...])?.all ?? []).map { element in
            guard let expression = element.nested, let name = expression[1]?.text else { return "?" }
            let set = expression[2]?.nested?[1]?.text ?? ""
            if name == "lookup" {
                return "lookup \(set.hasPrefix(chain) ? String(set.dropFirst(chain.utf8.count)) : set)"
            }
            return "\(name) \(Hex.encode(Array(expression[2]?.payload ?? [])))"
        }.joined(separator: "; ")
    }
}

/// A small generator whose state is its seed, so that a run repeats.
private struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

extension String {
    fileprivate var asDocument: Document { Document(self) }
}
