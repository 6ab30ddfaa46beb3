/// A pattern for one line: `*` stands for any text, `{name}` for a text without spaces that is looked at afterwards,
/// everything else for itself. It must match the whole line.
struct TextPattern: Sendable, Equatable {
    private enum Piece: Sendable, Equatable {
        case literal([UInt8])
        case any
        case capture(String)
    }

    let text: String
    private let pieces: [Piece]

    /// Nil where a brace is not closed.
    init?(_ text: String) {
        self.text = text
        var pieces: [Piece] = []
        var literal: [UInt8] = []
        func flush() {
            if !literal.isEmpty { pieces.append(.literal(literal)) }
            literal = []
        }
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "*"):
                flush()
                if pieces.last != .any { pieces.append(.any) }
            // A variable stays as it is until its value is known.
            case UInt8(ascii: "$") where rest.first == UInt8(ascii: "{"):
                guard let end = rest.firstIndex(of: UInt8(ascii: "}")) else { return nil }
                literal += [byte] + rest[...end]
                rest = rest[(end + 1)...]
            case UInt8(ascii: "{"):
                flush()
                guard let end = rest.firstIndex(of: UInt8(ascii: "}")) else { return nil }
                pieces.append(.capture(String(decoding: rest[..<end], as: UTF8.self)))
                rest = rest[(end + 1)...]
            default: literal.append(byte)
            }
        }
        flush()
        self.pieces = pieces
    }

    var names: [String] {
        pieces.compactMap { if case .capture(let name) = $0, !name.isEmpty { name } else { nil } }
    }

    /// What the names stand for; nil where the line does not match.
    func match(_ line: some StringProtocol) -> [String: String]? {
        var found: [String: String] = [:]
        return Self.match(pieces[...], Array(line.utf8)[...], &found) ? found : nil
    }

    private static func match(
        _ pieces: ArraySlice<Piece>, _ text: ArraySlice<UInt8>, _ found: inout [String: String]
    ) -> Bool {
        guard let piece = pieces.first else { return text.isEmpty }
        let rest = pieces.dropFirst()
        switch piece {
        case .literal(let literal):
            return text.starts(with: literal) && match(rest, text.dropFirst(literal.count), &found)
        case .any:
            if rest.isEmpty { return true }
            var here = text
            while true {
                if match(rest, here, &found) { return true }
                if here.popFirst() == nil { return false }
            }
        case .capture(let name):
            var end = text.startIndex
            while end < text.endIndex, text[end] != 32 {
                end += 1
                if match(rest, text[end...], &found) {
                    if !name.isEmpty { found[name] = String(decoding: text[..<end], as: UTF8.self) }
                    return true
                }
            }
            return false
        }
    }
}
