import Document
import Testing

@Suite("JSON Patch")
struct PatchTests {
    @Test(.enabled(if: Vectors.folder != nil, "LAB_VECTORS names no folder"), arguments: ["tests", "spec_tests"])
    func thePublishedCases(file: String) throws {
        let cases = try Document(json: Vectors.read("jsonpatch/\(file).json")).elements
        #expect(!cases.isEmpty)
        // These two say the same member twice in one object; a parsed document does not show that any more.
        let unseen = ["patch has two 'op' members", "operation has two 'op' members"]
        for entry in cases where entry["patch"] != nil && entry.flag("disabled") != true {
            if unseen.contains(entry.text("error") ?? "") { continue }
            let name = entry.text("comment") ?? entry.jsonText
            let patch = try #require(entry["patch"])
            let result = try? (entry["doc"] ?? .null).applyingJSONPatch(patch)
            if let expected = entry["expected"] {
                #expect(result.map { $0.means(expected) } == true, "\(name): \(result?.jsonText ?? "refused")")
            } else if entry["error"] != nil {
                #expect(result == nil, "\(name): \(result?.jsonText ?? "")")
            }
        }
    }

    @Test func nothingHappensWhenOneOperationFails() {
        let document: Document = ["a": 1]
        let patch: Document = [
            ["op": "add", "path": "/b", "value": 2], ["op": "test", "path": "/a", "value": 3],
        ]
        #expect(throws: PatchError(.testFailed, "testing value /a failed")) { try document.applyingJSONPatch(patch) }
    }

    @Test func copiesCannotExplode() {
        let operations = (0..<60).map { _ in
            ["op": "copy", "from": "/a", "path": "/a/-"] as Document
        }
        #expect(throws: PatchError.self) { try (["a": [1]] as Document).applyingJSONPatch(Document(operations)) }
    }

    /// Few values, but large ones.
    @Test func copiesOfLargeValuesAreCounted() {
        let operations = (0..<60).map { number in
            ["op": "copy", "from": "/a", "path": Document("/b\(number)")] as Document
        }
        let large: Document = ["a": Document(String(repeating: "x", count: 100_000))]
        #expect(throws: PatchError.self) { try large.applyingJSONPatch(Document(operations)) }
    }

    @Test func patchesCannotNestWithoutBound() {
        var path = "/a"
        let operations = (0..<20).map { _ in
            defer { path += path }
            return ["op": "copy", "from": "/a", "path": Document(path + "/a")] as Document
        }
        #expect(throws: PatchError.self) { try (["a": [:]] as Document).applyingJSONPatch(Document(operations)) }
        let deep = String(repeating: "[", count: 600) + String(repeating: "]", count: 600)
        let add = { (path: String) in "{\"op\":\"add\",\"path\":\"\(path)\",\"value\":\(deep)}" }
        let into = String(repeating: "/0", count: 599) + "/-"
        #expect(throws: PatchError.self) {
            try Document.emptyObject.applyingJSONPatch(Document(json: "[\(add("/a")),\(add("/a\(into)"))]"))
        }
    }

    @Test func aValueCannotMoveIntoItself() {
        let patch: Document = [["op": "move", "from": "/a", "path": "/a/b"]]
        #expect(throws: PatchError.self) { try (["a": ["b": 1]] as Document).applyingJSONPatch(patch) }
    }

    /// The table of RFC 7386's appendix.
    @Test(arguments: [
        (#"{"a":"b"}"#, #"{"a":"c"}"#, #"{"a":"c"}"#), (#"{"a":"b"}"#, #"{"b":"c"}"#, #"{"a":"b","b":"c"}"#),
        (#"{"a":"b"}"#, #"{"a":null}"#, "{}"), (#"{"a":"b","b":"c"}"#, #"{"a":null}"#, #"{"b":"c"}"#),
        (#"{"a":["b"]}"#, #"{"a":"c"}"#, #"{"a":"c"}"#), (#"{"a":"c"}"#, #"{"a":["b"]}"#, #"{"a":["b"]}"#),
        (#"{"a":{"b":"c"}}"#, #"{"a":{"b":"d","c":null}}"#, #"{"a":{"b":"d"}}"#), ("[1]", #"{"a":1}"#, #"{"a":1}"#),
        (#"["a","b"]"#, #"["c","d"]"#, #"["c","d"]"#), (#"{"a":"b"}"#, #"["c"]"#, #"["c"]"#),
        (#"{"a":"foo"}"#, "null", "null"), (#"{"e":null}"#, #"{"a":1}"#, #"{"e":null,"a":1}"#),
        ("{}", #"{"a":{"bb":{"ccc":null}}}"#, #"{"a":{"bb":{}}}"#),
    ])
    func mergePatch(target: String, patch: String, result: String) throws {
        #expect(try Document(json: target).applyingMergePatch(Document(json: patch)).jsonText == result)
    }
}
