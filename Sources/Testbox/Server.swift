import Basics
import Glibc
import Linux
import Synchronization
import Wire

extension Testbox {
    /// Serves until a signal comes or `/exit` is asked for. Requests under way are answered first.
    /// With a port for them, every datagram is answered with the greeting.
    func serve(_ port: UInt16, healthy: Duration?, datagrams: UInt16?) async throws -> Int32 {
        let illAt = healthy.map { world.clock.uptime + $0 }
        let listener = try await world.network.listen(on: .ip(IPAddress(v4: 0), port: port))
        var socket: (any DatagramSocket)?
        if let datagrams {
            socket = try await world.network.datagrams(on: .ip(IPAddress(v4: 0), port: datagrams))
        }
        let code = Mutex<Int32>(0)
        let identity = Identity()
        let asked = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let server = HTTPServer(listener: listener, clock: world.clock) { request in
            if let illAt, request.target == "/healthz", self.world.clock.uptime >= illAt { return Echo.ill }
            if let echo = await Echo.answer(request, world: self.world) { return echo }
            let answer = identity.answer(request)
            if let exit = answer.exit {
                code.withLock { $0 = exit }
                asked.continuation.yield()
            }
            return answer.response
        }
        Output.line("serving on port \(port)")
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await server.run()
                return true
            }
            if let socket {
                group.addTask {
                    try await Datagrams.answer(socket, identity)
                    return true
                }
            }
            if let signals {
                group.addTask {
                    _ = try await signals.next()
                    return false
                }
            }
            group.addTask {
                for await _ in asked.stream { break }
                return false
            }
            while let serverEnded = try await group.next() {
                if serverEnded { break }
                server.drain()
            }
            group.cancelAll()
        }
        return code.withLock { $0 }
    }
}

/// What the server says about itself and whoever asks.
struct Identity: Sendable {
    var hostname: String
    var addresses: [IPAddress]
    var variables: [String]

    init() {
        var name = [CChar](repeating: 0, count: 256)
        gethostname(&name, name.count - 1)
        hostname = String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        addresses = Self.ownAddresses()
        variables = Self.environment()
    }

    struct Answer {
        var response: Response
        /// The code to end with, once the response is sent.
        var exit: Int32?
    }

    func answer(_ request: Request) -> Answer {
        let parts = request.target.split(separator: "?", maxSplits: 1).map(String.init)
        guard request.method == "GET" || request.method == "HEAD" else {
            return Answer(response: text(405, "only GET"))
        }
        switch parts.first ?? "/" {
        case "/": return Answer(response: text(200, greeting(request)))
        case "/healthz": return Answer(response: text(200, "ok"))
        case "/env": return Answer(response: text(200, variables.sorted().joined(separator: "\n")))
        case "/exit":
            let query = parts.count > 1 ? parts[1] : "code=0"
            guard query.hasPrefix("code="), let code = UInt8(query.dropFirst(5)) else {
                return Answer(response: text(400, "/exit?code=0 to 255"))
            }
            return Answer(response: text(200, "exiting with code \(code)"), exit: Int32(code))
        default: return Answer(response: text(404, "there is /, /healthz, /env, /exit?code="))
        }
    }

    /// One line, so that a client's log has a line for each answer.
    private func greeting(_ request: Request) -> String { greeting(client: request.peer.endpoint) }

    func greeting(client endpoint: Endpoint?) -> String {
        var client = "unknown"
        if case .ip(let address, _) = endpoint { client = "\(address)" }
        let own = variable("POD_IP") ?? addresses.first.map { "\($0)" } ?? "unknown"
        return "hostname=\(hostname) address=\(own) node=\(variable("NODE_NAME") ?? "unknown") "
            + "version=\(variable("TESTBOX_VERSION") ?? "unknown") client=\(client)"
    }

    private func variable(_ name: String) -> String? {
        variables.first { $0.hasPrefix("\(name)=") }.map { String($0.dropFirst(name.count + 1)) }
    }

    private func text(_ status: Int, _ text: String) -> Response {
        Response(
            status: status, headers: Headers([("Content-Type", "text/plain; charset=utf-8")]),
            body: .bytes(Array((text + "\n").utf8)))
    }

    private static func environment() -> [String] {
        var result: [String] = []
        var pointer = environ
        while let entry = pointer.pointee {
            result.append(String(cString: entry))
            pointer += 1
        }
        return result
    }

    /// Addresses of this network namespace's interfaces, without the loopback's.
    private static func ownAddresses() -> [IPAddress] {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return [] }
        defer { freeifaddrs(list) }
        var result: [IPAddress] = []
        var next = list
        while let entry = next?.pointee {
            next = entry.ifa_next
            guard let address = entry.ifa_addr, Int32(address.pointee.sa_family) == AF_INET else { continue }
            let number = address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { $0.pointee.sin_addr.s_addr }
            let ip = IPAddress(v4: UInt32(bigEndian: number))
            if UInt32(bigEndian: number) >> 24 != 127 { result.append(ip) }
        }
        return result
    }
}
