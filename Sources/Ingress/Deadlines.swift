import Basics
import Synchronization

/// How long one side of a session may take. When the time is over the connection that is to blame is closed, which
/// wakes whoever waits for it.
final class Deadline: Sendable {
    private struct State {
        var end: Duration?
        var connection: (any Connection)?
        var hasExpired = false
    }

    private let state = Mutex(State())

    func start(_ time: Duration, at now: Duration, closing connection: any Connection) {
        state.withLock { $0 = State(end: now + time, connection: connection) }
    }

    func stop() { state.withLock { $0 = State(hasExpired: $0.hasExpired) } }

    var hasExpired: Bool { state.withLock { $0.hasExpired } }

    func check(_ now: Duration) {
        let late = state.withLock { state -> (any Connection)? in
            guard let end = state.end, end < now else { return nil }
            defer { state = State(hasExpired: true) }
            return state.connection
        }
        late?.close()
    }
}

/// Connections to endpoints that wait for the next request, for a few seconds: many servers hang up after five.
final class UpstreamPool: Sendable {
    private struct Idle {
        var upstream: Upstream
        var since: Duration
    }

    private struct State {
        var idle: [Endpoint: [Idle]] = [:]
        var count = 0
    }

    static let patience = Duration.seconds(4)
    static let most = 512

    private let state = Mutex(State())

    func take(_ endpoint: Endpoint, now: Duration) -> Upstream? {
        let (found, old) = state.withLock { state -> (Idle?, [Idle]) in
            guard var list = state.idle[endpoint], let last = list.popLast() else { return (nil, []) }
            if last.since + Self.patience < now {
                // The youngest is too old, so all are.
                state.idle[endpoint] = nil
                state.count -= list.count + 1
                return (nil, list + [last])
            }
            state.idle[endpoint] = list.isEmpty ? nil : list
            state.count -= 1
            return (last, [])
        }
        for idle in old { idle.upstream.connection.close() }
        return found?.upstream
    }

    func put(_ upstream: Upstream, now: Duration) {
        let isFull = state.withLock { state -> Bool in
            guard state.count < Self.most else { return true }
            state.idle[upstream.endpoint, default: []].append(Idle(upstream: upstream, since: now))
            state.count += 1
            return false
        }
        if isFull { upstream.connection.close() }
    }

    /// Closes those that have waited too long; whether none is left.
    func sweep(_ now: Duration) -> Bool {
        let (old, isEmpty) = state.withLock { state -> ([Idle], Bool) in
            var old: [Idle] = []
            for (endpoint, list) in state.idle {
                let kept = list.filter { $0.since + Self.patience >= now }
                guard kept.count < list.count else { continue }
                old += list.filter { $0.since + Self.patience < now }
                state.idle[endpoint] = kept.isEmpty ? nil : kept
            }
            state.count -= old.count
            return (old, state.count == 0)
        }
        for idle in old { idle.upstream.connection.close() }
        return isEmpty
    }

    func closeAll() {
        let all = state.withLock { state in
            defer { state = State() }
            return state.idle.values.flatMap { $0 }
        }
        for idle in all { idle.upstream.connection.close() }
    }
}
