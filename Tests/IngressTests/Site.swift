import Basics
import Document
import Linux
import Synchronization
import Testing
import Wire

@testable import Ingress

/// A front over loopback with endpoints of the test's own behind it.
struct Site: Sendable {
    let world: World
    let front: IngressFront
    let plain: Endpoint
    let secure: Endpoint

    static func open(
        limits: IngressFront.Limits = IngressFront.Limits(), _ body: @escaping @Sendable (Site) async throws -> Void
    ) async throws {
        try await EventLoop.runOnThread { loop in
            let world = World.live(loop)
            let front = IngressFront(limits: limits, world: world, log: .silent)
            let plain = try await world.network.listen(on: .ip(.loopback, port: 0))
            let secure = try await world.network.listen(on: .ip(.loopback, port: 0))
            let site = Site(world: world, front: front, plain: plain.local, secure: secure.local)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await front.serve(plain, isSecure: false) }
                group.addTask { try await front.serve(secure, isSecure: true) }
                group.addTask { try await front.watch() }
                try await body(site)
                group.cancelAll()
            }
        }
    }

    /// A table with one rule for every host.
    func lead(to endpoints: [Endpoint], _ edit: (inout IngressRoute) -> Void = { _ in }) {
        let backend = Backend(Backend.Key(namespace: "default", service: "s", port: .number(80)))
        backend.set(endpoints)
        var route = IngressRoute(backend: backend, ingress: "default/a")
        edit(&route)
        var table = front.table
        table.anyHost.prefixes[""] = route
        front.use(table)
    }

    /// Serves an endpoint that answers with `handler` for as long as `body` runs.
    func behind(_ handler: @escaping Handler, _ body: @escaping @Sendable (Endpoint) async throws -> Void) async throws
    {
        let listener = try await world.network.listen(on: .ip(.loopback, port: 0))
        let server = HTTPServer(listener: listener, clock: world.clock, handler: handler)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            try await body(listener.local)
            group.cancelAll()
        }
    }

    /// Bytes of the test's own choice, and everything that comes back until the end.
    func raw(_ text: String, to endpoint: Endpoint? = nil) async throws -> String {
        let connection = try await world.network.connect(to: endpoint ?? plain)
        defer { connection.close() }
        try await connection.write(Array(text.utf8))
        var all: [UInt8] = []
        while case let bytes = try await connection.read(atMost: 65_536), !bytes.isEmpty { all += bytes }
        return String(decoding: all, as: UTF8.self)
    }

    func transport(tls: TLSClientContext? = nil, name: String = "web.example") -> HTTPTransport {
        HTTPTransport(
            tls == nil ? plain : secure, host: name, tls: tls, serverName: name, network: world.network,
            clock: world.clock)
    }

    func get(_ path: String, tls: TLSClientContext? = nil, name: String = "web.example") async throws -> (Int, String) {
        let answer = try await transport(tls: tls, name: name).send(Request("GET", path))
        return (answer.status, String(decoding: try await answer.collect(), as: UTF8.self))
    }
}

func text(_ status: Int, _ text: String) -> Response { Response(status: status, body: .bytes(Array(text.utf8))) }
