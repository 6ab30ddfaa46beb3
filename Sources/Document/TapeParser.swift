import Glibc

/// RFC 8259, strictly, onto a tape: what is no JSON there is refused. Two liberties that the RFC leaves open: a member
/// that comes twice keeps the last value, and a lone surrogate escape reads as U+FFFD.
///
/// It does not recurse: an open container keeps its parent in its own node, so nesting costs no stack.
struct TapeParser {
    private static let none = UInt32.max

    private let bytes: UnsafeMutablePointer<UInt8>
    private let end: Int
    private var index = 0
    private var nodes: UnsafeMutablePointer<TapeNode>
    private var nodeCount = 0
    private var capacity: Int
    /// The container that is being read.
    private var parent = Self.none
    private var depth = 0
    private var deepest = Document.deepestNesting

    /// Parses a copy of the bytes.
    static func parse(
        _ source: UnsafeBufferPointer<UInt8>, deepest: Int = Document.deepestNesting
    ) throws -> Tape {
        guard source.count < Int(UInt32.max) - 16 else {
            throw DocumentError(message: "longer than 4 GB", line: 1, column: 1)
        }
        var parser = TapeParser(source)
        parser.deepest = deepest
        do {
            try parser.parse()
        } catch {
            free(parser.bytes)
            free(parser.nodes)
            throw error
        }
        return parser.finish()
    }

    private init(_ source: UnsafeBufferPointer<UInt8>) {
        end = source.count
        // One more byte, a zero: no value can go on there, so the scanners need no bounds of their own.
        guard let copy = malloc(source.count + 1) else { preconditionFailure("no memory") }
        if let base = source.baseAddress { memcpy(copy, base, source.count) }
        bytes = copy.bindMemory(to: UInt8.self, capacity: source.count + 1)
        bytes[source.count] = 0
        // Objects of the API have a value or key every ten bytes or so; what is too much is given back.
        capacity = source.count / 10 + 16
        nodes = Self.grow(nil, to: capacity)
    }

    private static func grow(_ old: UnsafeMutablePointer<TapeNode>?, to capacity: Int) -> UnsafeMutablePointer<TapeNode>
    {
        guard let block = realloc(old, capacity * MemoryLayout<TapeNode>.stride) else {
            preconditionFailure("no memory")
        }
        return block.bindMemory(to: TapeNode.self, capacity: capacity)
    }

    private mutating func finish() -> Tape {
        if capacity > nodeCount + nodeCount / 4 + 16 { nodes = Self.grow(nodes, to: nodeCount) }
        return Tape(bytes: bytes, byteCount: end, nodes: nodes, nodeCount: nodeCount)
    }

    private func error(_ message: String) -> DocumentError {
        var line = 1
        var column = 1
        for place in 0..<min(index, end) {
            if bytes[place] == 10 {
                line += 1
                column = 1
            } else {
                column += 1
            }
        }
        return DocumentError(message: message, line: line, column: column)
    }

    // MARK: Nodes

    @inline(__always)
    private mutating func append(_ tag: TapeNode.Tag, _ flags: UInt32, start: Int, length: Int) {
        if nodeCount == capacity {
            capacity *= 2
            nodes = Self.grow(nodes, to: capacity)
        }
        nodes[nodeCount] = TapeNode(
            head: tag.rawValue | flags, start: UInt32(truncatingIfNeeded: start),
            length: UInt32(truncatingIfNeeded: length), next: UInt32(truncatingIfNeeded: nodeCount + 1))
        nodeCount += 1
    }

    /// White space inside a container: it will not be copied as it stands.
    @inline(__always)
    private mutating func skipSpace() {
        let byte = bytes[index]
        if byte > 32 || !(byte == 32 || byte == 10 || byte == 13 || byte == 9) { return }
        if parent != Self.none { nodes[Int(parent)].head |= TapeNode.unusual }
        while true {
            switch bytes[index] {
            case 32, 10, 13, 9: index += 1
            default: return
            }
        }
    }

    private mutating func open(_ tag: TapeNode.Tag) throws {
        depth += 1
        guard depth <= deepest else { throw error("nested too deeply") }
        append(tag, 0, start: index, length: 0)
        nodes[nodeCount - 1].next = parent
        parent = UInt32(truncatingIfNeeded: nodeCount - 1)
        index += 1
    }

