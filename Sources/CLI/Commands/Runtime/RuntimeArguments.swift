import Cluster

/// The command line of an OCI runtime, as runc takes it: `-flag value` and `--flag=value`, short names, flags of the
/// program before the command and flags of the command behind it.
struct RuntimeSyntax: Sendable {
    struct Flag: Sendable {
        enum Value: Sendable { case none, one, many, number }

        var names: [String]
        var value: Value
        var help: String

        init(_ names: String..., value: Value = .none, help: String) {
            self.names = names
            self.value = value
            self.help = help
        }
    }

    var name: String
    var operands: String
    var fewest: Int
    var most: Int
    var summary: String
    var flags: [Flag]
    /// What follows the first operand is for somebody else.
    var endsAtOperand = false

    init(
        _ name: String, _ operands: String, _ count: ClosedRange<Int>, _ summary: String, _ flags: [Flag] = [],
        endsAtOperand: Bool = false
    ) {
        self.name = name
        self.operands = operands
        fewest = count.lowerBound
        most = count.upperBound
        self.summary = summary
        self.flags = flags
        self.endsAtOperand = endsAtOperand
    }

    var help: String {
        var text = "\(summary)\n\nusage: lab runtime \(name)\(flags.isEmpty ? "" : " [flags]") \(operands)\n"
        guard !flags.isEmpty else { return text }
        text += "\nflags:\n"
        let titles = flags.map { flag in
            flag.names.map { $0.count == 1 ? "-\($0)" : "--\($0)" }.joined(separator: ", ")
                + (flag.value == .none ? "" : " VALUE")
        }
        let width = titles.map(\.count).max() ?? 0
        for (title, flag) in zip(titles, flags) {
            text += "  \(title)\(String(repeating: " ", count: width - title.count))  \(flag.help)\n"
        }
        return text
    }
}

struct RuntimeArguments: Equatable {
    var operands: [String] = []
    var values: [String: [String]] = [:]
    var wantsHelp = false

    func has(_ flag: String) -> Bool { values[flag] != nil }
    subscript(flag: String) -> String? { values[flag]?.last }
    func all(_ flag: String) -> [String] { values[flag] ?? [] }
    func number(_ flag: String) -> Int64? { values[flag]?.last.flatMap { Int64($0) } }

    /// Takes words until the operands, or all of them; a value is kept under the flag's first name.
    init(_ words: inout ArraySlice<String>, _ syntax: RuntimeSyntax) throws(UsageError) {
        while let word = words.first {
            if word == "--" {
                words.removeFirst()
                operands += words
                words = []
                break
            }
            guard word.hasPrefix("-"), word != "-" else {
                // The program's own flags end at the command.
                if syntax.name.isEmpty { return }
                operands.append(word)
                words.removeFirst()
                if syntax.endsAtOperand, operands.count >= 1 {
                    operands += words
                    words = []
                }
                continue
            }
            words.removeFirst()
            try take(word, &words, syntax)
        }
        guard !syntax.name.isEmpty, !wantsHelp else { return }
        guard (syntax.fewest...syntax.most).contains(operands.count) else {
            throw UsageError(
                "\"\(syntax.name)\" takes \(syntax.operands.isEmpty ? "no arguments" : syntax.operands)",
                remedy: "see 'lab runtime \(syntax.name) --help'")
        }
    }

    private mutating func take(
        _ word: String, _ words: inout ArraySlice<String>, _ syntax: RuntimeSyntax
    ) throws(UsageError) {
        let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let name = String(parts[0].drop { $0 == "-" })
        if name == "help" || name == "h" {
            wantsHelp = true
            return
        }
        guard let flag = syntax.flags.first(where: { $0.names.contains(name) }) else {
            throw UsageError(
                "flag provided but not defined: -\(name)",
                remedy: "see 'lab runtime\(syntax.name.isEmpty ? "" : " \(syntax.name)") --help'")
        }
        let key = flag.names[0]
        let given = parts.count == 2 ? String(parts[1]) : nil
        if flag.value == .none {
            switch given ?? "true" {
            case "true", "1", "t", "T", "TRUE", "True": values[key] = ["true"]
            case "false", "0", "f", "F", "FALSE", "False": values[key] = nil
            default: throw UsageError("--\(name) is true or false, not '\(given ?? "")'", remedy: "")
            }
            return
        }
        guard let value = given ?? words.popFirst() else {
            throw UsageError("flag needs an argument: -\(name)", remedy: "")
        }
        if flag.value == .number, Int64(value) == nil {
            throw UsageError("--\(name) needs a number, not '\(value)'", remedy: "")
        }
        if flag.value == .many { values[key, default: []].append(value) } else { values[key] = [value] }
    }
}
