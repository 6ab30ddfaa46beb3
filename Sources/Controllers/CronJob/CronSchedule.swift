import Basics

/// When a cron job runs: minutes that five fields pick, or every so often.
///
/// A schedule means what clocks show. An hour that a change of clocks leaves out is left out, and one that comes twice
/// counts twice.
struct CronSchedule: Sendable, Equatable {
    struct Problem: Error, Equatable, CustomStringConvertible {
        let description: String
    }

    private enum Kind: Equatable { case fields, every(seconds: Int64) }

    private struct Field {
        let range: ClosedRange<Int>
        var names: [String] = []
    }

    /// The values that a field picks, as bits, and whether it leaves them all open.
    private struct Choice: Equatable {
        var bits: UInt64 = 0
        var isOpen = false

        func contains(_ value: Int) -> Bool { bits & (1 << UInt64(value)) != 0 }
    }

    private static let layout = [
        Field(range: 0...59), Field(range: 0...23), Field(range: 1...31),
        Field(
            range: 1...12,
            names: ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
        Field(range: 0...6, names: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
    ]

    private static let descriptors = [
        "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
        "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
    ]

    /// A date that does not come in so long never comes.
    private static let horizon: Int64 = 5 * 366 * 86_400

    private var kind = Kind.fields
    private var minutes = Choice()
    private var hours = Choice()
    private var days = Choice()
    private var months = Choice()
    private var weekdays = Choice()
    /// The zone that the text itself names.
    private(set) var zone: String?

    init(_ text: String) throws(Problem) {
        var text = Substring(text)
        if text.hasPrefix("TZ=") || text.hasPrefix("CRON_TZ=") {
            let word = text.prefix { $0 != " " }
            zone = String(word.drop { $0 != "=" }.dropFirst())
            text = text.dropFirst(word.count).drop { $0 == " " }
        }
        if text.hasPrefix("@every ") {
            let span = text.dropFirst("@every ".count)
            guard let seconds = Self.seconds(span) else {
                throw Problem(description: "failed to parse duration \(text): time: invalid duration \"\(span)\"")
            }
            kind = .every(seconds: max(1, seconds))
            return
        }
        if text.hasPrefix("@") {
            guard let fields = Self.descriptors[String(text)] else {
                throw Problem(description: "unrecognized descriptor: \(text)")
            }
            text = Substring(fields)
        }
        let words = text.split(whereSeparator: \.isWhitespace)
        guard words.count == Self.layout.count else {
            throw Problem(
                description: "expected exactly 5 fields, found \(words.count): [\(words.joined(separator: " "))]")
        }
        var choices: [Choice] = []
        for (word, field) in zip(words, Self.layout) { choices.append(try Self.choice(word, field)) }
        (minutes, hours, days, months, weekdays) = (choices[0], choices[1], choices[2], choices[3], choices[4])
    }

    // MARK: Times

    /// The first time after `time`, in seconds since 1970; nil if there is none within years.
    func next(after time: Int64, in zone: LocalZone) -> Int64? {
        if case .every(let seconds) = kind { return time + seconds }
        var start = (CivilTime.floorDivide(time, 60) + 1) * 60
        let limit = start + Self.horizon
        while start < limit {
            let (offset, end) = zone.period(at: start)
            let last = min(end, limit)
            if let local = nextLocal(from: start + offset, before: last + offset) { return local - offset }
            start = last
        }
        return nil
    }

    /// The latest time after `earliest` and not after `now`.
    func latest(after earliest: Int64, notAfter now: Int64, in zone: LocalZone) -> Int64? {
        guard let first = next(after: earliest, in: zone), first <= now else { return nil }
        if case .every(let seconds) = kind { return first + (now - first) / seconds * seconds }
        // Looks back further only while there is nothing nearer, so that few times are gone through.
        for span: Int64 in [3_600, 86_400, 31 * 86_400, 366 * 86_400] where now - span > earliest {
            if let time = next(after: now - span, in: zone), time <= now { return last(from: time, now, zone) }
        }
        return last(from: first, now, zone)
    }

    private func last(from time: Int64, _ now: Int64, _ zone: LocalZone) -> Int64 {
        var time = time
        while let following = next(after: time, in: zone), following <= now { time = following }
        return time
    }

    /// In local seconds.
    private func nextLocal(from start: Int64, before end: Int64) -> Int64? {
        var day = CivilTime.floorDivide(start, 86_400)
        var earliest = Int(start - day * 86_400) / 60
        while day * 86_400 < end {
            let date = CivilTime.date(ofDay: day)
            if !months.contains(date.month) {
                let (year, month) = date.month == 12 ? (date.year + 1, 1) : (date.year, date.month + 1)
                day = CivilTime.days(.init(year: year, month: month, day: 1))
                earliest = 0
                continue
            }
            if includes(date, weekday: CivilTime.weekday(ofDay: day)), let minute = minuteOfDay(from: earliest) {
                let time = day * 86_400 + Int64(minute) * 60
                return time < end ? time : nil
            }
            day += 1
            earliest = 0
        }
        return nil
    }

    /// Where both the day of the month and the weekday are restricted, either will do.
    private func includes(_ date: CivilTime.Date, weekday: Int) -> Bool {
        let (byDay, byWeekday) = (days.contains(date.day), weekdays.contains(weekday))
        return days.isOpen || weekdays.isOpen ? byDay && byWeekday : byDay || byWeekday
    }

    private func minuteOfDay(from earliest: Int) -> Int? {
        for hour in earliest / 60..<24 where hours.contains(hour) {
            let first = hour == earliest / 60 ? earliest % 60 : 0
            if let minute = (first..<60).first(where: { minutes.contains($0) }) { return hour * 60 + minute }
        }
        return nil
    }

    // MARK: Reading

    private static func choice(_ word: Substring, _ field: Field) throws(Problem) -> Choice {
        var choice = Choice()
        for part in word.split(separator: ",") {
            let (bits, isOpen) = try range(part, field)
            choice.bits |= bits
            choice.isOpen = choice.isOpen || isOpen
        }
        return choice
    }

    /// `*`, `?`, `3`, `mon-fri`, each with `/2` for every second of them; `5/2` goes to the end.
    private static func range(_ text: Substring, _ field: Field) throws(Problem) -> (UInt64, Bool) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        let limits = parts[0].split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count <= 2 else { throw Problem(description: "too many slashes: \(text)") }
        guard limits.count <= 2 else { throw Problem(description: "too many hyphens: \(text)") }
        let step = parts.count == 2 ? try number(parts[1]) : 1
        var (first, last) = (field.range.lowerBound, field.range.upperBound)
        let isOpen = limits[0] == "*" || limits[0] == "?"
        if !isOpen {
            first = try value(limits[0], field)
            if limits.count == 2 { last = try value(limits[1], field) } else if parts.count == 1 { last = first }
        }
        guard first >= field.range.lowerBound else {
            throw Problem(
                description: "beginning of range (\(first)) below minimum (\(field.range.lowerBound)): \(text)")
        }
        guard last <= field.range.upperBound else {
            throw Problem(description: "end of range (\(last)) above maximum (\(field.range.upperBound)): \(text)")
        }
        guard first <= last else {
            throw Problem(description: "beginning of range (\(first)) beyond end of range (\(last)): \(text)")
        }
        guard step > 0 else { throw Problem(description: "step of range should be a positive number: \(text)") }
        let bits = stride(from: first, through: last, by: step).reduce(UInt64(0)) { $0 | 1 << UInt64($1) }
        return (bits, isOpen && step == 1)
    }

    private static func value(_ text: Substring, _ field: Field) throws(Problem) -> Int {
        if let index = field.names.firstIndex(of: text.lowercased()) { return field.range.lowerBound + index }
        return try number(text)
    }

    private static func number(_ text: Substring) throws(Problem) -> Int {
        guard let number = Int(text) else {
            throw Problem(
                description: "failed to parse int from \(text): strconv.Atoi: parsing \"\(text)\": invalid syntax")
        }
        if number < 0 { throw Problem(description: "negative number (\(number)) not allowed: \(text)") }
        return number
    }

    /// `1h30m`, `90s`, in whole seconds.
    private static func seconds(_ text: Substring) -> Int64? {
        let units: [Substring: Double] = [
            "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3_600,
        ]
        var rest = text
        if rest.first == "+" { rest = rest.dropFirst() }
        if rest.isEmpty { return nil }
        var total = 0.0
        while !rest.isEmpty {
            let number = rest.prefix { $0.isASCII && $0.isNumber || $0 == "." }
            rest = rest.dropFirst(number.count)
            let unit = rest.prefix { !($0.isASCII && $0.isNumber || $0 == ".") }
            rest = rest.dropFirst(unit.count)
            guard let value = Double(number), let size = units[unit] else { return nil }
            total += value * size
        }
        return total < 1e12 ? Int64(total) : nil
    }
}
