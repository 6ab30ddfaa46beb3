import Basics
import Document
import Linux
import Testing

@testable import Cluster

/// Files that were written for kind, and ours: what they ask for, and where they are refused.
@Suite struct KindFileTests {
    static let fixtures =
        "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/") + "/Fixtures/clusters"

    static func parse(_ text: String) throws -> ClusterConfiguration {
        try ConfigurationFile.parse(Array(text.utf8), name: "f.yaml")
    }

    static func fixture(_ name: String) throws -> ClusterConfiguration {
        try ConfigurationFile.parse(try Files.read("\(fixtures)/\(name).yaml"), name: name)
    }

    static func kind(_ text: String) throws -> ClusterConfiguration {
        try parse("kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\n" + text)
    }

    @Test func everyExampleAsksForWhatItSays() throws {
        #expect(try Self.fixture("kind-one-node").nodeNames == ["lab-control-plane"])
        let several = try Self.fixture("kind-multi-node")
        #expect(several.nodeNames == ["several-control-plane", "several-worker", "several-worker2"])
        #expect(several.nodes.map(\.role) == [.controlPlane, .worker, .worker])
        let labels = try Self.fixture("kind-node-labels").nodes.map(\.labels)
        #expect(labels == [[:], ["tier": "front", "example.com/zone": "1"], ["tier": "back"]])
        let mounts = try Self.fixture("kind-mounts").nodes[1].extraMounts
        #expect(mounts.map(\.containerPath) == ["/shared", "/host/name"])
        #expect(mounts.map(\.readOnly) == [false, true])
        #expect(mounts.map(\.propagation) == [.none, .hostToContainer])
    }

    @Test func patchesOfKubeadmsObjectsAreHonoured() throws {
        let configuration = try Self.fixture("kind-patches")
        #expect(configuration.nodes[0].labels == ["ingress-ready": "true"])
        #expect(configuration.nodes[0].taints == [])
        #expect(configuration.nodes[1].labels == ["tier": "back", "disk": "ssd"])
        #expect(
            configuration.nodes[1].taints == [.init(key: "dedicated", value: "batch", effect: "NoSchedule")])
        #expect(configuration.nodes.map(\.maxPods) == [50, 50])
        #expect(configuration.components.enabledAdmission == ["NodeRestriction", "AlwaysPullImages"])
        #expect(configuration.components.certificateNames == ["my-host.example.com"])
        #expect(!configuration.leaderElection)
    }

    @Test func networkingIsTakenOver() throws {
        let configuration = try Self.fixture("kind-networking")
        #expect(configuration.apiPort == nil)
        #expect(configuration.networking.podSubnet.description == "10.64.0.0/18")
        #expect(configuration.networking.serviceSubnet.description == "10.111.0.0/20")
        #expect(configuration.networking.dnsAddress.description == "10.111.0.10")
        #expect(configuration.networking.kubernetesService.description == "10.111.0.1")
        #expect(configuration.networking.dnsSearch == ["example.com", "corp.example.com"])
        // Not silently: it is done with other rules than were asked for.
        #expect(configuration.notes.contains { $0.contains("nftables") })
    }

    @Test func ourOwnFormatSaysMore() throws {
        let configuration = try Self.fixture("own")
        #expect(configuration.workers == 2)
        #expect(configuration.nodes[2].cpuMillis == 1_500)
        #expect(configuration.nodes[2].memoryBytes == 512 << 20)
        #expect(configuration.nodes[2].maxPods == 20)
        #expect(configuration.nodes[2].taints == [.init(key: "gpu", value: "yes", effect: "PreferNoSchedule")])
        #expect(configuration.components.disabledAdmission == ["DefaultStorageClass"])
        #expect(configuration.components.certificateNames == ["lab.example.com", "192.0.2.7"])
        #expect(configuration.components.schedulerConfiguration?.contains("KubeSchedulerConfiguration") == true)
        #expect(configuration.networking.dnsSearch == [])
    }

    static let refused: [(text: String, place: String, says: String)] = [
        ("nodes: {}\n", "line 3, column 1", "nodes must be a list"),
        ("nodes:\n- role: worker\n", "line 3, column 1", "no node is a control plane"),
        ("nodes:\n- role: control-plane\n- role: control-plane\n", "line 5, column 3", "several control planes"),
        ("nodes:\n- role: master\n", "line 4, column 3", "unknown role 'master'"),
        ("nodes:\n- role: control-plane\n  memory: 1Gi\n", "line 5, column 3", "unknown field 'memory'"),
        ("nodes:\n- image: kindest/node:v1.27.3\n", "line 4, column 3", "not what a node is made of"),
        ("nodes:\n- gpus: all\n", "line 4, column 3", "gpus is not supported"),
        ("nodes:\n- labels: {\"a b\": c}\n", "line 4, column 12", "not valid"),
        ("nodes:\n- extraMounts:\n  - containerPath: /data\n", "line 5, column 5", "needs a hostPath"),
        (
            "nodes:\n- extraMounts:\n  - {hostPath: /d, containerPath: /var}\n", "line 5, column 5",
            "the node's own /var"
        ),
        ("nodes:\n- extraMounts:\n  - {hostPath: /d, containerPath: data}\n", "line 5, column 5", "no absolute path"),
        (
            "nodes:\n- extraMounts:\n  - {hostPath: /d, containerPath: /d, propagation: Both}\n",
            "line 5, column 39", "unknown propagation 'Both'"
        ),
        ("networking: {ipFamily: dual}\n", "line 3, column 14", "ipFamily \"dual\" is not supported"),
        ("networking: {podSubnet: 10.1.0.0/28}\n", "line 3, column 14", "/24 for each node"),
        ("networking: {podSubnet: fd00::/16}\n", "line 3, column 14", "IPv6 is not supported"),
        ("networking: {serviceSubnet: 10.244.1.0/24}\n", "line 3, column 1", "overlaps the pod subnet"),
        ("networking: {kubeProxyMode: ipvs}\n", "line 3, column 14", "kubeProxyMode 'ipvs' is not supported"),
        ("networking: {apiServerPort: 70000}\n", "line 3, column 14", "out of range"),
        ("featureGates: {AllAlpha: true}\n", "line 3, column 16", "feature gate AllAlpha=true"),
        ("featureGates: {SidecarContainers: false}\n", "line 3, column 16", "feature gate SidecarContainers=false"),
        ("runtimeConfig: {\"api/alpha\": \"true\"}\n", "line 3, column 17", "it is not served"),
        ("runtimeConfig: {apps/v1: \"false\"}\n", "line 3, column 17", "it is always served"),
        ("containerdConfigPatches: [\"a\"]\n", "line 3, column 27", "there is no containerd in a node"),
        ("kubeadmConfigPatches:\n- |\n  kind: Pod\n", "line 5, column 3", "patches of Pod"),
        (
            "kubeadmConfigPatches:\n- |\n  kind: ClusterConfiguration\n  etcd: {}\n", "line 6, column 3",
            "'etcd' cannot be honoured"
        ),
        (
            "kubeadmConfigPatches:\n- |\n  kind: ClusterConfiguration\n  apiServer:\n    extraArgs:\n      v: \"5\"\n",
            "line 8, column 7", "the flag 'v' of apiServer cannot be honoured"
        ),
        (
            "kubeadmConfigPatches:\n- |\n  kind: KubeletConfiguration\n  evictionHard: {memory.available: 1Gi}\n",
            "line 6, column 18", "evictionHard memory.available cannot be set"
        ),
        (
            "nodes:\n- role: control-plane\n- role: worker\n  kubeadmConfigPatches:\n  - |\n    kind: InitConfiguration\n",
            "line 8, column 5", "no effect on a node that is no control-plane"
        ),
        ("kubeadmConfigPatches:\n- \"a: [\"\n", "line 4, column 3", "did not find"),
        (
            "kubeadmConfigPatchesJSON6902:\n- kind: ClusterConfiguration\n  patch: |\n    - {op: remove, path: /nope}\n",
            "line 5, column 3", "cannot be applied"
        ),
        (
            "nodes:\n- extraPortMappings:\n  - {containerPort: 80, hostPort: 80000}\n", "line 5, column 25",
            "out of range"
        ),
    ]

    @Test(arguments: refused)
    func whatCannotBeHonouredIsRefusedWithItsPlace(text: String, place: String, says: String) {
        let error = #expect(throws: UsageError.self) { try Self.kind(text) }
        #expect(error?.message.contains("f.yaml: \(place)") == true, "\(error?.message ?? "")")
        #expect(error?.message.contains(says) == true, "\(error?.message ?? "")")
        #expect(error?.remedy.isEmpty == false)
    }

    @Test func theVersionOfAPinnedImageDecides() throws {
        for image in ["kindest/node:v1.36.2@sha256:abc", "registry:5000/kindest/node:v1.36", "kindest/node:latest"] {
            #expect(try Self.kind("nodes:\n- image: \(image)\n").nodes.count == 1, "\(image)")
        }
    }

    @Test func aClustersPatchesComeBeforeANodesOwn() throws {
        let text = """
            kubeadmConfigPatches:
            - |
              kind: JoinConfiguration
              nodeRegistration: {kubeletExtraArgs: {node-labels: "a=1,b=1"}}
            nodes:
            - role: control-plane
            - role: worker
              labels: {b: "2"}
            """
        let configuration = try Self.kind(text)
        #expect(configuration.nodes[1].labels == ["a": "1", "b": "2"])
        #expect(configuration.nodes[0].labels.isEmpty)
    }

    @Test func workersAndNodesExcludeEachOther() {
        let text = "workers: 1\nnodes:\n- role: control-plane\n"
        let error = #expect(throws: UsageError.self) { try Self.parse(text) }
        #expect(error?.message.contains("line 1, column 1: workers and nodes") == true)
    }

    @Test func theNumberOfWorkersGoesOverTheFile() throws {
        var configuration = try Self.fixture("own")
        configuration.workers = 3
        #expect(configuration.nodes.map(\.labels) == [[:], ["disk": "ssd"], ["disk": "ssd"], [:]])
        configuration.workers = 1
        #expect(configuration.nodes.count == 2)
        configuration.networking.podSubnet = CIDR(IPAddress(v4: 0x0A00_0000), prefix: 24)
        let error = #expect(throws: UsageError.self) { try configuration.check() }
        #expect(error?.message.contains("has no /24 for each of 2 nodes") == true)
    }

    /// Whatever a file holds, the answer is a configuration or a refusal.
    @Test func garbageIsRefused() throws {
        for name in try Files.list(Self.fixtures) {
            let bytes = try Files.read("\(Self.fixtures)/\(name)")
            for cut in stride(from: 0, to: bytes.count, by: 7) {
                _ = try? ConfigurationFile.parse(Array(bytes[..<cut]), name: name)
                var changed = bytes
                changed[cut] = [0x7B, 0x2D, 0x00, 0xFF, 0x22][cut % 5]
                _ = try? ConfigurationFile.parse(changed, name: name)
            }
        }
        #expect(throws: UsageError.self) { try Self.kind("nodes: [[[]]]\n") }
        #expect(throws: UsageError.self) { try Self.kind("kubeadmConfigPatches: [1]\n") }
    }
}

