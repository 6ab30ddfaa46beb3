import Document

private let jsonWords = [
    "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u0000", "\\ud83d\\ude00", "\\ud800", "\"a\"", "\"a\":", "null", "true",
    "0", "-1", "1e400", "1e-400", "9223372036854775807", "9223372036854775808", "-0.0", "12345678901234567890.5", " ",
    "\n", "é", "\u{0}", "{\"a\":", "[[", "]]", "\"\":\"\"",
]

private let yamlWords =
    jsonWords + [
        "a: ", "- ", "\n  ", "\n", "---\n", "...\n", "&x ", "*x", "<<: ", "!!str ", "!!binary ", "!t ", "| \n", ">-\n",
        "?",
        "# c\n", "'", "yes", "0x1F", "0o17", "017", ".inf", ".nan", "1:30", "2001-01-01", "~", "%YAML 1.1\n", "\t",
        "\u{FEFF}", "\u{85}", "\u{2028}", "@", "`", "{a: b}", "[a, b]",
    ]

private let patchWords =
    jsonWords + [
        "\"op\":\"add\"", "\"op\":\"remove\"", "\"op\":\"move\"", "\"op\":\"copy\"", "\"op\":\"test\"",
        "\"op\":\"replace\"", "\"path\":\"/a/-\"", "\"path\":\"/a/0\"", "\"path\":\"\"", "\"from\":\"/a\"",
        "\"value\":[]",
        "{\"op\":\"copy\",\"from\":\"\",\"path\":\"/b/x\"},", "{\"op\":\"add\",\"path\":\"/a/0\",\"value\":{}},",
        "/~1/~0", "~2",
        "/-1", "/99999999999999999999",
    ]

private let subject: Document = [
    "a": [1, 2, ["x": "y"]], "b": ["x": ["y": [:]], "items": [["name": "n", "v": 1], ["name": "m", "v": 2.5]]], "": nil,
]

/// Every value of a document, so that reading itself is under test.
private func visit(_ document: Document) -> Int {
    switch document.kind {
    case .object: document.members.reduce(1) { $0 + visit($1.value) }
    case .array: document.elements.reduce(1) { $0 + visit($1) }
    default: 1
    }
}

private func holds(_ condition: Bool, _ what: @autoclosure () -> String) throws {
    if !condition { throw Broken(what()) }
}

extension ReaderTests {
    static let documents = [
        FuzzTarget(
            "json",
            corpus: [
                "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\",\"labels\":{\"x\":\"y\"}},\"spec\":{\"n\":[1,2.5,-3e2]}}",
                "[null,true,false,\"\\u00e9\\ud83d\\ude00\",{}]", "\"a\"", "1e5", "{\"a\":1,\"a\":2}",
            ], words: jsonWords
        ) { input in
            var duplicates: [String] = []
            let strict = try? Document(json: input, duplicates: &duplicates)
            guard let document = try? Document(json: input) else {
                try holds(strict == nil, "the reader of duplicates takes what the plain one refuses")
                return false
            }
            try holds(strict == document, "the reader of duplicates reads something else")
            let written = document.json
            let again = try Document(json: written)
            // Not byte by byte: the first reading may lose the sign of a zero, and no more.
            try holds(again.means(document), "reads back as \(again.jsonText)")
            try holds(try Document(json: again.json).json == again.json, "\(again.jsonText) does not stay what it is")
            try holds(visit(again) == visit(document), "reads back with other values")
            // What we write has no member twice, so the other reader of JSON must agree. Only some spaces of Unicode,
            // which YAML takes for line ends, it may fold.
            if !document.jsonText.unicodeScalars.contains(where: { ["\u{85}", "\u{2028}", "\u{2029}"].contains($0) }) {
                try holds(try Document(yaml: written).means(document), "YAML reads \(document.jsonText) differently")
            }
            return true
        },
        FuzzTarget(
            "yaml",
            corpus: [
                "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\nspec:\n  containers:\n  - name: x\n    args: [\"-c\", 'y']\n",
                "a: &x {b: 1}\nc: *x\nd:\n  <<: *x\n  e: |\n    two\n    lines\n",
                "- 0x1F\n- .inf\n- ~\n- yes\n- 1:30\n",
                "---\na: 1\n---\nb: 2\n...\n", "? a\n: b\n",
            ], words: yamlWords
        ) { input in
            let several = try? Document.yamlDocuments(input)
            _ = try? Document.yamlTolerant(input)
            guard let document = try? Document(yaml: input) else { return several != nil }
            let written = document.yaml
            let again = try Document(yaml: written)
            try holds(
                again.means(document),
                "\(document.jsonText) is written as \(Fuzzer.shown(written)), which reads as \(again.jsonText)")
            return true
        },
    ]

    static let patches = [
        FuzzTarget(
            "jsonpatch",
            corpus: [
                "[{\"op\":\"add\",\"path\":\"/a/-\",\"value\":{\"b\":1}},{\"op\":\"move\",\"from\":\"/b/x\",\"path\":\"/c\"}]",
                "[{\"op\":\"test\",\"path\":\"/a/0\",\"value\":1},{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/a/1\"}]",
                "[{\"op\":\"replace\",\"path\":\"\",\"value\":[]},{\"op\":\"remove\",\"path\":\"/0\"}]",
            ], words: patchWords
        ) { input in
            guard let patch = try? Document(json: input), let result = try? subject.applyingJSONPatch(patch) else {
                return false
            }
            try holds(try Document(json: result.json) == result, "the result does not read back")
            return true
        },
        FuzzTarget(
            "mergepatch", corpus: ["{\"a\":null,\"b\":{\"x\":{\"z\":[1]}}}", "{\"a\":{\"b\":{\"c\":null}}}", "[]"],
            words: patchWords
        ) { input in
            guard let patch = try? Document(json: input) else { return false }
            let once = subject.applyingMergePatch(patch)
            try holds(once.applyingMergePatch(patch).means(once), "twice is not the same as once")
            return true
        },
        FuzzTarget(
            "jsonpath",
            corpus: [
                "{.a[0]}", "{range .b.items[*]}{.name}{\"\\t\"}{end}", "{.b.items[?(@.name==\"n\")].v}", "{..name}",
                "{.a[-1:]['x']}", "{.a[0:2:1]}", "{.b.items[?(@.v > 1)]} text {$.a}", "{['a','b']}",
                "{range .a[-9223372036854775808]}",
            ],
            words: [
                "{", "}", "[", "]", "(", ")", "..", ".", "*", "@", "$", "?", "?(@.v==", "[?(@.a", "[?(", ":", ",", "'",
                "\"", "\\",
                "range ",
                "{range .a[*]}", "{end}", "-1", "0", "99999999999999999999", "-9223372036854775808",
                "9223372036854775807", "::",
                " ", ".a", "..a", "==", "!=", "<=", "é", "..*", "[*]", "[::0]", "[::-1]", "true", "1.5", "e\u{301}",
                "'a'",
            ]
        ) { input in
            guard let path = try? JSONPath(String(decoding: input, as: UTF8.self)) else { return false }
            _ = path.evaluate(on: subject)
            _ = path.render(on: subject)
            return true
        },
    ]
}
