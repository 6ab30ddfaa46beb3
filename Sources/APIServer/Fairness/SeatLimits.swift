/// The seats of a level: what its share gives, and between what bounds lending and borrowing may move that.
struct SeatLimits: Sendable, Equatable {
    var nominal = 0
    var low = 0
    var high = 0
    /// What holds now.
    var current = 0

    init() {}

    /// `total` seats are divided by shares; rounding up may give out a few more.
    init(_ level: PriorityLevel, total: Int, shareSum: Int) {
        let share = shareSum > 0 ? Double(level.shares) / Double(shareSum) : 0
        nominal = Int((Double(total) * share).rounded(.up))
        let lendable = Int((Double(nominal) * Double(level.lendablePercent) / 100).rounded())
        let borrowing =
            level.borrowingLimitPercent.map { Int((Double(nominal) * Double($0) / 100).rounded()) } ?? total
        low = nominal - lendable
        high = nominal + borrowing
        current = nominal - lendable / 2
    }
}

/// How many seats a level would have used, had it had them: over the time since the last look.
struct SeatDemand: Sendable {
    private var value = 0.0
    private var since = 0.0
    private var started = 0.0
    private var integral = 0.0
    private var squares = 0.0
    private var highest = 0.0

    mutating func set(_ seats: Int, now: Double) {
        advance(to: now)
        value = Double(seats)
        highest = max(highest, value)
    }

    private mutating func advance(to now: Double) {
        let span = max(0, now - since)
        integral += value * span
        squares += value * value * span
        since = max(since, now)
    }

    /// Average, deviation and highest value since the last call; nil where no time has passed.
    mutating func take(now: Double) -> (average: Double, deviation: Double, highest: Double)? {
        advance(to: now)
        let span = since - started
        let (sum, square, top) = (integral, squares, highest)
        started = since
        integral = 0
        squares = 0
        highest = value
        guard span > 0 else { return nil }
        let average = sum / span
        return (average, max(0, square / span - average * average).squareRoot(), top)
    }
}

/// What is remembered of a level's demand: it rises at once and decays slowly.
struct SeatDemandStatistics: Sendable {
    var average = 0.0
    var deviation = 0.0
    var highest = 0.0
    var smoothed = 0.0

    /// At one look every ten seconds the memory halves in five minutes.
    private static let memory = 0.977

    mutating func update(_ seen: (average: Double, deviation: Double, highest: Double)) {
        average = seen.average
        deviation = seen.deviation
        highest = seen.highest
        let envelope = average + deviation
        smoothed = max(envelope, Self.memory * smoothed + (1 - Self.memory) * envelope)
    }
}

/// Divides a sum among claims in proportion to their targets, each within its own bounds.
enum FairDivision {
    struct Claim: Sendable {
        var low: Double
        var high: Double
        var target: Double
    }

    /// Claims without a target would divide by zero.
    private static let leastTarget = 0.001

    /// The allotments and the proportion of the targets that they stand for, nil when the bounds leave no solution.
    ///
    /// Each allotment is its target times the common proportion, cut to the bounds. The sum grows with the
    /// proportion, and it is linear between the proportions at which some claim meets a bound: so the solution lies
    /// between two neighbours of these.
    static func divide(_ sum: Double, _ claims: [Claim]) -> (parts: [Double], proportion: Double)? {
        let targets = claims.map { max($0.target, leastTarget) }
        func parts(_ proportion: Double) -> [Double] {
            claims.indices.map { min(claims[$0].high, max(claims[$0].low, proportion * targets[$0])) }
        }
        func total(_ proportion: Double) -> Double { parts(proportion).reduce(0, +) }
        let epsilon = 1e-7
        guard claims.allSatisfy({ $0.low >= 0 && $0.high >= $0.low }),
            claims.reduce(0, { $0 + $1.low }) <= sum + epsilon, claims.reduce(0, { $0 + $1.high }) >= sum - epsilon
        else { return nil }
        let bends = claims.indices.flatMap { [claims[$0].low / targets[$0], claims[$0].high / targets[$0]] }.sorted()
        var below = 0.0
        for bend in bends {
            let reached = total(bend)
            guard reached < sum else {
                let start = total(below)
                let part = reached > start ? (sum - start) / (reached - start) : 1
                let proportion = below + (bend - below) * min(1, max(0, part))
                return (parts(proportion), proportion)
            }
            below = bend
        }
        return (parts(below), below)
    }
}
