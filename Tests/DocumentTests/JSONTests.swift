import Document
import Testing

@Suite("JSON")
struct JSONTests {
    @Test(arguments: [
        "null", "true", "[]", "{}", "0", "-1", "1.5", "\"\"", #"{"a":[1,{"b":null}],"":"x"}"#,
        #""\"\\\n\r\t\u0000\u001f""#, "9223372036854775807", "-9223372036854775808",
    ])
    func compactTextReadsAndWritesBack(text: String) throws {
        #expect(try Document(json: text).jsonText == text)
    }

    @Test(arguments: [
        ("{\"a\":1,\n \"b\" 2}", 2, 6), ("[1,\n2,\n]", 3, 1), ("01", 1, 1), ("\"\\x\"", 1, 3), ("", 1, 1),
        ("1e999", 1, 6),
    ])
    func errorsNameThePlace(text: String, line: Int, column: Int) {
        let error = #expect(throws: DocumentError.self) { try Document(json: text) }
        #expect(error?.line == line && error?.column == column, "\(error.map(String.init) ?? "")")
    }

    @Test func duplicatesAreReportedAndTheLastCounts() throws {
        var duplicates: [String] = []
        let text = #"{"a":1,"spec":{"containers":[{"image":"x","image":"y"}]},"a":2}"#
        let document = try Document(json: text.utf8, duplicates: &duplicates)
        #expect(duplicates == ["spec.containers[0].image", "a"])
        #expect(document.jsonText == #"{"a":2,"spec":{"containers":[{"image":"y"}]}}"#)
    }

    @Test func aLargeObjectKeepsEveryMemberOnce() throws {
        let text = "{" + (0..<5_000).map { "\"k\($0 % 4_000)\":\($0)" }.joined(separator: ",") + "}"
        var duplicates: [String] = []
        let document = try Document(json: text.utf8, duplicates: &duplicates)
        #expect(document.count == 4_000 && duplicates.count == 1_000)
        #expect(document["k7"] == 4_007 && document["k3999"] == 3_999)
    }

    @Test func nestingIsBounded() {
        let deep = String(repeating: "[", count: 100_000)
        #expect(throws: DocumentError.self) { try Document(json: deep) }
    }

    @Test func surrogatesReadAsGoReadsThem() throws {
        #expect(try Document(json: #""\ud83d\ude00""#).string == "😀")
        #expect(try Document(json: #""\ud83dx""#).string == "\u{FFFD}x")
        #expect(try Document(json: #""\ud83dA""#).string == "\u{FFFD}A")
    }

    @Test(.enabled(if: Vectors.folder != nil, "LAB_VECTORS names no folder"))
    func theTestSuiteOfJSON() throws {
        var wrong: [String] = []
        let names = try Vectors.names("json")
        for name in names {
            let parsed = try? Document(json: Vectors.read("json/\(name)"))
            if name.hasPrefix("y_"), parsed == nil { wrong.append(name) }
            if name.hasPrefix("n_"), parsed != nil { wrong.append(name) }
            if let parsed {
                let again = try Document(json: parsed.json)
                if again.json != parsed.json { wrong.append("\(name) (written)") }
            }
        }
        #expect(names.count > 300)
        #expect(wrong == [])
    }
}
