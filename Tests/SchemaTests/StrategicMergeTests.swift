import Document
import Schema
import Testing

let sampleGroup = GroupText(
    group: "sample.dev", version: "v1", package: "dev.sample.v1",
    texts: """
        kind Robot robots robot namespaced short=ro generation
          /status get,patch,update
          column Name string format=name "What it is called."

        type Robot object "Moves things."
          spec RobotSpec "What is wanted."

        type RobotSpec
          arms      [Arm] map(name) merge(name) unique
          tags      [string] set merge unique
          notes     [string] atomic
          size      int32? = 3 min=1 max=9
          mode      string = Idle enum(Busy,Idle)
          owner     string nonempty immutable
          engine    Engine
          spare     Engine? retainKeys
          limits    {quantity}
          count     int32
          anything  any?

        type Arm
          name  string required
          reach int32
          joints [string]

        type Engine
          power int32? = 7
          fuel  string
        """)

let sample = Registry(groups: [
    sampleGroup,
    GroupText(
        group: "meta", version: "v1", package: "meta.v1",
        texts: """
            type ObjectMeta
              name string
              labels {string}
            type ListMeta
              resourceVersion string
            """),
])

struct Sample {
    let type: TypeID
    init() throws {
        type = try #require(sample.resource(group: "sample.dev", version: "v1", kind: "Robot")).type
    }
}

@Suite struct StrategicMergeTests {
    private func merge(_ patch: String, into object: String) throws -> String {
        try sample.strategicMerge(
            try Document(json: #"{"spec":"# + patch + "}"), into: try Document(json: #"{"spec":"# + object + "}"),
            type: try Sample().type
        )["spec"]?.jsonText ?? "nothing"
    }

    @Test(arguments: [
        // Elements are found by their key and changed; the patch's order holds among those that it names.
        (
            #"{"arms":[{"name":"b","reach":5},{"name":"c"}]}"#, #"{"arms":[{"name":"a"},{"name":"b","reach":1}]}"#,
            #"{"arms":[{"name":"a"},{"name":"b","reach":5},{"name":"c"}]}"#
        ),
        (
            #"{"arms":[{"name":"a","$patch":"delete"}]}"#, #"{"arms":[{"name":"a"},{"name":"b"}]}"#,
            #"{"arms":[{"name":"b"}]}"#
        ),
        (
            #"{"arms":[{"$patch":"replace"},{"name":"z"}]}"#, #"{"arms":[{"name":"a"},{"name":"b"}]}"#,
            #"{"arms":[{"name":"z"}]}"#
        ),
        (
            #"{"arms":[{"name":"a","$patch":"replace","reach":2}]}"#, #"{"arms":[{"name":"a","joints":["x"]}]}"#,
            #"{"arms":[{"name":"a","reach":2}]}"#
        ),
        (#"{"tags":["c","a"]}"#, #"{"tags":["a","b"]}"#, #"{"tags":["c","a","b"]}"#),
        (#"{"$deleteFromPrimitiveList/tags":["a"]}"#, #"{"tags":["a","b"]}"#, #"{"tags":["b"]}"#),
        (#"{"notes":["z"]}"#, #"{"notes":["a","b"]}"#, #"{"notes":["z"]}"#),
        (
            #"{"owner":null,"engine":{"fuel":null}}"#, #"{"owner":"o","engine":{"fuel":"f","power":1}}"#,
            #"{"engine":{"power":1}}"#
        ),
        (#"{"spare":{"$retainKeys":["fuel"],"fuel":"new"}}"#, #"{"spare":{"power":1}}"#, #"{"spare":{"fuel":"new"}}"#),
        (#"{"spare":{"$patch":"delete"}}"#, #"{"spare":{"power":1}}"#, #"{"spare":{}}"#),
        // Order: b and a as the patch says; x, which only the server has, stays before what it stood before.
        (
            ##"{"$setElementOrder/arms":[{"name":"b"},{"name":"a"}],"arms":[{"name":"b","reach":1}]}"##,
            #"{"arms":[{"name":"x"},{"name":"a"},{"name":"b"}]}"#,
            #"{"arms":[{"name":"x"},{"name":"b","reach":1},{"name":"a"}]}"#
        ),
        (
            #"{"$setElementOrder/tags":["b","a"],"tags":["b"]}"#, #"{"tags":["a"]}"#, #"{"tags":["b","a"]}"#
        ),
        // A new object keeps nothing of the directives.
        (#"{"spare":{"$retainKeys":["fuel"],"fuel":"x","power":null}}"#, "{}", #"{"spare":{"fuel":"x"}}"#),
    ])
    func merges(patch: String, object: String, expected: String) throws {
        #expect(try merge(patch, into: object) == expected)
    }

    @Test func refusesElementsWithoutTheirKey() {
        #expect(throws: StrategicMergeError.self) { try merge(#"{"arms":[{"reach":1}]}"#, into: #"{"arms":[]}"#) }
        #expect(throws: StrategicMergeError.self) { try merge(#"{"engine":{"$patch":"odd"}}"#, into: "{}") }
    }
}
