import Testing

@testable import Document

@Suite("YAML")
struct YAMLTests {
    @Test(arguments: [
        ("a: yes", #"{"a":true}"#), ("a: Off", #"{"a":false}"#), ("a: y", #"{"a":true}"#),
        ("a: 'yes'", #"{"a":"yes"}"#),
        ("a: ~", #"{"a":null}"#), ("a:", #"{"a":null}"#), ("a: ''", #"{"a":""}"#), ("a: nULL", #"{"a":"nULL"}"#),
        ("a: 0644", #"{"a":420}"#), ("a: 0x1F", #"{"a":31}"#), ("a: 0b11", #"{"a":3}"#), ("a: 0o17", #"{"a":15}"#),
        ("a: 1_000", #"{"a":1000}"#), ("a: +12", #"{"a":12}"#), ("a: -0x10", #"{"a":-16}"#), ("a: 08", #"{"a":8}"#),
        ("a: 1.50", #"{"a":1.5}"#), ("a: 1e3", #"{"a":1000}"#), ("a: .5", #"{"a":0.5}"#),
        ("a: 1.2.3", #"{"a":"1.2.3"}"#),
        ("a: 100m", #"{"a":"100m"}"#), ("a: 2001-12-14", #"{"a":"2001-12-14"}"#), ("a: 1:30", #"{"a":"1:30"}"#),
        ("a: 9223372036854775808", #"{"a":9.223372036854775808e+18}"#), ("1: a\ntrue: b", #"{"1":"a","true":"b"}"#),
        ("a: !!str 12", #"{"a":"12"}"#), ("a: !!int '12'", #"{"a":12}"#), ("a: !!binary aGk=", #"{"a":"hi"}"#),
        ("a: |\n  x\n  y\n", #"{"a":"x\ny\n"}"#), ("a: >-\n  x\n  y\n", #"{"a":"x y"}"#),
        ("a: |+\n  x\n\n", #"{"a":"x\n\n"}"#),
        ("- a\n- - b\n  - {c: d}\n", #"["a",["b",{"c":"d"}]]"#), ("", "null"), ("# only\n", "null"),
        ("a: &x {b: 1}\nc: *x", #"{"a":{"b":1},"c":{"b":1}}"#),
        ("a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  c: 3", #"{"a":{"b":1,"c":2},"d":{"c":3,"b":1}}"#),
        ("d:\n  <<: [{a: 1}, {a: 2, b: 3}]", #"{"d":{"a":1,"b":3}}"#),
        (#"{"a": "\ud83d\ude00\/"}"#, #"{"a":"😀/"}"#),
    ])
    func means(yaml: String, json: String) throws {
        let document = try Document(yaml: yaml)
        #expect(try document.means(Document(json: json)), "\(document.jsonText)")
    }

    @Test(arguments: [
        ("a: 1\nb: 2\na: 3\n", 3, 1), ("a: b: c", 1, 5), ("a:\n\t- b", 2, 1), ("a: *x", 1, 4), ("a: &x [*x]", 1, 8),
        ("a: .inf", 1, 4), ("? [a]\n: b", 1, 3), ("a: 1\n---\nb: 2", 2, 1), ("a: \"x", 1, 6), ("a: !!int x", 1, 4),
        ("x:\n  - a: {", 3, 1), ("a: \u{1}", 1, 4), ("<<: 3", 1, 1),
    ])
    func refusesWithThePlace(yaml: String, line: Int, column: Int) {
        let error = #expect(throws: DocumentError.self) { try Document(yaml: yaml) }
        #expect(error?.line == line && error?.column == column, "\(error.map(String.init) ?? "")")
    }

    @Test func aliasesCannotExplode() {
        var text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
        for level in 1...9 {
            text +=
                "a\(level): &a\(level) [" + Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ",") + "]\n"
        }
        #expect(throws: DocumentError.self) { try Document(yaml: text) }
        #expect(throws: DocumentError.self) { try Document(yaml: String(repeating: "[", count: 5_000)) }
    }

    @Test func streams() throws {
        let documents = try Document.yamlDocuments("---\na: 1\n---\n---\n# nothing\n---\nb: 2\n...\n".utf8)
        #expect(documents == [["a": 1], ["b": 2]])
        #expect(String(decoding: Document.yaml(stream: documents), as: UTF8.self) == "a: 1\n---\nb: 2\n")
    }

    @Test func positionsNameTheLine() throws {
        let (_, positions) = try Document.yamlWithPositions(
            "kind: X\nnodes:\n  - role: a\n  - role: b\n    n: 1\n".utf8)
        #expect(positions["nodes[1].role"]?.description == "line 4, column 11")
        #expect(positions.nearest("nodes[1].image.name")?.description == "line 4, column 5")
        #expect(positions.nearest("absent")?.description == "line 1, column 1")
    }

    @Test func writesAsKubectlDoes() {
        let document: Document = [
            "apiVersion": "v1", "list": [["a": 1, "b": ["x"]], []], "empty": [:], "text": "two\nlines\n", "yes": "yes",
            "number": "12", "null": .null, "star": "*x", "colon": "a: b", "none": "",
            "long": Document(String(repeating: "word ", count: 40)),
        ]
        let expected = """
            apiVersion: v1
            list:
            - a: 1
              b:
              - x
            - []
            empty: {}
            text: |
              two
              lines
            "yes": "yes"
            number: "12"
            "null": null
            star: '*x'
            colon: 'a: b'
            none: ""
            long: '\(String(repeating: "word ", count: 40))'

            """
        #expect(document.yamlText == expected)
    }

    /// libyaml reads YAML 1.1: these files show where 1.2 differs (tabs and colons in flow style, unknown
    /// directives, directives without `...`, any character in anchors), and where Kubernetes' typing differs from
    /// the core schema (`y` is true, binary must be text).
    private static let differences: Set<String> = [
        "2LFX.yaml", "2SXE.yaml", "4MUZ.yaml", "565N.yaml", "58MP.yaml", "5MUD.yaml", "5T43.yaml", "652Z.yaml",
        "6BCT.yaml", "6CA3.yaml", "6LVF.yaml", "7Z25.yaml", "8XYN.yaml", "96NN.yaml", "9SA2.yaml", "A2M4.yaml",
        "BEC7.yaml", "C4HZ.yaml", "DBG4.yaml", "DK3J.yaml", "DK95.yaml", "FP8R.yaml", "HM87.yaml", "HWV9.yaml",
        "K3WX.yaml", "L24T.yaml", "M7A3.yaml", "NJ66.yaml", "Q5MG.yaml", "QT73.yaml", "R4YG.yaml", "UT92.yaml",
        "VJP3.yaml", "W4TN.yaml", "W5VH.yaml", "Y2GN.yaml", "Y79Y.yaml", "ZYU8.yaml",
    ]

    /// Every case of the suite that says what JSON it means.
    @Test(.enabled(if: Vectors.folder != nil, "LAB_VECTORS names no folder"))
    func theTestSuiteOfYAML() throws {
        var passed = 0
        var failed: [String] = []
        for file in try Vectors.names("yaml") {
            let entries = try Document.yamlDocuments(Vectors.read("yaml/\(file)")).flatMap(\.elements)
            for entry in entries {
                guard let json = entry.text("json"), let source = entry.text("yaml") else { continue }
                let expected = try Self.jsonStream(json)
                let actual = try? Self.all(Self.visible(source))
                if let actual, actual.count == expected.count, zip(actual, expected).allSatisfy({ $0.means($1) }) {
                    passed += 1
                } else {
                    failed.append(file)
                }
            }
        }
        #expect(Set(failed) == Self.differences)
        #expect(passed > 200)
    }

    private static func all(_ text: String) throws -> [Document] {
        var reader = try YAMLReader(text.utf8)
        var documents: [Document] = []
        while let document = try reader.next() { documents.append(document) }
        return documents
    }

    /// The suite's marks for what an editor would hide.
    private static func visible(_ text: String) -> String {
        var out = ""
        for character in text {
            switch character {
            case "␣": out += " "
            case "—": continue
            case "»": out += "\t"
            case "↵": continue
            case "∎": continue
            case "←": out += "\r"
            case "⇔": out += "\u{FEFF}"
            default: out.append(character)
            }
        }
        if text.hasSuffix("∎\n") { out.removeLast() }
        return out
    }

    /// JSON values one after the other.
    private static func jsonStream(_ text: String) throws -> [Document] {
        var values: [Document] = []
        var pending = ""
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            pending += line + "\n"
            if let value = try? Document(json: pending) {
                values.append(value)
                pending = ""
            }
        }
        return values
    }
}
