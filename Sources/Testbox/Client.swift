import Basics
import Wire

extension Testbox {
    /// Fetches the URL `count` times over a connection each, and prints every body. Fails with the last failure's
    /// exit code, but tries as often as asked.
    func get(_ url: URL, timeout: Duration, count: Int) async throws -> Int32 {
        var code: Int32 = 0
        for _ in 0..<count {
            do {
                let (status, body) = try await within(timeout) { try await fetch(url) }
                var text = String(decoding: body, as: UTF8.self)
                if text.hasSuffix("\n") { text.removeLast() }
                Output.line(text)
                if !(200..<300).contains(status) {
                    Output.error("testbox: HTTP status \(status)")
                    code = 1
                }
            } catch let error as CancellationError {
                throw error
            } catch {
                Output.error("testbox: \(url.authority): \(error)")
                code = 1
            }
        }
        return code
    }

    func fetch(_ url: URL) async throws -> (status: Int, body: [UInt8]) {
        let address = try await self.address(of: url.host)
        // Every request balances anew: a pooled connection would stay with one endpoint.
        var limits = HTTPTransport.Limits()
        limits.idle = 0
        let transport = HTTPTransport(
            .ip(address, port: url.port), host: url.authority, network: world.network, clock: world.clock,
            limits: limits)
        let response = try await transport.send(
            Request("GET", url.target, headers: Headers([("Connection", "close"), ("User-Agent", "testbox")])))
        return (response.status, try await response.collect(limit: 16 << 20))
    }

    func address(of host: String) async throws -> IPAddress {
        if let literal = IPAddress(host) { return literal }
        guard let first = try await Resolver(world: world).addresses(of: host).first else { throw NotFound(name: host) }
        return first
    }

    func within<T: Sendable>(_ limit: Duration, _ body: @escaping @Sendable () async throws -> T) async throws -> T {
        try await withThrowingTaskGroup(of: T.self) { group in
            group.addTask { try await body() }
            group.addTask {
                try await world.clock.sleep(for: limit)
                throw TimedOut(limit: limit)
            }
            defer { group.cancelAll() }
            guard let first = try await group.next() else { throw CancellationError() }
            return first
        }
    }

    struct TimedOut: Error, CustomStringConvertible {
        var limit: Duration
        var description: String { "no answer within \(limit)" }
    }

    struct NotFound: Error, CustomStringConvertible {
        var name: String
        var description: String { "\(name): no such name" }
    }
}
