import Basics
import Client
import Document
import Synchronization
import Wire

/// The node's DNS server: answers for the cluster's domain from informers, asks the resolvers outside for the rest.
public final class DNSServer: Sendable {
    private let listenOn: [Endpoint]
    private let upstreams: [Endpoint]
    private let world: World
    private let log: Log
    private let zone: Mutex<Zone>
    private let forwarder: Forwarder
    private let services: Informer
    private let slices: Informer
    private let namespaces: Informer
    private let bound = Mutex<[Endpoint]>([])
    private let ready = Atomic(false)
    private let queries = Atomic(0)
    private let streams = Atomic(0)

    private static let queryLimit = 1024
    private static let streamLimit = 256
    private static let streamPatience: Duration = .seconds(30)

    /// - upstreams: where other names are asked for; this server's own addresses among them are left out.
    public init(
        addresses: [IPAddress], port: UInt16 = 53, clusterDomain: String, client: APIClient, upstreams: [Endpoint],
        world: World, log: Log
    ) throws {
        guard let domain = DNSName(clusterDomain) else {
            throw DNSFormatError("\(clusterDomain) is no domain name")
        }
        listenOn = addresses.map { .ip($0, port: port) }
        self.upstreams = upstreams.filter { [listenOn] in !listenOn.contains($0) }
        self.world = world
        self.log = log
        zone = Mutex(Zone(domain: domain, servers: addresses))
        forwarder = Forwarder(upstreams: self.upstreams, world: world, log: log)
        services = Informer(client, .services, world: world, log: log)
        slices = Informer(client, .endpointSlices, world: world, log: log)
        namespaces = Informer(client, .namespaces, world: world, log: log)
    }

    /// Where the server listens, once it does.
    public var local: [Endpoint] { bound.withLock { $0 } }

    public func run() async throws {
        var sockets: [any DatagramSocket] = []
        var listeners: [any Listener] = []
        defer {
            for socket in sockets { socket.close() }
            for listener in listeners { listener.close() }
        }
        for endpoint in listenOn {
            let socket = try await world.network.datagrams(on: endpoint)
            sockets.append(socket)
            // Where the kernel chose the port, streams get the same one.
            listeners.append(try await world.network.listen(on: socket.local))
        }
        bound.withLock { [sockets] in $0 = sockets.map(\.local) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for informer in [services, slices, namespaces] {
                let changes = informer.changes()
                group.addTask { for await change in changes { self.take(change, from: informer.resource) } }
                group.addTask { try await informer.run() }
            }
            for socket in sockets { group.addTask { try await self.serve(socket) } }
            for listener in listeners { group.addTask { try await self.serve(listener) } }
            group.addTask { try await self.forwarder.probeForLoops() }
            try await group.waitForAll()
        }
    }

    private func take(_ change: Change, from resource: ResourceType) {
        zone.withLock { zone in
            switch resource {
            case .services: zone.setService(change.key, change.new)
            case .endpointSlices: zone.setSlice(change.key, change.new)
            default: zone.setNamespace(change.key, exists: change.new != nil)
            }
        }
    }

    // MARK: Transports

    private func serve(_ socket: any DatagramSocket) async throws {
        try await withThrowingDiscardingTaskGroup { group in
            while true {
                let datagram = try await socket.receive()
                guard let query = try? DNSMessage(parsing: datagram.bytes), !query.isResponse else { continue }
                // RFC 6891: without OPT the asker takes 512 bytes. Above 1232 fragments get lost.
                let limit = min(1232, max(512, Int(query.edns?.datagramSize ?? 512)))
                if let answer = answerAtOnce(query) {
                    try await send(answer, limit, socket, datagram.peer)
                    continue
                }
                guard queries.add(1, ordering: .relaxed).newValue <= Self.queryLimit else {
                    queries.subtract(1, ordering: .relaxed)
                    try await send(DNSMessage(answering: query, code: .serverFailure), limit, socket, datagram.peer)
                    continue
                }
                group.addTask {
                    defer { self.queries.subtract(1, ordering: .relaxed) }
                    let answer = try await self.answer(query)
                    try await self.send(answer, limit, socket, datagram.peer)
                }
            }
        }
    }

    private func send(_ answer: DNSMessage, _ limit: Int, _ socket: any DatagramSocket, _ peer: Endpoint) async throws {
        do {
            try await socket.send(Datagram(bytes: answer.serialized(limit: limit), peer: peer))
        } catch let error as CancellationError {
            throw error
        } catch {
            // The asker is unreachable. It asks again, or not.
            log.debug("\(peer): \(error)")
        }
    }

    private func serve(_ listener: any Listener) async throws {
        try await withThrowingDiscardingTaskGroup { group in
            while true {
                let connection = try await listener.accept()
                guard streams.add(1, ordering: .relaxed).newValue <= Self.streamLimit else {
                    streams.subtract(1, ordering: .relaxed)
                    connection.close()
                    continue
                }
                group.addTask {
                    await self.serve(connection)
                    self.streams.subtract(1, ordering: .relaxed)
                }
            }
        }
    }

