import Document
import Runtime
import Testing
import Wire

@testable import Kubelet

struct StreamProtocolTests {
    @Test func theQuerySaysWhichStreams() throws {
        let all = try RemoteCommandOptions([("input", "1"), ("output", "true"), ("error", "1"), ("command", "1")])
        #expect(all.streams == [.input, .output, .errors] && !all.terminal)
        let terminal = try RemoteCommandOptions([("tty", "1"), ("output", "1"), ("error", "1"), ("input", "0")])
        #expect(terminal.streams == .output && terminal.terminal)
        #expect(throws: StreamRefusal.self) { try RemoteCommandOptions([("tty", "1"), ("error", "1")]) }
    }

    @Test func sizesAreReadHoweverTheyAreCut() {
        let text = Array(#"{"Width":80,"Height":24}{"Width":100000,"Height":-1} {"Width":1}"#.utf8)
        for size in [1, 7, text.count] {
            var sizes = TerminalSizes()
            var found: [TerminalSize] = []
            var rest = text[...]
            while !rest.isEmpty {
                found += sizes.take(Array(rest.prefix(size)))
                rest = rest.dropFirst(size)
            }
            #expect(found == [TerminalSize(columns: 80, rows: 24), TerminalSize(columns: .max, rows: 0)])
        }
    }

    @Test func outcomesHaveTheirWords() throws {
        #expect(RemoteOutcome.success.bytes(version: 1).isEmpty)
        let exit = RemoteOutcome.exit(code: 3, command: ["sh", "-c", "exit 3"])
        #expect(
            String(decoding: exit.bytes(version: 3), as: UTF8.self)
                == "command terminated with non-zero exit code: error executing command [sh -c exit 3], exit code 3")
        let failure = try Document(json: RemoteOutcome.failure("no shell").bytes(version: 5))
        #expect(failure.text("message") == "Internal error occurred: no shell" && failure.number("code") == 500)
    }

    @Test func oldAndNewProtocolsAreAgreedOn() throws {
        func webSocket(_ offers: String?) -> Request {
            var headers = Headers([
                ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
                ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ])
            if let offers { headers.add("Sec-WebSocket-Protocol", offers) }
            return Request("GET", "/", headers: headers)
        }
        let newest = try StreamProtocol.negotiate(webSocket("v9.channel.k8s.io, v5.channel.k8s.io, v4.channel.k8s.io"))
        #expect(newest.0.version == 5 && newest.0.carrier == .webSocket(.init(hasClose: true)))
        let encoded = try StreamProtocol.negotiate(webSocket("base64.channel.k8s.io"))
        #expect(encoded.0.version == 1 && encoded.0.carrier == .webSocket(.init(isBase64: true)))
        let silent = try StreamProtocol.negotiate(webSocket(nil))
        #expect(silent.0.version == 1 && silent.1["Sec-WebSocket-Protocol"] == nil)
        #expect(throws: StreamRefusal.self) { try StreamProtocol.negotiate(webSocket("soap")) }
        let (carrier, _) = try PortForward.negotiate(
            webSocket("v4.channel.k8s.io"), [("port", "80,81"), ("port", "443")])
        #expect(carrier == .webSocket(.init(), ports: [80, 81, 443]))
        #expect(throws: StreamRefusal.self) {
            try PortForward.negotiate(webSocket("v4.channel.k8s.io"), [("port", "0")])
        }
    }
}
