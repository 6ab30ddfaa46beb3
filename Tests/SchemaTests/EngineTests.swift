import Document
import Schema
import Testing

@Suite struct EngineTests {
    @Test func readsTheSample() {
        #expect(sample.mistakes == [])
        let robot = sample.resource(group: "sample.dev", version: "v1", plural: "robots")
        #expect(robot?.shortNames == ["ro"])
        #expect(robot?.hasStatus == true)
        #expect(robot?.verbs.count == 8)
        #expect(sample.type(group: "sample.dev", version: "v1", name: "RobotList") != nil)
    }

    @Test func reportsWhatItDoesNotUnderstand() {
        let registry = Registry(groups: [
            GroupText(
                group: "x", version: "v1", package: "x",
                texts: """
                    type A
                      b string sometimes
                      c Missing
                    what is this
                    """)
        ])
        #expect(
            registry.mistakes == [
                "x/v1: line 2: unknown word sometimes", "x/v1: line 4: neither kind nor type",
                "x/v1: type Missing is not declared",
            ])
    }

    private func completed(_ spec: String) throws -> String {
        var object = try Document(json: #"{"spec":"# + spec + "}")
        let type = try Sample().type
        sample.applyDefaults(to: &object, type: type)
        var again = object
        sample.applyDefaults(to: &again, type: type)
        #expect(again == object)
        return object["spec"]?.jsonText ?? "nothing"
    }

    @Test func fillsInAndDrops() throws {
        #expect(
            try completed(#"{"owner":"","count":0,"tags":[],"limits":{},"arms":[{"reach":0}],"unknown":0}"#)
                == #"{"arms":[{"name":""}],"unknown":0,"size":3,"mode":"Idle","engine":{"power":7}}"#)
        #expect(
            try completed(#"{"size":0,"mode":"","engine":{"power":0},"spare":{},"count":null}"#)
                == #"{"size":0,"engine":{"power":0},"spare":{"power":7},"mode":"Idle"}"#)
    }

    private func errors(_ spec: String) throws -> [String] {
        sample.validate(try Document(json: #"{"spec":"# + spec + "}"), type: try Sample().type).map(\.text)
    }

    @Test func findsEveryError() throws {
        #expect(try errors(#"{"owner":"o"}"#) == [])
        #expect(
            try errors(#"{"arms":[{"name":"a"},{"name":"a"}],"tags":["x","x"],"size":10,"mode":"Odd"}"#) == [
                #"spec.arms[1].name: Duplicate value: "a""#, #"spec.tags[1]: Duplicate value: "x""#,
                "spec.size: Invalid value: 10: must be between 1 and 9, inclusive",
                #"spec.mode: Unsupported value: "Odd": supported values: "Busy", "Idle""#,
                "spec.owner: Required value",
            ])
        #expect(
            try errors(#"{"owner":"o","count":"1","limits":{"cpu":"x"}}"#) == [
                #"spec.limits[cpu]: Invalid value: "x": must be of type quantity"#,
                #"spec.count: Invalid value: "1": must be of type integer"#,
            ])
    }

    @Test func holdsImmutableFields() throws {
        let errors = sample.validateUpdate(
            try Document(json: #"{"spec":{"owner":"new"}}"#), old: try Document(json: #"{"spec":{"owner":"old"}}"#),
            type: try Sample().type)
        #expect(errors.map(\.text) == [#"spec.owner: Invalid value: "new": field is immutable"#])
    }

    @Test func findsUnknownAndRepeatedFields() throws {
        let text =
            #"{"spec":{"arms":[{"nam":1,"name":"a"}],"anything":{"x":1},"siz":1,"siz":2},"metadata":{"labels":{"a":"b","a":"c"}}}"#
        var object = try Document(json: text)
        let type = try Sample().type
        #expect(sample.unknownFields(in: object, type: type) == ["spec.arms[0].nam", "spec.siz"])
        #expect(DuplicateFields.find(in: Array(text.utf8)) == ["spec.siz", "metadata.labels.a"])
        sample.prune(&object, type: type)
        #expect(
            object.jsonText
                == #"{"spec":{"arms":[{"name":"a"}],"anything":{"x":1}},"metadata":{"labels":{"a":"c"}}}"#)
    }

    @Test func explainsWhatCannotBeRead() throws {
        let type = try Sample().type
        func error(_ spec: String) throws -> String? {
            sample.decodingError(in: try Document(json: #"{"spec":"# + spec + "}"), type: type)
        }
        #expect(try error("{}") == nil)
        #expect(
            try error(#"{"arms":{}}"#)
                == "json: cannot unmarshal object into Go struct field RobotSpec.spec.arms of type []v1.Arm")
        #expect(
            try error(#"{"count":1.5}"#)
                == "json: cannot unmarshal number 1.5 into Go struct field RobotSpec.spec.count of type int32")
        #expect(
            try error(#"{"arms":[{"joints":"x"}]}"#)
                == "json: cannot unmarshal string into Go struct field Arm.spec.arms.joints of type []string")
    }
}

@Suite struct QuantityTests {
    @Test(arguments: [
        ("0", "0"), ("1000m", "1"), ("1500m", "1500m"), ("1.5", "1500m"), ("1Gi", "1Gi"), ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"), ("1000Ki", "1000Ki"), ("512Ki", "512Ki"), ("100", "100"), ("1e3", "1e3"), ("2E", "2E"),
        ("12000k", "12M"), ("0.1", "100m"), ("-5", "-5"), ("100u", "100u"), ("0.5Ki", "512"), ("1Ki", "1Ki"),
    ])
    func writesTheCanonicalForm(text: String, canonical: String) {
        #expect(Quantity(text)?.description == canonical)
    }

    @Test(arguments: ["", "x", "1.2.3", "1kk", "--1", "1 ", "e", "."])
    func refuses(text: String) { #expect(Quantity(text) == nil) }

    @Test func computes() throws {
        let half = try #require(Quantity("500m"))
        #expect((half + half).description == "1")
        #expect(half < Quantity(1))
        #expect(half.value == 1)
        #expect(half.milliValue == 500)
    }
}
