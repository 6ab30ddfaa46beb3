import Client
import Document
import Kinds
import Testing

@testable import Controllers

/// What a policy's expressions get wrong about the kinds that they will meet.
@Suite struct ValidatingPolicyTests {
    private static let list: Document = ["resources": [["name": "things", "kind": "Thing"]]]
    private static let schemas: Document = [
        "components": [
            "schemas": [
                "Thing": [
                    "type": "object",
                    "x-kubernetes-group-version-kind": [["group": "g", "version": "v1", "kind": "Thing"]],
                    "properties": [
                        "spec": ["allOf": [["$ref": "#/components/schemas/Spec"]]],
                        "free": ["type": "object"],
                        "parts": ["type": "array", "items": ["$ref": "#/components/schemas/Thing"]],
                    ],
                ],
                "Spec": [
                    "type": "object",
                    "properties": ["size": ["type": "integer"], "either": ["oneOf": [["type": "string"]]]],
                ],
            ]
        ]
    ]

    private func policy(_ expressions: [String], resources: [String] = ["things"], spec: Document = [:]) -> Document {
        var whole: Document = [
            "matchConstraints": [
                "resourceRules": [
                    ["apiGroups": ["g"], "apiVersions": ["v1"], "resources": .init(resources.map { Document($0) })]
                ]
            ],
            "validations": Document(expressions.map { ["expression": Document($0)] as Document }),
        ]
        for member in spec.members { whole[member.key] = member.value }
        return ["metadata": ["name": "p", "generation": 1], "spec": whole]
    }

    /// Asks until nothing is left to ask, as the loop does.
    private func check(_ policy: Document) -> PolicyTypeCheck {
        var answers = Answers()
        while true {
            let check = PolicyTypeCheck(policy, answers)
            guard let path = check.questions.first else { return check }
            answers[path] =
                switch path {
                case "/apis/g/v1": .success(Self.list)
                case "/openapi/v3/apis/g/v1": .success(Self.schemas)
                default: .failure(APIStatus(code: 404, reason: "NotFound", message: path))
                }
        }
    }

    @Test func mistakesAreToldWithTheirKindAndPlace() {
        let warnings = check(policy(["object.spec.size > 1", "object.size > 1", "object.spec.size == 'x'"])).warnings
        #expect(
            warnings.map { $0.text("fieldRef") } == [
                "spec.validations[1].expression", "spec.validations[2].expression",
            ])
        #expect(
            warnings.first?.text("warning")
                == "g/v1, Kind=Thing: ERROR: <input>:1:7: undefined field 'size'\n | object.size > 1\n | ......^")
    }

    @Test func whatTheSchemaLeavesOpenMayBeAnything() {
        let expressions = [
            "object.free.any.thing == 1", "object.spec.either == 5", "object.parts[0].parts[0].whatever > 'x'",
            "oldObject == null || oldObject.spec.size < object.spec.size",
        ]
        #expect(check(policy(expressions)).warnings.isEmpty)
    }

    @Test func variablesAndParametersHaveTheirTypes() {
        let spec: Document = [
            "paramKind": ["apiVersion": "g/v1", "kind": "Thing"],
            "variables": [["name": "size", "expression": "object.spec.size"]],
        ]
        let good = policy(["variables.size < params.spec.size"], spec: spec)
        #expect(check(good).warnings.isEmpty)
        #expect(check(policy(["variables.size < params.size"], spec: spec)).warnings.count == 1)
        #expect(check(policy(["variables.size == 'x'"], spec: spec)).warnings.count == 1)
    }

    @Test func whatIsNotNamedOutrightIsNotLookedAt() {
        #expect(check(policy(["object.size > 1"], resources: ["*", "things/status", "nothing"])).warnings.isEmpty)
        #expect(PolicyTypeCheck(policy(["object.size > 1"], resources: ["*"]), Answers()).questions.isEmpty)
    }
}
