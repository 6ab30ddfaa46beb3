/// A Corefile as it is written, before it means anything.
///
///     ZONE[:PORT] … {
///         DIRECTIVE ARGUMENT … {
///             PROPERTY ARGUMENT …
///         }
///     }
///
/// Words stand between blanks or in double quotes; `#` at the beginning of a word makes the rest of the line a remark.
public struct Corefile: Sendable, Equatable {
    public struct Directive: Sendable, Equatable {
        public var line: Int
        public var name: String
        public var arguments: [String]
        /// The lines of its braces.
        public var properties: [Directive] = []
    }

    public struct Block: Sendable, Equatable {
        public var line: Int
        public var zones: [String]
        public var directives: [Directive]
    }

    public var blocks: [Block] = []

    /// Far more than anybody writes, and little enough to be read on every change.
    static let longest = 256 << 10

    public init(parsing text: String) throws(CorefileError) {
        guard text.utf8.count <= Self.longest else {
            throw CorefileError(1, "longer than \(Self.longest) bytes")
        }
        var lines = try Self.words(text)[...]
        while let line = lines.popFirst() {
            guard line.words.last == "{", line.words.count > 1, !line.words.dropLast().contains("{") else {
                throw CorefileError(line.number, "a block begins with its zones and '{'")
            }
            let zones = line.words.dropLast().flatMap { $0.split(separator: ",").map(String.init) }
            var block = Block(line: line.number, zones: zones, directives: [])
            block.directives = try Self.directives(&lines, opened: line.number, depth: 1)
            blocks.append(block)
        }
    }

    private static func directives(
        _ lines: inout ArraySlice<Line>, opened: Int, depth: Int
    ) throws(CorefileError) -> [Directive] {
        var found: [Directive] = []
        while let line = lines.popFirst() {
            if line.words == ["}"] { return found }
            var words = line.words
            let opens = words.last == "{"
            if opens { words.removeLast() }
            guard let name = words.first, name != "{", !words.contains("{"), !words.contains("}") else {
                throw CorefileError(line.number, "a brace stands where a word is expected")
            }
            var directive = Directive(line: line.number, name: name, arguments: Array(words.dropFirst()))
            if opens {
                guard depth < 3 else { throw CorefileError(line.number, "braces are nested too deeply") }
                directive.properties = try directives(&lines, opened: line.number, depth: depth + 1)
            }
            found.append(directive)
        }
        throw CorefileError(opened, "the block that begins here has no '}'")
    }

    private struct Line {
        var number: Int
        var words: [String]
    }

    private static func words(_ text: String) throws(CorefileError) -> [Line] {
        var lines: [Line] = []
        let all = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        for (index, line) in all.enumerated() {
            var words: [String] = []
            var word = ""
            var quoted = false
            var isWord = false
            for character in line {
                if quoted {
                    if character == "\"" { quoted = false } else { word.append(character) }
                } else if character == "\"" {
                    quoted = true
                    isWord = true
                } else if character.isWhitespace {
                    if isWord { words.append(word) }
                    word = ""
                    isWord = false
                } else if character == "#", !isWord {
                    break
                } else {
                    word.append(character)
                    isWord = true
                }
            }
            guard !quoted else { throw CorefileError(index + 1, "a quotation mark is never closed") }
            if isWord { words.append(word) }
            if !words.isEmpty { lines.append(Line(number: index + 1, words: words)) }
        }
        return lines
    }
}

/// What is wrong with a Corefile, and where.
public struct CorefileError: Error, Sendable, Equatable, CustomStringConvertible {
    public var line: Int
    public var message: String

    public init(_ line: Int, _ message: String) {
        self.line = line
        self.message = message
    }

    public var description: String { "line \(line): \(message)" }
}
