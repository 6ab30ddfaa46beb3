import Basics
import Document
import Linux
import Runtime
import Synchronization
import Wire

/// The requests that lead into a pod's containers: `/exec`, `/attach`, `/run` and `/portForward`, each followed by
/// `/NAMESPACE/POD[/UID]` and, but for the last, `/CONTAINER`.
extension KubeletServer {
    /// Throws `StreamRefusal`, or what else keeps the streams from being opened.
    func streams(
        _ request: Request, _ path: [String], _ query: [(name: String, value: String)]
    ) async throws -> Response {
        let isForward = path[0] == "portForward"
        let counts = isForward ? 3...4 : 4...5
        guard counts.contains(path.count) else { throw StreamRefusal(status: 404, "404 page not found") }
        // Running something is no reading; streams begin with GET where a WebSocket carries them.
        guard request.method == "POST" || (request.method == "GET" && path[0] != "run") else {
            throw StreamRefusal(status: 405, "405: Method Not Allowed")
        }
        guard let loop else { throw StreamRefusal(status: 501, "this node agent has no way to carry streams") }
        let uid = path.count == counts.upperBound ? path[3] : nil
        guard let pod = pods.get(namespace: path[1], name: path[2]),
            uid == nil || pod.text("metadata", "uid") == uid
        else { throw StreamRefusal(status: 404, "pod does not exist") }
        let worker = workers[PodIdentity.uid(pod)]
        if isForward { return try forward(request, query, pod, worker, loop) }
        let container = path[path.count - 1]
        guard let worker, worker.isRunning(container) else { throw ContainerMissing(container: container) }
        let command = query.filter { $0.name == "command" || (path[0] == "run" && $0.name == "cmd") }.map(\.value)
        if path[0] == "run" { return try await output(of: command, container, worker, loop) }
        let options = try RemoteCommandOptions(query)
        let (spoken, headers) = try StreamProtocol.negotiate(request)
        let session = StreamSession(world: world)
        let remote = RemoteCommand(loop: loop, clock: world.clock)
        let isExec = path[0] == "exec"
        return Response(
            status: 101, headers: headers,
            body: .upgrade { connection in
                try await session.remoteCommand(over: connection, spoken, options) { streams in
                    if isExec {
                        try await remote.exec(command, container, in: worker, options, streams)
                    } else {
                        try await remote.attach(container, in: worker, options, streams)
                    }
                }
            })
    }

    private func forward(
        _ request: Request, _ query: [(name: String, value: String)], _ pod: Document, _ worker: PodWorker?,
        _ loop: EventLoop
    ) throws -> Response {
        guard let worker else { throw StreamRefusal(status: 404, "pod does not exist") }
        let (carrier, headers) = try PortForward.negotiate(request, query)
        let name = "\(pod.text("metadata", "name") ?? "")_\(pod.text("metadata", "namespace") ?? "")"
        let forward = PortForward(
            session: StreamSession(world: world), loop: loop, pod: name, uid: worker.uid,
            namespace: try worker.networkNamespace())
        return Response(
            status: 101, headers: headers, body: .upgrade { try await forward.run(carrier, over: $0) })
    }

    private static let longestOutput = 10 << 20

    /// Everything that a program says, as one answer.
    private func output(
        of command: [String], _ container: String, _ worker: PodWorker, _ loop: EventLoop
    ) async throws -> Response {
        guard !command.isEmpty else { throw StreamRefusal(status: 400, "no command was given") }
        let text = Collector(limit: Self.longestOutput)
        let status = Collector(limit: 64 << 10)
        let options = try RemoteCommandOptions([("output", "1"), ("error", "1")])
        let streams = RemoteStreams(output: text, errors: text, status: status, version: 3)
        try await RemoteCommand(loop: loop, clock: world.clock).exec(command, container, in: worker, options, streams)
        return Self.text(status.text.isEmpty ? 200 : 500, text.text + status.text)
    }
}

/// Keeps what is written to it.
private final class Collector: Connection {
    private let bytes = Mutex<[UInt8]>([])
    private let limit: Int

    init(limit: Int) { self.limit = limit }

    var text: String { String(decoding: bytes.withLock { $0 }, as: UTF8.self) }
    var peer: Endpoint? { nil }
    func read(atMost limit: Int) async throws -> [UInt8] { [] }

    func write(_ more: [UInt8]) async throws {
        let fits = bytes.withLock { bytes in
            bytes += more
            return bytes.count <= limit
        }
        if !fits { throw BodyTooLarge(limit: limit) }
    }

    func finishWriting() async throws {}
    func close() {}
}

extension PodWorker {
    func isRunning(_ container: String) -> Bool { state.withLock { $0.running[container] != nil && $0.sandbox != nil } }
}
