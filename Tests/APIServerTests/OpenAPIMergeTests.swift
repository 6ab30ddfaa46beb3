import Document
import Testing

@testable import APIServer

@Suite struct OpenAPIMergeTests {
    private static let base: Document = [
        "paths": ["/apis/apps/v1/": ["get": ["$ref": "#/definitions/Own"]]],
        "definitions": ["Own": ["type": "object"], "Shared": ["type": "string"], "Time": ["type": "string"]],
    ]

    private static let other: Document = [
        "paths": [
            "/apis/x/v1/things": ["get": ["schema": ["$ref": "#/definitions/Thing"]]],
            "/apis/x/v2/things": ["get": ["schema": ["$ref": "#/definitions/Newer"]]],
            "/healthz": ["get": ["schema": ["$ref": "#/definitions/Health"]]],
        ],
        "definitions": [
            "Thing": [
                "type": "object",
                "properties": [
                    "own": ["$ref": "#/definitions/Own"], "list": ["items": ["$ref": "#/definitions/Shared"]],
                    "self": ["$ref": "#/definitions/Thing"],
                ],
            ],
            "Own": ["type": "integer"], "Shared": ["type": "string"], "Newer": ["type": "object"],
            "Health": ["type": "object"],
        ],
    ]

    @Test func onlyTheGroupVersionComesAlong() {
        let merged = OpenAPIMerge.add(Self.other, group: "x", version: "v1", to: Self.base)
        #expect(merged["paths"]?.members.map(\.key) == ["/apis/apps/v1/", "/apis/x/v1/things"])
        #expect(merged["definitions"]?["Newer"] == nil)
        #expect(merged["definitions"]?["Health"] == nil)
        #expect(merged["definitions"]?["Thing"] != nil)
    }

    @Test func sameNamesOfDifferentThingsAreToldApart() {
        let merged = OpenAPIMerge.add(Self.other, group: "x", version: "v1", to: Self.base)
        let definitions = merged["definitions"]
        #expect(definitions?["Own"]?.text("type") == "object")
        #expect(definitions?["Own_v2"]?.text("type") == "integer")
        #expect(definitions?["Shared_v2"] == nil)
        let fields = definitions?["Thing"]?["properties"]
        #expect(fields?["own"]?.text("$ref") == "#/definitions/Own_v2")
        #expect(fields?["list"]?["items"]?.text("$ref") == "#/definitions/Shared")
        #expect(fields?["self"]?.text("$ref") == "#/definitions/Thing")
    }

    /// Nothing of it may break the document that was there.
    @Test(
        arguments: [
            [:], ["paths": 1], ["paths": ["/apis/x/v1/a": 1]], ["paths": ["/apis/x/v1/a": ["$ref": "nonsense"]]],
            ["paths": ["/apis/x/v1/a": ["$ref": "#/definitions/Missing"]], "definitions": []],
        ] as [Document]
    )
    func nonsenseAddsNothingElse(other: Document) {
        let merged = OpenAPIMerge.add(other, group: "x", version: "v1", to: Self.base)
        #expect(merged["definitions"]?.means(Self.base["definitions"] ?? .null) == true)
        #expect(merged["paths"]?["/apis/apps/v1/"] != nil)
    }
}