    /// Ends the container that is being read, right after its closing bracket.
    private mutating func close() {
        let place = Int(parent)
        let outer = nodes[place].next
        nodes[place].length = UInt32(truncatingIfNeeded: index - Int(nodes[place].start))
        nodes[place].next = UInt32(truncatingIfNeeded: nodeCount)
        depth -= 1
        if nodes[place].tag == .object {
            let duplicates = DuplicateKeys.count(nodes, place, bytes)
            if duplicates > 0 {
                if nodes[place].head >> 8 < TapeNode.manyCount { nodes[place].head -= UInt32(duplicates) << 8 }
                nodes[place].head |= TapeNode.duplicates | TapeNode.unusual
            }
        }
        if outer != Self.none { nodes[Int(outer)].head |= nodes[place].head & TapeNode.unusual }
        parent = outer
    }

    /// Counts one more child of the container that is being read, unless it has too many to count.
    @inline(__always)
    private mutating func countChild() {
        if nodes[Int(parent)].head >> 8 < TapeNode.manyCount { nodes[Int(parent)].head += 1 << 8 }
    }

    // MARK: Grammar

    private mutating func parse() throws {
        skipSpace()
        repeat {
            // Before a value.
            switch bytes[index] {
            case UInt8(ascii: "{"):
                try open(.object)
                skipSpace()
                if bytes[index] != UInt8(ascii: "}") {
                    try key()
                    continue
                }
                index += 1
                close()
            case UInt8(ascii: "["):
                try open(.array)
                skipSpace()
                if bytes[index] != UInt8(ascii: "]") {
                    countChild()
                    continue
                }
                index += 1
                close()
            case UInt8(ascii: "\""): try string()
            case UInt8(ascii: "t"): try literal("true", .yes)
            case UInt8(ascii: "f"): try literal("false", .no)
            case UInt8(ascii: "n"): try literal("null", .null)
            default: try number()
            }
            if try afterValue() { return }
        } while true
    }

    /// Goes on to where the next value begins; true at the end of the text.
    private mutating func afterValue() throws -> Bool {
        while true {
            skipSpace()
            guard parent != Self.none else {
                guard index == end else { throw error("text after the value") }
                return true
            }
            let byte = bytes[index]
            let isObject = nodes[Int(parent)].tag == .object
            if byte == UInt8(ascii: ",") {
                index += 1
                skipSpace()
                if isObject { try key() } else { countChild() }
                return false
            }
            guard byte == (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) else {
                let what = isObject ? "an object" : "an array"
                throw error(index < end ? "expected ',' or '\(isObject ? "}" : "]")'" : "unexpected end of \(what)")
            }
            index += 1
            close()
        }
    }

    /// A member's name and what stands before its value.
    private mutating func key() throws {
        guard bytes[index] == UInt8(ascii: "\"") else { throw error("expected a member name") }
        countChild()
        try string()
        skipSpace()
        guard bytes[index] == UInt8(ascii: ":") else { throw error("expected ':' after a member name") }
        index += 1
        skipSpace()
    }

    private mutating func literal(_ word: StaticString, _ tag: TapeNode.Tag) throws {
        let count = word.utf8CodeUnitCount
        guard index + count <= end, memcmp(bytes + index, word.utf8Start, count) == 0 else {
            throw error("invalid literal")
        }
        append(tag, 0, start: index, length: count)
        index += count
    }

    // MARK: Strings

    private mutating func string() throws {
        index += 1
        let start = index
        var flags: UInt32 = 0
        var beyondASCII = false
        while true {
            skipPlain(&beyondASCII)
            let byte = bytes[index]
            if byte == UInt8(ascii: "\"") { break }
            guard byte == UInt8(ascii: "\\") else {
                throw error(index < end ? "control character in a string" : "unexpected end of a string")
            }
            flags |= TapeNode.escaped
            if try !escape() { flags |= TapeNode.unusual }
        }
        if beyondASCII, !TapeString.isUTF8(UnsafeBufferPointer(start: bytes + start, count: index - start)) {
            throw error("invalid UTF-8 in a string")
        }
        append(.string, flags, start: start, length: index - start)
        if parent != Self.none { nodes[Int(parent)].head |= flags & TapeNode.unusual }
        index += 1
    }

    /// Goes on to the next quote, backslash or control character: eight bytes at a time where so many are left.
    @inline(__always)
    private mutating func skipPlain(_ beyondASCII: inout Bool) {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let tops: UInt64 = 0x8080_8080_8080_8080
        while index + 8 <= end {
            let word = UnsafeRawPointer(bytes + index).loadUnaligned(as: UInt64.self)
            // A byte's top bit is set in these where the byte is zero after the subtraction borrowed from it.
            let quote = word ^ (ones &* 0x22)
            let slash = word ^ (ones &* 0x5C)
            let special =
                ((quote &- ones) & ~quote) | ((slash &- ones) & ~slash) | ((word &- (ones &* 0x20)) & ~word)
            if special & tops != 0 { break }
            if word & tops != 0 { beyondASCII = true }
            index += 8
        }
        while true {
            let byte = bytes[index]
            if byte < 32 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { return }
            if byte >= 0x80 { beyondASCII = true }
            index += 1
        }
    }

    /// One escape; false where we would write the character in another way.
    private mutating func escape() throws -> Bool {
        index += 1
        switch bytes[index] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            index += 1
            return true
        case UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"):
            index += 1
            return false
        case UInt8(ascii: "u"):
            index += 1
            for place in index..<index + 4 {
                guard place < end, TapeString.hexDigit(bytes[place]) != nil else { throw error("invalid \\u escape") }
            }
            index += 4
            return false
        default:
            throw error(index < end ? "invalid escape in a string" : "unexpected end of a string")
        }
    }

    // MARK: Numbers

    /// `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`
    private mutating func number() throws {
        let start = index
        let negative = bytes[index] == UInt8(ascii: "-")
        if negative { index += 1 }
        let whole = index
        let digits = skipDigits()
        guard digits > 0 else {
            index = start
            throw error(start < end ? "unexpected character" : "unexpected end")
        }
        guard digits == 1 || bytes[whole] != UInt8(ascii: "0") else {
            index = whole
            throw error("a number starts with 0")
        }
        var isWhole = true
        if bytes[index] == UInt8(ascii: ".") {
            isWhole = false
            index += 1
            guard skipDigits() > 0 else { throw error("a number has no digits after its point") }
        }
        if bytes[index] | 32 == UInt8(ascii: "e") {
            isWhole = false
            index += 1
            if bytes[index] == UInt8(ascii: "+") || bytes[index] == UInt8(ascii: "-") { index += 1 }
            guard skipDigits() > 0 else { throw error("a number has no digits in its exponent") }
        }
        let text = UnsafeBufferPointer(start: bytes + start, count: index - start)
        if isWhole, digits <= 18 || TapeNumber.whole(text) != nil {
            // -0 is written as 0.
            let unusual = negative && digits == 1 && bytes[whole] == UInt8(ascii: "0") ? TapeNode.unusual : 0
            return scalar(.int, unusual, start)
        }
        let value = TapeNumber.double(text)
        guard value.isFinite else { throw error("the number \(String(decoding: text, as: UTF8.self)) is out of range") }
        scalar(.double, Document.text(of: value).utf8.elementsEqual(text) ? 0 : TapeNode.unusual, start)
    }

    private mutating func scalar(_ tag: TapeNode.Tag, _ flags: UInt32, _ start: Int) {
        append(tag, flags, start: start, length: index - start)
        if parent != Self.none { nodes[Int(parent)].head |= flags & TapeNode.unusual }
    }

    private mutating func skipDigits() -> Int {
        let start = index
        while bytes[index] >= 48, bytes[index] <= 57 { index += 1 }
        return index - start
    }
}

