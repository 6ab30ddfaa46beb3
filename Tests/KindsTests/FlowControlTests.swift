import Basics
import Document
import Schema
import Testing

@testable import Kinds

@Suite struct FlowControlTests {
    private static func texts(_ kind: String, _ name: String, _ spec: Document) throws -> [String] {
        let resource = try #require(
            Kinds.registry.resource(group: "flowcontrol.apiserver.k8s.io", version: "v1", kind: kind))
        var object: Document = [
            "apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": Document(kind),
            "metadata": ["name": Document(name)], "spec": spec,
        ]
        Kinds.applyDefaults(to: &object, resource: resource)
        return Kinds.validateCreate(object, resource: resource).map(\.text)
    }

    @Test func theObjectsOfEveryServerAreValid() throws {
        for object in Kinds.bootstrapFlowSchemas {
            #expect(
                try Self.texts(
                    "FlowSchema", object.text("metadata", "name") ?? "", object["spec"] ?? .null) == [])
        }
        for object in Kinds.bootstrapPriorityLevels {
            #expect(
                try Self.texts(
                    "PriorityLevelConfiguration", object.text("metadata", "name") ?? "", object["spec"] ?? .null) == [])
        }
    }

    @Test(
        arguments: [
            (
                ["matchingPrecedence": 1],
                "spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have matchingPrecedence 1"
            ),
            (
                ["matchingPrecedence": 10_001],
                "spec.matchingPrecedence: Invalid value: 10001: must not be greater than 10000"
            ),
            (
                ["priorityLevelConfiguration": ["name": ""]],
                "spec.priorityLevelConfiguration.name: Required value: must reference a priority level"
            ),
            (
                ["rules": [["subjects": [], "nonResourceRules": [["verbs": ["*"], "nonResourceURLs": ["*"]]]]]],
                "spec.rules[0].subjects: Required value: subjects must contain at least one value"
            ),
            (
                [
                    "rules": [
                        [
                            "subjects": [["kind": "User", "group": ["name": "g"]]],
                            "nonResourceRules": [["verbs": ["*"], "nonResourceURLs": ["*"]]],
                        ]
                    ]
                ],
                "spec.rules[0].subjects[0].user: Required value: user is required when subject kind is 'User'|"
                    + "spec.rules[0].subjects[0].group: Forbidden: group is forbidden when subject kind is not 'Group'"
            ),
            (
                [
                    "rules": [
                        [
                            "subjects": [["kind": "User", "user": ["name": "u"]]],
                            "nonResourceRules": [["verbs": ["get"], "nonResourceURLs": ["/a*"]]],
                        ]
                    ]
                ],
                "spec.rules[0].nonResourceRules[0].nonResourceURLs[0]: Invalid value: \"/a*\": wildcard can only do suffix matching"
            ),
            (
                [
                    "rules": [
                        [
                            "subjects": [["kind": "User", "user": ["name": "u"]]],
                            "resourceRules": [["verbs": ["get"], "apiGroups": [""], "resources": ["pods"]]],
                        ]
                    ]
                ],
                "spec.rules[0].resourceRules[0].namespaces: Required value: resource rules that are not cluster scoped must supply at least one namespace"
            ),
        ] as [(Document, String)])
    func wrongSchemas(change: Document, text: String) throws {
        var spec: Document = ["priorityLevelConfiguration": ["name": "exempt"]]
        for member in change.members { spec[member.key] = member.value }
        #expect(try Self.texts("FlowSchema", "a", spec).joined(separator: "|") == text)
    }

    @Test(
        arguments: [
            (
                ["type": "Exempt", "exempt": [:]],
                "spec.type: Invalid value: \"Exempt\": type must be 'Exempt' if and only if name is 'exempt'"
            ),
            (["type": "Limited"], "spec.limited: Required value: must not be empty when type is Limited"),
            (
                ["type": "Limited", "limited": ["lendablePercent": 101, "limitResponse": ["type": "Reject"]]],
                "spec.limited.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive"
            ),
            (
                ["type": "Limited", "limited": ["limitResponse": ["type": "Queue"]]],
                "spec.limited.limitResponse.queuing: Required value: must not be empty if limited.limitResponse.type is Limited"
            ),
            (
                [
                    "type": "Limited",
                    "limited": ["limitResponse": ["type": "Queue", "queuing": ["queues": 4, "handSize": 5]]],
                ],
                "spec.limited.limitResponse.queuing.handSize: Invalid value: 5: should not be greater than queues (4)"
            ),
            (
                [
                    "type": "Limited",
                    "limited": ["limitResponse": ["type": "Queue", "queuing": ["queues": 512, "handSize": 8]]],
                ],
                "spec.limited.limitResponse.queuing.handSize: Invalid value: 8: required entropy bits of deckSize 512 and handSize 8 should not be greater than 60"
            ),
        ] as [(Document, String)])
    func wrongLevels(spec: Document, text: String) throws {
        #expect(try Self.texts("PriorityLevelConfiguration", "a", spec).joined(separator: "|") == text)
    }

    @Test func mandatoryObjectsKeepTheirSpec() throws {
        let catchAll = Kinds.bootstrapPriorityLevels.first { $0.text("metadata", "name") == "catch-all" }
        var spec = try #require(catchAll?["spec"])
        spec.set(6, at: "limited", "nominalConcurrencyShares")
        #expect(
            try Self.texts("PriorityLevelConfiguration", "catch-all", spec).first?.hasSuffix(
                "spec of 'catch-all' must equal the fixed value") == true)
        // What the exempt level lends is up to the administrator.
        #expect(
            try Self.texts(
                "PriorityLevelConfiguration", "exempt",
                ["type": "Exempt", "exempt": ["nominalConcurrencyShares": 5, "lendablePercent": 50]]) == [])
    }
}
