import Glibc
import Linux
import Testing

/// The configuration files of `Fixtures/clusters` that are kind's, each as it is.
@Suite(.serialized, .enabled(if: Machine.canCreate && Machine.hasKubectl, "\(Machine.why), and kubectl"))
struct ExampleClusterTests {
    private struct Example {
        var nodes: Int
        /// A question to kubectl, and what it answers.
        var question: [String]
        var answer: String
    }

    private static let examples: [String: Example] = [
        "kind-one-node": Example(
            nodes: 1, question: ["get", "nodes", "-o", "jsonpath={.items[0].spec.taints}"], answer: ""),
        "kind-multi-node": Example(
            nodes: 3,
            question: [
                "get", "nodes", "-l", "node-role.kubernetes.io/control-plane", "-o",
                "jsonpath={.items[*].spec.taints[0].effect}",
            ],
            answer: "NoSchedule"),
        "kind-node-labels": Example(
            nodes: 3,
            question: [
                "get", "nodes", "-l", "tier=front", "-o", "jsonpath={.items[*].metadata.labels.example\\.com/zone}",
            ],
            answer: "1"),
        "kind-networking": Example(
            nodes: 2, question: ["get", "service", "kubernetes", "-o", "jsonpath={.spec.clusterIP}"],
            answer: "10.111.0.1"),
        "kind-patches": Example(
            nodes: 2,
            question: [
                "get", "nodes", "-l", "tier=back", "-o",
                "jsonpath={.items[*].spec.taints[?(@.key==\"dedicated\")].effect} {.items[*].status.capacity.pods}",
            ],
            answer: "NoSchedule 50"),
        "kind-ports": Example(
            nodes: 2,
            question: ["get", "nodes", "-o", "jsonpath={.items[0].status.conditions[?(@.type==\"Ready\")].status}"],
            answer: "True"),
        "kind-mounts": Example(
            nodes: 2,
            question: ["get", "nodes", "-o", "jsonpath={.items[1].status.conditions[?(@.type==\"Ready\")].status}"],
            answer: "True"),
    ]

    private static let directory = "\(APIProcess.root)/Fixtures/clusters"

    @Test func eachMakesACluster() throws {
        let files = try Files.list(Self.directory).filter { $0.hasPrefix("kind-") }.sorted()
        #expect(files == Self.examples.keys.map { "\($0).yaml" }.sorted(), "every file is tried")
        let lab = Lab("examples")
        defer { lab.tearDown() }
        for file in files {
            guard let example = Self.examples[String(file.dropLast(5))] else { continue }
            // What it mounts is named from the directory that one is in.
            let created = Shell.run(
                [
                    "sh", "-c", "cd \(lab.home) && exec \"$0\" \"$@\"", Machine.binary ?? "lab", "create", lab.name,
                    "--config", "\(Self.directory)/\(file)", "--egress", "false", "--wait", "120s",
                ], extra: lab.environment)
            #expect(created.code == 0, "\(file): \(created)")
            let listed = lab.kubectl("get", "nodes", "--no-headers")
            let nodes = listed.out.split(separator: "\n")
            #expect(nodes.count == example.nodes && nodes.allSatisfy { $0.contains(" Ready ") }, "\(file): \(listed)")
            let asked = Shell.run(["kubectl"] + example.question, extra: lab.environment)
            #expect(asked.out == example.answer, "\(file): \(asked)")
            if file == "kind-ports.yaml" {
                let ports = lab.lab("port", "list", "--cluster", lab.name)
                #expect(ports.code == 0 && ports.out.contains("80") && ports.out.contains("udp"), "\(ports)")
                portsComeAndGo(lab)
            }
            if file == "kind-mounts.yaml" { #expect(Files.exists("\(lab.home)/shared")) }
            #expect(lab.lab("delete", lab.name).code == 0)
        }
    }

    /// A port of the running cluster is published, answers from its node, and is gone when it is taken back.
    private func portsComeAndGo(_ lab: Lab) {
        let free = Shell.run(
            [
                "python3", "-c",
                "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])",
            ]
        ).out.filter(\.isNumber)
        func answer() -> String {
            Shell.run(["curl", "-sk", "--max-time", "10", "https://127.0.0.1:\(free)/healthz"]).out
        }
        let mapping = "127.0.0.1:\(free):6443"
        #expect(answer() == "")
        let added = lab.lab("port", "add", "--cluster", lab.name, mapping)
        #expect(added.code == 0 && answer() == "ok", "\(added)")
        let removed = lab.lab("port", "remove", "--cluster", lab.name, mapping)
        #expect(removed.code == 0 && answer() == "", "\(removed)")
    }
}
