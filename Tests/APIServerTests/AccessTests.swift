import Basics
import Document
import Kinds
import Testing

@testable import APIServer

/// Who may do what: authentication, authorization, escalation.
@Suite struct AccessTests {
    private let rbac = "/apis/rbac.authorization.k8s.io/v1"

    private func grant(_ harness: Harness, verbs: [String], resources: [String], to user: String) async throws {
        try await harness.create(
            rbac + "/namespaces/default/roles",
            [
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": ["name": "r"],
                "rules": [["apiGroups": [""], "resources": Document(resources), "verbs": Document(verbs)]],
            ])
        try await harness.create(
            rbac + "/namespaces/default/rolebindings",
            [
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": ["name": "r"],
                "roleRef": ["apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"],
                "subjects": [["kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": Document(user)]],
            ])
    }

    @Test func rightsComeFromBindingsAndCountAtOnce() async throws {
        let harness = try await Harness()
        let path = "/api/v1/namespaces/default/pods"
        let denied = try await harness.send("GET", path, as: "jane")
        #expect(denied.status == 403)
        #expect(
            denied.body.text("message")
                == "pods is forbidden: User \"jane\" cannot list resource \"pods\" in API group \"\" in the namespace "
                + "\"default\"")
        try await grant(harness, verbs: ["list"], resources: ["pods"], to: "jane")
        #expect(try await harness.send("GET", path, as: "jane").status == 200)
        #expect(try await harness.send("GET", "/api/v1/namespaces/kube-system/pods", as: "jane").status == 403)
        #expect(try await harness.send("DELETE", path + "/x", as: "jane").status == 403)
        #expect(try await harness.send("DELETE", rbac + "/namespaces/default/rolebindings/r").status == 200)
        #expect(try await harness.send("GET", path, as: "jane").status == 403)
    }

    @Test func reviewsTellWhatRequestsWouldHear() async throws {
        let harness = try await Harness()
        try await grant(harness, verbs: ["get"], resources: ["secrets"], to: "jane")
        func review(_ verb: String) async throws -> Bool? {
            try await harness.send(
                "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                [
                    "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                    "spec": [
                        "resourceAttributes": [
                            "namespace": "default", "verb": Document(verb), "resource": "secrets",
                        ]
                    ],
                ], as: "jane", groups: ["system:authenticated"]
            ).body.flag("status", "allowed")
        }
        #expect(try await review("get") == true)
        #expect(try await review("delete") == false)
    }

    @Test func nobodyGivesAwayMoreThanTheyHold() async throws {
        let harness = try await Harness()
        try await harness.create(
            rbac + "/clusterroles",
            [
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": ["name": "maker"],
                "rules": [
                    [
                        "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"],
                        "verbs": ["*"],
                    ], ["apiGroups": [""], "resources": ["pods"], "verbs": ["get"]],
                ],
            ])
        try await harness.create(
            rbac + "/clusterrolebindings",
            [
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
                "metadata": ["name": "maker"],
                "roleRef": ["apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "maker"],
                "subjects": [["kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "jane"]],
            ])
        func role(_ verb: String) -> Document {
            [
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
                "metadata": ["name": Document("x-\(verb)")],
                "rules": [["apiGroups": [""], "resources": ["pods"], "verbs": [Document(verb)]]],
            ]
        }
        let path = rbac + "/namespaces/default/roles"
        // `*` on roles holds `escalate` too, so this user may; without it the check bites.
        #expect(try await harness.send("POST", path, role("delete"), as: "jane").status == 201)
        #expect(
            try await harness.send(
                "PATCH", rbac + "/clusterroles/maker",
                [["op": "replace", "path": "/rules/0/verbs", "value": ["create"]]], type: "application/json-patch+json"
            ).status == 200)
        #expect(try await harness.send("POST", path, role("get"), as: "jane").status == 201)
        let refused = try await harness.send("POST", path, role("list"), as: "jane")
        #expect(refused.status == 403)
        #expect(
            refused.body.text("message")?.contains("{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"list\"]}") == true
        )
        // Creating through PUT needs the right to create.
        #expect(try await harness.send("PUT", path + "/x-watch", role("watch"), as: "bob").status == 403)
    }

    @Test func impersonationNeedsTheRightToImpersonate() async throws {
        let harness = try await Harness()
        try await harness.create("/api/v1/namespaces/default/serviceaccounts", Harness.serviceAccount)
        let token = try await token(harness)
        let refused = try await harness.send("GET", "/api/v1/pods", as: "admin", token: token)
        #expect(refused.status == 403)
        #expect(
            refused.body.text("message")?.contains("cannot impersonate-on:user-info:list resource \"pods\"") == true)
    }

    private func token(_ harness: Harness, bound: Document? = nil) async throws -> String {
        var spec: Document = ["expirationSeconds": 600]
        if let bound { spec["boundObjectRef"] = bound }
        let made = try await harness.create(
            "/api/v1/namespaces/default/serviceaccounts/default/token",
            ["apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec])
        return made.text("status", "token") ?? ""
    }

    @Test func tokensSayWhoAskedAndEnd() async throws {
        let harness = try await Harness()
        try await harness.create("/api/v1/namespaces/default/serviceaccounts", Harness.serviceAccount)
        let token = try await token(harness)
        func ask(_ token: String) async throws -> Int {
            try await harness.send("GET", "/api/v1/namespaces/default/pods", token: token).status
        }
        // Known, and without rights; a broken token is nobody at all.
        #expect(try await ask(token) == 403)
        #expect(try await ask(String(token.dropLast(4)) + "AAAA") == 401)
        // Clocks may differ by a minute.
        harness.clock.advance(by: .seconds(661))
        #expect(try await ask(token) == 401)
    }

    @Test func tokensBoundToAPodEndWithIt() async throws {
        let harness = try await Harness()
        try await harness.create("/api/v1/namespaces/default/serviceaccounts", Harness.serviceAccount)
        try await harness.create("/api/v1/namespaces/default/pods", Harness.pod("p"))
        let token = try await token(harness, bound: ["apiVersion": "v1", "kind": "Pod", "name": "p"])
        #expect(try await harness.send("GET", "/api", token: token).status == 200)
        #expect(try await harness.send("DELETE", "/api/v1/namespaces/default/pods/p").status == 200)
        #expect(try await harness.send("GET", "/api", token: token).status == 401)
    }

    @Test func anonymousSeesOnlyWhatIsPublic() async throws {
        let harness = try await Harness()
        func ask(_ path: String) async -> Int { await harness.server.handler(.init("GET", path)).status }
        #expect(await ask("/version") == 200)
        #expect(await ask("/livez") == 200)
        #expect(await ask("/api/v1/pods") == 403)
        #expect(await ask("/metrics") == 403)
    }

    @Test func nodesWriteOnlyThemselves() async throws {
        let harness = try await Harness()
        func node(_ name: String) -> Document {
            ["apiVersion": "v1", "kind": "Node", "metadata": ["name": Document(name)]]
        }
        func send(_ method: String, _ path: String, _ body: Document) async throws -> Int {
            try await harness.send(
                method, path, body, type: method == "PATCH" ? "application/merge-patch+json" : "application/json",
                as: "system:node:n1", groups: ["system:nodes", "system:authenticated"]
            ).status
        }
        #expect(try await send("POST", "/api/v1/nodes", node("n1")) == 201)
        #expect(try await send("POST", "/api/v1/nodes", node("n2")) == 403)
        #expect(try await send("PATCH", "/api/v1/nodes/n1", ["metadata": ["labels": ["a": "b"]]]) == 200)
        #expect(try await send("PATCH", "/api/v1/nodes/n1", ["spec": ["taints": []]]) == 403)
    }
}
