import Document
import Testing

@testable import Schema

/// Schemas of custom resources: what they fill in, drop, refuse and publish.
@Suite struct StructuralSchemaTests {
    private func schema(_ properties: Document) -> StructuralSchema {
        StructuralSchema(["type": "object", "properties": ["spec": ["type": "object", "properties": properties]]])
    }

    private func errors(_ schema: StructuralSchema, _ spec: Document, old: Document? = nil) -> [String] {
        var past = SchemaValidator.Past.none
        if let old { past = .value(["spec": old]) }
        return SchemaValidator().check(["spec": spec], schema, path: "", past: past).errors.map(\.text)
    }

    @Test func defaultsFillWhatIsAbsentOrNull() {
        let schema = schema([
            "a": ["type": "string", "default": "A"],
            "n": ["type": "object", "default": [:], "properties": ["i": ["type": "integer", "default": 3]]],
            "l": [
                "type": "array",
                "items": ["type": "object", "properties": ["p": ["type": "string", "default": "tcp"]]],
            ],
            "free": ["type": "string", "nullable": true],
            "plain": ["type": "string"],
        ])
        let given: Document = ["spec": ["a": .null, "l": [["q": 1], [:]], "free": .null, "plain": .null]]
        let wanted: Document = [
            "spec": ["a": "A", "n": ["i": 3], "l": [["q": 1, "p": "tcp"], ["p": "tcp"]], "free": .null]
        ]
        let made = schema.completed(given)
        #expect(made.means(wanted), "\(made.jsonText)")
        #expect(schema.completed(made).means(made))
        #expect(schema.completed([:]).means([:]))
    }

    @Test func pruningKeepsWhatIsDeclaredOrOpen() {
        let schema = schema([
            "a": ["type": "string"],
            "keep": [
                "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                "properties": ["inner": ["type": "object", "properties": ["x": ["type": "string"]]]],
            ],
            "map": [
                "type": "object", "additionalProperties": ["type": "object", "properties": ["z": ["type": "string"]]],
            ],
        ])
        let given: Document = [
            "kind": "K", "metadata": ["name": "n"],
            "spec": [
                "a": "x", "b": 1, "keep": ["y": 1, "inner": ["x": "1", "z": 2]], "map": ["k": ["z": "1", "y": 1]],
            ],
        ]
        let wanted: Document = [
            "kind": "K", "metadata": ["name": "n"],
            "spec": ["a": "x", "keep": ["y": 1, "inner": ["x": "1"]], "map": ["k": ["z": "1"]]],
        ]
        #expect(schema.pruned(given).means(wanted))
        #expect(schema.unknownFields(in: given) == ["spec.b", "spec.keep.inner.z", "spec.map.k.y"])
    }

