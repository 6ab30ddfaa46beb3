import Document
import Testing

@testable import Schema

@Suite struct ApplyTests {
    private let registry = Registry(groups: [metaForApply, partsGroup])

    private var type: TypeID {
        get throws { try #require(registry.type(group: "parts.dev", version: "v1", name: "Robot")) }
    }

    private func updater(now: String = "2030-01-01T00:00:00Z", ignored: FieldSet = FieldSet()) throws -> FieldUpdater {
        FieldUpdater(type: try type, apiVersion: "v1", ignored: ignored, now: now) { _, _ in nil }
    }

    private func writer(_ name: String, apply: Bool = false) -> ManagedEntry.Identity {
        ManagedEntry.Identity(manager: name, isApply: apply, apiVersion: "v1", subresource: "")
    }

    private func json(_ text: String) throws -> Document { try Document(json: text.utf8) }

    /// The fields that one manager owns, as on the wire.
    private func fields(_ managed: ManagedFields, _ identity: ManagedEntry.Identity) -> String? {
        guard let entry = managed[identity] else { return nil }
        var out: [UInt8] = []
        entry.fields.write(to: &out)
        return String(decoding: out, as: UTF8.self)
    }

    /// Applies in turn, each time to what came of it before.
    private func apply(_ steps: [(String, String)]) throws -> (Document, ManagedFields) {
        var live = try updater().zero
        var managed = ManagedFields()
        for (name, text) in steps {
            live =
                try updater().apply(
                    try json(text), to: live, &managed, by: writer(name, apply: true), force: false) ?? live
        }
        return (live, managed)
    }

    @Test func creatingOwnsEveryPartAndNoBookkeeping() throws {
        var managed = ManagedFields()
        let new = try json(
            #"{"metadata":{"name":"r","uid":"u","labels":{"a":"1"}},"spec":{"size":3,"arms":[{"name":"l","reach":1}],"#
                + #""engine":{"power":1}},"status":{}}"#)
        #expect(try updater().update(&managed, from: updater().zero, to: new, by: writer("me")))
        #expect(
            fields(managed, writer("me"))
                == #"{"f:metadata":{"f:labels":{".":{},"f:a":{}}},"f:spec":{"f:arms":{".":{},"k:{\"name\":\"l\"}":{"#
                + #"".":{},"f:name":{},"f:reach":{}}},"f:engine":{},"f:size":{}}}"#)
    }

    @Test func changingTakesFromTheOwnerAndRemovingFromEverybody() throws {
        var managed = ManagedFields()
        let a = try json(#"{"metadata":{"name":"r"},"spec":{"labels":{"x":"1","y":"1"}}}"#)
        let b = try json(#"{"metadata":{"name":"r"},"spec":{"labels":{"x":"2"}}}"#)
        _ = try updater().update(&managed, from: updater().zero, to: a, by: writer("one"))
        #expect(try updater(now: "2031-01-01T00:00:00Z").update(&managed, from: a, to: b, by: writer("two")))
        #expect(fields(managed, writer("one")) == #"{"f:spec":{"f:labels":{}}}"#)
        #expect(fields(managed, writer("two")) == #"{"f:spec":{"f:labels":{"f:x":{}}}}"#)
        #expect(managed[writer("one")]?.time == "2030-01-01T00:00:00Z")
        #expect(managed[writer("two")]?.time == "2031-01-01T00:00:00Z")
        #expect(try !updater().update(&managed, from: b, to: b, by: writer("three")))
        #expect(managed[writer("three")] == nil)
    }

    @Test func ignoredFieldsAreNobodys() throws {
        var managed = ManagedFields()
        let new = try json(#"{"spec":{"size":1},"status":{"phase":"x"}}"#)
        _ = try updater(ignored: FieldSet(path: ["f:status"])).update(
            &managed, from: updater().zero, to: new, by: writer("me"))
        #expect(fields(managed, writer("me")) == #"{"f:spec":{"f:size":{}}}"#)
    }

    @Test func whatIsNoLongerAppliedGoesUnlessOthersOwnIt() throws {
        let (live, managed) = try apply([
            (
                "one",
                #"{"metadata":{"name":"r"},"spec":{"labels":{"a":"1","b":"2"},"arms":[{"name":"l"},{"name":"r"}]}}"#
            ),
            ("two", #"{"metadata":{"name":"r"},"spec":{"labels":{"b":"2"},"arms":[{"name":"r","reach":5}]}}"#),
            ("one", #"{"metadata":{"name":"r"},"spec":{"tags":["t"]}}"#),
        ])
        #expect(live.at("spec", "labels") == (try json(#"{"b":"2"}"#)))
        #expect(live.at("spec", "arms")?.means(try json(#"[{"name":"r","reach":5}]"#)) == true)
        #expect(fields(managed, writer("one", apply: true)) == #"{"f:spec":{"f:tags":{"v:\"t\"":{}}}}"#)
    }

    @Test func conflictsNameOwnersAndFields() throws {
        var live = try updater().zero
        var managed = ManagedFields()
        let a = try json(#"{"metadata":{"name":"r"},"spec":{"size":1,"labels":{"a":"1"}}}"#)
        live = try #require(
            try updater().apply(a, to: live, &managed, by: writer("one", apply: true), force: false))
        let b = try json(#"{"metadata":{"name":"r"},"spec":{"size":2,"labels":{"a":"2"}}}"#)
        let before = managed.document
        let error = #expect(throws: ApplyConflict.self) {
            _ = try updater().apply(b, to: live, &managed, by: writer("two", apply: true), force: false)
        }
        #expect(
            error?.message
                == "Apply failed with 2 conflicts: conflicts with \"one\":\n- .spec.size\n- .spec.labels.a")
        #expect(managed.document == before)
        let forced = try updater().apply(b, to: live, &managed, by: writer("two", apply: true), force: true)
        #expect(forced?.at("spec", "size")?.int == 2)
        #expect(managed[writer("one", apply: true)] == nil)
    }

    @Test func applyingWhatIsThereSharesItWithoutATime() throws {
        let text = #"{"metadata":{"name":"r"},"spec":{"size":1}}"#
        let (_, managed) = try apply([("one", text), ("two", text)])
        #expect(managed[writer("one", apply: true)]?.time == "2030-01-01T00:00:00Z")
        let two = try #require(managed[writer("two", apply: true)])
        #expect(two.time == nil)
        #expect(fields(managed, writer("two", apply: true)) == #"{"f:spec":{"f:size":{}}}"#)
    }

    @Test(arguments: [
        (["a", "b", "c"], ["b"], ["a", "b", "c"]), (["a", "b", "c"], ["c", "a"], ["b", "c", "a"]),
        (["a", "b"], ["x", "b"], ["a", "x", "b"]), ([], ["x", "y"], ["x", "y"]),
        (["a", "b", "c", "d"], ["d", "x", "a"], ["b", "c", "d", "x", "a"]),
    ])
    func listsTakeTheOrderOfTheConfiguration(_ live: [String], _ applied: [String], _ expected: [String]) throws {
        let merged = TypedMerge.merge(
            ["spec": ["tags": Document(live)]], ["spec": ["tags": Document(applied)]], .structure(try type.info))
        #expect(merged?.list("spec", "tags").compactMap(\.string) == expected)
    }

    @Test func whatCannotBeAppliedIsRefusedInTheKnownWords() throws {
        func problem(_ text: String) throws -> String? {
            let (updater, object) = (try updater(), try json(text))
            do throws(ApplyMistake) {
                try updater.check(object)
                return nil
            } catch { return error.message }
        }
        #expect(try problem(#"{"bogus":1}"#) == ".bogus: field not declared in schema")
        #expect(
            try problem(#"{"spec":{"labels":{"a":1}}}"#)
                == ".spec.labels.a: expected string, got &value.valueUnstructured{Value:1}")
        #expect(
            try problem(#"{"spec":{"arms":[{"name":"x"},{"name":"x"}]}}"#)
                == #".spec.arms: duplicate entries for key [name="x"]"#)
        #expect(try problem(#"{"spec":{"anything":{"x":[1]}}}"#) == nil)
    }

    @Test func undeclaredPartsAreDeduced() throws {
        var managed = ManagedFields()
        let new = try json(#"{"spec":{"anything":{"a":{"b":1},"l":[{"c":1}],"n":null}}}"#)
        _ = try updater().update(&managed, from: updater().zero, to: new, by: writer("me"))
        #expect(
            fields(managed, writer("me"))
                == #"{"f:spec":{"f:anything":{".":{},"f:a":{".":{},"f:b":{}},"f:l":{},"f:n":{}}}}"#)
    }

    @Test func theOldestUpdatersArePutTogether() throws {
        var managed = ManagedFields()
        var live = try json(#"{"spec":{"labels":{}}}"#)
        for number in 0..<12 {
            var next = live
            next.set("1", at: "spec", "labels", "k\(number)")
            let now = "2030-01-01T00:00:\(number + 10)Z"
            _ = try updater(now: now).update(&managed, from: live, to: next, by: writer("w\(number)"))
            live = next
        }
        #expect(managed.entries.count == 10)
        #expect(
            fields(managed, writer("ancient-changes"))
                == #"{"f:spec":{"f:labels":{"f:k0":{},"f:k1":{},"f:k2":{}}}}"#)
        #expect(managed[writer("ancient-changes")]?.time == "2030-01-01T00:00:12Z")
    }

    @Test func scaleHandsReplicasOver() throws {
        var managed = ManagedFields()
        let live = try json(#"{"spec":{"replicas":2,"size":1}}"#)
        _ = try updater().update(&managed, from: updater().zero, to: live, by: writer("creator"))
        let fields = ScaleFields(managed, apiVersion: "v1", path: ["f:spec", "f:replicas"])
        var scale = fields.scale
        #expect(scale.entries.map(\.identity.manager) == ["creator"])
        let scaler = ManagedEntry.Identity(
            manager: "scaler", isApply: false, apiVersion: ScaleFields.apiVersion, subresource: "scale")
        scale = ManagedFields()
        scale[scaler] = ManagedEntry(
            scaler, apiVersion: ScaleFields.apiVersion, time: "t", fields: FieldSet(path: ["f:spec", "f:replicas"]))
        let merged = fields.merged(scale)
        #expect(self.fields(merged, writer("creator")) == #"{"f:spec":{"f:size":{}}}"#)
        let own = try #require(merged.entries.first { $0.identity.manager == "scaler" })
        #expect(own.apiVersion == "v1" && own.time == nil && own.identity.subresource == "scale")
    }

    @Test func entriesThatAreNoneAreNotRead() throws {
        func read(_ text: String) throws -> ManagedFields? { ManagedFields(try json(text)) }
        #expect(try read(#"[{"manager":"m","operation":"Odd","apiVersion":"v1","fieldsType":"FieldsV1"}]"#) == nil)
        #expect(try read(#"[{"manager":"m","operation":"Apply","apiVersion":"v1","fieldsType":"FieldsV9"}]"#) == nil)
        #expect(try read(#"[{"manager":"m","operation":"Apply","fieldsType":"FieldsV1"}]"#) == nil)
        let good = try read(
            #"[{"manager":"m","operation":"Apply","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{"f:a":{}}}]"#)
        #expect(good?.entries.count == 1)
    }
}

private let metaForApply = GroupText(
    group: "meta", version: "v1", package: "meta.v1",
    texts: """
        type ObjectMeta "About an object."
          labels {string} "Labels."
          name string "Name."
          uid string "Identity."
        """)

private let partsGroup = GroupText(
    group: "parts.dev", version: "v1", package: "dev.parts.v1",
    texts: """
        type Robot object "Moves things."
          spec RobotSpec "What is wanted."
          status RobotStatus "What is."

        type RobotSpec "What a robot wants."
          anything any? "Anything."
          arms [Arm] map(name) "Arms."
          engine Engine? "What drives it."
          labels {string} "Labels."
          replicas int32? "How many."
          size int32? "How large."
          tags [string] set "Tags."

        type RobotStatus "What a robot is."
          phase string "Where it stands."

        type Engine atomic "What drives a robot."
          power int32 "How strong."

        type Arm "A limb."
          name string required "Name."
          reach int32 "How far."
        """)
