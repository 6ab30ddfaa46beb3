/// How long clients that are turned away shall stay away: it doubles while many are turned away, and goes back by
/// seconds when few are. One for each priority level.
struct RetryAfter: Sendable {
    private static let longest = 32

    private(set) var seconds = 1
    private var second = 0
    private var count = 0
    /// Refusals by second, oldest first, as far back as the decision may look.
    private var history: [(second: Int, count: Int)] = []
    private var changed = 0

    /// Notes a refusal.
    mutating func note(second now: Int) {
        if now == second {
            count += 1
            return
        }
        history.append((second, count))
        let reach = min(2 * seconds, Self.longest)
        history.removeAll { now - $0.second > reach }
        second = now
        count = 1
        update(now)
    }

    private mutating func update(_ now: Int) {
        let refused = history.reduce(0) { now - $1.second <= seconds ? $0 + $1.count : $0 }
        if now - changed >= seconds, refused >= 3 * seconds {
            seconds = min(2 * seconds, Self.longest)
            changed = now
        } else if refused < seconds, seconds > 1 {
            seconds -= 1
        }
    }
}
