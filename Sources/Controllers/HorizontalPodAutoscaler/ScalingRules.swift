import Document
import Kinds

/// What an autoscaler remembers of its own decisions. Times are monotonic.
struct ScalingHistory: Sendable, Equatable {
    struct Entry: Sendable, Equatable {
        var count: Int
        var time: Duration
    }

    /// What was found right at each look, before it was smoothed.
    var recommendations: [Entry] = []
    /// How many pods were added and taken away.
    var additions: [Entry] = []
    var removals: [Entry] = []

    /// Nothing looks back further than an hour, the longest window that may be asked for.
    private static let span = Duration.seconds(3_600)

    mutating func forgetWhatIsOld(at now: Duration) {
        recommendations.removeAll { now - $0.time > Self.span }
        additions.removeAll { now - $0.time > Self.span }
        removals.removeAll { now - $0.time > Self.span }
    }

    mutating func recordChange(from old: Int, to new: Int, at now: Duration) {
        if new > old { additions.append(Entry(count: new - old, time: now)) }
        if new < old { removals.append(Entry(count: old - new, time: now)) }
    }

    /// How many pods there were `seconds` ago, as far as this autoscaler has changed them.
    func replicas(_ seconds: Int, before now: Duration, current: Int) -> Int {
        func sum(_ entries: [Entry]) -> Int {
            entries.reduce(0) { $0 + (now - $1.time < .seconds(seconds) ? $1.count : 0) }
        }
        return current - sum(additions) + sum(removals)
    }
}

/// Brings the number of replicas that metrics call for within what an autoscaler may do, and smooths it.
struct ScalingRules: Sendable {
    struct Direction: Sendable {
        var window: Int
        var isDisabled: Bool
        var picksLeast: Bool
        var policies: [(isPercent: Bool, value: Int, seconds: Int)]

        init(_ rules: Document, defaultWindow: Int) {
            window = rules.number("stabilizationWindowSeconds") ?? defaultWindow
            isDisabled = rules.text("selectPolicy") == "Disabled"
            picksLeast = rules.text("selectPolicy") == "Min"
            policies = rules.list("policies").map {
                ($0.text("type") == "Percent", $0.number("value") ?? 0, $0.number("periodSeconds") ?? 0)
            }
        }
    }

    /// The outcome, and what the conditions say about it.
    struct Decision: Equatable, Sendable {
        var replicas: Int
        var ability: Remark
        var limit: Remark
        var isLimited: Bool
    }

    struct Remark: Equatable, Sendable {
        var reason: String
        var message: String
    }

    private static let downWindow = 300
    /// Without rules of its own an autoscaler may double the pods at once, and always go to four.
    private static let factor = 2
    private static let leastLimit = 4

    let least: Int
    let most: Int
    private let up: Direction?
    private let down: Direction?

    /// - Parameter behavior: the rules in the object; without them simpler ones hold.
    init(least: Int, most: Int, behavior: Document?) {
        self.least = least
        self.most = most
        up = behavior.map { Direction($0["scaleUp"] ?? .emptyObject, defaultWindow: 0) }
        down = behavior.map { Direction($0["scaleDown"] ?? .emptyObject, defaultWindow: Self.downWindow) }
    }

    /// - Parameters:
    ///   - wanted: what the metrics call for.
    ///   - history: gets `wanted` added.
    func decide(current: Int, wanted: Int, history: inout ScalingHistory, now: Duration) -> Decision {
        let stable = stabilize(current, wanted, history, now)
        history.recommendations.append(.init(count: wanted, time: now))
        var ability = Remark(reason: "ReadyForNewScale", message: "recommended size matches current size")
        if stable != wanted {
            let isUp = up != nil && wanted >= current
            ability =
                isUp
                ? Remark(
                    reason: "ScaleUpStabilized",
                    message: "recent recommendations were lower than current one, applying the lowest recent "
                        + "recommendation")
                : Remark(
                    reason: "ScaleDownStabilized",
                    message: "recent recommendations were higher than current one, applying the highest recent "
                        + "recommendation")
        }
        let (replicas, limit) = limited(current, stable, history, now)
        return Decision(replicas: replicas, ability: ability, limit: limit, isLimited: replicas != stable)
    }

    /// Moves up no further than every recommendation of the one window allows, and down no further than every one of
    /// the other.
    private func stabilize(_ current: Int, _ wanted: Int, _ history: ScalingHistory, _ now: Duration) -> Int {
        guard let up, let down else {
            let recent = history.recommendations.filter { now - $0.time <= .seconds(Self.downWindow) }
            return max(wanted, recent.map(\.count).max() ?? wanted)
        }
        var (lowest, highest) = (wanted, wanted)
        for entry in history.recommendations {
            if now - entry.time < .seconds(up.window) { lowest = min(lowest, entry.count) }
            if now - entry.time < .seconds(down.window) { highest = max(highest, entry.count) }
        }
        return min(max(current, lowest), highest)
    }

    private func limited(_ current: Int, _ wanted: Int, _ history: ScalingHistory, _ now: Duration) -> (Int, Remark) {
        let tooFast = Remark(
            reason: "ScaleUpLimit",
            message: "the desired replica count is increasing faster than the maximum scale rate")
        let tooMany = Remark(
            reason: "TooManyReplicas",
            message: "the desired replica count is more than the maximum replica count")
        let tooFew = Remark(
            reason: "TooFewReplicas",
            message: "the desired replica count is less than the minimum replica count")
        let fine = Remark(
            reason: "DesiredWithinRange", message: "the desired count is within the acceptable range")
        guard let up, let down else {
            let rate = max(Self.factor * current, Self.leastLimit)
            if wanted < least { return (least, tooFew) }
            if wanted > min(most, rate) { return (min(most, rate), most > rate ? tooFast : tooMany) }
            return (wanted, fine)
        }
        if wanted > current {
            let rate = max(current, Self.rate(up, current, history, now, isUp: true))
            if wanted > min(most, rate) { return (min(most, rate), most > rate ? tooFast : tooMany) }
        } else if wanted < current {
            let rate = min(current, Self.rate(down, current, history, now, isUp: false))
            let tooFastDown = Remark(
                reason: "ScaleDownLimit",
                message: "the desired replica count is decreasing faster than the maximum scale rate")
            if wanted < max(least, rate) { return (max(least, rate), least < rate ? tooFastDown : tooFew) }
        }
        return (wanted, fine)
    }

    /// How far the policies let it go.
    private static func rate(
        _ direction: Direction, _ current: Int, _ history: ScalingHistory, _ now: Duration, isUp: Bool
    ) -> Int {
        if direction.isDisabled { return current }
        let limits = direction.policies.map { policy -> Int in
            let start = history.replicas(policy.seconds, before: now, current: current)
            guard policy.isPercent else { return isUp ? start + policy.value : start - policy.value }
            // Up rounds up, so that few pods can grow at all.
            return isUp
                ? (start * (100 + policy.value) + 99) / 100 : max(0, start * (100 - policy.value) / 100)
        }
        let widest = isUp == direction.picksLeast ? limits.min() : limits.max()
        return widest ?? current
    }
}
