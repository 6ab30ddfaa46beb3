import Basics

/// How long to leave a failed daemon before its node gets a new one: at once the first time, then after 1 s, doubled
/// with each failure up to 15 minutes. A daemon that the node keeps refusing would otherwise be made without end.
struct FailedPodBackoff: Sendable, Equatable {
    private struct Entry: Equatable {
        var delay: Duration
        var since: Duration
    }

    private static let first = Duration.seconds(1)
    private static let longest = Duration.seconds(15 * 60)
    /// A new template begins anew.
    private var generation = 0
    private var uid = ""
    private var entries: [String: Entry] = [:]

    var isEmpty: Bool { entries.isEmpty }

    /// Whose failures are counted; another set or another generation knows nothing of the earlier ones.
    mutating func begin(uid: String, generation: Int, at now: Duration) {
        if self.uid != uid || self.generation != generation { entries = [:] }
        (self.uid, self.generation) = (uid, generation)
        entries = entries.filter { now - $0.value.since <= Self.longest * 2 }
    }

    /// How long the failed pod of `node` must wait; nil where it may be replaced now, which counts as one failure.
    mutating func wait(_ node: String, at now: Duration) -> Duration? {
        guard let entry = entries[node] else {
            entries[node] = Entry(delay: Self.first, since: now)
            return nil
        }
        let rest = entry.since + entry.delay - now
        if rest > .zero { return rest }
        entries[node] = Entry(delay: min(entry.delay * 2, Self.longest), since: now)
        return nil
    }
}
