import Basics
import Testing

@testable import Linux

@Suite struct DatagramPortTests {
    @Test func everySocketHasAPortOfItsOwn() async throws {
        try await EventLoop.runOnThread { loop in
            let network = LiveNetwork(loop: loop)
            var sockets: [any DatagramSocket] = []
            // Enough for the kernel to choose the same number twice, where it may.
            for _ in 0..<2_000 { sockets.append(try await network.datagrams(on: .ip(.loopback, port: 0))) }
            #expect(Set(sockets.map(\.local)).count == sockets.count)
            let taken = sockets[0].local
            await #expect(throws: SystemError.self) { try await network.datagrams(on: taken) }
            for socket in sockets { socket.close() }
        }
    }
}
