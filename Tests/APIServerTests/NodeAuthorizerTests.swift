import Document
import Testing

@testable import APIServer

/// What a node may reach: its own objects, and what its pods refer to.
@Suite struct NodeAuthorizerTests {
    private static func pod(_ name: String, node: String, _ spec: Document) -> Document {
        var spec = spec
        spec["nodeName"] = Document(node)
        return ["metadata": ["name": Document(name), "namespace": "ns"], "spec": spec]
    }

    private static func attributes(
        _ verb: String, _ resource: String, name: String = "", namespace: String = "ns", sub: String = "",
        group: String = ""
    ) -> AccessAttributes {
        var attributes = AccessAttributes(
            user: UserInfo(name: "system:node:n1", groups: ["system:nodes"]), verb: verb)
        attributes.resource = resource
        attributes.name = name
        attributes.namespace = namespace
        attributes.subresource = sub
        attributes.group = group
        return attributes
    }

    private static func key(_ kind: NodeGraph.Kind, _ name: String) -> NodeGraph.Key {
        .init(kind: kind, namespace: "ns", name: name)
    }

    @Test func objectsLeadToTheNodesOfThePodsThatUseThem() {
        var graph = NodeGraph()
        let spec: Document = [
            "serviceAccountName": "sa", "imagePullSecrets": [["name": "pull"]],
            "containers": [["name": "c", "env": [["name": "A", "valueFrom": ["secretKeyRef": ["name": "env"]]]]]],
            "volumes": [
                ["name": "a", "projected": ["sources": [["configMap": ["name": "cm"]]]]],
                ["name": "b", "persistentVolumeClaim": ["claimName": "claim"]], ["name": "e", "ephemeral": [:]],
            ],
        ]
        graph.set(pod: Self.pod("p", node: "n1", spec))
        graph.set(pod: Self.pod("q", node: "n2", ["imagePullSecrets": [["name": "pull"]]]))
        let reached = [
            Self.key(.serviceAccount, "sa"), Self.key(.secret, "pull"), Self.key(.secret, "env"),
            Self.key(.configMap, "cm"), Self.key(.claim, "claim"), Self.key(.claim, "p-e"), Self.key(.pod, "p"),
        ]
        for key in reached { #expect(graph.leads(from: key, to: "n1"), "\(key)") }
        #expect(graph.leads(from: Self.key(.secret, "pull"), to: "n2"))
        #expect(!graph.leads(from: Self.key(.secret, "env"), to: "n2"))
        graph.remove(pod: Self.key(.pod, "p"))
        for key in reached { #expect(!graph.leads(from: key, to: "n1"), "\(key)") }
        #expect(graph.leads(from: Self.key(.secret, "pull"), to: "n2"))
    }

    @Test func volumesLeadWhereTheirClaimsDo() {
        var graph = NodeGraph()
        graph.set(volume: [
            "metadata": ["name": "pv"],
            "spec": [
                "claimRef": ["namespace": "ns", "name": "claim"],
                "csi": [
                    "nodeStageSecretRef": ["namespace": "store", "name": "stage"],
                    "controllerPublishSecretRef": ["namespace": "store", "name": "publish"],
                ],
            ],
        ])
        let volume = NodeGraph.Key(kind: .volume, name: "pv")
        let stage = NodeGraph.Key(kind: .secret, namespace: "store", name: "stage")
        #expect(!graph.leads(from: volume, to: "n1"))
        graph.set(
            pod: Self.pod("p", node: "n1", ["volumes": [["persistentVolumeClaim": ["claimName": "claim"]]]]))
        #expect(graph.leads(from: volume, to: "n1"))
        #expect(graph.leads(from: stage, to: "n1"))
        let publish = NodeGraph.Key(kind: .secret, namespace: "store", name: "publish")
        #expect(!graph.leads(from: publish, to: "n1"))
        graph.remove(volume: volume)
        #expect(!graph.leads(from: stage, to: "n1"))
    }

    @Test func mirrorPodsOpenNothing() {
        var graph = NodeGraph()
        var pod = Self.pod("p", node: "n1", ["imagePullSecrets": [["name": "s"]]])
        pod.set("x", at: "metadata", "annotations", "kubernetes.io/config.mirror")
        graph.set(pod: pod)
        #expect(graph.leads(from: Self.key(.pod, "p"), to: "n1"))
        #expect(!graph.leads(from: Self.key(.secret, "s"), to: "n1"))
    }

    @Test func verbsAndNamesAreHeldToTheNodesOwn() {
        let authorizer = NodeAuthorizer(graph: NodeGraph(), rules: NodeAuthorizer.standardRules)
        func opinion(_ attributes: AccessAttributes) -> NodeAuthorizer.Opinion {
            authorizer.decide(attributes, node: "n1")
        }
        #expect(opinion(Self.attributes("get", "nodes", name: "n1", namespace: "")).allowed)
        #expect(
            opinion(Self.attributes("get", "nodes", name: "n2", namespace: "")).reason
                == "node 'n1' cannot read 'n2', only its own Node object")
        #expect(opinion(Self.attributes("list", "secrets")).reason == "No Object name found")
        #expect(
            opinion(Self.attributes("update", "secrets", name: "s")).reason == "can only read resources of this type")
        let lease = Self.attributes(
            "update", "leases", name: "n1", namespace: "kube-node-lease", group: "coordination.k8s.io")
        #expect(opinion(lease).allowed)
        var pods = Self.attributes("list", "pods", namespace: "")
        #expect(opinion(pods).reason == "can only list/watch pods with spec.nodeName field selector")
        pods.fields = (try? .init(parsing: "spec.nodeName=n1")) ?? .init()
        #expect(opinion(pods).allowed)
        pods.fields = (try? .init(parsing: "spec.nodeName=n2")) ?? .init()
        #expect(!opinion(pods).allowed)
        // What is not divided among the nodes comes from the role.
        #expect(opinion(Self.attributes("create", "events")).allowed)
        #expect(!opinion(Self.attributes("delete", "services", name: "x")).allowed)
    }

    @Test func theIndexFollowsTheStore() async throws {
        let harness = try await Harness()
        try await harness.create("/api/v1/nodes", ["apiVersion": "v1", "kind": "Node", "metadata": ["name": "n1"]])
        try await harness.create(
            "/api/v1/namespaces/default/secrets", ["apiVersion": "v1", "kind": "Secret", "metadata": ["name": "s"]])
        try await harness.create(
            "/api/v1/namespaces/default/serviceaccounts",
            ["apiVersion": "v1", "kind": "ServiceAccount", "metadata": ["name": "default"]])
        func read() async throws -> Int {
            try await harness.send(
                "GET", "/api/v1/namespaces/default/secrets/s", as: "system:node:n1", groups: ["system:nodes"]
            ).status
        }
        #expect(try await read() == 403)
        var pod = Harness.pod("p")
        pod.set("n1", at: "spec", "nodeName")
        pod.set([["name": "s"]], at: "spec", "imagePullSecrets")
        try await harness.create("/api/v1/namespaces/default/pods", pod)
        #expect(try await read() == 200)
        let gone = try await harness.send(
            "DELETE", "/api/v1/namespaces/default/pods/p?gracePeriodSeconds=0")
        #expect(gone.status == 200)
        #expect(try await read() == 403)
    }
}
