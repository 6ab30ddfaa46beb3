extension CEL {
    /// A point in time from year 1 to year 9999, to the nanosecond.
    public struct Instant: Sendable, Hashable, Comparable, CustomStringConvertible {
        public let seconds: Int64
        public let nanos: Int32

        static let range: ClosedRange<Int64> = -62_135_596_800...253_402_300_799

        public init?(seconds: Int64, nanos: Int32 = 0) {
            guard Self.range.contains(seconds), (0..<1_000_000_000).contains(nanos) else { return nil }
            self.seconds = seconds
            self.nanos = nanos
        }

        /// RFC 3339.
        public init?(_ text: String) {
            var reader = DigitReader(text)
            guard let year = reader.number(4), reader.take("-"), let month = reader.number(2), reader.take("-"),
                let day = reader.number(2), reader.take("T") || reader.take("t"), let hour = reader.number(2),
                reader.take(":"), let minute = reader.number(2), reader.take(":"), let second = reader.number(2),
                (1...12).contains(month), (1...Calendar.daysIn(month, year)).contains(day), hour < 24, minute < 60,
                second < 60
            else { return nil }
            var nanos = 0
            if reader.take(".") || reader.take(",") {
                guard let fraction = reader.fraction() else { return nil }
                nanos = fraction
            }
            var offset = 0
            if !reader.take("Z"), !reader.take("z") {
                let negative = reader.take("-")
                guard negative || reader.take("+"), let hours = reader.number(2), reader.take(":"),
                    let minutes = reader.number(2), hours < 24, minutes < 60
                else { return nil }
                offset = (hours * 3600 + minutes * 60) * (negative ? -1 : 1)
            }
            guard reader.isAtEnd else { return nil }
            let total = Calendar.days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset
            self.init(seconds: Int64(total), nanos: Int32(nanos))
        }

        /// A date alone counts from midnight.
        init?(dateOrTime text: String) {
            self.init(text.utf8.count == 10 ? text + "T00:00:00Z" : text)
        }

        func advanced(by nanoseconds: Int64) throws(Failure) -> Instant {
            let total = Int128(seconds) * 1_000_000_000 + Int128(nanos) + Int128(nanoseconds)
            let remainder = (total % 1_000_000_000 + 1_000_000_000) % 1_000_000_000
            let whole = (total - remainder) / 1_000_000_000
            guard let instant = Instant(seconds: Int64(whole), nanos: Int32(remainder)) else {
                throw Failure("timestamp overflow")
            }
            return instant
        }

        public static func < (a: Instant, b: Instant) -> Bool { (a.seconds, a.nanos) < (b.seconds, b.nanos) }

        public var description: String {
            let parts = Calendar.Parts(seconds)
            func pad(_ number: Int, _ width: Int) -> String {
                let text = String(number)
                return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
            }
            var text = "\(pad(parts.year, 4))-\(pad(parts.month, 2))-\(pad(parts.day, 2))"
            text += "T\(pad(parts.hour, 2)):\(pad(parts.minute, 2)):\(pad(parts.second, 2))"
            if nanos > 0 {
                var fraction = pad(Int(nanos), 9)
                while fraction.hasSuffix("0") { fraction.removeLast() }
                text += "." + fraction
            }
            return text + "Z"
        }
    }

    struct DigitReader {
        private var bytes: ArraySlice<UInt8>
        init(_ text: String) { bytes = Array(text.utf8)[...] }

        var isAtEnd: Bool { bytes.isEmpty }

        mutating func number(_ count: Int) -> Int? {
            guard bytes.count >= count, bytes.prefix(count).allSatisfy({ (48...57).contains($0) }) else { return nil }
            defer { bytes = bytes.dropFirst(count) }
            return bytes.prefix(count).reduce(0) { $0 * 10 + Int($1 - 48) }
        }

        mutating func take(_ symbol: String) -> Bool {
            guard let first = bytes.first, symbol.utf8.first == first else { return false }
            bytes = bytes.dropFirst()
            return true
        }

        /// Digits after the point, in billionths; more than nine are cut off.
        mutating func fraction() -> Int? {
            var value = 0
            var count = 0
            while let byte = bytes.first, (48...57).contains(byte) {
                if count < 9 { value = value * 10 + Int(byte - 48) }
                count += 1
                bytes = bytes.dropFirst()
            }
            guard count > 0 else { return nil }
            for _ in 0..<max(0, 9 - count) { value *= 10 }
            return value
        }
    }

    enum Calendar {
        struct Parts {
            var year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, weekday = 0, dayOfYear = 0

            init(_ seconds: Int64) {
                let remainder = ((seconds % 86_400) + 86_400) % 86_400
                let days = Int((seconds - remainder) / 86_400)
                (hour, minute, second) = (Int(remainder) / 3600, Int(remainder) / 60 % 60, Int(remainder) % 60)
                // Years begin in March, so that the leap day is a year's last.
                let shifted = days + 719_468
                let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
                let dayOfEra = shifted - era * 146_097
                let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
                let ofYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
                let moon = (5 * ofYear + 2) / 153
                month = moon < 10 ? moon + 3 : moon - 9
                year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
                day = ofYear - (153 * moon + 2) / 5 + 1
                weekday = ((days + 4) % 7 + 7) % 7
                dayOfYear = days - Calendar.days(year, 1, 1)
            }
        }

        static func daysIn(_ month: Int, _ year: Int) -> Int {
            let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
            return [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]
        }

        static func days(_ year: Int, _ month: Int, _ day: Int) -> Int {
            let shifted = month <= 2 ? year - 1 : year
            let era = (shifted >= 0 ? shifted : shifted - 399) / 400
            let ofEra = shifted - era * 400
            let ofYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
            return era * 146_097 + ofEra * 365 + ofEra / 4 - ofEra / 100 + ofYear - 719_468
        }
    }

    // MARK: Durations

    private static let units: [(name: String, nanos: Double, whole: Int128)] = [
        ("ns", 1, 1), ("us", 1e3, 1000), ("µs", 1e3, 1000), ("μs", 1e3, 1000), ("ms", 1e6, 1_000_000),
        ("s", 1e9, 1_000_000_000), ("m", 6e10, 60_000_000_000), ("h", 3.6e12, 3_600_000_000_000),
    ]

    /// `1h30m`, `-1.5s`, `0`; nil for anything else and for what 64 bits of nanoseconds cannot hold.
    static func parseDuration(_ text: String) -> Int64? {
        var rest = Array(text.utf8)[...]
        var negative = false
        if let first = rest.first, first == UInt8(ascii: "-") || first == UInt8(ascii: "+") {
            negative = first == UInt8(ascii: "-")
            rest = rest.dropFirst()
        }
        if rest.elementsEqual("0".utf8) { return 0 }
        guard !rest.isEmpty else { return nil }
        var total: Int128 = 0
        while !rest.isEmpty {
            let whole = rest.prefix { (48...57).contains($0) }
            rest = rest.dropFirst(whole.count)
            var fraction: ArraySlice<UInt8> = []
            if rest.first == UInt8(ascii: ".") {
                rest = rest.dropFirst()
                fraction = rest.prefix { (48...57).contains($0) }
                rest = rest.dropFirst(fraction.count)
            }
            guard !(whole.isEmpty && fraction.isEmpty), whole.count < 20 else { return nil }
            let name = rest.prefix { !(48...57).contains($0) && $0 != UInt8(ascii: ".") }
            rest = rest.dropFirst(name.count)
            guard let unit = units.first(where: { $0.name.utf8.elementsEqual(name) }) else { return nil }
            total += whole.reduce(Int128(0)) { $0 * 10 + Int128($1 - 48) } * unit.whole
            var scale = unit.whole
            for digit in fraction.prefix(15) {
                total += Int128(digit - 48) * scale / 10
                scale /= 10
            }
            guard total <= Int128(Int64.max) + 1 else { return nil }
        }
        return Int64(exactly: negative ? -total : total)
    }

    /// Whole and fractional seconds: `5400s`, `1.5s`.
    static func text(ofDuration nanos: Int64) -> String {
        let magnitude = nanos.magnitude
        var text = (nanos < 0 ? "-" : "") + String(magnitude / 1_000_000_000)
        let fraction = magnitude % 1_000_000_000
        if fraction > 0 {
            let digits = String(fraction)
            text += "." + String(repeating: "0", count: 9 - digits.utf8.count) + digits
            while text.hasSuffix("0") { text.removeLast() }
        }
        return text + "s"
    }
}
