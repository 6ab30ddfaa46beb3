/// Completion indexes of an Indexed job, as ascending intervals that do not touch: `0-4,7,9,10`.
struct CompletionIndexes: Sendable, Equatable {
    private(set) var intervals: [ClosedRange<Int>] = []

    init() {}

    init(_ indexes: some Sequence<Int>) {
        for index in Set(indexes).sorted() { append(index...index) }
    }

    /// What the job's status says. Indexes from `completions` on belong to a larger job that this one was before.
    init(parsing text: String, completions: Int) {
        for part in text.split(separator: ",") {
            let limits = part.split(separator: "-").map { Int($0) }
            guard let first = limits.first ?? nil, let last = limits.last ?? nil, first <= last else { continue }
            if first >= completions { break }
            append(first...min(last, completions - 1))
        }
    }

    var count: Int { intervals.reduce(0) { $0 + $1.count } }
    var isEmpty: Bool { intervals.isEmpty }

    func contains(_ index: Int) -> Bool {
        // The first interval that ends at `index` or later.
        var (low, high) = (0, intervals.count)
        while low < high {
            let middle = (low + high) / 2
            if intervals[middle].upperBound < index { low = middle + 1 } else { high = middle }
        }
        return low < intervals.count && intervals[low].contains(index)
    }

    func union(_ other: CompletionIndexes) -> CompletionIndexes {
        var result = CompletionIndexes()
        for interval in (intervals + other.intervals).sorted(by: { $0.lowerBound < $1.lowerBound }) {
            result.append(interval)
        }
        return result
    }

    /// How many indexes both have.
    func overlap(with other: CompletionIndexes) -> Int {
        var (i, j, count) = (0, 0, 0)
        while i < intervals.count, j < other.intervals.count {
            let (a, b) = (intervals[i], other.intervals[j])
            if a.overlaps(b) { count += a.clamped(to: b).count }
            if a.upperBound <= b.upperBound { i += 1 } else { j += 1 }
        }
        return count
    }

    /// The first `count` indexes below `completions` that are not here.
    func firstMissing(_ count: Int, below completions: Int) -> [Int] {
        var missing: [Int] = []
        var next = 0
        for interval in intervals + [completions...completions] {
            while next < min(interval.lowerBound, completions), missing.count < count {
                missing.append(next)
                next += 1
            }
            next = max(next, interval.upperBound + 1)
        }
        return missing
    }

    /// `interval` begins no earlier than the last one.
    private mutating func append(_ interval: ClosedRange<Int>) {
        if let last = intervals.last, interval.lowerBound <= last.upperBound + 1 {
            intervals[intervals.count - 1] = last.lowerBound...max(last.upperBound, interval.upperBound)
        } else {
            intervals.append(interval)
        }
    }
}

extension CompletionIndexes: CustomStringConvertible {
    /// Two neighbours are written one by one, more as an interval.
    var description: String {
        intervals.map { interval in
            switch interval.count {
            case 1: "\(interval.lowerBound)"
            case 2: "\(interval.lowerBound),\(interval.upperBound)"
            default: "\(interval.lowerBound)-\(interval.upperBound)"
            }
        }.joined(separator: ",")
    }
}
