import Basics
import Wire

/// Datagrams: one asks, one answers who it is.
enum Datagrams {
    static let most = 512

    static func answer(_ socket: any DatagramSocket, _ identity: Identity) async throws {
        defer { socket.close() }
        while true {
            let asked = try await socket.receive()
            let text = identity.greeting(client: asked.peer)
            // A client that is gone already is no reason to stop.
            try? await socket.send(Datagram(bytes: Array(text.utf8.prefix(most)), peer: asked.peer))
            try Task.checkCancellation()
        }
    }
}

extension Testbox {
    /// Sends a datagram `count` times, from a port of its own each time, and prints every answer.
    func ask(_ host: String, _ port: UInt16, timeout: Duration, count: Int) async throws -> Int32 {
        var code: Int32 = 0
        for _ in 0..<count {
            do {
                let answer = try await within(timeout) {
                    let address = try await self.address(of: host)
                    let socket = try await world.network.datagrams(on: .ip(IPAddress(v4: 0), port: 0))
                    defer { socket.close() }
                    let peer = Endpoint.ip(address, port: port)
                    try await socket.send(Datagram(bytes: Array("who?".utf8), peer: peer))
                    while true {
                        let datagram = try await socket.receive()
                        // The answer has to seem to come from where the question went.
                        if datagram.peer == peer { return String(decoding: datagram.bytes, as: UTF8.self) }
                    }
                }
                Output.line(answer)
            } catch let error as CancellationError {
                throw error
            } catch {
                Output.error("testbox: \(host):\(port): \(error)")
                code = 1
            }
        }
        return code
    }
}
