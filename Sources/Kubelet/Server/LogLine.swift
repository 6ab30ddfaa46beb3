import Basics

/// One line of a CRI log: `TIME STREAM TAG TEXT`, where the tag `P` marks a part whose line goes on.
struct LogLine {
    var time: Substring.UTF8View.SubSequence
    var text: [UInt8]

    /// `line` comes without its newline; `text` has one unless the line goes on.
    init?(_ line: ArraySlice<UInt8>) {
        var rest = line
        func word() -> ArraySlice<UInt8>? {
            guard let blank = rest.firstIndex(of: 32) else { return nil }
            defer { rest = rest[(blank + 1)...] }
            return rest[..<blank]
        }
        guard let time = word(), word() != nil, let tag = word() else { return nil }
        self.time = Substring(decoding: time, as: UTF8.self).utf8
        text = Array(rest)
        if tag.first != UInt8(ascii: "P") { text.append(10) }
    }

    var timestamp: Timestamp? { Timestamp(rfc3339: Substring(time)) }
}

/// What part of a log is wanted.
struct LogQuery: Sendable, Equatable {
    var follow = false
    var timestamps = false
    var tailLines: Int?
    var limitBytes: Int?
    var since: Timestamp?
    var previous = false

    /// Reads the query of `/containerLogs`.
    init(_ fields: [(name: String, value: String)], now: Timestamp) throws {
        for (name, value) in fields {
            switch name {
            case "follow": follow = Self.truth(value)
            case "timestamps": timestamps = Self.truth(value)
            case "previous": previous = Self.truth(value)
            case "tailLines": tailLines = try Self.number(name, value, least: 0)
            case "limitBytes": limitBytes = try Self.number(name, value, least: 1)
            case "sinceSeconds": since = now + .seconds(-(try Self.number(name, value, least: 1)))
            case "sinceTime":
                guard let time = Timestamp(rfc3339: value) else { throw Problem("sinceTime: \(value) is no time") }
                since = time
            default: break
            }
        }
    }

    struct Problem: Error, CustomStringConvertible {
        var description: String
        init(_ description: String) { self.description = description }
    }

    private static func truth(_ value: String) -> Bool { value == "true" || value == "1" }

    private static func number(_ name: String, _ value: String, least: Int) throws -> Int {
        guard let number = Int(value), number >= least else {
            throw Problem("\(name): \(value) is no number of at least \(least)")
        }
        return number
    }
}

/// Turns log lines into what the reader asked for; knows when enough was sent.
struct LogFilter {
    let query: LogQuery
    private(set) var remaining: Int?
    private var isContinuing = false

    init(_ query: LogQuery) {
        self.query = query
        remaining = query.limitBytes
    }

    var isDone: Bool { remaining == 0 }

    mutating func output(_ line: ArraySlice<UInt8>) -> [UInt8] {
        guard !isDone, let parsed = LogLine(line) else { return [] }
        if let since = query.since, let time = parsed.timestamp, time < since { return [] }
        var out: [UInt8] = []
        if query.timestamps, !isContinuing { out = Array(parsed.time) + [32] }
        out += parsed.text
        isContinuing = parsed.text.last != 10
        if let rest = remaining {
            out = Array(out.prefix(rest))
            remaining = rest - out.count
        }
        return out
    }
}
