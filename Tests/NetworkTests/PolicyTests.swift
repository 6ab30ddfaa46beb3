import Basics
import Document
import Glibc
import Linux
import Testing

@testable import Overlay
@testable import Policy

/// The objects of a little cluster, as policies see them.
enum PolicyFixture {
    static func pod(
        _ uid: String, _ address: String?, labels: [String: String] = [:], namespace: String = "ns",
        node: String = "node0", port: (String, Int)? = nil
    ) -> PolicyPod {
        var document: Document = [
            "metadata": [
                "uid": Document(uid), "name": Document(uid), "namespace": Document(namespace),
                "labels": Document(members: labels.sorted { $0.key < $1.key }.map { ($0.key, Document($0.value)) }),
            ],
            "spec": ["nodeName": Document(node)], "status": [:],
        ]
        if let address { document.set([["ip": Document(address)]], at: "status", "podIPs") }
        if let port {
            document.set(
                [["ports": [["name": Document(port.0), "containerPort": Document(port.1)]]]], at: "spec", "containers")
        }
        return PolicyPod(PolicyPod.reduce(document))!
    }

    static func policy(_ spec: String, namespace: String = "ns") throws -> PolicyText {
        try #require(
            PolicyText(["metadata": ["namespace": Document(namespace)], "spec": try Document(yaml: Array(spec.utf8))]))
    }
}

@Suite struct PolicyPlannerTests {
    private func address(_ text: String) -> IPAddress { IPAddress(text)! }

    private func planner(_ policies: [String], ports: (String, Int)? = nil) throws -> PolicyPlanner {
        var planner = PolicyPlanner(node: "node0")
        planner.set(namespace: "ns", labels: ["team": "a"])
        planner.set(namespace: "other", labels: ["team": "b"])
        planner.set(pod: "web", PolicyFixture.pod("web", "10.244.0.2", labels: ["app": "web"], port: ports))
        planner.set(pod: "client", PolicyFixture.pod("client", "10.244.0.3", labels: ["app": "client"]))
        planner.set(
            pod: "far",
            PolicyFixture.pod("far", "10.244.1.2", labels: ["app": "client"], namespace: "other", node: "node1"))
        for (index, text) in policies.enumerated() {
            planner.set(policy: "ns/p\(index)", try PolicyFixture.policy(text))
        }
        return planner
    }

    private func content(_ policies: String..., ports: (String, Int)? = nil) throws -> PolicyContent? {
        var planner = try planner(policies, ports: ports)
        let change = planner.flush()
        guard let direction = change.directed.first(where: { $0.address == address("10.244.0.2") }) else { return nil }
        return change.added[ProfileID(direction: direction.direction, number: direction.profile)]
    }

    private let web = "podSelector: {matchLabels: {app: web}}\n"

    @Test func nothingIsIsolatedWithoutPolicy() throws {
        var planner = try planner([])
        #expect(planner.flush().isEmpty)
    }

    @Test func defaultDenyIsolatesWhatItSelects() throws {
        var planner = try planner(["podSelector: {}\npolicyTypes: [Ingress, Egress]"])
        let change = planner.flush()
        // Only this node's pods of the namespace, in both directions, by one profile for each.
        #expect(change.added.values.allSatisfy { $0 == PolicyContent() } && change.added.count == 2)
        #expect(Set(change.directed.map { "\($0.direction) \($0.address)" }).count == 4)
        planner.set(policy: "ns/p0", nil)
        let end = planner.flush()
        #expect(end.removed.count == 2 && end.undirected.count == 4 && end.added.isEmpty)
        #expect(planner.flush().isEmpty)
    }

    @Test func peersArePickedByLabels() throws {
        let own = try content(web + "ingress: [{from: [{podSelector: {matchLabels: {app: client}}}]}]")
        #expect(own?.peers == [address("10.244.0.3")])
        let others = try content(web + "ingress: [{from: [{namespaceSelector: {matchLabels: {team: b}}}]}]")
        #expect(others?.peers == [address("10.244.1.2")])
        let both = try content(
            web + "ingress: [{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: client}}}]}]")
        #expect(both?.peers == [address("10.244.0.3"), address("10.244.1.2")])
        let none = try content(
            web + "ingress: [{from: [{namespaceSelector: {matchLabels: {team: c}}}], ports: [{port: 80}]}]")
        #expect(none == PolicyContent())
    }

