import Basics
import Glibc
import Testing

@testable import Linux

@Suite struct SocketTests {
    static let endpoints: [Endpoint] = [
        .ip(.loopback, port: 0), .ip(IPAddress(v6High: 0, low: 1), port: 0),
        .unix("/tmp/lab-socket-test-\(getpid())"),
    ]

    @Test(arguments: endpoints) func carriesBytesBothWays(_ endpoint: Endpoint) async throws {
        try await EventLoop.runOnThread { loop in
            let network = LiveNetwork(loop: loop)
            let listener = try await network.listen(on: endpoint)
            // Larger than any socket buffer, so that both sides have to wait.
            let large = [UInt8]((0..<8 << 20).map { UInt8(truncatingIfNeeded: $0 &* 31) })
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    let server = try await listener.accept()
                    try await server.write(pieces: [[1], [], Array(large[0..<1000]), Array(large[1000...])])
                    try await server.finishWriting()
                    #expect(try await server.read(atMost: 100) == [9])
                    #expect(try await server.read(atMost: 100) == [])
                    server.close()
                }
                let client = try await network.connect(to: listener.local)
                var all: [UInt8] = []
                while true {
                    let piece = try await client.read(atMost: 1 << 20)
                    if piece.isEmpty { break }
                    all += piece
                }
                #expect(all == [1] + large)
                try await client.write([9])
                try await client.finishWriting()
                try await group.waitForAll()
                client.close()
            }
            listener.close()
            if case .unix(let path) = endpoint { #expect(access(path, F_OK) != 0) }
        }
    }

    @Test func closingWakesThoseWhoWait() async throws {
        try await EventLoop.runOnThread { loop in
            let network = LiveNetwork(loop: loop)
            let listener = try await network.listen(on: .ip(.loopback, port: 0))
            let client = try await network.connect(to: listener.local)
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await #expect(throws: SystemError.self) { try await client.read(atMost: 1) } }
                try? await loop.sleep(for: .milliseconds(1))
                client.close()
                client.close()
            }
            await #expect(throws: SystemError.self) { try await client.write([1]) }
            listener.close()
            await #expect(throws: SystemError.self) { _ = try await listener.accept() }
        }
    }

    @Test func cancellingWakesThoseWhoWait() async throws {
        try await EventLoop.runOnThread { loop in
            let network = LiveNetwork(loop: loop)
            let listener = try await network.listen(on: .ip(.loopback, port: 0))
            let client = try await network.connect(to: listener.local)
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await #expect(throws: CancellationError.self) { try await client.read(atMost: 1) } }
                group.addTask {
                    await #expect(throws: CancellationError.self) {
                        let block = [UInt8](repeating: 0, count: 1 << 20)
                        while true { try await client.write(block) }
                    }
                }
                try? await loop.sleep(for: .milliseconds(20))
                group.cancelAll()
            }
            // The connection is still whole: only the waits were given up.
            let server = try await listener.accept()
            try await server.write([7])
            #expect(try await client.read(atMost: 1) == [7])
        }
    }

    @Test func refusalIsAnError() async throws {
        try await EventLoop.runOnThread { loop in
            let network = LiveNetwork(loop: loop)
            let listener = try await network.listen(on: .ip(.loopback, port: 0))
            let local = listener.local
            listener.close()
            await #expect(throws: SystemError("connect", "\(local)", errno: ECONNREFUSED)) {
                _ = try await network.connect(to: local)
            }
        }
    }

    @Test func aStaleSocketFileIsReplaced() async throws {
        let path = "/tmp/lab-socket-stale-\(getpid())"
        let fd = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = try SocketAddress(.unix(path))
        withUnsafePointer(to: &address.storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = Glibc.bind(fd, $0, address.length) }
        }
        close(fd)
        try await EventLoop.runOnThread { loop in
            let listener = try await LiveNetwork(loop: loop).listen(on: .unix(path))
            await #expect(throws: SystemError.self) { _ = try await LiveNetwork(loop: loop).listen(on: .unix(path)) }
            listener.close()
        }
    }

    @Test(arguments: [IPAddress.loopback, IPAddress(v6High: 0, low: 1)]) func datagrams(_ address: IPAddress)
        async throws
    {
        try await EventLoop.runOnThread { loop in
            let network = LiveNetwork(loop: loop)
            let a = try await network.datagrams(on: .ip(address, port: 0))
            let b = try await network.datagrams(on: .ip(address, port: 0))
            try await a.send(Datagram(bytes: [1, 2, 3], peer: b.local))
            let got = try await b.receive()
            #expect(got.bytes == [1, 2, 3])
            #expect(got.peer == a.local)
        }
    }

    @Test func anIPv6WildcardTakesIPv4Too() async throws {
        try await EventLoop.runOnThread { loop in
            let network = LiveNetwork(loop: loop)
            let a = try await network.datagrams(on: .ip(IPAddress(v6High: 0, low: 0), port: 0))
            guard case .ip(_, let port) = a.local else { return }
            let b = try await network.datagrams(on: .ip(.loopback, port: 0))
            try await b.send(Datagram(bytes: [5], peer: .ip(.loopback, port: port)))
            let got = try await a.receive()
            #expect(got.peer == b.local)
            try await a.send(Datagram(bytes: [6], peer: got.peer))
            #expect(try await b.receive().bytes == [6])
        }
    }

    @Test func pipesAreConnections() async throws {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        let (from, to) = (ends[0], ends[1])
        try await EventLoop.runOnThread { loop in
            let reader = try await SocketStream.adopt(fd: from, loop: loop)
            let writer = try await SocketStream.adopt(fd: to, loop: loop)
            try await writer.write(pieces: [[1], [2, 3]])
            #expect(try await reader.read(atMost: 10) == [1, 2, 3])
            writer.close()
            #expect(try await reader.read(atMost: 10) == [])
        }
    }
}
