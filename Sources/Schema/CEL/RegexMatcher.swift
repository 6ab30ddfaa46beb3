import Synchronization

extension CEL.Regex {
    enum Instruction: Sendable {
        case scalar(UInt32)
        case any(includesNewline: Bool)
        case set(Class)
        case assertion(Assertion)
        /// Goes on at both, the first preferred.
        case split(Int, Int)
        case jump(Int)
        case match
    }

    /// The first match, as text.
    public func firstMatch(in text: String) -> String? {
        let scalars = Array(text.unicodeScalars)
        return search(scalars, from: 0).map { CEL.StringFunctions.text(scalars[$0]) }
    }

    /// Whether the expression matches somewhere in the text.
    public func matches(_ text: String) -> Bool { search(Array(text.unicodeScalars), from: 0) != nil }

    /// Matches that do not overlap, from left to right.
    func matches(in text: String, limit: Int?) -> [String] {
        let scalars = Array(text.unicodeScalars)
        var found: [String] = []
        var place = 0
        var lastEnd = -1
        while place <= scalars.count, found.count < limit ?? .max, let range = search(scalars, from: place) {
            // An empty match right after the one before is none.
            if !(range.isEmpty && range.lowerBound == lastEnd) {
                found.append(CEL.StringFunctions.text(scalars[range]))
            }
            lastEnd = range.upperBound
            place = range.isEmpty ? range.upperBound + 1 : range.upperBound
        }
        return found
    }

    /// Follows all ways through the program at once, one scalar at a time. The ways stand in the order in which a
    /// backtracking matcher would have tried them, so the first to end is the match.
    private func search(_ text: [Unicode.Scalar], from start: Int) -> Range<Int>? {
        var machine = Machine(instructions: instructions, text: text)
        return machine.run(from: start)
    }

    private struct Machine {
        let instructions: [Instruction]
        let text: [Unicode.Scalar]
        var current: [(at: Int, start: Int)] = []
        var next: [(at: Int, start: Int)] = []
        /// The step in which an instruction was last put on a list.
        var seen: [Int]

        init(instructions: [Instruction], text: [Unicode.Scalar]) {
            self.instructions = instructions
            self.text = text
            seen = Array(repeating: -1, count: instructions.count)
        }

        mutating func run(from start: Int) -> Range<Int>? {
            var found: Range<Int>?
            var place = start
            while true {
                if found == nil { follow(0, place, start: place, isNext: false) }
                if current.isEmpty { break }
                next.removeAll(keepingCapacity: true)
                let scalar: UInt32? = place < text.count ? text[place].value : nil
                threads: for thread in current {
                    switch instructions[thread.at] {
                    case .match:
                        found = thread.start..<place
                        break threads
                    case .scalar(let wanted):
                        if scalar == wanted { follow(thread.at + 1, place + 1, start: thread.start, isNext: true) }
                    case .any(let includesNewline):
                        if let scalar, includesNewline || scalar != 10 {
                            follow(thread.at + 1, place + 1, start: thread.start, isNext: true)
                        }
                    case .set(let set):
                        if let scalar, set.contains(scalar) {
                            follow(thread.at + 1, place + 1, start: thread.start, isNext: true)
                        }
                    case .assertion, .split, .jump: break
                    }
                }
                swap(&current, &next)
                place += 1
                if place > text.count { break }
            }
            return found
        }

        /// Adds an instruction and all that can be reached from it without reading, in order of preference.
        private mutating func follow(_ first: Int, _ place: Int, start: Int, isNext: Bool) {
            var stack = [first]
            while let at = stack.popLast() {
                if seen[at] == place { continue }
                seen[at] = place
                switch instructions[at] {
                case .jump(let target): stack.append(target)
                case .split(let preferred, let other):
                    stack.append(other)
                    stack.append(preferred)
                case .assertion(let assertion): if holds(assertion, place) { stack.append(at + 1) }
                default: if isNext { next.append((at, start)) } else { current.append((at, start)) }
                }
            }
        }

        private func holds(_ assertion: Assertion, _ place: Int) -> Bool {
            switch assertion {
            case .textStart: place == 0
            case .textEnd: place == text.count
            case .lineStart: place == 0 || text[place - 1] == "\n"
            case .lineEnd: place == text.count || text[place] == "\n"
            case .wordBoundary: isWord(place - 1) != isWord(place)
            case .notWordBoundary: isWord(place - 1) == isWord(place)
            }
        }

        private func isWord(_ place: Int) -> Bool {
            guard place >= 0, place < text.count, text[place].value < 128 else { return false }
            let byte = UInt8(text[place].value)
            return Formats.isAlphanumeric(byte) || byte == UInt8(ascii: "_")
        }
    }
}

