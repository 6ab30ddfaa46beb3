import Basics
import Document
import Glibc
import Linux
import Testing

@testable import Overlay
@testable import Policy

/// Every case of `Fixtures/policies/matrix.yaml` on two nodes of the real kernel: all pairs of nine pods, three ports.
@Suite(.serialized, .enabled(if: Kernel.isOurs, "needs network namespaces, VXLAN and nftables"))
final class PolicyMatrixTests {
    private static let path =
        "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/") + "/Fixtures/policies/matrix.yaml"
    /// In the order in which they get their addresses.
    private static let places = [
        ("x/a", 0), ("x/c", 0), ("y/b", 0), ("z/a", 0), ("z/c", 0), ("x/b", 1), ("y/a", 1), ("y/c", 1), ("z/b", 1),
    ]
    private static let ports: [(String, UInt16)] = [("TCP", 80), ("TCP", 81), ("UDP", 80)]
    private static let namespaces = [
        "x": ["ns": "x", "team": "a"], "y": ["ns": "y", "team": "a"], "z": ["ns": "z", "team": "b"],
    ]

    private let scratch: Scratch
    private let fabric: Fabric
    private var stations: [String: Station] = [:]
    private var oracle = PolicyOracle(namespaces: namespaces, pods: [:], policies: [])
    private var nodes: [(planner: PolicyPlanner, kernel: PolicyKernel)] = []

    /// A pod and its listening sockets.
    private final class Station {
        let pod: Fabric.Pod
        let listeners: [UInt16: TestSocket]
        let datagrams: TestSocket

        init(_ pod: Fabric.Pod) throws {
            self.pod = pod
            listeners = try Dictionary(
                uniqueKeysWithValues: [UInt16(80), 81].map { port in
                    let socket = try TestSocket(pod.namespace)
                    try socket.bind(port: port, listen: 256)
                    return (port, socket)
                })
            datagrams = try TestSocket(pod.namespace, datagrams: true)
            try datagrams.bind(port: 80, listen: nil)
        }
    }

    init() async throws {
        scratch = try Scratch()
        fabric = try await Fabric(stateDirectory: scratch.path)
        for (name, node) in Self.places {
            let pod = try await fabric.pod(name, on: node)
            stations[name] = try Station(pod)
            let parts = name.split(separator: "/").map(String.init)
            oracle.pods[name] = PolicyOracle.Pod(
                namespace: parts[0], labels: ["pod": parts[1], "tier": parts[1] == "a" ? "front" : "back"],
                address: pod.address, names: ["web": parts[1] == "c" ? 81 : 80])
        }
        for number in 0..<2 {
            var planner = PolicyPlanner(node: "node\(number)")
            for (name, labels) in Self.namespaces { planner.set(namespace: name, labels: labels) }
            for (name, node) in Self.places {
                guard let pod = oracle.pods[name] else { continue }
                planner.set(
                    pod: name,
                    PolicyFixture.pod(
                        name, "\(pod.address)", labels: pod.labels, namespace: pod.namespace, node: "node\(node)",
                        port: ("web", Int(pod.names["web"] ?? 0))))
            }
            let kernel = try PolicyKernel(namespace: fabric.nodes[number].namespace)
            try kernel.rebuild(planner.whole())
            nodes.append((planner, kernel))
        }
    }

    private func set(_ policies: [(namespace: String, spec: Document)]) throws {
        let before = oracle.policies.count
        oracle.policies = policies
        for number in nodes.indices {
            for index in 0..<max(before, policies.count) {
                let text = policies.indices.contains(index) ? policies[index] : nil
                nodes[number].planner.set(
                    policy: "case/\(index)",
                    try text.map {
                        try #require(
                            PolicyText(["metadata": ["namespace": Document($0.namespace)], "spec": $0.spec]))
                    })
            }
            try nodes[number].kernel.apply(nodes[number].planner.flush())
        }
    }

    private var ways: [PolicyOracle.Way] {
        stations.keys.flatMap { from in
            stations.keys.filter { $0 != from }.flatMap { to in
                Self.ports.map { PolicyOracle.Way(from: from, to: to, transport: $0.0, port: $0.1) }
            }
        }
    }

    /// Tries every way at once. Waits for those that must be open, and then looks at all.
    private func open(_ expected: Set<PolicyOracle.Way>) throws -> Set<PolicyOracle.Way> {
        var sockets: [(PolicyOracle.Way, TestSocket)] = []
        var arrived: Set<PolicyOracle.Way> = []
        for from in stations.keys.sorted() {
            guard let source = stations[from] else { continue }
            for way in ways where way.from == from {
                guard let target = stations[way.to] else { continue }
                let socket = try TestSocket(source.pod.namespace, datagrams: way.transport == "UDP")
                _ = fcntl(socket.descriptor, F_SETFL, O_NONBLOCK)
                let error = socket.connect(target.pod.address, way.port)
                if way.transport == "UDP" {
                    _ = socket.send(from)
                } else {
                    if error == 0 { arrived.insert(way) }
                    sockets.append((way, socket))
                }
            }
        }
        for _ in 0..<300 {
            look(sockets, &arrived)
            if expected.isSubset(of: arrived) { break }
            usleep(10_000)
        }
        // What is dropped is dropped at once; what was only slow has one more moment.
        usleep(5_000)
        look(sockets, &arrived)
        return arrived
    }

    private func look(_ sockets: [(PolicyOracle.Way, TestSocket)], _ arrived: inout Set<PolicyOracle.Way>) {
        for (way, socket) in sockets where !arrived.contains(way) {
            var entry = pollfd(fd: socket.descriptor, events: Int16(POLLOUT), revents: 0)
            guard poll(&entry, 1, 0) == 1, entry.revents & Int16(POLLERR | POLLHUP) == 0 else { continue }
            arrived.insert(way)
        }
        for (name, station) in stations {
            while station.datagrams.hasWaiting(), let from = station.datagrams.receive() {
                arrived.insert(PolicyOracle.Way(from: from, to: name, transport: "UDP", port: 80))
            }
            for listener in station.listeners.values { while listener.hasWaiting() { _ = listener.accept() } }
        }
    }

    @Test func everyCaseDecidesEveryWay() throws {
        let cases = try Document(yaml: Files.text(Self.path)).elements
        #expect(cases.count >= 60)
        // Each case is made out of the one before, so that every kind of change of the rules is tried as well.
        for item in cases {
            let name = item.text("name") ?? ""
            try set(item.list("policies").map { ($0.text("namespace") ?? "", $0["spec"] ?? .emptyObject) })
            let expected = Set(ways.filter { oracle.isOpen($0) })
            #expect(expected.count == item.number("open"), "\(name)")
            let found = try open(expected)
            #expect(
                found == expected,
                """
                \(name): open and must not be: \(found.subtracting(expected).sorted()); \
                closed and must not be: \(expected.subtracting(found).sorted())
                """)
        }
        try set([])
        for number in nodes.indices { try nodes[number].kernel.remove() }
        #expect(try open(Set(ways)).count == 216)
    }
}
