import Basics
import Document
import Kinds
import Wire

/// What a program in a container said, and how it ended.
public struct ExecOutcome: Sendable, Equatable {
    public var output: [UInt8] = []
    public var errors: [UInt8] = []
    public var exitCode = 0

    public init() {}
}

extension APIClient {
    private static let longestOutput = 16 << 20

    /// Runs a program in a container (the pod's default one where none is named) and waits for its end. Throws the
    /// server's `APIStatus` where it could not be run. `input` is all of its standard input; nil is none.
    public func execute(
        _ command: [String], namespace: String, pod: String, container: String? = nil, input: [UInt8]? = nil,
        random: any Randomness
    ) async throws -> ExecOutcome {
        var fields = command.map { ("command", Optional($0)) }
        fields += [("container", container), ("stdin", input == nil ? nil : "true")]
        fields += [("stdout", "true"), ("stderr", "true")]
        let path = try path(.pods, namespace, pod, "exec") + Self.query(fields)
        // With version 4 nobody can say that the input is at its end.
        let offers = ["v5.channel.k8s.io", "v4.channel.k8s.io"]
        let asked = WebSocketHandshake.ask(protocols: offers, random: random)
        switch try await upgrade(Request("GET", path, headers: asked)) {
        case .refused(let stream): throw try await Self.refusal(stream, "exec in pod \(pod)")
        case .switched(let headers, let connection):
            defer { connection.close() }
            guard let chosen = try WebSocketHandshake.check(headers, to: asked), offers.contains(chosen) else {
                throw APIStatus(code: 500, reason: "InternalError", message: "the server chose no protocol for exec")
            }
            let socket = WebSocketConnection(connection, role: .client, random: random)
            let channels = WebSocketChannels(socket, .init(hasClose: chosen == offers[0]), reading: [1, 2, 3])
            return try await Self.exchange(channels, input: input)
        }
    }

    private enum Part {
        case output([UInt8])
        case errors([UInt8])
        case status([UInt8])
        case other
    }

    private static func exchange(_ channels: WebSocketChannels, input: [UInt8]?) async throws -> ExecOutcome {
        func all(_ number: UInt8) async throws -> [UInt8] {
            let channel = channels.channel(number)
            var bytes: [UInt8] = []
            while case let piece = try await channel.read(atMost: 64 << 10), !piece.isEmpty {
                bytes += piece
                guard bytes.count <= longestOutput else { throw BodyTooLarge(limit: longestOutput) }
            }
            return bytes
        }
        return try await withThrowingTaskGroup(of: Part.self) { group in
            group.addTask { .output(try await all(1)) }
            group.addTask { .errors(try await all(2)) }
            group.addTask { .status(try await all(3)) }
            group.addTask {
                try await channels.run()
                return .other
            }
            if let input {
                group.addTask {
                    // The program need not take all of it, or may be gone.
                    do {
                        if !input.isEmpty { try await channels.channel(0).write(input) }
                        try await channels.channel(0).finishWriting()
                    } catch {}
                    return .other
                }
            }
            var outcome = ExecOutcome()
            for try await part in group {
                switch part {
                case .output(let bytes): outcome.output = bytes
                case .errors(let bytes): outcome.errors = bytes
                case .status(let bytes): outcome.exitCode = try exitCode(bytes)
                case .other: break
                }
            }
            return outcome
        }
    }

    private static func exitCode(_ bytes: [UInt8]) throws -> Int {
        guard let status = try? Document(json: bytes) else {
            throw APIStatus(code: 500, reason: "InternalError", message: "the stream ended without an outcome")
        }
        if status.text("status") == "Success" { return 0 }
        if status.text("reason") == "NonZeroExitCode",
            let cause = status.list("details", "causes").first(where: { $0.text("reason") == "ExitCode" }),
            let code = cause.text("message").flatMap({ Int($0) })
        {
            return code
        }
        throw APIStatus(
            code: status.number("code") ?? 500, reason: status.text("reason") ?? "InternalError",
            message: status.text("message") ?? "the program could not be run")
    }
}
