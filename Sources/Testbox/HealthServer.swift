import Basics
import Wire

extension Testbox {
    /// Answers every gRPC call as `grpc.health.v1.Health/Check` with one status, until a signal comes.
    func serveHealth(_ port: UInt16, _ status: UInt8) async throws -> Int32 {
        let listener = try await world.network.listen(on: .ip(IPAddress(v4: 0), port: port))
        Output.line("serving health on port \(port)")
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await withThrowingDiscardingTaskGroup { calls in
                    while true {
                        let connection = try await listener.accept()
                        calls.addTask {
                            // A client that breaks off is its own affair.
                            try? await answer(connection, status)
                            connection.close()
                        }
                    }
                }
            }
            if let signals { group.addTask { _ = try await signals.next() } }
            try await group.next()
            group.cancelAll()
        }
        return 0
    }

    /// The preface, then frames; the end of a request's stream is answered with headers, a message and trailers.
    private func answer(_ connection: any Connection, _ status: UInt8) async throws {
        var preface = HTTP2Frame.preface.count
        var reader = HTTP2FrameReader()
        try await connection.write(HTTP2Frame(.settings).encoded)
        while true {
            let bytes = try await connection.read(atMost: 16 << 10)
            if bytes.isEmpty { return }
            let skipped = min(preface, bytes.count)
            preface -= skipped
            reader.append(Array(bytes.dropFirst(skipped)))
            while let frame = try reader.next() {
                guard frame.has(HTTP2Frame.endStream), frame.kind == .data || frame.kind == .headers else { continue }
                let head = HPACKDecoder.encode([.init(":status", "200"), .init("content-type", "application/grpc")])
                let end = HTTP2Frame.endHeaders | HTTP2Frame.endStream
                let trailers = HPACKDecoder.encode([.init("grpc-status", "0")])
                try await connection.write(
                    HTTP2Frame(.headers, flags: HTTP2Frame.endHeaders, stream: frame.stream, payload: head).encoded
                        + HTTP2Frame(.data, stream: frame.stream, payload: GRPCCall.framed([8, status])).encoded
                        + HTTP2Frame(.headers, flags: end, stream: frame.stream, payload: trailers).encoded)
            }
        }
    }
}
