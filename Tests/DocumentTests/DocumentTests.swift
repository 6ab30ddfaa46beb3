import Document
import Testing

@Suite("Documents")
struct DocumentTests {
    @Test func changesReachOnlyTheChangedValue() throws {
        let original: Document = ["spec": ["a": 1, "b": ["c": true]], "x": [1, 2]]
        var copy = original
        copy.set("new", at: "spec", "b", "c")
        copy.set(nil, at: "spec", "a")
        copy["x"]?[0] = 7
        #expect(original.jsonText == #"{"spec":{"a":1,"b":{"c":true}},"x":[1,2]}"#)
        #expect(copy.jsonText == #"{"spec":{"b":{"c":"new"}},"x":[7,2]}"#)
    }

    @Test func removingWhatIsAbsentMakesNothing() {
        var document: Document = ["a": 1]
        document.set(nil, at: "b", "c")
        #expect(document == ["a": 1])
    }
}
