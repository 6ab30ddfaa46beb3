import Basics
import Document

/// The formats of texts that the API checks in custom resources. A format that is not known is no condition.
enum OpenAPIFormats {
    static func holds(_ text: String, _ format: String) -> Bool {
        switch format {
        case "date-time", "datetime": isDateTime(text)
        case "date": isDate(text)
        case "byte": Base64.decode(text) != nil
        case "uuid", "uuid3", "uuid4", "uuid5": isUUID(text, version: format.last.flatMap { Int(String($0)) })
        case "ipv4": text.contains(".") && IPAddress(text).map { !$0.isIPv6 } == true
        case "ipv6": text.contains(":") && IPAddress(text)?.isIPv6 == true
        case "cidr": CIDR(text) != nil
        case "mac": isMAC(text)
        case "hostname": isHostname(text)
        case "email": isEmail(text)
        case "uri": isURI(text)
        case "hexcolor": isHexColor(text)
        case "duration": isDuration(text)
        case "k8s-short-name": Formats.dnsLabel(text).isEmpty
        case "k8s-long-name": Formats.dnsSubdomain(text).isEmpty
        default: true
        }
    }

    private static func isDateTime(_ text: String) -> Bool { Timestamp(rfc3339: text) != nil }

    private static func isDate(_ text: String) -> Bool {
        text.utf8.count == 10 && Timestamp(rfc3339: text + "T00:00:00Z") != nil
    }

    private static func isHex(_ byte: UInt8) -> Bool {
        switch byte {
        case 48...57, 65...70, 97...102: true
        default: false
        }
    }

    /// With or without dashes; `version` is the digit at the version's place.
    private static func isUUID(_ text: String, version: Int?) -> Bool {
        let bytes = Array(text.utf8)
        let parts = bytes.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        let digits = bytes.filter { $0 != UInt8(ascii: "-") }
        guard digits.count == 32, digits.allSatisfy(isHex) else { return false }
        guard parts.count == 1 || parts.map(\.count) == [8, 4, 4, 4, 12] else { return false }
        guard let version else { return true }
        return digits[12] == UInt8(48 + version)
    }

    private static func isMAC(_ text: String) -> Bool {
        for separator in [":", "-"] {
            let parts = text.split(separator: Character(separator), omittingEmptySubsequences: false)
            guard [6, 8, 20].contains(parts.count) else { continue }
            return parts.allSatisfy { $0.utf8.count == 2 && $0.utf8.allSatisfy(isHex) }
        }
        return false
    }

    private static func isHostname(_ text: String) -> Bool {
        guard !text.isEmpty, text.utf8.count <= 255 else { return false }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        return parts.allSatisfy { part in
            (1...63).contains(part.utf8.count)
                && part.utf8.allSatisfy { Formats.isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
                && part.first != "-" && part.last != "-"
        }
    }

    private static func isEmail(_ text: String) -> Bool {
        guard let at = text.lastIndex(of: "@"), at != text.startIndex else { return false }
        let domain = text[text.index(after: at)...]
        return !domain.isEmpty && !text.contains(" ") && !domain.contains("@")
    }

    /// An absolute URI or path, as Go's request parser takes it.
    private static func isURI(_ text: String) -> Bool {
        guard !text.isEmpty, text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7f }) else { return false }
        if text.hasPrefix("/") { return true }
        guard let colon = text.firstIndex(of: ":") else { return false }
        let scheme = text[..<colon].utf8
        guard let first = scheme.first, (97...122).contains(first | 32) else { return false }
        return scheme.allSatisfy { Formats.isAlphanumeric($0) || "+-.".utf8.contains($0) }
    }

    private static func isHexColor(_ text: String) -> Bool {
        let digits = text.hasPrefix("#") ? text.dropFirst() : Substring(text)
        return [3, 6].contains(digits.utf8.count) && digits.utf8.allSatisfy(isHex)
    }

    /// Go's durations, `1h2m3.5s`, and those in words, `3 days`.
    private static func isDuration(_ text: String) -> Bool {
        var rest = Substring(text)
        if rest.hasPrefix("-") || rest.hasPrefix("+") { rest = rest.dropFirst() }
        if rest == "0" { return true }
        var parts = 0
        let units: Set<Substring> = [
            "ns", "nano", "nanos", "nanosecond", "nanoseconds", "us", "µs", "micro", "micros", "microsecond",
            "microseconds", "ms", "milli", "millis", "millisecond", "milliseconds", "s", "sec", "secs", "second",
            "seconds", "m", "min", "mins", "minute", "minutes", "h", "hr", "hour", "hours", "d", "day", "days", "w",
            "week", "weeks",
        ]
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            guard digits.contains(where: \.isNumber), digits.filter({ $0 == "." }).count <= 1 else { return false }
            rest = rest.dropFirst(digits.count).drop { $0 == " " }
            let unit = rest.prefix { $0.isLetter }
            guard units.contains(unit) else { return false }
            rest = rest.dropFirst(unit.count).drop { $0 == " " }
            parts += 1
        }
        return parts > 0
    }
}