    @Test func portsOpenOnlyWhatTheySay() throws {
        let rule = web + "ingress: [{ports: [{port: 80}, {port: 53, protocol: UDP}, {port: 90, endPort: 99}]}]"
        #expect(try content(rule)?.ports == [PortRange(6, 80, 80), PortRange(17, 53, 53), PortRange(6, 90, 99)])
        let peers = try content(
            web
                + "ingress: [{from: [{podSelector: {matchLabels: {app: client}}}], ports: [{port: 80}, {protocol: UDP}]}]"
        )
        #expect(peers?.peerPorts == [.init(address: address("10.244.0.3"), transport: 6, port: 80)])
        let one = address("10.244.0.3")
        #expect(peers?.blocks == [PortRange(17, 0, .max): [AddressRange(one, one)]])
        #expect(try content(web + "ingress: [{}]")?.allowsEverything == true)
        // Everything swallows the rest, so that another rule beside it changes nothing.
        #expect(
            try content(web + "ingress: [{}]", web + "ingress: [{ports: [{port: 1}]}]")
                == content(web + "ingress: [{}]"))
    }

    @Test func namedPortsAreLookedUpOnTheReceiver() throws {
        let named = web + "ingress: [{ports: [{port: http}]}]"
        #expect(try content(named, ports: ("http", 8080))?.ports == [PortRange(6, 8080, 8080)])
        #expect(try content(named, ports: ("https", 8080)) == PolicyContent())
        var planner = try planner([
            "podSelector: {matchLabels: {app: client}}\npolicyTypes: [Egress]\negress: [{ports: [{port: http}]}]"
        ])
        #expect(planner.flush().added.values.first == PolicyContent())
        planner.set(
            pod: "web", PolicyFixture.pod("web", "10.244.0.2", labels: ["app": "web"], port: ("http", 8080)))
        #expect(
            planner.flush().changed.values.first?.new.peerPorts
                == [.init(address: address("10.244.0.2"), transport: 6, port: 8080)])
    }

    @Test func blocksLoseTheirExceptions() throws {
        let block = web + "ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/16, 10.244.0.0/16]}}]}]"
        #expect(
            try content(block)?.blocks == [
                .everything: [
                    AddressRange(address("10.1.0.0"), address("10.243.255.255")),
                    AddressRange(address("10.245.0.0"), address("10.255.255.255")),
                ]
            ])
        let two = try content(
            web + "ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/9}}, {ipBlock: {cidr: 10.128.0.0/9}}]}]",
            web + "ingress: [{from: [{ipBlock: {cidr: 10.7.0.0/16}}]}]")
        #expect(two?.blocks == [.everything: [AddressRange(address("10.0.0.0"), address("10.255.255.255"))]])
        let nothing = web + "ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}]}]"
        #expect(try content(nothing) == PolicyContent())
        let all = try content(web + "ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0, except: [255.255.255.255/32]}}]}]")
        #expect(all?.blocks[.everything] == [AddressRange(address("0.0.0.0"), address("255.255.255.254"))])
        let six = try content(web + "ingress: [{from: [{ipBlock: {cidr: 'fd00::/8', except: ['fd00::/16']}}]}]")
        #expect(
            six?.blocks[.everything] == [
                AddressRange(address("fd01::"), address("fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"))
            ])
    }

    @Test func comingsAndGoingsChangeElementsAlone() throws {
        var planner = try planner([web + "ingress: [{from: [{namespaceSelector: {matchLabels: {team: b}}}]}]"])
        let id = try #require(planner.flush().added.keys.first)
        planner.set(pod: "new", PolicyFixture.pod("new", "10.244.1.9", namespace: "other", node: "node1"))
        let came = planner.flush()
        #expect(came.added.isEmpty && came.directed.isEmpty && came.removed.isEmpty)
        #expect(came.changed[id]?.new.peers == [address("10.244.1.2"), address("10.244.1.9")])
        planner.set(namespace: "other", labels: ["team": "c"])
        #expect(planner.flush().changed[id]?.new.peers == [])
        planner.set(namespace: "other", labels: ["team": "b"])
        planner.set(pod: "new", nil)
        #expect(planner.flush().changed[id]?.new.peers == [address("10.244.1.2")])
        // A pod that no rule speaks of is no work at all.
        planner.set(pod: "idle", PolicyFixture.pod("idle", "10.244.1.7", namespace: "third", node: "node1"))
        #expect(planner.flush().isEmpty)
    }

    @Test func attachedAddressCountsBeforeTheAPIKnowsIt() throws {
        var planner = try planner([web])
        _ = planner.flush()
        planner.set(attached: "late", address("10.244.0.8"))
        #expect(planner.flush().isEmpty)
        planner.set(pod: "late", PolicyFixture.pod("late", nil, labels: ["app": "web"]))
        #expect(planner.flush().directed.map(\.address) == [address("10.244.0.8")])
        planner.set(pod: "late", PolicyFixture.pod("late", "10.244.0.8", labels: ["app": "web"]))
        #expect(planner.flush().isEmpty)
        planner.set(attached: "late", nil)
        #expect(planner.flush().isEmpty)
        planner.set(pod: "late", nil)
        #expect(planner.flush().undirected.map(\.address) == [address("10.244.0.8")])
    }

    @Test func labelChangeMovesThePod() throws {
        var planner = try planner([web + "policyTypes: [Ingress]"])
        _ = planner.flush()
        planner.set(pod: "web", PolicyFixture.pod("web", "10.244.0.2", labels: ["app": "free"]))
        let change = planner.flush()
        #expect(change.undirected.map(\.address) == [address("10.244.0.2")] && change.removed.count == 1)
    }

    @Test func endedAndHostPodsHaveNoPart() {
        for spec: Document in [
            ["metadata": ["uid": "a", "namespace": "b"], "spec": ["hostNetwork": true]],
            ["metadata": ["uid": "a", "namespace": "b"], "status": ["phase": "Succeeded"]],
            ["metadata": ["uid": "a", "namespace": "b"], "status": ["phase": "Failed"]],
        ] { #expect(PolicyPod(PolicyPod.reduce(spec)) == nil) }
    }
}