@Suite struct RememberedConfigurationTests {
    @Test func everythingAskedForIsRemembered() throws {
        for name in try Files.list(KindFileTests.fixtures) where name.hasSuffix(".yaml") {
            let configuration = try KindFileTests.fixture(String(name.dropLast(5)))
            let record = ClusterRecord(configuration, apiPort: 1, createdAt: Timestamp(seconds: 5))
            #expect(ClusterRecord(try Document(json: record.document.json)) == record, "\(name)")
            for node in record.nodes {
                let own = record.nodeRecord(node)
                #expect(try NodeRecord(try Document(json: own.document.json)) == own, "\(name)")
            }
        }
    }

    @Test func aControlPlaneAloneTakesPods() {
        var configuration = ClusterConfiguration()
        let time = Timestamp(seconds: 0)
        var record = ClusterRecord(configuration, apiPort: 1, createdAt: time)
        #expect(record.nodeRecord(record.nodes[0]).taints == [NodeConfiguration.controlPlaneTaint])
        configuration.workers = 0
        record = ClusterRecord(configuration, apiPort: 1, createdAt: time)
        #expect(record.nodeRecord(record.nodes[0]).taints.isEmpty)
    }

    @Test func newNodesTakeFreeNamesAndAddresses() {
        var record = ClusterRecord(ClusterConfiguration(), apiPort: 1, createdAt: Timestamp(seconds: 0))
        #expect(record.nextWorkerName() == "lab-worker3" && record.nextIndex() == 3)
        record.nodes.remove(at: 1)
        #expect(record.nextWorkerName() == "lab-worker" && record.nextIndex() == 1)
        // A fork keeps its nodes' names.
        record.name = "other"
        #expect(record.nextWorkerName() == "lab-worker")
    }

