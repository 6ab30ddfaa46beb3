import Basics
import Glibc
import Linux
import Testing
import Wire

@Suite struct ResolverTests {
    @Test func searchesAsTheFileSays() {
        let configuration = ResolverConfiguration(
            "nameserver 10.96.0.10\n# c\nsearch ns.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n"
        )
        #expect(configuration.servers == [IPAddress("10.96.0.10")])
        #expect(
            configuration.candidates("web") == [
                "web.ns.svc.cluster.local", "web.svc.cluster.local", "web.cluster.local", "web",
            ])
        #expect(configuration.candidates("web.").first == "web." && configuration.candidates("web.").count == 1)
        #expect(configuration.candidates("a.b.c.d.e.f").first == "a.b.c.d.e.f")
        #expect(ResolverConfiguration("").candidates("a.b") == ["a.b"])
    }

    @Test func filesAreRead() {
        #expect(
            HostsFile.addresses(of: "reg.Local", in: "127.0.0.1 localhost\n10.0.0.1 x Reg.local # y\n::2 reg.local")
                == [IPAddress(v4: 0x0A00_0001), IPAddress(v6High: 0, low: 2)])
        let configuration = ResolverConfiguration(
            "search a b\nnameserver 1.1.1.1\nnameserver bad\nnameserver fe80::1%eth0\n")
        #expect(configuration.servers == [IPAddress("1.1.1.1"), IPAddress("fe80::1")])
        #expect(configuration.search == ["a", "b"])
        #expect(ResolverConfiguration("nameserver\noptions ndots:x\n") == ResolverConfiguration(""))
    }

    @Test func machinesAreFoundByTheFilesAndEveryAddressIsTried() async throws {
        try await EventLoop.runOnThread { loop in
            let world = World.live(loop)
            let hosts = "/tmp/lab-hosts-\(world.random.next())"
            defer { try? Files.removeTree(hosts) }
            // Nobody listens at the first of them.
            try Files.write(Array("127.0.0.9 web.test\n127.0.0.1 web.test other.test\n".utf8), to: hosts)
            let names = MachineNames(world: world, hostsFile: hosts, resolverFile: "/nowhere")
            #expect(try await names.addresses(of: "10.1.2.3") == [IPAddress(v4: 0x0A01_0203)])
            #expect(try await names.addresses(of: "localhost").first == .loopback)
            #expect(try await names.addresses(of: "Web.test").count == 2)
            let failure = await #expect(throws: MachineNames.Failure.self) { try await names.addresses(of: "x.test") }
            #expect(failure?.description == "x.test: cannot be looked up: /nowhere names no server")
            let listener = try await world.network.listen(on: .ip(.loopback, port: 0))
            guard case .ip(_, let port) = listener.local else { return }
            let server = NamedServer("web.test", port: port, names: names)
            let connection = try await server.connect(to: .ip(.any, port: port))
            #expect(connection.peer == listener.local)
            connection.close()
            listener.close()
            let silent = await #expect(throws: MachineNames.Failure.self) {
                _ = try await server.connect(to: .ip(.any, port: port))
            }
            #expect(silent?.problem.contains("127.0.0.9") == true && silent?.problem.contains("; ") == true)
        }
    }

    /// What a server says to a query over UDP, and over TCP.
    private struct Server: Sendable {
        var short: @Sendable (DNSMessage) -> [DNSMessage]
        var long: (@Sendable (DNSMessage) -> [DNSMessage])?
    }

    /// One port for both: another program may have the free one's other half.
    private static func open(on network: any Network) async throws -> (any DatagramSocket, any Listener) {
        while true {
            let socket = try await network.datagrams(on: .ip(.loopback, port: 0))
            do { return (socket, try await network.listen(on: socket.local)) } catch let error as SystemError
                where error.errno == EADDRINUSE
            { socket.close() }
        }
    }

    /// Runs the servers on ports of loopback and asks them for `name.test`.
    private static func ask(
        _ servers: [Server], overTCPOnly: Bool = false
    ) async throws -> Result<DNSMessage, any Error> {
        try await EventLoop.runOnThread { loop in
            let network = World.live(loop).network
            return try await withThrowingTaskGroup(of: Void.self) { group in
                defer { group.cancelAll() }
                var endpoints: [Endpoint] = []
                for server in servers {
                    let (socket, listener) = try await Self.open(on: network)
                    endpoints.append(socket.local)
                    group.addTask {
                        while true {
                            let datagram = try await socket.receive()
                            for answer in server.short(try DNSMessage(parsing: datagram.bytes)) {
                                try await socket.send(Datagram(bytes: answer.serialized(), peer: datagram.peer))
                            }
                        }
                    }
                    group.addTask {
                        while true {
                            let connection = try await listener.accept()
                            var framing = DNSStreamFraming()
                            while let bytes = try await framing.next(from: connection) {
                                for answer in server.long?(try DNSMessage(parsing: bytes)) ?? [] {
                                    try await DNSStreamFraming.write(answer.serialized(), to: connection)
                                }
                                connection.close()
                            }
                        }
                    }
                }
                let resolver = StubResolver(
                    DNSClient(world: World.live(loop), patience: .seconds(30)), overTCPOnly: overTCPOnly)
                let question = DNSQuestion(try #require(DNSName("name.test")), .a)
                do { return .success(try await resolver.ask(endpoints, question)) } catch { return .failure(error) }
            }
        }
    }

    private static func answer(_ query: DNSMessage, _ last: UInt32, code: DNSCode = .noError) -> DNSMessage {
        var answer = DNSMessage(answering: query, code: code)
        if code == .noError {
            answer.answers = query.questions.map {
                DNSRecord($0.name, timeToLive: 1, .address(IPAddress(v4: 0x0A00_0000 + last)))
            }
        }
        return answer
    }

    private static let address = [IPAddress(v4: 0x0A00_0001)]

    @Test func whatWasNotAskedForIsPassedOver() async throws {
        let server = Server { query in
            var forged = Self.answer(query, 9)
            forged.id &+= 1
            var echoed = query
            echoed.isResponse = false
            var other = Self.answer(query, 9)
            other.questions = [DNSQuestion(.root, .a)]
            return [forged, echoed, other, Self.answer(query, 1)]
        }
        #expect(try await Self.ask([server]).get().addresses == Self.address)
    }

    @Test func longAnswersComeOverAStream() async throws {
        let server = Server(
            short: { query in
                var cut = Self.answer(query, 9)
                cut.isTruncated = true
                return [cut]
            }, long: { [Self.answer($0, 1)] })
        #expect(try await Self.ask([server]).get().addresses == Self.address)
        let streamOnly = Server(short: { [Self.answer($0, 9)] }, long: { [Self.answer($0, 1)] })
        #expect(try await Self.ask([streamOnly], overTCPOnly: true).get().addresses == Self.address)
    }

    @Test func theNextServerIsAskedWhereOneFails() async throws {
        let good = Server { [Self.answer($0, 1)] }
        for code in [DNSCode.serverFailure, .refused] {
            let bad = Server { [Self.answer($0, 9, code: code)] }
            #expect(try await Self.ask([bad, good]).get().addresses == Self.address)
        }
        let mute = Server(
            short: { query in
                var cut = Self.answer(query, 9)
                cut.isTruncated = true
                return [cut]
            }, long: nil)
        #expect(try await Self.ask([mute, good]).get().addresses == Self.address)
        // That there is no such name is an answer.
        let denying = Server { [Self.answer($0, 9, code: .nameError)] }
        #expect(try await Self.ask([denying, good]).get().code == .nameError)
    }

    @Test func allFailuresAreTold() async throws {
        let bad = Server { [Self.answer($0, 9, code: .refused)] }
        let failure = try await Self.ask([bad])
        #expect(throws: DNSClient.Failure.self) { try failure.get() }
        #expect("\(failure)".contains("answered with code 5"), "\(failure)")
        let none = try await Self.ask([])
        #expect("\(none)".contains("no server answered"), "\(none)")
    }
}
