import Basics
import Wire

/// Queries by datagram and by stream, each bounded in number and in time.
extension DNSServer {
    private static let queryLimit = 1024
    private static let streamLimit = 256
    private static let streamPatience: Duration = .seconds(30)
    /// Above it datagrams arrive in fragments, and fragments get lost.
    private static let longestDatagram = 1232

    func serve(_ socket: any DatagramSocket) async throws {
        try await withThrowingDiscardingTaskGroup { group in
            while true {
                let datagram = try await socket.receive()
                guard let query = try? DNSMessage(parsing: datagram.bytes), !query.isResponse else { continue }
                let asked = Asked(query, datagram.peer, size: datagram.bytes.count, world.clock.uptime)
                if let answer = answerAtOnce(query) {
                    try await send(answer, to: asked, socket)
                    continue
                }
                guard queries.add(1, ordering: .relaxed).newValue <= Self.queryLimit else {
                    queries.subtract(1, ordering: .relaxed)
                    try await send(DNSMessage(answering: query, code: .serverFailure), to: asked, socket)
                    continue
                }
                group.addTask {
                    defer { self.queries.subtract(1, ordering: .relaxed) }
                    try await self.send(try await self.answer(query), to: asked, socket)
                }
            }
        }
    }

    private func send(_ answer: DNSMessage, to asked: Asked, _ socket: any DatagramSocket) async throws {
        // RFC 6891: without OPT the asker takes 512 bytes.
        let limit = min(Self.longestDatagram, max(512, Int(asked.query.edns?.datagramSize ?? 512)))
        let bytes = answer.serialized(limit: limit)
        note(asked, answer, size: bytes.count)
        do {
            try await socket.send(Datagram(bytes: bytes, peer: asked.peer))
        } catch let error as CancellationError {
            throw error
        } catch {
            // The asker is unreachable. It asks again, or not.
            log.debug("\(asked.peer): \(error)")
        }
    }

    func serve(_ listener: any Listener) async throws {
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
                    var framing = DNSStreamFraming()
                    while let bytes = try await framing.next(from: connection) {
                        let query = try DNSMessage(parsing: bytes)
                        guard !query.isResponse else { return }
                        let peer = connection.peer ?? .ip(.any, port: 0)
                        var asked = Asked(query, peer, size: bytes.count, self.world.clock.uptime)
                        asked.isStream = true
                        let answer = try await self.answer(query)
                        let out = answer.serialized()
                        self.note(asked, answer, size: out.count)
                        try await DNSStreamFraming.write(out, to: connection)
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

    /// A query, and what is told about it afterwards.
    struct Asked: Sendable {
        var query: DNSMessage
        var peer: Endpoint
        var size: Int
        var start: Duration
        var isStream = false

        init(_ query: DNSMessage, _ peer: Endpoint, size: Int, _ start: Duration) {
            self.query = query
            self.peer = peer
            self.size = size
            self.start = start
        }
    }

    private func note(_ asked: Asked, _ answer: DNSMessage, size: Int) {
        let took = world.clock.uptime - asked.start
        guard let question = asked.query.questions.first else { return }
        metrics.count(question.type, isStream: asked.isStream, code: answer.code, size: size, took: took)
        let plan = plan
        guard plan.logsQueries else { return }
        let configuration = plan.configuration
        guard let index = configuration.block(for: question.name), configuration.blocks[index].logsQueries else {
            return
        }
        log.info(Self.line(asked, question, answer, size: size, took: took))
    }

    /// `10.244.1.5:40312 - 29008 "A IN example.com. udp 41 false 4096" NOERROR qr,rd,ra 68 0.037990s`, as CoreDNS
    /// writes it.
    static func line(
        _ asked: Asked, _ question: DNSQuestion, _ answer: DNSMessage, size: Int, took: Duration
    ) -> String {
        let edns = asked.query.edns
        let flags = [
            (true, "qr"), (answer.isAuthoritative, "aa"), (answer.isTruncated, "tc"), (answer.recursionDesired, "rd"),
            (answer.recursionAvailable, "ra"),
        ].filter(\.0).map(\.1).joined(separator: ",")
        // Whoever asks chooses the name's bytes: none of them may begin a line of its own.
        let name = String(
            String.UnicodeScalarView(
                question.name.description.unicodeScalars.map { $0.value < 33 || $0.value == 127 ? "?" : $0 }))
        return "\(asked.peer) - \(asked.query.id) \"\(question.type) IN \(name) \(asked.isStream ? "tcp" : "udp") "
            + "\(asked.size) \(edns?.wantsSignatures ?? false) \(edns?.datagramSize ?? 512)\" "
            + "\(answer.code) \(flags) \(size) \(took.inSeconds)s"
    }
}