/// Finds keys that stand in an object twice.
private enum DuplicateKeys {
    /// Up to here comparing every key with every other costs less than making a set.
    private static let few = 24

    static func count(
        _ nodes: UnsafeMutablePointer<TapeNode>, _ object: Int, _ bytes: UnsafeMutablePointer<UInt8>
    ) -> Int {
        let members = nodes[object].head >> 8
        if members < 2 { return 0 }
        if members <= few, let count = countFew(nodes, object, bytes) { return count }
        var seen: Set<String> = []
        seen.reserveCapacity(Int(members))
        var count = 0
        var key = object + 1
        while key < nodes[object].next {
            let node = nodes[key]
            let text = UnsafeBufferPointer(start: bytes + Int(node.start), count: Int(node.length))
            let name = node.isEscaped ? TapeString.unescape(text) : String(decoding: text, as: UTF8.self)
            if !seen.insert(name).inserted { count += 1 }
            key = Int(nodes[key + 1].next)
        }
        return count
    }

    /// Nil where a key has escapes, so that its bytes do not tell what it is.
    private static func countFew(
        _ nodes: UnsafeMutablePointer<TapeNode>, _ object: Int, _ bytes: UnsafeMutablePointer<UInt8>
    ) -> Int? {
        var count = 0
        var key = object + 1
        while key < nodes[object].next {
            let node = nodes[key]
            if node.isEscaped { return nil }
            var other = object + 1
            while other < key {
                if nodes[other].length == node.length,
                    memcmp(bytes + Int(nodes[other].start), bytes + Int(node.start), Int(node.length)) == 0
                {
                    count += 1
                    break
                }
                other = Int(nodes[other + 1].next)
            }
            key = Int(nodes[key + 1].next)
        }
        return count
    }
}