@Suite(.serialized, .enabled(if: Kernel.isOurs, "needs network namespaces, VXLAN and nftables"))
final class PolicyKernelTests {
    let scratch: Scratch
    let fabric: Fabric
    let kernel: PolicyKernel
    var planner = PolicyPlanner(node: "node0")
    let web: Fabric.Pod
    let client: Fabric.Pod
    let far: Fabric.Pod
    let servers: [UInt16: TestSocket]

    init() async throws {
        scratch = try Scratch()
        fabric = try await Fabric(stateDirectory: scratch.path)
        kernel = try PolicyKernel(namespace: fabric.nodes[0].namespace)
        web = try await fabric.pod("ns/web", on: 0)
        client = try await fabric.pod("ns/client", on: 0)
        far = try await fabric.pod("ns/far", on: 1)
        var servers: [UInt16: TestSocket] = [:]
        for port: UInt16 in [80, 81, 90] {
            let socket = try TestSocket(web.namespace)
            try socket.bind(port: port)
            servers[port] = socket
        }
        self.servers = servers
        planner.set(namespace: "ns", labels: [:])
        for (name, pod, node) in [("web", web, "node0"), ("client", client, "node0"), ("far", far, "node1")] {
            planner.set(
                pod: name, PolicyFixture.pod(name, "\(pod.address)", labels: ["app": name], node: node))
        }
        try kernel.rebuild(planner.whole())
    }

    private func set(_ spec: String?, key: String = "ns/p") throws {
        planner.set(policy: key, try spec.map { try PolicyFixture.policy($0) })
        try kernel.apply(planner.flush())
    }

