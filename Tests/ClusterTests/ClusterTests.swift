import Basics
import Document
import Testing

@testable import Cluster

@Suite struct ConfigurationTests {
    @Test func aFileSaysWhatFlagsSay() throws {
        let text =
            "apiVersion: lab.dev/v1\nkind: Cluster\nname: blue\nworkers: 3\napiPort: 16443\nimageArchives: [a.tar]\n"
        let configuration = try ConfigurationFile.parse(Array(text.utf8), name: "lab.yaml")
        #expect(configuration.name == "blue")
        #expect(configuration.workers == 3)
        #expect(configuration.apiPort == 16443)
        #expect(configuration.imageArchives == ["a.tar"])
    }

    @Test(arguments: [
        ("apiVersion: lab.dev/v1\nnode: 3\n", "line 2, column 1: unknown field 'node'"),
        ("apiVersion: v1\n", "unknown apiVersion"),
        ("kind: Pod\n", "unknown kind"),
        ("workers: many\n", "workers must be a number"),
        ("apiPort: 70000\n", "apiPort must be a port"),
        ("imageArchives: a.tar\n", "imageArchives must be a list of paths"),
        ("- a\n", "a mapping is expected"),
        ("name: [\n", "lab.yaml: "),
    ])
    func whatIsNotKnownIsRefused(text: String, message: String) {
        let error = #expect(throws: UsageError.self) {
            try ConfigurationFile.parse(Array(text.utf8), name: "lab.yaml")
        }
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
    }

    @Test(arguments: ["", "-a", "a-", "A", "a_b", "a.b", String(repeating: "a", count: 33)])
    func namesThatCannotBeAreRefused(name: String) {
        #expect(throws: UsageError.self) { try ClusterConfiguration.check(name: name) }
    }

    @Test func nodesAreNamedAsKindNamesThem() {
        var configuration = ClusterConfiguration()
        configuration.name = "x"
        configuration.workers = 3
        #expect(configuration.nodeNames == ["x-control-plane", "x-worker", "x-worker2", "x-worker3"])
    }
}

@Suite struct BlueprintTests {
    static func blueprint(_ index: Int) -> NodeBlueprint {
        let layout = Layout(home: "/h").cluster("c")
        return NodeBlueprint(
            name: "n\(index)", layout: layout.node("n\(index)"), address: Addresses.node(index),
            isControlPlane: index == 0, binary: layout.binary, images: "/h/images")
    }

    @Test func onlyTheControlPlaneRunsTheControlPlane() {
        #expect(Self.blueprint(0).services.map(\.id) == ["apiserver", "manager", "agent"])
        #expect(Self.blueprint(1).services.map(\.id) == ["agent"])
    }

    @Test func aNodeIsClosedInAndSeesOnlyItsOwnDirectories() throws {
        let process = try Self.blueprint(1).process()
        #expect(process.namespaces.values.allSatisfy { $0 == .new })
        #expect(Set(process.namespaces.keys).isSuperset(of: [.mount, .network, .pid, .ipc, .uts, .cgroup]))
        #expect(process.root == .directory("/h/clusters/c/nodes/n1/root", readOnly: false))
        let fromHost = process.mounts.filter { $0.type == "bind" }.map(\.source)
        #expect(
            fromHost == [
                "/dev", "/h/clusters/c/lab", "/h/clusters/c/nodes/n1/etc", "/h/clusters/c/nodes/n1/var", "/h/images",
                "/h/clusters/c/nodes/n1/s", "/h/clusters/c/host",
            ])
    }

    /// A unix socket's path has at most 107 bytes; the longest name must leave room for it.
    @Test func theLongestNameFitsIntoASocketsPath() {
        let name = String(repeating: "a", count: ClusterConfiguration.longestName)
        let node = Layout().cluster(name).node("\(name)-worker\(ClusterConfiguration.mostWorkers)")
        #expect("\(node.state)/control.sock".utf8.count <= 107, "\(node.state)")
    }

    @Test func addressesDoNotMeet() {
        let networks = [Addresses.nodes, Addresses.pods, Addresses.services]
        for (index, one) in networks.enumerated() {
            for other in networks[(index + 1)...] { #expect(!one.contains(other) && !other.contains(one)) }
        }
        #expect(Addresses.nodes.contains(Addresses.node(ClusterConfiguration.mostWorkers)))
        #expect(Addresses.services.contains(Addresses.dns))
    }
}

@Suite struct RecordTests {
    @Test func recordsSurviveTheirFile() throws {
        let nodes = ["a", "b"].enumerated().map {
            ClusterNode(name: $1, index: $0, configuration: NodeConfiguration(role: .worker))
        }
        let record = ClusterRecord(
            name: "c", phase: .running, nodes: nodes, apiPort: 4711, createdAt: Timestamp(seconds: 1_767_323_045))
        #expect(ClusterRecord(try Document(json: record.document.json)) == record)
        let node = NodeRecord(cluster: "c", name: "b", index: 1)
        #expect(try NodeRecord(try Document(json: node.document.json)) == node)
        #expect(ClusterRecord(["name": "c"]) == nil)
        #expect(throws: Failure.self) { try NodeRecord(["cluster": "c"]) }
    }
}
