import Document
import Testing

/// Generated and damaged texts with fixed seeds: nothing crashes, and what is accepted means itself.
@Suite("Fuzz")
struct FuzzTests {
    private static func scalar(_ random: inout Seeded) -> Document {
        let words = [
            "", "yes", "no", "null", "~", "0x10", "010", "1:30", "a: b", "- a", "#x", "x #y", "two\nlines\n", " lead",
            "tail ",
            "é😀", "\u{1}", "\"", "'", "\\", "1e3", ".5", "<<", "{}", "[]", "|", "a\tb", "\n", "\r\n", "...", "---",
            "%a",
            "@a", "`a", "2001-01-01", "-", "?", ":", "!t", "&a", "*a", "\u{FEFF}", "\u{2028}", "a\n\n  b", "\n x",
        ]
        switch Int.random(in: 0..<8, using: &random) {
        case 0: return .null
        case 1: return Document(Bool.random(using: &random))
        case 2: return Document(Int64.random(in: .min ... .max, using: &random))
        case 3: return Document(Double(Int.random(in: -9_999...9_999, using: &random)) / 64 + 0.001)
        default: return Document(words.randomElement(using: &random) ?? "")
        }
    }

    private static func document(_ random: inout Seeded, depth: Int) -> Document {
        guard depth > 0 else { return scalar(&random) }
        switch Int.random(in: 0..<4, using: &random) {
        case 0: return scalar(&random)
        case 1:
            return Document(
                (0..<Int.random(in: 0..<5, using: &random)).map { _ in document(&random, depth: depth - 1) })
        default:
            let count = Int.random(in: 0..<6, using: &random)
            return Document(
                members: (0..<count).map { _ in
                    (scalar(&random).string ?? "k\(count)", document(&random, depth: depth - 1))
                })
        }
    }

    @Test func whatIsWrittenReadsBack() throws {
        var random = Seeded(state: 1)
        for _ in 0..<2_000 {
            let original = Self.document(&random, depth: 4)
            #expect(try Document(json: original.json) == original)
            let yaml = original.yaml
            let back = try Document(yaml: yaml)
            #expect(back == original, "\(original.jsonText) as\n\(String(decoding: yaml, as: UTF8.self))")
        }
    }

    /// The same changes to a document that was made and to its parsed twin lead to the same value.
    @Test func parsedDocumentsChangeAsMadeOnesDo() throws {
        var random = Seeded(state: 4)
        for _ in 0..<1_000 {
            var made = Document(members: [
                ("a", Self.document(&random, depth: 3)), ("b", Self.document(&random, depth: 3)),
            ])
            var parsed = try Document(json: made.json)
            for _ in 0..<4 {
                let value = Bool.random(using: &random) ? Self.document(&random, depth: 2) : nil
                let path = (0..<Int.random(in: 1...3, using: &random)).map { _ in
                    ["a", "b", "k3", "k5", "yes"].randomElement(using: &random) ?? "a"
                }
                made.set(value, path: path[...])
                parsed.set(value, path: path[...])
                #expect(parsed == made && made == parsed && parsed.means(made))
                #expect(parsed.json == made.json)
                if Bool.random(using: &random) { parsed = try Document(json: parsed.json) }
            }
        }
    }

    @Test func damagedTextsAreRefusedOrMeanSomething() throws {
        var random = Seeded(state: 2)
        for _ in 0..<3_000 {
            var bytes = Self.document(&random, depth: 4).json
            for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
                let place = bytes.indices.randomElement(using: &random) ?? 0
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: place)
                default: bytes.insert(UInt8(ascii: "{"), at: place)
                }
            }
            if let parsed = try? Document(json: bytes) { #expect(try Document(json: parsed.json) == parsed) }
            if let parsed = try? Document(yaml: bytes) { #expect(try Document(yaml: parsed.yaml) == parsed) }
        }
    }

    @Test func mergePatchesLeadThere() {
        var random = Seeded(state: 3)
        func withoutNulls(_ document: Document) -> Document {
            guard document.isObject else { return document }
            return Document(
                members: document.members.filter { !$0.value.isNull }.map { ($0.key, withoutNulls($0.value)) })
        }
        for _ in 0..<500 {
            let from = withoutNulls(Self.document(&random, depth: 3))
            let to = withoutNulls(Self.document(&random, depth: 3))
            #expect(from.applyingMergePatch(.mergePatch(from: from, to: to)).means(to))
        }
    }
}
