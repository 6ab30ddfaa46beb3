import Document
import Testing

@testable import APIServer

/// Admission policies: which requests they see, and what comes of them.
@Suite struct PolicyTests {
    private static let path = "/api/v1/namespaces/default/configmaps"
    private static let group = "/apis/admissionregistration.k8s.io/v1"

    private func validating(
        _ harness: Harness, _ validations: Document, binding: Document = [:],
        _ change: (inout Document) -> Void = { _ in }
    ) async throws {
        var spec: Document = [
            "failurePolicy": "Fail",
            "matchConstraints": [
                "resourceRules": [
                    [
                        "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE", "DELETE"],
                        "resources": ["configmaps"],
                    ]
                ]
            ],
            "validations": validations,
        ]
        change(&spec)
        try await harness.create(
            Self.group + "/validatingadmissionpolicies",
            [
                "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
                "metadata": ["name": "p"], "spec": spec,
            ])
        var bound: Document = ["policyName": "p", "validationActions": ["Deny"]]
        for member in binding.members { bound[member.key] = member.value }
        try await harness.create(
            Self.group + "/validatingadmissionpolicybindings",
            [
                "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
                "metadata": ["name": "b"], "spec": bound,
            ])
    }

    private func mutating(
        _ harness: Harness, _ expression: String, patch: Bool = false, failurePolicy: String = "Fail"
    ) async throws {
        let mutation: Document =
            patch
            ? ["patchType": "JSONPatch", "jsonPatch": ["expression": Document(expression)]]
            : ["patchType": "ApplyConfiguration", "applyConfiguration": ["expression": Document(expression)]]
        try await harness.create(
            Self.group + "/mutatingadmissionpolicies",
            [
                "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy",
                "metadata": ["name": "p"],
                "spec": [
                    "failurePolicy": Document(failurePolicy), "reinvocationPolicy": "Never",
                    "matchConstraints": [
                        "resourceRules": [
                            [
                                "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"],
                                "resources": ["configmaps", "pods"],
                            ]
                        ]
                    ],
                    "mutations": [mutation],
                ],
            ])
        try await harness.create(
            Self.group + "/mutatingadmissionpolicybindings",
            [
                "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding",
                "metadata": ["name": "b"], "spec": ["policyName": "p"],
            ])
    }

    @Test func variablesAreWorkedOutOnceAndOnlyWhenAsked() async throws {
        let harness = try await Harness()
        try await validating(
            harness,
            [["expression": "variables.twice == 'abab'", "messageExpression": "'got ' + variables.twice"]]
        ) { spec in
            spec["variables"] = [
                ["name": "once", "expression": "object.data.v"],
                ["name": "twice", "expression": "variables.once + variables.once"],
                ["name": "bad", "expression": "object.data.nowhere"],
            ]
        }
        #expect(try await harness.send("POST", Self.path, Harness.configMap("a", data: ["v": "ab"])).status == 201)
        let refused = try await harness.send("POST", Self.path, Harness.configMap("b", data: ["v": "x"]))
        #expect(refused.status == 422)
        #expect(
            refused.body.text("message")
                == "configmaps \"b\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: got xx"
        )
    }

    @Test func conditionsNarrowTheRequestsDown() async throws {
        let harness = try await Harness()
        try await validating(harness, [["expression": "false"]]) { spec in
            spec["matchConditions"] = [
                ["name": "who", "expression": "request.userInfo.username == 'jane'"],
                [
                    "name": "what",
                    "expression": "request.operation == 'CREATE' && object.metadata.name.startsWith('x')",
                ],
            ]
        }
        #expect(try await harness.send("POST", Self.path, Harness.configMap("x1")).status == 201)
        let groups = ["system:masters"]
        let jane = try await harness.send("POST", Self.path, Harness.configMap("x2"), as: "jane", groups: groups)
        #expect(jane.status == 422)
        let other = try await harness.send("POST", Self.path, Harness.configMap("y"), as: "jane", groups: groups)
        #expect(other.status == 201)
    }

    @Test func errorsFollowTheFailurePolicy() async throws {
        let harness = try await Harness()
        try await validating(harness, [["expression": "object.data.k == 'x'"]])
        let refused = try await harness.send("POST", Self.path, Harness.configMap("c", data: ["a": "b"]))
        #expect(
            refused.body.text("message")
                == "configmaps \"c\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: "
                + "expression 'object.data.k == 'x'' resulted in error: no such key: k")
        _ = try await harness.send(
            "PATCH", Self.group + "/validatingadmissionpolicies/p", ["spec": ["failurePolicy": "Ignore"]],
            type: "application/merge-patch+json")
        #expect(try await harness.send("POST", Self.path, Harness.configMap("c", data: ["a": "b"])).status == 201)
    }

    @Test func warningsLetPass() async throws {
        let harness = try await Harness()
        try await validating(
            harness, [["expression": "false", "message": "just saying"]], binding: ["validationActions": ["Warn"]])
        let reply = try await harness.send("POST", Self.path, Harness.configMap("c"))
        #expect(reply.status == 201)
        let text = "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': just saying"
        #expect(reply.headers.all("Warning") == ["299 - \"\(text)\""])
    }

    @Test func parametersComeFromObjects() async throws {
        let harness = try await Harness()
        try await harness.create(Self.path, Harness.configMap("limits", data: ["longest": "3"]))
        try await validating(
            harness, [["expression": "size(object.metadata.name) <= int(params.data.longest)"]],
            binding: [
                "paramRef": ["name": "limits", "namespace": "default", "parameterNotFoundAction": "Deny"]
            ]
        ) { $0["paramKind"] = ["apiVersion": "v1", "kind": "ConfigMap"] }
        #expect(try await harness.send("POST", Self.path, Harness.configMap("abc")).status == 201)
        #expect(try await harness.send("POST", Self.path, Harness.configMap("abcd")).status == 422)
        _ = try await harness.send("DELETE", Self.path + "/limits")
    }

    @Test func configurationsMergeIntoTheObject() async throws {
        let harness = try await Harness()
        try await mutating(harness, "Object{metadata: Object.metadata{labels: {'by': object.metadata.name}}}")
        let made = try await harness.create(Self.path, Harness.configMap("c", labels: ["a": "b"], data: ["k": "v"]))
        #expect(made.map("metadata", "labels") == ["a": "b", "by": "c"])
        #expect(made.text("data", "k") == "v")
    }

    @Test func atomicPartsAreNotReplaced() async throws {
        let harness = try await Harness()
        try await mutating(
            harness, "Object{spec: Object.spec{containers: [Object.spec.containers{name: 'c', command: ['x']}]}}")
        _ = try await harness.send(
            "POST", "/api/v1/namespaces/default/serviceaccounts", ["metadata": ["name": "default"]])
        let reply = try await harness.send("POST", "/api/v1/namespaces/default/pods", Harness.pod("p"))
        #expect(reply.status == 403)
        #expect(reply.body.text("message")?.contains("may not mutate atomic arrays, maps or structs") == true)
    }

    @Test func patchesChangeTheObject() async throws {
        let harness = try await Harness()
        try await mutating(
            harness, "[JSONPatch{op: 'add', path: '/data/' + jsonpatch.escapeKey('a/b'), value: 'x'}]", patch: true)
        // The name of an entry with a slash is refused afterwards, so that it can be seen in the message.
        let reply = try await harness.send("POST", Self.path, Harness.configMap("c", data: ["k": "v"]))
        #expect(reply.status == 422)
        #expect(reply.body.text("message")?.contains("data[a/b]") == true)
    }

    @Test func expressionsAreCheckedWhenWritten() async throws {
        let harness = try await Harness()
        await #expect(throws: (any Error).self) {
            try await validating(harness, [["expression": "object.x +"]])
        }
        await #expect(throws: (any Error).self) { try await mutating(harness, "1") }
    }
}
