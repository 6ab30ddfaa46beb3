import Testing

@testable import Document

/// Documents that were parsed, and what becomes of them when they are changed.
@Suite("Parsed documents")
struct TapeTests {
    @Test func readsWithoutMakingMembers() throws {
        let document = try Document(json: #" {"a" : {"b":[1,"x",null,true,2.5]}, "é":"\u00e9\n", "k\"q":0 } "#)
        #expect(document.count == 3 && document.isObject && document["absent"] == nil)
        #expect(document.at("a", "b")?.count == 5 && document.at("a", "b", "c") == nil)
        #expect(document.list("a", "b") == [1, "x", .null, true, 2.5])
        #expect(document["a"]?["b"]?[1] == "x" && document.at("a", "b")?[4].double == 2.5)
        #expect(document.text("é") == "é\n" && document.number("k\"q") == 0)
        #expect(document.members.map(\.key) == ["a", "é", "k\"q"])
    }

    @Test func changesLeaveTheSourceAndItsOtherHoldersAlone() throws {
        let text = #"{"spec":{"a":[1,2,{"deep":true}],"b":{"c":"d"}},"status":{"phase":"x"}}"#
        let original = try Document(json: text)
        var copy = original
        copy.set("y", at: "status", "phase")
        var list = try #require(copy.at("spec", "a"))
        list[2]["deep"] = false
        list.append(.null)
        copy.set(list, at: "spec", "a")
        copy["spec"]?["b"] = nil
        #expect(original.jsonText == text)
        #expect(copy.jsonText == #"{"spec":{"a":[1,2,{"deep":false},null]},"status":{"phase":"y"}}"#)
    }

    /// White space, escapes and numbers that we would write in another way are written our way.
    @Test(arguments: [
        ("{ \"a\" : [ 1 , 2 ] }", #"{"a":[1,2]}"#), (#"{"a":["A\/\u00e9"]}"#, #"{"a":["A/é"]}"#),
        ("[-0,1.0,1e2,0.10]", "[0,1,100,0.1]"), (#"["a\"b\\c\nd\re\tf"]"#, #"["a\"b\\c\nd\re\tf"]"#),
        (#"["\u0001\u001F"]"#, #"["\u0001\u001f"]"#), (#"{"\u0061":1,"a":2,"b":3,"a":4}"#, #"{"a":4,"b":3}"#),
        ("[[[ ]],{}]", "[[[]],{}]"), (#"[{"a":1},{"a": 1}]"#, #"[{"a":1},{"a":1}]"#),
        ("9223372036854775807", "9223372036854775807"), ("[9223372036854775808]", "[9.223372036854776e+18]"),
        (#""\ud83d\ude00""#, "\"😀\""), (#""\ude00\ud83d!""#, "\"\u{FFFD}\u{FFFD}!\""),
    ])
    func writesTheCanonicalForm(text: String, written: String) throws {
        let document = try Document(json: text)
        #expect(document.jsonText == written)
        #expect(try Document(json: document.json).means(document))
    }

    @Test func equalityDoesNotDependOnTheForm() throws {
        let made: Document = ["a": [1, "x", ["b": 2.5]], "c": .null]
        let compact = try Document(json: made.json)
        let spaced = try Document(json: "{ \"a\" : [1,\"\\u0078\",{\"b\":2.50}],\"c\":null}")
        let swapped = try Document(json: #"{"c":null,"a":[1,"x",{"b":2.5}]}"#)
        for (one, two) in [(made, compact), (compact, spaced), (made, spaced), (spaced, compact)] {
            #expect(one == two && one.means(two))
        }
        #expect(compact != swapped && compact.means(swapped) && swapped.means(made))
        #expect(try Document(json: "[1]") != Document(json: "[1.0]"))
        #expect(try Document(json: "[1]").means(Document(json: "[1.0]")))
        #expect(Document("e\u{301}") != Document("é"))
        #expect(try Document(json: #"["a"]"#) != Document(json: #"["b"]"#))
    }

    @Test func aDetachedPartIsTheSameValueAlone() throws {
        let document = try Document(json: #"{"items":[{"n":1,"s":["a","b\n"]},{"n": 2}],"rest":"xxxxxxxx"}"#)
        for item in document.list("items") {
            let alone = item.detached
            #expect(alone == item && alone.json == item.json)
            guard case .tape(let tape, _) = alone.representation else {
                Issue.record("no tape")
                continue
            }
            #expect(tape.byteCount <= 26)
        }
        #expect(document.at("items")?[0].detached.list("s") == ["a", "b\n"])
        #expect(try #require(document["rest"]).detached.string == "xxxxxxxx")
    }

    @Test func nestingIsBoundedWithoutCostingStack() throws {
        let depth = Document.deepestNesting
        let deepest = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        #expect(try Document(json: deepest).jsonText == deepest)
        #expect(throws: DocumentError.self) { try Document(json: "[" + deepest + "]") }
    }

    @Test func aTextMayEndAnywhere() {
        let text = Array(#"{"a":[1.5e+3,"\u00e9\n",true,null,-2],"b":{"c":"é😀"}}"#.utf8)
        for count in 0..<text.count {
            #expect(throws: DocumentError.self) { try Document(json: Array(text[..<count])) }
        }
    }

    @Test func stringsOfEveryLengthEndWhereTheyEnd() throws {
        for length in 0..<40 {
            for special in ["", "\"", "\\", "é", "\n", "\u{7F}", "😀"] {
                let text = String(repeating: "a", count: length) + special + "bcdefghi"
                let document = Document([Document(text), "next"])
                #expect(try Document(json: document.json).elements.map(\.string) == [text, "next"])
            }
            var bad = Array("\"".utf8) + [UInt8](repeating: 97, count: length) + [31] + Array("bcdefghij\"".utf8)
            #expect(throws: DocumentError.self) { try Document(json: bad) }
            bad[length + 1] = 0xFF
            #expect(throws: DocumentError.self) { try Document(json: bad) }
        }
    }
}
