import Basics
import Document
import Glibc
import Linux
import Testing

@testable import Cluster

@Suite struct PublishedPortTests {
    @Test func mappingsAsTheyAreWritten() throws {
        let cases: [(String, PublishedPort)] = [
            ("8080:80", PublishedPort(hostPort: 8080, containerPort: 80)),
            ("0:80", PublishedPort(hostPort: 0, containerPort: 80)),
            ("127.0.0.1:8080:80", PublishedPort(listenAddress: .loopback, hostPort: 8080, containerPort: 80)),
            (
                "[::1]:8080:80/tcp",
                PublishedPort(listenAddress: IPAddress(v6High: 0, low: 1), hostPort: 8080, containerPort: 80)
            ),
            (
                "5353:53/udp@worker2",
                PublishedPort(hostPort: 5353, node: "worker2", containerPort: 53, transport: .udp)
            ),
        ]
        for (text, port) in cases { #expect(try PublishedPort(parsing: text) == port) }
    }

    @Test(arguments: [
        "", "80", "80:", ":80", "80:0", "80:70000", "a:80", "1.2.3:80:80", "80:80/sctp", "80:80@", "-1:80",
    ])
    func othersAreRefused(_ text: String) {
        #expect(throws: UsageError.self) { try PublishedPort(parsing: text) }
    }

    @Test func nodesMayBeNamedInShort() throws {
        let nodes = ["blue-control-plane", "blue-worker", "blue-worker2"]
        func index(_ name: String?) throws -> Int {
            try PublishedPort(hostPort: 1, node: name, containerPort: 1).nodeIndex(among: nodes)
        }
        #expect(try index(nil) == 0)
        #expect(try index("worker") == 1)
        #expect(try index("blue-worker2") == 2)
        #expect(throws: UsageError.self) { try index("worker3") }
    }

    @Test func whatIsRememberedIsReadAgain() throws {
        var port = CarriedPort(
            listen: .ip(IPAddress(v6High: 0, low: 1), port: 80), target: .ip(.loopback, port: 81), transport: .udp,
            node: "n")
        port.isAPI = true
        #expect(try PortsFile.read(PortsFile.bytes([port])) == [port])
        #expect(throws: (any Error).self) { try PortsFile.read(Array("{\"ports\":[{}]}".utf8)) }
    }
}

@Suite struct PortCarrierTests {
    /// A carrier in this process over a directory of its own, and something behind it that echoes.
    private static func open(
        _ ports: [CarriedPort] = [], _ body: @escaping @Sendable (World, PortsClient, Endpoint) async throws -> Void
    ) async throws {
        try await EventLoop.runOnThread { loop in
            let world = World.live(loop)
            let directory = "/tmp/lab-ports-\(getpid())-\(world.random.next() % 1_000_000)"
            try Files.makeDirectories("\(directory)/s")
            defer { try? Files.removeTree(directory) }
            let cluster = ClusterLayout(directory: directory, lock: "", name: "t", images: "", home: "")
            try Files.write(PortsFile.bytes(ports), to: cluster.ports)
            let carrier = PortCarrier(
                file: cluster.ports, control: .unix(cluster.portsControl), outside: world.network,
                inside: world.network, clock: world.clock, log: .silent)
            let echo = try await world.network.listen(on: .ip(.loopback, port: 0))
            let datagrams = try await world.network.datagrams(on: echo.local)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await carrier.run() }
                group.addTask {
                    try await withThrowingDiscardingTaskGroup { connections in
                        while true {
                            let connection = try await echo.accept()
                            connections.addTask {
                                while case let bytes = try await connection.read(atMost: 4096), !bytes.isEmpty {
                                    try await connection.write(bytes)
                                }
                                connection.close()
                            }
                        }
                    }
                }
                group.addTask {
                    while true {
                        let datagram = try await datagrams.receive()
                        try await datagrams.send(datagram)
                    }
                }
                let client = PortsClient(cluster: cluster, world: world)
                while !Files.exists(cluster.portsControl) { try await world.clock.sleep(for: .milliseconds(1)) }
                try await body(world, client, echo.local)
                #expect(try PortsFile.read(Files.read(cluster.ports)).count == (try await client.list()).count)
                group.cancelAll()
            }
        }
    }

    private static func carried(_ target: Endpoint, _ transport: PublishedPort.Transport = .tcp) -> CarriedPort {
        CarriedPort(listen: .ip(.loopback, port: 0), target: target, transport: transport, node: "n")
    }

    @Test func streamsComeThroughUntilThePortIsRemoved() async throws {
        try await Self.open { world, client, target in
            let entry = try #require(try await client.add([Self.carried(target)]).first)
            let connection = try await world.network.connect(to: entry.port.listen)
            try await connection.write(Array("hello".utf8))
            #expect(try await connection.read(atMost: 100) == Array("hello".utf8))
            #expect(try await client.remove([entry.port]).isEmpty)
            // What goes on through it is cut off, by an end or a reset.
            if let rest = try? await connection.read(atMost: 100) { #expect(rest.isEmpty) }
            await #expect(throws: (any Error).self) {
                // The listener is closed a moment after the answer.
                for _ in 0..<500 {
                    try await world.network.connect(to: entry.port.listen).close()
                    try await world.clock.sleep(for: .milliseconds(10))
                }
            }
        }
    }

    @Test func datagramsComeThroughAndAnswersFindTheirClient() async throws {
        try await Self.open { world, client, target in
            let entry = try #require(try await client.add([Self.carried(target, .udp)]).first)
            var sockets: [any DatagramSocket] = []
            for _ in 0..<3 { sockets.append(try await world.network.datagrams(on: .ip(.loopback, port: 0))) }
            for (index, socket) in sockets.enumerated() {
                try await socket.send(Datagram(bytes: [UInt8(index)], peer: entry.port.listen))
            }
            for (index, socket) in sockets.enumerated() {
                let answer = try await socket.receive()
                #expect(answer.bytes == [UInt8(index)] && answer.peer == entry.port.listen)
            }
        }
    }

    @Test func aNewClientTakesThePlaceOfTheOneSilentLongest() async throws {
        try await EventLoop.runOnThread { loop in
            let world = World.live(loop)
            let far = try await world.network.datagrams(on: .ip(.loopback, port: 0))
            let near = try await world.network.datagrams(on: .ip(.loopback, port: 0))
            let place = near.local
            let relay = DatagramRelay(
                socket: near, target: far.local, connecting: world.network, clock: world.clock, log: .silent, most: 2)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await relay.run() }
                var sources: Set<Endpoint> = []
                for number in 0..<4 {
                    let socket = try await world.network.datagrams(on: .ip(.loopback, port: 0))
                    try await socket.send(Datagram(bytes: [UInt8(number)], peer: place))
                    let seen = try await far.receive()
                    #expect(seen.bytes == [UInt8(number)])
                    sources.insert(seen.peer)
                    socket.close()
                }
                #expect(relay.count <= 2 && sources.count >= 2)
                group.cancelAll()
            }
        }
    }

    @Test func aPortThatIsTakenIsRefusedAndNothingChanges() async throws {
        try await Self.open { world, client, target in
            var taken = Self.carried(target)
            taken.listen = target
            await #expect(throws: Failure.self) { try await client.add([Self.carried(target), taken]) }
            #expect(try await client.list().isEmpty)
            await #expect(throws: Failure.self) { try await client.remove([taken]) }
            let entry = try #require(try await client.add([Self.carried(target)]).first)
            await #expect(throws: Failure.self) { try await client.add([entry.port]) }
        }
    }

    @Test func theAPIsPortStaysAndAPortThatFailsKeepsNobodyElseFromWorking() async throws {
        var api = Self.carried(.ip(.loopback, port: 9))
        api.listen = .ip(.loopback, port: 0)
        api.isAPI = true
        var foreign = Self.carried(.ip(.loopback, port: 9))
        // An address that this machine does not have.
        foreign.listen = .ip(IPAddress(v4: 0xC000_0201), port: 80)
        try await Self.open([foreign, api]) { _, client, _ in
            let entries = try await client.list()
            #expect(entries.count == 2)
            #expect(entries.count { $0.error != nil } == 1)
            let own = try #require(entries.first { $0.port.isAPI })
            await #expect(throws: Failure.self) { try await client.remove([own.port]) }
        }
    }
}
