import Basics
import CZlib
import Testing

@testable import Wire

struct SPDYTests {
    @Test func theDictionaryIsTheAgreedOne() {
        let words = SPDYDictionary.bytes
        #expect(words.count == 1423)
        // zlib names a dictionary by this sum; clients put it into the first block that they send.
        #expect(adler32(1, words, UInt32(words.count)) == 0xE3C6_A7C2)
    }

    @Test func headersAreCompressedAcrossFrames() throws {
        let writer = SPDYWriter()
        let headers = Headers([("streamtype", "stdin"), ("port", "80"), ("x", "a"), ("x", "b")])
        let first = writer.bytes(.open(1, headers, isLast: false))
        #expect(first.prefix(4) == [0x80, 3, 0, 1])
        #expect(first[18...].prefix(6) == [0x78, 0xBB, 0xE3, 0xC6, 0xA7, 0xC2])
        let second = writer.bytes(.open(3, headers, isLast: true))
        #expect(second.count < first.count)
        var reader = SPDYReader()
        reader.feed(first + second)
        #expect(try reader.next() == .open(1, headers, isLast: false))
        #expect(try reader.next() == .open(3, headers, isLast: true))
        #expect(try reader.next() == nil)
    }

    @Test func framesReadBackHoweverTheyAreCut() throws {
        let events: [SPDYEvent] = [
            .open(1, Headers([("streamtype", "error")]), isLast: false), .reply(1, Headers(), isLast: false),
            .headers(1, Headers([("a", "")]), isLast: true), .reset(5, status: 3), .ping(7),
            .data(1, [UInt8](repeating: 4, count: 3000), isLast: false), .data(1, [], isLast: true),
            .data(3, [1, 2, 3], isLast: true), .goAway(lastStream: 9),
        ]
        let writer = SPDYWriter()
        // A frame of settings and one that nobody knows are skipped.
        let noise: [UInt8] = [0x80, 3, 0, 4, 0, 0, 0, 4, 0, 0, 0, 0, 0x80, 3, 0, 99, 0, 0, 0, 1, 5]
        let bytes = noise + events.flatMap { writer.bytes($0) }
        for size in [1, 7, 64, bytes.count] {
            var reader = SPDYReader()
            var read: [SPDYEvent] = []
            var rest = bytes[...]
            while !rest.isEmpty {
                reader.feed(Array(rest.prefix(size)))
                rest = rest.dropFirst(size)
                while let event = try reader.next() {
                    if case .data(let id, let more, let isLast) = event, !more.isEmpty,
                        case .data(id, let known, false)? = read.last
                    {
                        read[read.count - 1] = .data(id, known + more, isLast: isLast)
                    } else {
                        read.append(event)
                    }
                }
            }
            #expect(read == events)
        }
    }

    @Test func brokenFramesAreRefused() {
        let broken: [[UInt8]] = [
            [0x80, 2, 0, 1, 0, 0, 0, 0], [0x80, 3, 0, 1, 0, 2, 0, 0], [0x80, 3, 0, 3, 0, 0, 0, 4, 0, 0, 0, 1],
            [0x80, 3, 0, 2, 0, 0, 0, 8, 0, 0, 0, 1, 1, 2, 3, 4],
        ]
        for bytes in broken {
            #expect(throws: SPDYError.self, "\(bytes)") {
                var reader = SPDYReader()
                reader.feed(bytes)
                _ = try reader.next()
            }
        }
    }

    @Test func streamsGoSideBySide() async throws {
        let (near, far) = try await memoryPair()
        let client = SPDYConnection(near, role: .client)
        let server = SPDYConnection(far, role: .server)
        let (streams, sink) = AsyncStream.makeStream(of: SPDYStream.self)
        let large = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await server.run(
                    .init(wants: { $0["kind"] != "unwanted" }, takes: { sink.yield($0) }))
                sink.finish()
            }
            group.addTask { try await client.run(.init(wants: { _ in false }, takes: { _ in })) }
            group.addTask {
                // Each stream is sent back as it comes.
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for await stream in streams {
                        group.addTask {
                            while case let bytes = try await stream.read(atMost: 9000), !bytes.isEmpty {
                                try await stream.write(bytes)
                            }
                            try await stream.finishWriting()
                        }
                    }
                    try await group.waitForAll()
                }
            }
            group.addTask {
                let unwanted = try await client.open(Headers([("kind", "unwanted")]))
                let refused = try await unwanted.read(atMost: 1)
                #expect(refused.isEmpty)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<3 {
                        let stream = try await client.open(Headers([("kind", "echo")]))
                        group.addTask {
                            try await stream.write(large)
                            try await stream.finishWriting()
                        }
                        group.addTask {
                            var all: [UInt8] = []
                            while case let bytes = try await stream.read(atMost: 1 << 16), !bytes.isEmpty {
                                all += bytes
                            }
                            #expect(all == large)
                        }
                    }
                    try await group.waitForAll()
                }
                try await client.goAway()
                client.close()
            }
            while let result = await group.nextResult() {
                if case .failure(let error) = result, !(error is MemoryConnection.Closed) { throw error }
            }
        }
    }

    @Test func pingsComeBack() async throws {
        let (near, far) = try await memoryPair()
        let server = SPDYConnection(far, role: .server)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try? await server.run(.init(wants: { _ in true }, takes: { _ in })) }
            let ping = SPDYWriter().bytes(.ping(1))
            try await near.write(ping)
            let answer = try await near.read(atMost: 100)
            #expect(answer == ping)
            near.close()
            try await group.waitForAll()
        }
    }
}
