import Basics
import Synchronization
import Wire

/// A part of an application that keeps entries: `/write?TEXT` adds one, `/entries` shows all, a line each. What it is
/// told to write or to read elsewhere it passes on there and keeps nothing of it.
struct Keeper: Sendable, Equatable {
    var port: UInt16
    var writes: URL?
    var reads: URL?

    static let most = 1_000
}

extension Testbox {
    func keep(_ keeper: Keeper) async throws -> Int32 {
        let listener = try await world.network.listen(on: .ip(IPAddress(v4: 0), port: keeper.port))
        let entries = Mutex<[String]>([])
        let server = HTTPServer(listener: listener, clock: world.clock) { request in
            let parts = request.target.split(separator: "?", maxSplits: 1).map(String.init)
            switch parts.first ?? "" {
            case "/healthz": return Self.plain(200, "ok\n")
            case "/write":
                if let place = keeper.writes { return await self.passed(request.target, to: place) }
                let isKept = entries.withLock { entries in
                    guard entries.count < Keeper.most, parts.count > 1 else { return false }
                    entries.append(parts[1])
                    return true
                }
                return isKept ? Self.plain(200, "written\n") : Self.plain(400, "/write?TEXT, \(Keeper.most) times\n")
            case "/entries":
                if let place = keeper.reads { return await self.passed(request.target, to: place) }
                return Self.plain(200, entries.withLock { $0.map { $0 + "\n" }.joined() })
            default: return Self.plain(404, "there is /write?TEXT, /entries and /healthz\n")
            }
        }
        Output.line("keeping on port \(keeper.port)")
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            if let signals { group.addTask { _ = try await signals.next() } }
            try await group.next()
            group.cancelAll()
        }
        return 0
    }

    private func passed(_ target: String, to place: URL) async -> Response {
        do {
            var place = place
            place.target = target
            let asked = place
            let (status, body) = try await within(.seconds(5)) { try await self.fetch(asked) }
            return Self.plain(status, String(decoding: body, as: UTF8.self))
        } catch {
            return Self.plain(502, "\(place.authority): \(error)\n")
        }
    }

    private static func plain(_ status: Int, _ text: String) -> Response {
        Response(
            status: status, headers: Headers([("Content-Type", "text/plain; charset=utf-8")]),
            body: .bytes(Array(text.utf8)))
    }
}
