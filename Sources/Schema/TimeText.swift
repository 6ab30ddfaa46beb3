/// Why a text is no time, in the words of Go's `time.Parse`, which clients know.
struct TimeText {
    private let whole: String
    private let layout: String
    private var rest: Substring
    private(set) var failure: String?

    /// `micro` times have exactly six digits behind the seconds, others any number or none.
    static func failure(_ text: String, micro: Bool) -> String? {
        var parser = TimeText(text, micro: micro)
        parser.parse(micro: micro)
        return parser.failure
    }

    private init(_ text: String, micro: Bool) {
        whole = text
        rest = text[...]
        layout = micro ? "2006-01-02T15:04:05.000000Z07:00" : "2006-01-02T15:04:05Z07:00"
    }

    private func quoted(_ text: some StringProtocol) -> String {
        var result = "\""
        for character in text {
            if character == "\"" || character == "\\" { result.append("\\") }
            result.append(character)
        }
        return result + "\""
    }

    private mutating func fail(_ element: String) {
        failure =
            "parsing time \(quoted(whole)) as \(quoted(layout)): cannot parse \(quoted(rest)) as \(quoted(element))"
    }

    private mutating func outOfRange(_ what: String) { failure = "parsing time \(quoted(whole)): \(what) out of range" }

    private mutating func literal(_ text: String) {
        guard failure == nil else { return }
        guard rest.hasPrefix(text) else { return fail(text) }
        rest.removeFirst()
    }

    private mutating func number(_ digits: Int, _ element: String) -> Int {
        guard failure == nil else { return 0 }
        let part = rest.prefix(digits)
        guard part.utf8.count == digits, part.utf8.allSatisfy({ (48...57).contains($0) }), let value = Int(part) else {
            fail(element)
            return 0
        }
        rest = rest.dropFirst(digits)
        return value
    }

    private mutating func number(_ element: String, _ range: ClosedRange<Int>, _ what: String) -> Int {
        let value = number(2, element)
        if failure == nil, !range.contains(value) { outOfRange(what) }
        return value
    }

    private mutating func parse(micro: Bool) {
        let year = number(4, "2006")
        literal("-")
        let month = number("01", 1...12, "month")
        literal("-")
        let day = number(2, "02")
        literal("T")
        _ = number("15", 0...23, "hour")
        literal(":")
        _ = number("04", 0...59, "minute")
        literal(":")
        _ = number("05", 0...59, "second")
        fraction(micro: micro)
        zone()
        guard failure == nil else { return }
        if !rest.isEmpty {
            failure = "parsing time \(quoted(whole)): extra text: \(quoted(rest))"
        } else if day < 1 || day > Self.days(year, month) {
            outOfRange("day")
        }
    }

    private static func days(_ year: Int, _ month: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    private mutating func fraction(micro: Bool) {
        guard failure == nil else { return }
        let digits = rest.dropFirst().prefix { ("0"..."9").contains($0) }.count
        if micro {
            guard rest.first == ".", digits >= 6 else { return fail(".000000") }
            rest = rest.dropFirst(7)
        } else if rest.first == "." || rest.first == ",", digits > 0 {
            rest = rest.dropFirst(1 + digits)
        }
    }

    private mutating func zone() {
        guard failure == nil else { return }
        if rest.hasPrefix("Z") {
            rest.removeFirst()
            return
        }
        let part = Array(rest.utf8.prefix(6))
        let isNumber = { (byte: UInt8) in (48...57).contains(byte) }
        guard part.count == 6, part[0] == UInt8(ascii: "+") || part[0] == UInt8(ascii: "-"),
            part[3] == UInt8(ascii: ":"), [1, 2, 4, 5].allSatisfy({ isNumber(part[$0]) })
        else { return fail("Z07:00") }
        rest = rest.dropFirst(6)
    }
}
