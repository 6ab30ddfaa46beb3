import Basics
import Client
import Controllers
import Document
import Kinds
import Simulation
import Testing

@Suite struct CollectorSimulationTests {
    private static let widgets = ResourceType(group: "lab.test", version: "v1", plural: "widgets", kind: "Widget")

    private static func definition() -> Document {
        [
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": ["name": "widgets.lab.test"],
            "spec": [
                "group": "lab.test", "scope": "Namespaced",
                "names": ["plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"],
                "versions": [
                    [
                        "name": "v1", "served": true, "storage": true,
                        "schema": [
                            "openAPIV3Schema": ["type": "object", "x-kubernetes-preserve-unknown-fields": true]
                        ],
                    ]
                ],
            ],
        ]
    }

    private static func owned(_ name: String, by owner: Document, in namespace: String = "default") -> Document {
        var map = FaultScenario.configMap(name, namespace: namespace)
        map.set(
            [
                [
                    "apiVersion": owner["apiVersion"] ?? .null, "kind": owner["kind"] ?? .null,
                    "name": owner.at("metadata", "name") ?? .null, "uid": owner.at("metadata", "uid") ?? .null,
                    "blockOwnerDeletion": true,
                ]
            ], at: "metadata", "ownerReferences")
        return map
    }

    @Test func customResourcesComeAndGo() throws {
        try simulate(.real, seed: 31, nodes: 1) { cluster in
            let client = cluster.client
            _ = try await client.create(.customResourceDefinitions, Self.definition())
            try await cluster.eventually("widgets can be made") {
                let widget: Document = [
                    "apiVersion": "lab.test/v1", "kind": "Widget",
                    "metadata": ["name": "w", "namespace": "default"],
                ]
                return (try? await client.create(Self.widgets, widget)) != nil
            }
            let widget = try await client.get(Self.widgets, namespace: "default", name: "w")
            _ = try await client.create(.configMaps, Self.owned("part", by: widget))
            try await cluster.world.clock.sleep(for: .seconds(2))
            _ = try await client.get(.configMaps, namespace: "default", name: "part")
            _ = try await client.delete(Self.widgets, namespace: "default", name: "w")
            try await cluster.eventually("what it owned goes", within: .seconds(5)) {
                let left = try await client.list(.configMaps, namespace: "default").list("items")
                return !left.contains { $0.text("metadata", "name") == "part" }
            }
            _ = try await client.delete(.customResourceDefinitions, name: "widgets.lab.test")
            try await cluster.world.clock.sleep(for: .seconds(5))
            let before = cluster.reads("/apis/lab.test")
            try await cluster.world.clock.sleep(for: .seconds(120))
            // Nobody asks for what is served no longer.
            #expect(cluster.reads("/apis/lab.test") == before)
        }
    }

    @Test func circlesGoInTheForeground() throws {
        try simulate(.real, seed: 32, nodes: 1) { cluster in
            let client = cluster.client
            let first = try await client.create(.configMaps, FaultScenario.configMap("first"))
            let second = try await client.create(.configMaps, Self.owned("second", by: first))
            let third = try await client.create(.configMaps, Self.owned("third", by: second))
            let reference = Self.owned("x", by: third).at("metadata", "ownerReferences") ?? .null
            _ = try await client.patch(
                .configMaps, namespace: "default", name: "first", ["metadata": ["ownerReferences": reference]])
            try await cluster.world.clock.sleep(for: .seconds(1))
            _ = try await client.delete(
                .configMaps, namespace: "default", name: "first", options: ["propagationPolicy": "Foreground"])
            try await cluster.eventually("all three are gone", within: .seconds(20)) {
                let names = try await client.list(.configMaps, namespace: "default").list("items")
                    .compactMap { $0.text("metadata", "name") }
                return names == ["kube-root-ca.crt"]
            }
        }
    }

    @Test func ownersOfOtherNamespacesAreNone() throws {
        try simulate(.real, seed: 33, nodes: 1) { cluster in
            let client = cluster.client
            let owner = try await client.create(.configMaps, FaultScenario.configMap("owner", namespace: "kube-system"))
            _ = try await client.create(.configMaps, Self.owned("child", by: owner))
            try await cluster.eventually("the dependent goes, and an event tells why", within: .seconds(10)) {
                let left = try await client.list(.configMaps, namespace: "default").list("items")
                let events = try await client.list(.events, namespace: "default").list("items")
                return !left.contains { $0.text("metadata", "name") == "child" }
                    && events.contains { event in
                        event.text("reason") == "OwnerRefInvalidNamespace"
                            && event.text("message")?.hasSuffix("does not exist in namespace \"default\"") == true
                    }
            }
        }
    }

    @Test func podsLeaveANamespaceFirst() throws {
        try simulate(.real, seed: 34, nodes: 1) { cluster in
            let client = cluster.client
            _ = try await client.create(
                .namespaces, ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "team"]])
            try await cluster.eventually("it has an account") {
                (try? await client.get(.serviceAccounts, namespace: "team", name: "default")) != nil
            }
            var pod = FaultScenario.pod("held", app: "held")
            pod.set("team", at: "metadata", "namespace")
            pod.set(["lab.test/hold"], at: "metadata", "finalizers")
            _ = try await client.create(.pods, pod)
            _ = try await client.create(.configMaps, FaultScenario.configMap("kept", namespace: "team"))
            _ = try await client.delete(.namespaces, name: "team")
            try await cluster.eventually("its state is told") {
                let namespace = try await client.get(.namespaces, name: "team")
                func message(_ type: String) -> String? {
                    namespace.list("status", "conditions").first { $0.text("type") == type }?.text("message")
                }
                return message("NamespaceContentRemaining")
                    == "Some resources are remaining: pods. has 1 resource instances"
                    && message("NamespaceFinalizersRemaining")
                        == "Some content in the namespace has finalizers remaining: lab.test/hold in 1 resource instances"
            }
            try await cluster.world.clock.sleep(for: .seconds(30))
            let map = try await client.get(.configMaps, namespace: "team", name: "kept")
            #expect(map.text("metadata", "deletionTimestamp") == nil)
            _ = try await client.patch(
                .pods, namespace: "team", name: "held", ["metadata": ["finalizers": .null]])
            try await cluster.eventually("it goes", within: .seconds(30)) {
                let spaces = try await client.list(.namespaces).list("items")
                return !spaces.contains { $0.text("metadata", "name") == "team" }
            }
        }
    }
}