    /// Who reaches which of the ports 80, 81 and 90 of `web`: `c` and `f` for the clients, then the port.
    private func reached() throws -> String {
        var result: [String] = []
        for (name, pod) in [("c", client), ("f", far)] {
            for port: UInt16 in [80, 81, 90] {
                let socket = try TestSocket(pod.namespace)
                var limit = timeval(tv_sec: 0, tv_usec: 150_000)
                setsockopt(socket.descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
                if socket.connect(web.address, port) == 0 { result.append("\(name)\(port)") }
            }
        }
        return result.joined(separator: " ")
    }

    private let head = "podSelector: {matchLabels: {app: web}}\n"
    private let all = "c80 c81 c90 f80 f81 f90"

    @Test func rulesDecideWhoComesIn() throws {
        #expect(try reached() == all)
        let cases: [(String, String)] = [
            ("", ""),
            ("ingress: [{}]", all),
            ("ingress: [{from: [{podSelector: {matchLabels: {app: client}}}]}]", "c80 c81 c90"),
            ("ingress: [{from: [{podSelector: {matchLabels: {app: far}}}], ports: [{port: 81}]}]", "f81"),
            ("ingress: [{ports: [{port: 80}]}]", "c80 f80"),
            ("ingress: [{ports: [{port: 80}, {port: 85, endPort: 95}]}]", "c80 c90 f80 f90"),
            ("ingress: [{ports: [{protocol: TCP}]}]", all),
            ("ingress: [{ports: [{protocol: UDP}]}]", ""),
            ("ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.244.1.0/24]}}]}]", "c80 c81 c90"),
            ("ingress: [{from: [{ipBlock: {cidr: 10.244.1.0/24}}], ports: [{port: 80, endPort: 81}]}]", "f80 f81"),
            ("ingress: [{from: [{ipBlock: {cidr: 10.244.1.2/32}}, {podSelector: {matchLabels: {app: client}}}]}]", all),
        ]
        // Each is made of the one before it, so that every kind of change is tried.
        for (rule, expected) in cases {
            try set(head + rule)
            #expect(try reached() == expected, "\(rule)")
        }
        try set(nil)
        #expect(try reached() == all)
    }

    @Test func policiesAddUp() throws {
        try set(head)
        try set(head + "ingress: [{ports: [{port: 80}]}]", key: "ns/q")
        try set(head + "ingress: [{from: [{podSelector: {matchLabels: {app: far}}}]}]", key: "ns/r")
        #expect(try reached() == "c80 f80 f81 f90")
        try set(nil, key: "ns/q")
        #expect(try reached() == "f80 f81 f90")
    }

    @Test func egressIsJudgedAtTheSender() throws {
        let sender = "podSelector: {matchLabels: {app: client}}\npolicyTypes: [Egress]\n"
        try set(sender)
        #expect(try reached() == "f80 f81 f90")
        try set(sender + "egress: [{to: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 81}]}]")
        #expect(try reached() == "c81 f80 f81 f90")
        try set(sender + "egress: [{to: [{ipBlock: {cidr: 10.244.0.0/16}}]}]")
        #expect(try reached() == all)
    }

    @Test func connectionsThatStandGoOnAndTheNodeIsFree() throws {
        let socket = try TestSocket(client.namespace)
        #expect(socket.connect(web.address, 80) == 0)
        let server = try #require(servers[80]?.accept()?.0)
        try set(head + "policyTypes: [Ingress, Egress]")
        #expect(try reached() == "")
        #expect(socket.send("still") == 0)
        #expect(server.receive() == "still")
        #expect(try TestSocket(fabric.nodes[0].namespace).connect(web.address, 80) == 0)
        #expect(try TestSocket(web.namespace).connect(web.address, 80) == 0)
    }

    @Test func datagramsAreJudgedToo() throws {
        let receiver = try TestSocket(web.namespace, datagrams: true)
        try receiver.bind(port: 53, listen: nil)
        try set(
            head + "ingress: [{from: [{podSelector: {matchLabels: {app: far}}}], ports: [{port: 53, protocol: UDP}]}]")
        let denied = try TestSocket(client.namespace, datagrams: true)
        #expect(denied.connect(web.address, 53) == 0 && denied.send("denied") == 0)
        let allowed = try TestSocket(far.namespace, datagrams: true)
        #expect(allowed.connect(web.address, 53) == 0 && allowed.send("allowed") == 0)
        #expect(receiver.receive() == "allowed")
        #expect(!receiver.hasWaiting())
    }

    @Test func thousandPoliciesFitAndLeave() throws {
        for number in 0..<1000 {
            planner.set(
                policy: "ns/\(number)",
                try PolicyFixture.policy(
                    head
                        + "ingress: [{from: [{podSelector: {matchLabels: {app: client}}}], ports: [{port: \(number)}]}]"
                ))
        }
        try kernel.apply(planner.flush())
        #expect(try reached() == "c80 c81 c90")
        for number in 0..<1000 { planner.set(policy: "ns/\(number)", nil) }
        try kernel.apply(planner.flush())
        #expect(try reached() == all)
        try kernel.remove()
        #expect(try !kernel.isInPlace())
        try kernel.remove()
    }
}