    /// Answers on one stream, for as long as a client may reasonably take.
    private func serve(_ connection: any Connection) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                do {
                    var framing = StreamFraming()
                    while let bytes = try await framing.next(from: connection) {
                        let query = try DNSMessage(parsing: bytes)
                        guard !query.isResponse else { return }
                        let answer = try await self.answer(query)
                        try await StreamFraming.write(answer.serialized(), to: connection)
                    }
                } catch {
                    self.log.debug("\(connection.peer?.description ?? "client"): \(error)")
                }
            }
            group.addTask { try? await self.world.clock.sleep(for: Self.streamPatience) }
            await group.next()
            group.cancelAll()
            connection.close()
        }
    }

    // MARK: Answers

    /// Whether the zone holds everything that the first lists brought. Their changes reach the zone a moment later,
    /// so at the first sight of complete lists they are taken over at once.
    private var isReady: Bool {
        if ready.load(ordering: .relaxed) { return true }
        guard services.hasSynced, slices.hasSynced, namespaces.hasSynced else { return false }
        for informer in [services, slices, namespaces] {
            for object in informer.all {
                let (namespace, name) = (object.text("metadata", "namespace"), object.text("metadata", "name") ?? "")
                let key = namespace.map { "\($0)/\(name)" } ?? name
                take(Change(key: key, old: nil, new: object), from: informer.resource)
            }
        }
        ready.store(true, ordering: .relaxed)
        return true
    }

    private func answer(_ query: DNSMessage) async throws -> DNSMessage {
        if let answer = answerAtOnce(query) { return answer }
        var answer = DNSMessage(answering: query)
        guard let question = query.questions.first else { return DNSMessage(answering: query, code: .formatError) }
        guard case .alias(let chain, let target) = follow(question) else { return try await forwarder.resolve(query) }
        answer.answers = chain
        answer.recursionAvailable = true
        var next = DNSMessage(query: DNSQuestion(target, question.type), id: query.id)
        next.edns = query.edns
        let rest = try await forwarder.resolve(next)
        answer.code = rest.code
        answer.answers += rest.answers
        answer.authorities = rest.authorities
        return answer
    }

    /// The answer, where nobody else has to be asked.
    func answerAtOnce(_ query: DNSMessage) -> DNSMessage? {
        guard query.opcode == 0 else { return DNSMessage(answering: query, code: .notImplemented) }
        guard query.questions.count == 1, let question = query.questions.first else {
            return DNSMessage(answering: query, code: .formatError)
        }
        if let edns = query.edns, edns.version != 0 {
            var answer = DNSMessage(answering: query)
            answer.edns?.extendedCode = 1
            return answer
        }
        if question.type == .axfr || forwarder.recognizes(query) {
            return DNSMessage(answering: query, code: .refused)
        }
        var answer = DNSMessage(answering: query)
        answer.isAuthoritative = true
        answer.recursionAvailable = true
        let isReady = isReady
        let verdict = follow(question)
        switch verdict {
        case .foreign, .alias: return nil
        case _ where !isReady:
            // Before the first lists every name would seem absent, and the absence would be remembered.
            return DNSMessage(answering: query, code: .serverFailure)
        case .noSuchName:
            answer.code = .nameError
            answer.authorities = [zone.withLock { $0.authority }]
        case .found(let answers, let additionals):
            answer.answers = rotate(answers)
            answer.additionals = additionals
            if answers.isEmpty { answer.authorities = [zone.withLock { $0.authority }] }
        }
        return answer
    }

    /// The zone's answer, with names that stand for other names of the zone followed.
    private func follow(_ question: DNSQuestion) -> Zone.Verdict {
        zone.withLock { zone in
            var chain: [DNSRecord] = []
            var question = question
            for _ in 0..<8 {
                switch zone.answer(question) {
                case .alias(let records, let target):
                    chain += records
                    question.name = target
                case .found(let answers, let additionals):
                    return .found(answers: chain + answers, additionals: additionals)
                case .noSuchName: return chain.isEmpty ? .noSuchName : .found(answers: chain, additionals: [])
                case .foreign: return chain.isEmpty ? .foreign : .alias(chain, to: question.name)
                }
            }
            return .found(answers: chain, additionals: [])
        }
    }

    /// Addresses begin at a random one, so that clients which take the first spread over all.
    private func rotate(_ records: [DNSRecord]) -> [DNSRecord] {
        let aliases = records.prefix { $0.data.type == .cname }
        let rest = records.dropFirst(aliases.count)
        guard rest.count > 1 else { return records }
        let first = rest.startIndex + world.random.below(rest.count)
        return Array(aliases) + rest[first...] + rest[..<first]
    }
}
