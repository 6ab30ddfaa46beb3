/// A point in wall-clock time, in nanoseconds since 1970-01-01T00:00:00Z.
///
/// That spans the years 1678 to 2261. What lies beyond, which anybody may write into an object, counts as the
/// first or the last of these points; `parts(rfc3339:)` and `rfc3339(seconds:…)` are exact for every year that a text can say.
public struct Timestamp: Sendable, Hashable, Comparable, CustomStringConvertible {
    public var nanoseconds: Int64

    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }
    public init(seconds: Int64) { self.init(seconds: seconds, fraction: 0) }

    /// The nearest point there is.
    private init(seconds: Int64, fraction: Int64) {
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, carry) = whole.addingReportingOverflow(fraction)
        nanoseconds = overflow || carry ? (seconds < 0 ? .min : .max) : sum
    }

    public var seconds: Int64 { Self.floorDivide(nanoseconds, 1_000_000_000) }

    public static func < (a: Timestamp, b: Timestamp) -> Bool { a.nanoseconds < b.nanoseconds }

    public static func + (time: Timestamp, span: Duration) -> Timestamp {
        let (sum, overflow) = time.nanoseconds.addingReportingOverflow(span.wholeNanoseconds)
        return Timestamp(nanoseconds: overflow ? (time.nanoseconds < 0 ? .min : .max) : sum)
    }

    public static func - (a: Timestamp, b: Timestamp) -> Duration {
        let (difference, overflow) = a.nanoseconds.subtractingReportingOverflow(b.nanoseconds)
        return .nanoseconds(overflow ? (a < b ? .min : .max) : difference)
    }

    /// RFC 3339 in whole seconds and UTC, as Kubernetes writes `metav1.Time`.
    public var description: String { rfc3339() }

    /// RFC 3339 with `digits` digits of fraction (0, 6 for `MicroTime`, 9 for log lines).
    public func rfc3339(fractionDigits digits: Int = 0) -> String {
        let seconds = seconds
        // Not multiplied back: the first of all points lies within the second before it.
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return Self.rfc3339(
            seconds: seconds, nanoseconds: overflow ? 1_000_000_000 + nanoseconds % 1_000_000_000 : nanoseconds - whole,
            fractionDigits: digits)
    }

    /// The text of a time of the years 0 to 9999, which are more than a `Timestamp` can hold.
    public static func rfc3339(seconds: Int64, nanoseconds: Int64, fractionDigits digits: Int = 0) -> String {
        let days = Self.floorDivide(seconds, 86_400)
        let ofDay = Int(seconds - days * 86_400)
        let (year, month, day) = Self.civil(fromDays: Int(days))
        var text = "\(Self.pad(year, 4))-\(Self.pad(month, 2))-\(Self.pad(day, 2))"
        text += "T\(Self.pad(ofDay / 3600, 2)):\(Self.pad(ofDay / 60 % 60, 2)):\(Self.pad(ofDay % 60, 2))"
        if digits > 0 {
            text += ".\(Self.pad(Int(nanoseconds), 9).prefix(digits))"
        }
        return text + "Z"
    }

    /// Parses RFC 3339 with any zone offset and up to nine digits of fraction.
    public init?(rfc3339 text: some StringProtocol) {
        guard let (seconds, fraction) = Self.parts(rfc3339: text) else { return nil }
        self.init(seconds: seconds, fraction: fraction)
    }

    /// Seconds since 1970 and the nanoseconds after them, exact for every year that the text can say.
    public static func parts(rfc3339 text: some StringProtocol) -> (seconds: Int64, nanoseconds: Int64)? {
        var bytes = Array(text.utf8)[...]
        func digits(_ count: Int) -> Int? {
            guard bytes.count >= count else { return nil }
            var value = 0
            for byte in bytes.prefix(count) {
                guard byte >= 48, byte <= 57 else { return nil }
                value = value * 10 + Int(byte - 48)
            }
            bytes = bytes.dropFirst(count)
            return value
        }
        func symbol(_ allowed: String) -> UInt8? {
            guard let first = bytes.first, allowed.utf8.contains(first) else { return nil }
            bytes = bytes.dropFirst()
            return first
        }
        guard let year = digits(4), symbol("-") != nil, let month = digits(2), symbol("-") != nil,
            let day = digits(2), symbol("Tt ") != nil, let hour = digits(2), symbol(":") != nil,
            let minute = digits(2), symbol(":") != nil, let second = digits(2),
            (1...12).contains(month), (1...Self.daysIn(month: month, year: year)).contains(day),
            hour < 24, minute < 60, second < 61
        else { return nil }
        var fraction = 0
        if symbol(".") != nil {
            var scale = 100_000_000
            var any = false
            while let digit = symbol("0123456789") {
                fraction += Int(digit - 48) * scale
                scale /= 10
                any = true
            }
            guard any else { return nil }
        }
        var offset = 0
        if symbol("Zz") == nil {
            guard let sign = symbol("+-"), let hours = digits(2), symbol(":") != nil, let minutes = digits(2)
            else { return nil }
            offset = (hours * 3600 + minutes * 60) * (sign == UInt8(ascii: "+") ? 1 : -1)
        }
        guard bytes.isEmpty else { return nil }
        let days = Self.days(year: year, month: month, day: day)
        let total = days * 86_400 + hour * 3600 + minute * 60 + second - offset
        return (Int64(total), Int64(fraction))
    }

    private static func pad(_ value: Int, _ width: Int) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, width - text.count)) + text
    }

    private static func floorDivide(_ a: Int64, _ b: Int64) -> Int64 {
        let quotient = a / b
        return a % b < 0 ? quotient - 1 : quotient
    }

    public static func daysIn(month: Int, year: Int) -> Int {
        let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
        return [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]
    }

    // Days between civil dates, counting years from March so that the leap day is a year's last.
    private static func days(year: Int, month: Int, day: Int) -> Int {
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let ofEra = shifted - era * 400
        let ofYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + ofEra * 365 + ofEra / 4 - ofEra / 100 + ofYear - 719_468
    }

    private static func civil(fromDays days: Int) -> (Int, Int, Int) {
        let z = days + 719_468
        let era = (z >= 0 ? z : z - 146_096) / 146_097
        let dayOfEra = z - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * shifted + 2) / 5 + 1)
    }
}

extension Duration {
    /// No more than 292 years either way, which stand for ever.
    public var wholeNanoseconds: Int64 {
        let parts = components
        let (whole, overflow) = parts.seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, carry) = whole.addingReportingOverflow(parts.attoseconds / 1_000_000_000)
        return overflow || carry ? (parts.seconds < 0 ? .min : .max) : sum
    }

    public var wholeMilliseconds: Int64 { wholeNanoseconds / 1_000_000 }
    public var wholeSeconds: Int64 { components.seconds }

    /// Seconds as a fraction, for display and metrics.
    public var inSeconds: Double { Double(wholeNanoseconds) / 1e9 }
}