    @Test func anAmountBecomesALimitAndAMountAMount() throws {
        let configuration = try KindFileTests.fixture("own")
        let record = ClusterRecord(configuration, apiPort: 1, createdAt: Timestamp(seconds: 0))
        let layout = Layout(home: "/h").cluster("own")
        let worker = NodeBlueprint(record.nodes[1], cluster: layout, images: "/i")
        #expect(worker.limits.cpuQuota == 150_000 && worker.limits.memoryBytes == 512 << 20)
        #expect(try worker.process().limits == worker.limits)
        let mounts = try KindFileTests.fixture("kind-mounts")
        let mounting = ClusterRecord(mounts, apiPort: 1, createdAt: Timestamp(seconds: 0))
        let last = try NodeBlueprint(mounting.nodes[1], cluster: layout, images: "/i").process().mounts.last
        #expect(last?.source == "/etc/hostname" && last?.target == "/host/name")
        #expect(last?.options == ["rbind", "rslave", "ro"])
    }

    @Test func aForksNodesHaveTheShortDirectories() {
        let fork = Layout(home: "/h").cluster("green")
        #expect(fork.node("blue-worker12").directory == "/h/clusters/green/nodes/worker12")
        #expect(fork.node("blue-control-plane").directory == "/h/clusters/green/nodes/control-plane")
    }

    @Test(arguments: [
        ("search a b\nnameserver 1.1.1.1\n", ["x"], "search x\nnameserver 1.1.1.1\n"),
        ("domain a\nnameserver 1.1.1.1\noptions ndots:2\n", [], "nameserver 1.1.1.1\noptions ndots:2\n"),
    ])
    func searchDomainsReplaceTheHosts(text: String, search: [String], expected: String) {
        #expect(NodeFiles.resolver(text, search: search) == expected)
        #expect(NodeFiles.resolver(text, search: nil) == text)
    }
}
