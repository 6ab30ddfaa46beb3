import Basics
import Client
import Document
import Synchronization
import Wire

@testable import Scenario

/// A clock on which a sleep takes no time but moves it on.
final class SteppingClock: WorldClock {
    private let elapsed = Mutex(Duration.zero)

    var now: Timestamp { Timestamp(seconds: 1_700_000_000) }
    var uptime: Duration { elapsed.withLock { $0 } }

    func sleep(for duration: Duration) async throws {
        // Long sleeps are time limits: they only end when they are cancelled.
        while duration > .seconds(5), !Task.isCancelled { await Task.yield() }
        await Task.yield()
        try Task.checkCancellation()
        elapsed.withLock { $0 += duration }
    }
}

struct Counting: Randomness {
    func next() -> UInt64 { 7 }
}

struct NoNetwork: Network {
    struct Refused: Error {}
    func connect(to endpoint: Endpoint) async throws -> any Connection { throw Refused() }
    func listen(on endpoint: Endpoint) async throws -> any Listener { throw Refused() }
    func datagrams(on endpoint: Endpoint) async throws -> any DatagramSocket { throw Refused() }
}

/// As much of an API server as the runner talks to: objects by path, namespaces with a service account.
final class FakeCluster: Transport {
    struct State {
        var objects: [String: Document] = [:]
        var requests: [Request] = []
    }

    let state = Mutex(State())
    /// Answers before the store does, where it wants to.
    let special: @Sendable (Request) -> (Int, String)?

    init(special: @escaping @Sendable (Request) -> (Int, String)? = { _ in nil }) { self.special = special }

    var world: World { World(clock: SteppingClock(), random: Counting(), network: NoNetwork()) }

    final class Answer: ResponseStream {
        let status: Int
        let headers = Headers()
        private let body: Mutex<[UInt8]?>

        init(_ status: Int, _ body: [UInt8]) {
            self.status = status
            self.body = Mutex(body)
        }

        func next() async throws -> [UInt8]? {
            body.withLock { body in
                defer { body = nil }
                return body
            }
        }

        func cancel() {}
    }

    func send(_ request: Request) async throws -> any ResponseStream {
        if let (status, body) = special(request) {
            state.withLock { $0.requests.append(request) }
            return Answer(status, Array(body.utf8))
        }
        return try state.withLock { state in
            state.requests.append(request)
            return try Self.answer(request, &state)
        }
    }

    private static func answer(_ request: Request, _ state: inout State) throws -> Answer {
        let path = String(request.target.prefix { $0 != "?" })
        switch request.method {
        case "GET":
            if let object = state.objects[path] { return Answer(200, object.json) }
            let items = state.objects.keys.sorted().filter { key in
                key.hasPrefix(path + "/") && !key.dropFirst(path.count + 1).contains("/")
            }
            let plural = path.split(separator: "/").last ?? ""
            guard plural.hasSuffix("s"), !items.isEmpty || ["pods", "events"].contains(plural) else {
                return missing(path)
            }
            return Answer(200, (["items": Document(items.compactMap { state.objects[$0] })] as Document).json)
        case "POST":
            let object = try Document(json: request.body)
            let name = object.text("metadata", "name") ?? ""
            let key = "\(path)/\(name)"
            if state.objects[key] != nil {
                return failure(409, "AlreadyExists", "\(name) already exists")
            }
            var stored = object
            let parts = path.split(separator: "/")
            if let place = parts.firstIndex(of: "namespaces"), parts.count > place + 2 {
                stored.set(Document(String(parts[place + 1])), at: "metadata", "namespace")
            }
            state.objects[key] = stored
            if object.text("kind") == "Namespace" {
                state.objects["\(key)/serviceaccounts/default"] = [
                    "kind": "ServiceAccount", "metadata": ["name": "default"],
                ]
            }
            return Answer(201, stored.json)
        case "PATCH":
            guard let object = state.objects[path] else { return missing(path) }
            let patched = object.applyingMergePatch(try Document(json: request.body))
            state.objects[path] = patched
            return Answer(200, patched.json)
        case "DELETE":
            guard state.objects.removeValue(forKey: path) != nil else { return missing(path) }
            for key in state.objects.keys where key.hasPrefix(path + "/") { state.objects[key] = nil }
            return Answer(200, Array(#"{"kind":"Status","status":"Success"}"#.utf8))
        default: return failure(405, "MethodNotAllowed", request.method)
        }
    }

    private static func missing(_ path: String) -> Answer { failure(404, "NotFound", "\(path) not found") }

    static func failure(_ code: Int, _ reason: String, _ message: String) -> Answer {
        let status: Document = [
            "kind": "Status", "status": "Failure", "code": Document(code), "reason": Document(reason),
            "message": Document(message),
        ]
        return Answer(code, status.json)
    }
}
