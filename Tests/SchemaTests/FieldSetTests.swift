import Document
import Testing

@testable import Schema

@Suite struct FieldSetTests {
    private func set(_ text: String) throws -> FieldSet {
        try #require(FieldSet(try Document(json: text.utf8)))
    }

    private func text(_ set: FieldSet) -> String {
        var out: [UInt8] = []
        set.write(to: &out)
        return String(decoding: out, as: UTF8.self)
    }

    @Test func wireFormIsReadAndWrittenAlike() throws {
        let wire =
            #"{"f:metadata":{"f:finalizers":{".":{},"v:\"a/b\"":{}}},"#
            + #""f:spec":{"f:ports":{"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},"f:name":{}}},"f:x":{}}}"#
        #expect(text(try set(wire)) == wire)
    }

    @Test(arguments: [#"{"g:x":{}}"#, #"{"f:x":1}"#, #"{"k:[1]":{}}"#, #"{"i:x":{}}"#, #"{"v:{":{}}"#, "[]"])
    func whatIsNoSetIsRefused(_ wire: String) throws {
        #expect(FieldSet(try Document(json: wire.utf8)) == nil)
    }

    @Test func membersStandInOrderWhateverOrderCame() throws {
        #expect(text(try set(#"{"f:b":{},"f:a":{"f:d":{},"f:c":{}}}"#)) == #"{"f:a":{"f:c":{},"f:d":{}},"f:b":{}}"#)
    }

    @Test func operationsSeeFieldsAndNotWhatIsBelow() throws {
        let a = try set(#"{"f:a":{".":{},"f:x":{},"f:y":{}},"f:b":{}}"#)
        let b = try set(#"{"f:a":{"f:x":{}},"f:c":{}}"#)
        #expect(text(a.union(b)) == #"{"f:a":{".":{},"f:x":{},"f:y":{}},"f:b":{},"f:c":{}}"#)
        #expect(text(a.subtracting(b)) == #"{"f:a":{".":{},"f:y":{}},"f:b":{}}"#)
        #expect(text(a.intersection(b)) == #"{"f:a":{"f:x":{}}}"#)
        #expect(text(a.subtracting(try set(#"{"f:a":{}}"#))) == #"{"f:a":{"f:x":{},"f:y":{}},"f:b":{}}"#)
        #expect(text(a.subtractingRecursively(try set(#"{"f:a":{}}"#))) == #"{"f:b":{}}"#)
        #expect(a.subtracting(a).isEmpty)
    }

    @Test func pathsAreShownAsMessagesShowThem() throws {
        let set = try set(
            #"{"f:m":{"v:\"x\"":{}},"f:ports":{"k:{\"port\":80,\"protocol\":\"TCP\"}":{"f:name":{}}},"i:3":{}}"#)
        #expect(set.texts == ["[3]", #".m[="x"]"#, #".ports[port=80,protocol="TCP"].name"#])
    }
}
