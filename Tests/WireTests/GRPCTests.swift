import Testing

@testable import Wire

@Suite struct GRPCTests {
    private func bytes(_ hex: String) -> [UInt8] {
        let digits = Array(hex.utf8.filter { $0 != 32 })
        return stride(from: 0, to: digits.count, by: 2).map {
            UInt8(String(decoding: digits[$0...($0 + 1)], as: UTF8.self), radix: 16) ?? 0
        }
    }

    /// The examples of RFC 7541, appendix C.6: coded texts, and a table of 256 bytes that drops its oldest entries.
    @Test func headersAreReadAsTheStandardsExamplesSay() throws {
        var decoder = HPACKDecoder()
        _ = try decoder.decode(bytes("3fe101"))
        let first = try decoder.decode(
            bytes(
                "48 82 6402 58 85 aec3771a4b 61 96 d07abe941054d444a8200595040b8166e082a62d1bff"
                    + "6e 91 9d29ad171863c78f0b97c8e9ae82ae43d3"))
        #expect(
            first == [
                .init(":status", "302"), .init("cache-control", "private"),
                .init("date", "Mon, 21 Oct 2013 20:13:21 GMT"), .init("location", "https://www.example.com"),
            ])
        let second = try decoder.decode(bytes("48 83 640eff c1 c0 bf"))
        #expect(second.first == .init(":status", "307"))
        #expect(second.last == .init("location", "https://www.example.com"))
    }

    @Test(arguments: ["80", "ff", "ffffffffff7f", "40 05 61", "48 82 64", "48 81 00", "48 81 fe", "be", "3f ff ff 7f"])
    func brokenHeadersAreRefused(_ hex: String) {
        var decoder = HPACKDecoder()
        #expect(throws: HTTP2Error.self) { try decoder.decode(bytes(hex)) }
    }

    @Test func whatIsWrittenIsReadBack() throws {
        let fields: [HPACKDecoder.Field] = [.init("te", "trailers"), .init("long", String(repeating: "x", count: 300))]
        var decoder = HPACKDecoder()
        #expect(try decoder.decode(HPACKDecoder.encode(fields)) == fields)
    }

    private func call() -> GRPCCall {
        GRPCCall(GRPCHealth.path, message: GRPCHealth.request(service: "a"), authority: "h:1", userAgent: "t")
    }

    private func answer(_ trailers: [HPACKDecoder.Field], message: [UInt8]?) -> [UInt8] {
        var out = HTTP2Frame(.settings).encoded
        if let message {
            let head = HPACKDecoder.encode([.init(":status", "200"), .init("content-type", "application/grpc")])
            out += HTTP2Frame(.headers, flags: HTTP2Frame.endHeaders, stream: 1, payload: head).encoded
            out += HTTP2Frame(.data, stream: 1, payload: GRPCCall.framed(message)).encoded
        }
        let all = message == nil ? [.init(":status", "200")] + trailers : trailers
        return out
            + HTTP2Frame(
                .headers, flags: HTTP2Frame.endHeaders | HTTP2Frame.endStream, stream: 1,
                payload: HPACKDecoder.encode(all)
            ).encoded
    }

    @Test func anAnswerArrivesInAnyPieces() throws {
        let whole = answer([.init("grpc-status", "0")], message: [8, 1])
        for size in [1, 2, 7, 1000] {
            var call = call()
            var sent: [UInt8] = []
            for start in stride(from: 0, to: whole.count, by: size) {
                sent += try call.receive(Array(whole[start..<min(start + size, whole.count)]))
            }
            #expect(call.answer == .init(status: 0, detail: "", message: [8, 1]))
            #expect(sent == HTTP2Frame(.settings, flags: 1).encoded)
            #expect(GRPCHealth.status(call.answer?.message ?? []) == "SERVING")
        }
    }

    @Test func theRequestIsWhatAServerExpects() throws {
        let opening = call().opening
        #expect(opening.starts(with: HTTP2Frame.preface))
        var reader = HTTP2FrameReader()
        reader.append(Array(opening.dropFirst(HTTP2Frame.preface.count)))
        #expect(try reader.next()?.kind == .settings)
        let headers = try reader.next()
        #expect(headers?.kind == .headers && headers?.stream == 1)
        var decoder = HPACKDecoder()
        #expect(try decoder.decode(headers?.payload ?? []).contains(.init(":path", "/grpc.health.v1.Health/Check")))
        #expect(try reader.next()?.payload == [0, 0, 0, 0, 3, 0x0A, 1, 97])
        #expect(try reader.next() == nil)
    }

    @Test func failuresSayWhy() throws {
        var refused = call()
        _ = try refused.receive(
            answer([.init("grpc-status", "12"), .init("grpc-message", "unknown service")], message: nil))
        #expect(refused.answer == .init(status: 12, detail: "unknown service", message: nil))
        var cut = call()
        #expect(throws: HTTP2Error.self) { try cut.finish() }
        var web = call()
        #expect(throws: HTTP2Error.self) { _ = try web.receive(Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8)) }
        var reset = call()
        #expect(throws: HTTP2Error.self) {
            _ = try reset.receive(HTTP2Frame(.reset, stream: 1, payload: [0, 0, 0, 7]).encoded)
        }
        var padded = call()
        #expect(throws: HTTP2Error.self) {
            _ = try padded.receive(HTTP2Frame(.data, flags: 8, stream: 1, payload: [200, 1]).encoded)
        }
    }
}
