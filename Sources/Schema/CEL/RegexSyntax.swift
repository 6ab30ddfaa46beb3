extension CEL {
    /// A regular expression in RE2's syntax, matched in time linear in the text.
    public struct Regex: Sendable {
        public struct SyntaxError: Error, Sendable, Equatable {
            public let message: String
        }

        struct Class: Sendable {
            var ranges: [ClosedRange<UInt32>]
            var isNegated = false

            func contains(_ scalar: UInt32) -> Bool {
                var found = false
                for range in ranges where range.contains(scalar) {
                    found = true
                    break
                }
                return found != isNegated
            }
        }

        indirect enum Node: Sendable {
            case empty
            case scalar(UInt32)
            case any(includesNewline: Bool)
            case set(Class)
            case assertion(Assertion)
            case sequence([Node])
            case choice([Node])
            case repetition(Node, min: Int, max: Int?, isGreedy: Bool)
        }

        enum Assertion: Sendable {
            case lineStart, lineEnd, textStart, textEnd, wordBoundary, notWordBoundary
        }

        let instructions: [Instruction]

        /// Throws with the text that RE2's implementation in Go gives.
        public init(_ pattern: String) throws(SyntaxError) {
            var parser = RegexParser(pattern)
            let node = try parser.parse()
            var compiler = RegexCompiler()
            compiler.emit(node)
            guard compiler.instructions.count <= RegexCompiler.mostInstructions else {
                throw SyntaxError(message: "expression too large: `\(pattern)`")
            }
            instructions = compiler.instructions + [.match]
        }
    }

    struct RegexParser {
        typealias Node = Regex.Node
        private let source: [Unicode.Scalar]
        private var place = 0
        private var depth = 0
        private var ignoresCase = false
        private var dotMatchesAll = false
        private var multiline = false
        private var swapsGreed = false

        init(_ pattern: String) { source = Array(pattern.unicodeScalars) }

        private static let deepest = 200
        private static let mostRepeats = 1000

        mutating func parse() throws(Regex.SyntaxError) -> Node {
            let node = try alternatives()
            if place < source.count { throw error("unexpected )", source[...]) }
            return node
        }

        private func error(_ what: String, _ text: some Sequence<Unicode.Scalar>) -> Regex.SyntaxError {
            Regex.SyntaxError(message: "\(what): `\(StringFunctions.text(text))`")
        }

        private var current: Unicode.Scalar? { place < source.count ? source[place] : nil }

        private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
            guard current == scalar else { return false }
            place += 1
            return true
        }

        private mutating func alternatives() throws(Regex.SyntaxError) -> Node {
            depth += 1
            defer { depth -= 1 }
            guard depth < Self.deepest else { throw error("expression nests too deeply", source) }
            var choices: [Node] = [try sequence()]
            while take("|") { choices.append(try sequence()) }
            return choices.count == 1 ? choices[0] : .choice(choices)
        }

        private mutating func sequence() throws(Regex.SyntaxError) -> Node {
            var nodes: [Node] = []
            while let scalar = current, scalar != "|", scalar != ")" {
                let start = place
                if ["*", "+", "?"].contains(scalar) {
                    throw error("missing argument to repetition operator", [scalar])
                }
                guard let atom = try atom() else { continue }
                nodes.append(try repeated(atom, start))
            }
            return nodes.count == 1 ? nodes[0] : nodes.isEmpty ? .empty : .sequence(nodes)
        }

        private mutating func repeated(_ atom: Node, _ start: Int) throws(Regex.SyntaxError) -> Node {
            var node = atom
            var last: Int?
            while let scalar = current {
                let from = place
                let bounds: (Int, Int?)
                switch scalar {
                case "*": bounds = (0, nil)
                case "+": bounds = (1, nil)
                case "?": bounds = (0, 1)
                case "{":
                    guard let counted = try counts() else { return node }
                    bounds = counted
                default: return node
                }
                if scalar != "{" { place += 1 }
                var isGreedy = !swapsGreed
                if take("?") { isGreedy.toggle() }
                if let last { throw error("invalid nested repetition operator", source[last..<place]) }
                last = from
                node = .repetition(node, min: bounds.0, max: bounds.1, isGreedy: isGreedy)
            }
            return node
        }

        /// `{2}`, `{2,}`, `{2,3}`; anything else in braces stands for itself.
        private mutating func counts() throws(Regex.SyntaxError) -> (Int, Int?)? {
            let start = place
            guard let end = source[place...].firstIndex(of: "}") else { return nil }
            let text = StringFunctions.text(source[(place + 1)..<end])
            let parts = text.split(separator: ",", maxSplits: 1, omittingEmptySubsequences: false)
            guard let least = Int(parts[0]), parts[0].utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
            var most: Int? = least
            if parts.count == 2 {
                most = nil
                if !parts[1].isEmpty {
                    guard let number = Int(parts[1]), parts[1].utf8.allSatisfy({ (48...57).contains($0) }) else {
                        return nil
                    }
                    most = number
                }
            }
            guard least <= Self.mostRepeats, (most ?? 0) <= Self.mostRepeats, most.map({ $0 >= least }) ?? true else {
                throw error("invalid repeat count", source[start...end])
            }
            place = end + 1
            return (least, most)
        }

        private mutating func atom() throws(Regex.SyntaxError) -> Node? {
            guard let scalar = current else { return nil }
            switch scalar {
            case "(": return try group()
            case "[": return .set(try set())
            case ".":
                place += 1
                return .any(includesNewline: dotMatchesAll)
            case "^":
                place += 1
                return .assertion(multiline ? .lineStart : .textStart)
            case "$":
                place += 1
                return .assertion(multiline ? .lineEnd : .textEnd)
            case "\\": return try escape()
            default:
                place += 1
                return literal(scalar.value)
            }
        }

        private func literal(_ value: UInt32) -> Node {
            guard ignoresCase, let scalar = Unicode.Scalar(value) else { return .scalar(value) }
            let cases = [scalar.properties.lowercaseMapping, scalar.properties.uppercaseMapping]
            let values = Set(
                cases.compactMap { $0.unicodeScalars.count == 1 ? $0.unicodeScalars.first?.value : nil } + [value])
            return values.count == 1 ? .scalar(value) : .set(.init(ranges: values.sorted().map { $0...$0 }))
        }

        private mutating func group() throws(Regex.SyntaxError) -> Node? {
            let start = place
            place += 1
            let flags = (ignoresCase, dotMatchesAll, multiline, swapsGreed)
            if take("?") {
                if take("P") || current == "<" {
                    guard take("<"), let end = source[place...].firstIndex(of: ">"), end > place else {
                        throw error("invalid named capture", source[start...])
                    }
                    place = end + 1
                } else if try !groupFlags(start) {
                    return nil  // flags alone, for the rest of the group around them
                }
            }
            let inner = try alternatives()
            guard take(")") else { throw error("missing closing )", source) }
            (ignoresCase, dotMatchesAll, multiline, swapsGreed) = flags
            return inner
        }

        /// `i`, `-s:` …; true where a group follows.
        private mutating func groupFlags(_ start: Int) throws(Regex.SyntaxError) -> Bool {
            var value = true
            while let scalar = current {
                place += 1
                switch scalar {
                case "i": ignoresCase = value
                case "s": dotMatchesAll = value
                case "m": multiline = value
                case "U": swapsGreed = value
                case "-" where value: value = false
                case ":": return true
                case ")": return false
                default: throw error("invalid or unsupported Perl syntax", source[start..<place])
                }
            }
            throw error("missing argument to repetition operator", ["?"])
        }

        // MARK: Classes

        private static let digits: [ClosedRange<UInt32>] = [48...57]
        private static let spaces: [ClosedRange<UInt32>] = [9...10, 12...13, 32...32]
        private static let words: [ClosedRange<UInt32>] = [48...57, 65...90, 95...95, 97...122]
        private static let named: [String: [ClosedRange<UInt32>]] = [
            "alnum": [48...57, 65...90, 97...122], "alpha": [65...90, 97...122], "ascii": [0...127],
            "blank": [9...9, 32...32], "cntrl": [0...31, 127...127], "digit": digits, "graph": [33...126],
            "lower": [97...122], "print": [32...126], "punct": [33...47, 58...64, 91...96, 123...126],
            "space": [9...13, 32...32], "upper": [65...90], "word": words, "xdigit": [48...57, 65...70, 97...102],
        ]

        private static func shorthand(_ scalar: Unicode.Scalar) -> Regex.Class? {
            switch scalar {
            case "d": .init(ranges: digits)
            case "D": .init(ranges: digits, isNegated: true)
            case "s": .init(ranges: spaces)
            case "S": .init(ranges: spaces, isNegated: true)
            case "w": .init(ranges: words)
            case "W": .init(ranges: words, isNegated: true)
            default: nil
            }
        }

        /// The ranges that a class leaves out.
        private static func complement(_ ranges: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
            var result: [ClosedRange<UInt32>] = []
            var next: UInt32 = 0
            for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
                if range.lowerBound > next { result.append(next...(range.lowerBound - 1)) }
                next = max(next, range.upperBound + 1)
            }
            if next <= 0x10FFFF { result.append(next...0x10FFFF) }
            return result
        }

        private mutating func set() throws(Regex.SyntaxError) -> Regex.Class {
            let start = place
            place += 1
            var result = Regex.Class(ranges: [])
            result.isNegated = take("^")
            var isFirst = true
            while isFirst || current != "]" {
                guard let scalar = current else { throw error("missing closing ]", source[start...]) }
                isFirst = false
                if scalar == "[", place + 1 < source.count, source[place + 1] == ":" {
                    if let ranges = try namedClass() {
                        result.ranges += ranges
                        continue
                    }
                }
                if scalar == "\\", place + 1 < source.count {
                    if let short = Self.shorthand(source[place + 1]) {
                        place += 2
                        result.ranges += short.isNegated ? Self.complement(short.ranges) : short.ranges
                        continue
                    }
                    if let property = try unicodeClass() {
                        result.ranges += property
                        continue
                    }
                }
                let low = try setScalar()
                var high = low
                if current == "-", place + 1 < source.count, source[place + 1] != "]" {
                    place += 1
                    high = try setScalar()
                    if high < low { throw error("invalid character class range", source[rangeStart(low)..<place]) }
                }
                result.ranges.append(low...high)
                if ignoresCase { result.ranges += Self.otherCases(low...high) }
            }
            place += 1
            return result
        }

        private func rangeStart(_ low: UInt32) -> Int { max(0, place - 3) }

        private static func otherCases(_ range: ClosedRange<UInt32>) -> [ClosedRange<UInt32>] {
            var result: [ClosedRange<UInt32>] = []
            let upper = range.clamped(to: 65...90)
            let lower = range.clamped(to: 97...122)
            if range.overlaps(65...90) { result.append((upper.lowerBound + 32)...(upper.upperBound + 32)) }
            if range.overlaps(97...122) { result.append((lower.lowerBound - 32)...(lower.upperBound - 32)) }
            return result
        }

        private mutating func namedClass() throws(Regex.SyntaxError) -> [ClosedRange<UInt32>]? {
            guard let end = StringFunctions.find([":", "]"], in: source, from: place + 2) else { return nil }
            var name = StringFunctions.text(source[(place + 2)..<end])
            let isNegated = name.hasPrefix("^")
            if isNegated { name.removeFirst() }
            guard let ranges = Self.named[name] else {
                throw error("invalid character class range", source[place..<(end + 2)])
            }
            place = end + 2
            return isNegated ? Self.complement(ranges) : ranges
        }

        /// `\pL`, `\p{Lu}`, `\P{…}` by general category, as ranges.
        private mutating func unicodeClass() throws(Regex.SyntaxError) -> [ClosedRange<UInt32>]? {
            let start = place
            guard source[place] == "\\", source[place + 1] == "p" || source[place + 1] == "P" else { return nil }
            var isNegated = source[place + 1] == "P"
            place += 2
            guard let first = current else { throw error("invalid character class range", source[start...]) }
            var name = String(first)
            if first == "{" {
                guard let end = source[place...].firstIndex(of: "}") else {
                    throw error("invalid character class range", source[start...])
                }
                name = StringFunctions.text(source[(place + 1)..<end])
                place = end
            }
            place += 1
            if name.hasPrefix("^") {
                isNegated.toggle()
                name.removeFirst()
            }
            guard let ranges = UnicodeClasses.ranges(name) else {
                throw error("invalid character class range", source[start..<place])
            }
            return isNegated ? Self.complement(ranges) : ranges
        }

        private mutating func setScalar() throws(Regex.SyntaxError) -> UInt32 {
            guard let scalar = current else { throw error("missing closing ]", source[...]) }
            if scalar == "\\" { return try escapedScalar() }
            place += 1
            return scalar.value
        }

        // MARK: Escapes

        private mutating func escape() throws(Regex.SyntaxError) -> Node {
            guard place + 1 < source.count else {
                throw Regex.SyntaxError(message: "trailing backslash at end of expression: ``")
            }
            let next = source[place + 1]
            if let short = Self.shorthand(next) {
                place += 2
                return .set(short)
            }
            if let property = try unicodeClass() { return .set(.init(ranges: property)) }
            let assertions: [Unicode.Scalar: Regex.Assertion] = [
                "A": .textStart, "z": .textEnd, "b": .wordBoundary, "B": .notWordBoundary,
            ]
            if let assertion = assertions[next] {
                place += 2
                return .assertion(assertion)
            }
            if next == "Q" { return quotation() }
            if next == "C" {
                place += 2
                return .any(includesNewline: true)
            }
            return literal(try escapedScalar())
        }

        private mutating func quotation() -> Node {
            place += 2
            let end = StringFunctions.find(["\\", "E"], in: source, from: place)
            let text = source[place..<(end ?? source.count)]
            place = end.map { $0 + 2 } ?? source.count
            return .sequence(text.map { literal($0.value) })
        }

        private mutating func escapedScalar() throws(Regex.SyntaxError) -> UInt32 {
            let start = place
            place += 1
            guard let scalar = current else {
                throw Regex.SyntaxError(message: "trailing backslash at end of expression: ``")
            }
            place += 1
            switch scalar {
            case "a": return 7
            case "f": return 12
            case "n": return 10
            case "r": return 13
            case "t": return 9
            case "v": return 11
            case "x":
                if take("{") {
                    guard let end = source[place...].firstIndex(of: "}"),
                        let value = UInt32(StringFunctions.text(source[place..<end]), radix: 16), value <= 0x10FFFF
                    else { throw error("invalid escape sequence", source[start..<min(place + 1, source.count)]) }
                    place = end + 1
                    return value
                }
                guard place + 2 <= source.count,
                    let value = UInt32(StringFunctions.text(source[place..<(place + 2)]), radix: 16)
                else { throw error("invalid escape sequence", source[start..<min(place + 1, source.count)]) }
                place += 2
                return value
            case "0"..."7":
                // A digit alone refers back to a group, which no linear matcher can do; more digits are octal.
                var value = scalar.value - 48
                var count = 1
                while count < 3, let digit = current, ("0"..."7").contains(digit) {
                    value = value * 8 + digit.value - 48
                    place += 1
                    count += 1
                }
                if scalar != "0", count == 1 { throw error("invalid escape sequence", source[start..<place]) }
                return value
            default:
                if scalar.value < 128, !Formats.isAlphanumeric(UInt8(scalar.value)) { return scalar.value }
                throw error("invalid escape sequence", source[start..<place])
            }
        }
    }
}
