import Cluster

/// The flags and arguments that a command takes, and what its help says about them.
public struct CommandSyntax: Sendable {
    public struct Flag: Sendable {
        public enum Value: Sendable { case none, one, many }

        public var name: String
        /// What people type after one dash for it.
        public var short: Character?
        public var value: Value
        /// How help names the value, such as `FILE`.
        public var placeholder: String
        public var help: String

        public init(
            _ name: String, short: Character? = nil, _ value: Value = .none, _ placeholder: String = "", _ help: String
        ) {
            self.name = name
            self.short = short
            self.value = value
            self.placeholder = placeholder
            self.help = help
        }
    }

    public var name: String
    /// Such as `[NAME]`.
    public var operands: String
    public var fewestOperands = 0
    public var mostOperands: Int
    public var summary: String
    /// What its help tells besides.
    public var details: String
    public var flags: [Flag]

    public init(
        _ name: String, operands: String = "", fewest: Int = 0, most: Int = 0, _ summary: String, details: String = "",
        flags: [Flag] = []
    ) {
        self.name = name
        self.operands = operands
        self.fewestOperands = fewest
        self.mostOperands = most
        self.summary = summary
        self.details = details
        self.flags = flags
    }

    public var usage: String {
        var text = "usage: lab \(name)"
        if !flags.isEmpty { text += " [flags]" }
        if !operands.isEmpty { text += " \(operands)" }
        return text
    }

    public var help: String {
        var text = "\(summary)\n\n\(usage)\n"
        if !details.isEmpty { text += "\n\(details)\n" }
        guard !flags.isEmpty else { return text }
        text += "\nflags:\n"
        let titles = flags.map {
            "\($0.short.map { "-\($0), " } ?? "")\($0.name.count == 1 ? "-" : "--")\($0.name)"
                + ($0.placeholder.isEmpty ? "" : " \($0.placeholder)")
        }
        let width = titles.map(\.count).max() ?? 0
        for (title, flag) in zip(titles, flags) {
            text += "  \(title)\(String(repeating: " ", count: width - title.count))  \(flag.help)\n"
        }
        return text
    }
}

/// A command line, taken apart: pure, so that every refusal is a unit test.
public struct Arguments: Sendable, Equatable {
    public var operands: [String] = []
    public var values: [String: [String]] = [:]
    public var wantsHelp = false

    public init() {}

    public func has(_ flag: String) -> Bool { values[flag] != nil }
    public subscript(flag: String) -> String? { values[flag]?.last }

    /// Flags may stand anywhere, as `--flag value` or `--flag=value`; `--` ends them.
    public init(_ words: some Sequence<String>, for syntax: CommandSyntax) throws(UsageError) {
        var words = Array(words)[...]
        var onlyOperands = false
        while let word = words.popFirst() {
            if onlyOperands || !word.hasPrefix("-") || word == "-" {
                operands.append(word)
                continue
            }
            if word == "--" {
                onlyOperands = true
                continue
            }
            if word == "--help" || word == "-h" {
                wantsHelp = true
                continue
            }
            try take(flag: word, from: &words, syntax: syntax)
        }
        if wantsHelp { return }
        guard operands.count >= syntax.fewestOperands else {
            throw UsageError("'lab \(syntax.name)' needs \(syntax.operands)", remedy: syntax.usage)
        }
        guard operands.count <= syntax.mostOperands else {
            throw UsageError("unexpected argument '\(operands[syntax.mostOperands])'", remedy: syntax.usage)
        }
    }

    private mutating func take(
        flag word: String, from words: inout ArraySlice<String>, syntax: CommandSyntax
    ) throws(UsageError) {
        let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let given = String(parts[0].drop { $0 == "-" })
        guard word.hasPrefix("--") != (given.count == 1),
            let flag = syntax.flags.first(where: { $0.name == given || $0.short.map(String.init) == given })
        else {
            throw UsageError(
                "unknown flag '\(parts[0])'", remedy: "see 'lab \(syntax.name) --help' for the flags it takes")
        }
        let name = flag.name
        switch flag.value {
        case .none:
            guard parts.count == 1 else { throw UsageError("--\(name) takes no value", remedy: syntax.usage) }
            values[name] = [""]
        case .one, .many:
            guard let value = parts.count == 2 ? String(parts[1]) : words.popFirst() else {
                throw UsageError("--\(name) needs a value: --\(name) \(flag.placeholder)", remedy: syntax.usage)
            }
            if case .one = flag.value, values[name] != nil {
                throw UsageError("--\(name) is given twice", remedy: "give it once")
            }
            values[name, default: []].append(value)
        }
    }
}

extension Duration {
    /// Go's notation, as kubectl and kind take it: `90s`, `2m30s`, `1h`, `500ms`.
    public static func parse(_ text: String) throws(UsageError) -> Duration {
        let wrong = UsageError("'\(text)' is not a duration", remedy: "write it like 30s, 2m30s or 500ms")
        var rest = text[...]
        var total = Duration.zero
        guard !rest.isEmpty else { throw wrong }
        if rest == "0" { return .zero }
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            guard let number = Int64(digits), number < 10_000_000 else { throw wrong }
            rest = rest.dropFirst(digits.count)
            let unit = rest.prefix { $0.isLetter }
            rest = rest.dropFirst(unit.count)
            switch unit {
            case "h": total += .seconds(number * 3600)
            case "m": total += .seconds(number * 60)
            case "s": total += .seconds(number)
            case "ms": total += .milliseconds(number)
            default: throw wrong
            }
        }
        return total
    }
}