    @Test(arguments: [
        (#"{"min":1}"#, "spec.min: Invalid value: 1: spec.min in body should be greater than or equal to 2"),
        (#"{"ex":0}"#, "spec.ex: Invalid value: 0: spec.ex in body should be greater than 0"),
        (#"{"mul":4}"#, "spec.mul: Invalid value: 4: spec.mul in body should be a multiple of 3"),
        (#"{"len":"a"}"#, "spec.len: Invalid value: \"a\": spec.len in body should be at least 2 chars long"),
        (#"{"len":"abcd"}"#, "spec.len: Too long: may not be more than 3 bytes"),
        (#"{"pat":"b"}"#, "spec.pat: Invalid value: \"b\": spec.pat in body should match '^a+$'"),
        (#"{"en":"z"}"#, "spec.en: Unsupported value: \"z\": supported values: \"x\", \"y\""),
        (#"{"items":["1","2","3"]}"#, "spec.items: Too many: 3: must have at most 2 items"),
        (#"{"req":{}}"#, "spec.req.r: Required value"),
        (
            #"{"min":"x"}"#,
            "spec.min: Invalid value: \"string\": spec.min in body must be of type integer: \"string\""
        ),
        (
            #"{"when":"soon"}"#,
            "spec.when: Invalid value: \"soon\": spec.when in body must be of type date-time: \"soon\""
        ),
    ])
    func aWrongValueIsNamedWithItsPlace(_ text: String, _ wanted: String) throws {
        let schema = schema([
            "min": ["type": "integer", "minimum": 2, "maximum": 5],
            "ex": ["type": "number", "minimum": 0, "exclusiveMinimum": true],
            "mul": ["type": "integer", "multipleOf": 3], "len": ["type": "string", "minLength": 2, "maxLength": 3],
            "pat": ["type": "string", "pattern": "^a+$"], "en": ["type": "string", "enum": ["x", "y"]],
            "items": ["type": "array", "maxItems": 2, "items": ["type": "string"]],
            "req": ["type": "object", "required": ["r"]], "when": ["type": "string", "format": "date-time"],
        ])
        #expect(errors(schema, try Document(json: Array(text.utf8))) == [wanted])
    }

    @Test func alternativesTellTheBestFailure() {
        let schema = StructuralSchema([
            "type": "object",
            "properties": [
                "spec": [
                    "type": "object", "properties": ["a": ["type": "string"], "b": ["type": "string"]],
                    "oneOf": [["required": ["a"]], ["required": ["b"]]],
                ]
            ],
        ])
        #expect(errors(schema, ["a": "1"]).isEmpty)
        #expect(
            errors(schema, [:]) == [
                "<nil>: Invalid value: \"\": \"spec\" must validate one and only one schema (oneOf). Found none valid",
                "spec.a: Required value",
            ])
        #expect(
            errors(schema, ["a": "1", "b": "2"]) == [
                "<nil>: Invalid value: \"\": \"spec\" must validate one and only one schema (oneOf). Found 2 valid alternatives"
            ])
    }

    @Test func whatDoesNotChangeIsNotCheckedAgain() {
        let schema = schema([
            "a": ["type": "string", "maxLength": 3], "b": ["type": "string"],
            "l": [
                "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
                "items": [
                    "type": "object",
                    "properties": ["k": ["type": "string"], "v": ["type": "string", "maxLength": 1]],
                ],
            ],
        ])
        let old: Document = ["a": "too long", "b": "x", "l": [["k": "1", "v": "long"], ["k": "2"]]]
        var new = old
        new["b"] = "y"
        new["l"] = [["k": "2"], ["k": "1", "v": "long"]]
        #expect(errors(schema, new, old: old).isEmpty)
        #expect(errors(schema, new).count == 2)
        new["a"] = "other long"
        #expect(errors(schema, new, old: old) == ["spec.a: Too long: may not be more than 3 bytes"])
    }

    @Test func setsAndKeyedListsHoldNothingTwice() {
        let schema = schema([
            "set": ["type": "array", "x-kubernetes-list-type": "set", "items": ["type": "string"]],
            "map": [
                "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
                "items": ["type": "object", "properties": ["k": ["type": "string"]]],
            ],
        ])
        let object: Document = ["spec": ["set": ["a", "b", "a", "a"], "map": [["k": "1"], ["k": "1", "v": 2]]]]
        #expect(
            ListUniqueness.errors(object, schema).map(\.text) == [
                "spec.map[1]: Duplicate value: {\"k\":\"1\"}", "spec.set[2]: Duplicate value: \"a\"",
            ])
    }

    @Test func rulesSeeTheOldValueAndStayWithinTheirBudget() {
        let schema = schema([
            "fixed": [
                "type": "string", "x-kubernetes-validations": [["rule": "self == oldSelf", "message": "stays"]],
            ],
            "n": ["type": "integer", "x-kubernetes-validations": [["rule": "self > 0"]]],
        ])
        let rules = CompiledRules(schema)
        func told(_ new: Document, _ old: Document?) -> [String] {
            rules.check(["spec": new], old: old.map { ["spec": $0] }, schema: schema).map(\.text)
        }
        #expect(told(["fixed": "a", "n": 1], nil).isEmpty)
        #expect(told(["fixed": "b"], ["fixed": "a"]) == ["spec.fixed: Invalid value: \"b\": stays"])
        #expect(told(["n": 0], nil) == ["spec.n: Invalid value: 0: failed rule: self > 0"])
        // What was wrong before may stay.
        #expect(told(["n": 0, "fixed": "a"], ["n": 0]).isEmpty)
    }

    @Test func pathsOfFieldsFollowTheSchema() throws {
        let schema = schema([
            "m": ["type": "object", "additionalProperties": ["type": "string"]],
            "l": ["type": "array", "items": ["type": "object", "properties": ["p": ["type": "integer"]]]],
        ])
        #expect(try FieldPath.resolve(".spec.m['a.b']", in: schema, allowsIndices: false).schema?.type == "string")
        #expect(try FieldPath.resolve(".spec.l[3].p", in: schema, allowsIndices: true).schema?.type == "integer")
        for bad in ["", "spec", ".spec.nope", ".spec.l[0]", ".spec.", ".spec.m['a"] {
            #expect(throws: FieldPath.ParseError.self) {
                try FieldPath.resolve(bad, in: schema, allowsIndices: false)
            }
        }
    }

    @Test func versionsAreRankedByMaturity() {
        let sorted = ["foo10", "v1alpha1", "v10beta3", "v11alpha2", "v2", "v3beta1", "v10", "foo1", "v12alpha1", "v1"]
            .sorted(by: VersionPriority.comesBefore)
        #expect(
            sorted == ["v10", "v2", "v1", "v10beta3", "v3beta1", "v12alpha1", "v11alpha2", "v1alpha1", "foo1", "foo10"])
    }
}