extension CEL {
    struct RegexCompiler {
        static let mostInstructions = 10_000
        private(set) var instructions: [Regex.Instruction] = []

        mutating func emit(_ node: Regex.Node) {
            // Past the limit nothing more is made; the caller refuses the expression.
            guard instructions.count <= Self.mostInstructions else { return }
            switch node {
            case .empty: break
            case .scalar(let value): instructions.append(.scalar(value))
            case .any(let includesNewline): instructions.append(.any(includesNewline: includesNewline))
            case .set(let set): instructions.append(.set(set))
            case .assertion(let assertion): instructions.append(.assertion(assertion))
            case .sequence(let nodes): for node in nodes { emit(node) }
            case .choice(let nodes): choice(nodes[...])
            case .repetition(let inner, let least, let most, let isGreedy): repeated(inner, least, most, isGreedy)
            }
        }

        private mutating func choice(_ nodes: ArraySlice<Regex.Node>) {
            var exits: [Int] = []
            for (index, node) in nodes.enumerated() {
                let isLast = index == nodes.count - 1
                let split = instructions.count
                if !isLast { instructions.append(.jump(0)) }
                emit(node)
                if !isLast {
                    exits.append(instructions.count)
                    instructions.append(.jump(0))
                    instructions[split] = .split(split + 1, instructions.count)
                }
            }
            for exit in exits { instructions[exit] = .jump(instructions.count) }
        }

        private mutating func repeated(_ node: Regex.Node, _ least: Int, _ most: Int?, _ isGreedy: Bool) {
            func split(_ into: Int, _ past: Int) -> Regex.Instruction {
                isGreedy ? .split(into, past) : .split(past, into)
            }
            for _ in 0..<least { emit(node) }
            guard let most else {
                let start = instructions.count
                instructions.append(.jump(0))
                emit(node)
                instructions.append(.jump(start))
                instructions[start] = split(start + 1, instructions.count)
                return
            }
            var entries: [Int] = []
            for _ in least..<max(least, most) {
                guard instructions.count <= Self.mostInstructions else { return }
                entries.append(instructions.count)
                instructions.append(.jump(0))
                emit(node)
            }
            for entry in entries { instructions[entry] = split(entry + 1, instructions.count) }
        }
    }

    /// General categories as ranges, worked out when first asked for.
    enum UnicodeClasses {
        private static let known = Mutex<[String: [ClosedRange<UInt32>]]>([:])

        private static let names: [Unicode.GeneralCategory: String] = [
            .uppercaseLetter: "Lu", .lowercaseLetter: "Ll", .titlecaseLetter: "Lt", .modifierLetter: "Lm",
            .otherLetter: "Lo", .nonspacingMark: "Mn", .spacingMark: "Mc", .enclosingMark: "Me", .decimalNumber: "Nd",
            .letterNumber: "Nl", .otherNumber: "No", .connectorPunctuation: "Pc", .dashPunctuation: "Pd",
            .openPunctuation: "Ps", .closePunctuation: "Pe", .initialPunctuation: "Pi", .finalPunctuation: "Pf",
            .otherPunctuation: "Po", .mathSymbol: "Sm", .currencySymbol: "Sc", .modifierSymbol: "Sk",
            .otherSymbol: "So",
            .spaceSeparator: "Zs", .lineSeparator: "Zl", .paragraphSeparator: "Zp", .control: "Cc", .format: "Cf",
            .surrogate: "Cs", .privateUse: "Co",
        ]

        /// Everywhere else there is nothing.
        private static let assigned: [ClosedRange<UInt32>] = [
            0...0x3_3FFF, 0xE_0000...0xE_01FF, 0xF_0000...0x10_FFFF,
        ]

        static func ranges(_ name: String) -> [ClosedRange<UInt32>]? {
            if name == "Any" { return [0...0x10FFFF] }
            guard names.values.contains(where: { $0 == name || $0.prefix(1) == name }) else { return nil }
            return known.withLock { known in
                if let ranges = known[name] { return ranges }
                var ranges: [ClosedRange<UInt32>] = []
                for value in Self.assigned.joined() {
                    guard let scalar = Unicode.Scalar(value), let category = names[scalar.properties.generalCategory],
                        category == name || category.prefix(1) == name
                    else { continue }
                    if let last = ranges.last, last.upperBound + 1 == value {
                        ranges[ranges.count - 1] = last.lowerBound...value
                    } else {
                        ranges.append(value...value)
                    }
                }
                known[name] = ranges
                return ranges
            }
        }
    }
}
