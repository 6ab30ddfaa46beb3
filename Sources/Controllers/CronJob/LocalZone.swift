/// What the clocks of a place show: a fixed offset from UTC, or two that take turns within each year.
struct LocalZone: Sendable {
    /// When clocks change: on the n-th such weekday of a month (5 for the last), so many seconds after midnight.
    private struct Change {
        var month: Int
        var week: Int
        var weekday: Int
        var time: Int64

        func localSeconds(in year: Int) -> Int64 {
            let first = CivilTime.days(.init(year: year, month: month, day: 1))
            var day = first + Int64((weekday - CivilTime.weekday(ofDay: first) + 7) % 7) + Int64(week - 1) * 7
            while CivilTime.date(ofDay: day).month != month { day -= 7 }
            return day * 86_400 + time
        }
    }

    static let utc = LocalZone(standard: 0)

    /// Seconds east of UTC.
    private let standard: Int64
    private var daylight: Int64 = 0
    private var begin: Change?
    private var end: Change?
    private var exceptions: [Range<Int64>] = []
    private var exceptionalOffset: Int64 = 0

    private init(standard: Int64) { self.standard = standard }

    /// Nil for a place that nobody knows.
    init?(named name: String) {
        if name.isEmpty || name == "UTC" || name == "Local" {
            self = .utc
            return
        }
        guard let rule = ZoneTable.rule(of: name), let zone = LocalZone(rule: rule) else { return nil }
        self = zone
        let (offset, hours) = ZoneTable.exceptions(of: name)
        exceptionalOffset = offset
        exceptions = hours.map { $0.lowerBound * 3_600..<$0.upperBound * 3_600 }
    }

    /// A rule as POSIX writes it, such as `CET-1CEST,M3.5.0,M10.5.0/3`.
    init?(rule: String) {
        var text = Substring(rule)
        guard Self.skipName(&text), let west = Self.offset(&text) else { return nil }
        standard = -west
        guard !text.isEmpty else { return }
        guard Self.skipName(&text) else { return nil }
        daylight = standard + 3_600
        if text.first != "," {
            guard let west = Self.offset(&text) else { return nil }
            daylight = -west
        }
        let changes = text.dropFirst().split(separator: ",").map { Self.change($0) }
        guard changes.count == 2, let first = changes[0], let second = changes[1] else { return nil }
        begin = first
        end = second
    }

    /// The offset at a time in seconds since 1970, and until when it holds at least.
    func period(at time: Int64) -> (offset: Int64, end: Int64) {
        var (offset, until) = regularPeriod(at: time)
        for exception in exceptions {
            if exception.contains(time) { return (exceptionalOffset, exception.upperBound) }
            if exception.lowerBound > time { until = min(until, exception.lowerBound) }
        }
        return (offset, until)
    }

    private func regularPeriod(at time: Int64) -> (offset: Int64, end: Int64) {
        guard let begin, let end else { return (standard, .max) }
        let year = CivilTime.date(ofDay: CivilTime.floorDivide(time, 86_400)).year
        // Each change is told in the time that it ends.
        let changes = (year - 1...year + 1).flatMap { year in
            [
                (begin.localSeconds(in: year) - standard, daylight),
                (end.localSeconds(in: year) - daylight, standard),
            ]
        }.sorted { $0.0 < $1.0 }
        let offset = changes.last { $0.0 <= time }?.1 ?? standard
        return (offset, changes.first { $0.0 > time }?.0 ?? .max)
    }

    // MARK: Reading a rule

    private static func skipName(_ text: inout Substring) -> Bool {
        if text.first == "<" {
            guard let close = text.firstIndex(of: ">") else { return false }
            text = text[text.index(after: close)...]
            return true
        }
        let name = text.prefix(while: \.isLetter)
        text = text.dropFirst(name.count)
        return !name.isEmpty
    }

    /// `[+-]H[:MM[:SS]]` in seconds.
    private static func offset(_ text: inout Substring) -> Int64? {
        let word = text.prefix { "+-:0123456789".contains($0) }
        text = text.dropFirst(word.count)
        let parts = word.drop { "+-".contains($0) }.split(separator: ":").map { Int64($0) }
        guard (1...3).contains(parts.count), !parts.contains(nil) else { return nil }
        let seconds = zip(parts, [3_600, 60, 1]).reduce(0) { $0 + ($1.0 ?? 0) * $1.1 }
        return word.first == "-" ? -seconds : seconds
    }

    /// `M3.5.0/2`; without a time at two o'clock.
    private static func change(_ text: Substring) -> Change? {
        let parts = text.split(separator: "/", maxSplits: 1)
        guard let date = parts.first, date.first == "M" else { return nil }
        let numbers = date.dropFirst().split(separator: ".").compactMap { Int($0) }
        guard numbers.count == 3, (1...12).contains(numbers[0]), (1...5).contains(numbers[1]),
            (0...6).contains(numbers[2])
        else { return nil }
        var time: Int64 = 7_200
        if parts.count == 2 {
            var rest = parts[1]
            guard let given = offset(&rest), rest.isEmpty else { return nil }
            time = given
        }
        return Change(month: numbers[0], week: numbers[1], weekday: numbers[2], time: time)
    }
}
