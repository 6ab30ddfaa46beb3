/// The syntax of schedules: five fields of cron, or a descriptor such as `@daily` and `@every 1h30m`.
enum CronSchedule {
    private struct Problem: Error { let text: String }

    private struct Bounds {
        let least: Int
        let most: Int
        var names: [String] = []
    }

    private static let fields = [
        Bounds(least: 0, most: 59), Bounds(least: 0, most: 23), Bounds(least: 1, most: 31),
        Bounds(
            least: 1, most: 12,
            names: ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
        Bounds(least: 0, most: 6, names: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
    ]

    private static let descriptors: Set = [
        "@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly",
    ]

    /// Why `text` is no schedule; nil when it is one.
    static func problem(in text: String) -> String? {
        do {
            try check(text)
            return nil
        } catch {
            return error.text
        }
    }

    private static func check(_ text: String) throws(Problem) {
        if text.isEmpty { throw Problem(text: "empty spec string") }
        var text = text
        if text.hasPrefix("TZ=") || text.hasPrefix("CRON_TZ="), let equals = text.firstIndex(of: "=") {
            let end = text.firstIndex(of: " ") ?? text.endIndex
            let zone = String(text[text.index(after: equals)..<max(end, text.index(after: equals))])
            guard TimeZones.contains(zone) || zone.isEmpty || zone == "Local" else {
                throw Problem(text: "provided bad location \(zone): unknown time zone \(zone)")
            }
            text = String(text[end...].drop { $0 == " " })
        }
        if text.hasPrefix("@") { return try descriptor(text) }
        let words = text.split(whereSeparator: \.isWhitespace)
        guard words.count == fields.count else {
            throw Problem(
                text: "expected exactly \(fields.count) fields, found \(words.count): "
                    + "[\(words.joined(separator: " "))]")
        }
        for (word, bounds) in zip(words, fields) {
            for part in word.split(separator: ",") { try range(String(part), bounds) }
        }
    }

    private static func descriptor(_ text: String) throws(Problem) {
        if descriptors.contains(text) { return }
        let every = "@every "
        guard text.hasPrefix(every) else { throw Problem(text: "unrecognized descriptor: \(text)") }
        if let wrong = GoDuration.problem(in: String(text.dropFirst(every.count))) {
            throw Problem(text: "failed to parse duration \(text): \(wrong)")
        }
    }

    /// `*`, `3`, `3-9`, each with `/2` for every second of them.
    private static func range(_ text: String, _ bounds: Bounds) throws(Problem) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        let limits = parts[0].split(separator: "-", omittingEmptySubsequences: false).map(String.init)
        var (start, end) = (bounds.least, bounds.most)
        if limits[0] != "*", limits[0] != "?" {
            start = try value(limits[0], bounds)
            switch limits.count {
            case 1: end = start
            case 2: end = try value(limits[1], bounds)
            default: throw Problem(text: "too many hyphens: \(text)")
            }
        }
        var step = 1
        switch parts.count {
        case 1: break
        case 2:
            step = try number(parts[1])
            if limits.count == 1 { end = bounds.most }
        default: throw Problem(text: "too many slashes: \(text)")
        }
        if start < bounds.least {
            throw Problem(text: "beginning of range (\(start)) below minimum (\(bounds.least)): \(text)")
        }
        if end > bounds.most { throw Problem(text: "end of range (\(end)) above maximum (\(bounds.most)): \(text)") }
        if start > end {
            throw Problem(text: "beginning of range (\(start)) beyond end of range (\(end)): \(text)")
        }
        if step == 0 { throw Problem(text: "step of range should be a positive number: \(text)") }
    }

    private static func value(_ text: String, _ bounds: Bounds) throws(Problem) -> Int {
        if let index = bounds.names.firstIndex(of: text.lowercased()) { return bounds.least + index }
        return try number(text)
    }

    private static func number(_ text: String) throws(Problem) -> Int {
        guard let number = Int(text) else {
            let digits = text.drop { $0 == "-" || $0 == "+" }
            let isNumber = !digits.isEmpty && digits.utf8.allSatisfy { (48...57).contains($0) }
            throw Problem(
                text: "failed to parse int from \(text): strconv.Atoi: parsing \"\(text)\": "
                    + (isNumber ? "value out of range" : "invalid syntax"))
        }
        if number < 0 { throw Problem(text: "negative number (\(number)) not allowed: \(text)") }
        return number
    }
}

/// Spans of time as Go writes them: `1h30m`, `-1.5s`.
enum GoDuration {
    private static let units: Set = ["ns", "us", "µs", "μs", "ms", "s", "m", "h"]

    static func problem(in text: String) -> String? {
        let quoted = "\"\(text)\""
        let wrong = "time: invalid duration \(quoted)"
        var rest = text[...]
        if let first = rest.first, first == "-" || first == "+" { rest = rest.dropFirst() }
        if rest == "0" { return nil }
        if rest.isEmpty { return wrong }
        while !rest.isEmpty {
            let number = rest.prefix { $0.isASCII && $0.isNumber || $0 == "." }
            guard number.contains(where: \.isNumber), number.filter({ $0 == "." }).count < 2 else { return wrong }
            rest = rest.dropFirst(number.count)
            let unit = rest.prefix { !($0.isASCII && $0.isNumber || $0 == ".") }
            if unit.isEmpty { return "time: missing unit in duration \(quoted)" }
            if !units.contains(String(unit)) { return "time: unknown unit \"\(unit)\" in duration \(quoted)" }
            rest = rest.dropFirst(unit.count)
        }
        return nil
    }
}
