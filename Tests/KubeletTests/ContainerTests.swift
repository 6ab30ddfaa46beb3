import Basics
import Document
import Images
import Runtime
import Testing

@testable import Kubelet

private let configuration = KubeletConfiguration(
    nodeName: "n1", nodeIP: IPAddress(v4: 0x0A59_0003), rootDirectory: "/lib", logDirectory: "/log",
    clusterDNS: [IPAddress(v4: 0x0A60_000A)])

private func build(
    _ container: Document, pod specification: Document = .emptyObject, image: Image = busybox,
    sources: EnvironmentSources = EnvironmentSources(), volumes: [String: VolumePath] = [:]
) throws -> ProcessSpecification {
    let pod = pod(specification)
    let plan = ContainerPlan(
        pod: pod, container: container, role: .main, attempt: 2, image: image, volumes: volumes, sources: sources,
        podIPs: [IPAddress(v4: 0x0AF4_0105)], hostname: "web", memoryCapacity: 4 << 30, allocatableCPUMillis: 2000,
        allocatableMemory: 4 << 30)
    return try ProcessBuilder(plan: plan, configuration: configuration).build()
}

@Suite struct ContainerTests {
    @Test(arguments: [
        ("$(A)", "1"), ("x$(A)y$(B)z", "x1y22z"), ("$$(A)", "$(A)"), ("$(NONE)", "$(NONE)"), ("$", "$"), ("$(A", "$(A"),
        ("$$$(A)", "$1"), ("a$b", "a$b"),
    ])
    func expansion(text: String, expected: String) {
        #expect(Expansion.expand(text) { ["A": "1", "B": "22"][$0] } == expected)
    }

    @Test(
        arguments: [
            ("1", 1000), ("500m", 500), ("1.5", 1500), ("64Mi", 67_108_864_000), ("1Gi", 1_073_741_824_000),
            ("2k", 2_000_000), ("1e3", 1_000_000), ("100n", 1), ("0.1", 100), ("8Pi", 9_007_199_254_740_992_000),
            ("9223372036854775807", Int64.max), ("8Ei", nil), ("x", nil), ("", nil),
        ] as [(String, Int64?)])
    func quantities(text: String, expected: Int64?) { #expect(Quantity.milli(text) == expected) }

    @Test func commandAndArgumentsReplaceTheImages() throws {
        var image = busybox
        image.config = ["Entrypoint": ["/entry"], "Cmd": ["default"], "WorkingDir": "/srv"]
        #expect(try build(container("c"), image: image).arguments == ["/entry", "default"])
        #expect(try build(container("c", ["args": ["a"]]), image: image).arguments == ["/entry", "a"])
        #expect(try build(container("c", ["command": ["/c"]]), image: image).arguments == ["/c"])
        let expanded = container("c", ["command": ["/c", "$(X)"], "env": [["name": "X", "value": "y"]]])
        #expect(try build(expanded, image: image).arguments == ["/c", "y"])
        #expect(try build(container("c"), image: image).workingDirectory == "/srv")
        image.config = .emptyObject
        #expect(throws: StartProblem(reason: "CreateContainerError", message: "no command specified")) {
            try build(container("c"), image: image)
        }
    }

    @Test func environmentComesFromEverywhere() throws {
        var sources = EnvironmentSources()
        sources.configMaps["m"] = ["metadata": ["namespace": "shop"], "data": ["color": "red", "shape": "round"]]
        sources.secrets["s"] = ["data": ["key": "aHVzaA=="]]
        sources.services = [
            [
                "metadata": ["name": "my-db", "namespace": "shop"],
                "spec": ["clusterIP": "10.96.0.7", "ports": [["name": "sql", "port": 5432]]],
            ],
            [
                "metadata": ["name": "other", "namespace": "else"],
                "spec": ["clusterIP": "10.96.0.8", "ports": [["port": 1]]],
            ],
        ]
        let entries: Document = [
            ["name": "SECRET", "valueFrom": ["secretKeyRef": ["name": "s", "key": "key"]]],
            ["name": "IP", "valueFrom": ["fieldRef": ["fieldPath": "status.podIP"]]],
            ["name": "CPU", "valueFrom": ["resourceFieldRef": ["resource": "limits.cpu"]]],
            ["name": "MEM", "valueFrom": ["resourceFieldRef": ["resource": "limits.memory", "divisor": "1Mi"]]],
            ["name": "GONE", "valueFrom": ["configMapKeyRef": ["name": "m", "key": "no", "optional": true]]],
            ["name": "LINK", "value": "$(MY_DB_SERVICE_HOST):$(C_color)"],
        ]
        let environment = try build(
            container(
                "c",
                [
                    "env": entries, "envFrom": [["prefix": "C_", "configMapRef": ["name": "m"]]],
                    "resources": ["limits": ["cpu": "1500m", "memory": "64Mi"]],
                ]), sources: sources
        ).environment
        for expected in [
            "SECRET=hush", "IP=10.244.1.5", "CPU=2", "MEM=64", "LINK=10.96.0.7:red", "C_shape=round", "FROM_IMAGE=yes",
            "MY_DB_SERVICE_PORT_SQL=5432", "MY_DB_PORT_5432_TCP=tcp://10.96.0.7:5432", "HOSTNAME=web", "HOME=/",
        ] {
            #expect(environment.contains(expected))
        }
        #expect(!environment.contains { $0.hasPrefix("GONE=") || $0.hasPrefix("OTHER_") })
    }

    @Test func missingSourcesAreNamed() {
        let entry: Document = ["name": "X", "valueFrom": ["secretKeyRef": ["name": "s", "key": "k"]]]
        #expect(throws: StartProblem(reason: "CreateContainerConfigError", message: "secret \"s\" not found")) {
            try build(container("c", ["env": [entry]]))
        }
        var sources = EnvironmentSources()
        sources.secrets["s"] = ["metadata": ["namespace": "shop"], "data": [:]]
        #expect(
            throws: StartProblem(reason: "CreateContainerConfigError", message: "couldn't find key k in Secret shop/s")
        ) {
            try build(container("c", ["env": [entry]]), sources: sources)
        }
    }

    @Test func usersAndGroups() throws {
        let security: Document = ["runAsUser": 5, "runAsGroup": 6]
        let process = try build(
            container("c", ["securityContext": security]),
            pod: ["securityContext": ["fsGroup": 9, "supplementalGroups": [7, 8]]])
        #expect(process.privileges.user == User(uid: 5, gid: 6, additionalGroups: [6, 7, 8, 9]))
        #expect(
            throws: StartProblem(
                reason: "CreateContainerConfigError",
                message: "container has runAsNonRoot and image will run as root "
                    + "(pod: \"web_shop(11111111-2222-3333-4444-555555555555)\", container: c)")
        ) {
            try build(container("c", ["securityContext": ["runAsNonRoot": true]]))
        }
    }

    @Test func privileges() throws {
        let plain = try build(container("c")).privileges
        #expect(plain.capabilities == Privileges.defaultCapabilities)
        #expect(plain.maskedPaths.contains("/proc/kcore"))
        #expect(plain.readOnlyPaths.contains("/proc/sys"))
        let changed: Document = [
            "capabilities": ["add": ["NET_ADMIN"], "drop": ["ALL"]], "allowPrivilegeEscalation": false,
            "seccompProfile": ["type": "RuntimeDefault"], "readOnlyRootFilesystem": true,
        ]
        let process = try build(container("c", ["securityContext": changed]))
        #expect(process.privileges.capabilities == ["CAP_NET_ADMIN"])
        #expect(process.privileges.noNewPrivileges)
        #expect(process.privileges.seccomp == .runtimeDefault)
        if case .overlay(_, _, _, let readOnly) = process.root { #expect(readOnly) } else { Issue.record("no overlay") }
        let privileged = try build(container("c", ["securityContext": ["privileged": true]])).privileges
        #expect(privileged.capabilities == nil)
        #expect(privileged.allDevices)
        #expect(privileged.maskedPaths.isEmpty)
    }

    @Test func resourcesBecomeLimits() throws {
        let process = try build(
            container("c", ["resources": ["limits": ["cpu": "250m", "memory": "64Mi"], "requests": ["cpu": "100m"]]]))
        #expect(process.limits.cpuQuota == 25_000)
        #expect(process.limits.cpuShares == 102)
        #expect(process.limits.memoryBytes == 64 << 20)
        let own = pod(["containers": [container("c", ["resources": ["requests": ["cpu": "1"]]])]])
        #expect(Resources.podCgroup(own, root: "node").hasPrefix("node/kubepods/burstable/pod"))
        #expect(Resources.podCgroup(pod(), root: "").hasPrefix("kubepods/besteffort/pod"))
        let same: Document = ["limits": ["cpu": "1", "memory": "1Gi"]]
        let guaranteed = pod(["containers": [container("c", ["resources": same])]])
        #expect(Resources.podCgroup(guaranteed, root: "").hasPrefix("kubepods/pod"))
        #expect(QualityOfService(guaranteed) == .guaranteed)
        #expect(Resources.oomScoreAdjust(container: container("c"), pod: own, memoryCapacity: 1 << 30) == 999)
    }

    @Test func mountsAndNamespaces() throws {
        let mounts: Document = [
            ["name": "v", "mountPath": "/data/deep", "readOnly": true], ["name": "w", "mountPath": "/data"],
        ]
        let volumes = ["v": VolumePath(path: "/host/v"), "w": VolumePath(path: "/host/w")]
        let process = try build(container("c", ["volumeMounts": mounts]), volumes: volumes)
        let own = process.mounts.suffix(2)
        #expect(own.map(\.target) == ["/data", "/data/deep"])
        #expect(own.last?.options == ["rbind", "rprivate", "ro"])
        #expect(process.namespaces[.pid] == .new)
        #expect(process.mounts.contains { $0.target == "/dev/termination-log" })
        let shared = try build(container("c"), pod: ["shareProcessNamespace": true])
        #expect(shared.namespaces[.pid] == nil)
    }

    @Test func sandboxes() {
        func sandbox(_ specification: Document) -> SandboxSpecification {
            SandboxBuilder.build(
                pod: pod(specification), hostname: "web", stateDirectory: "/s", configuration: configuration)
        }
        #expect(sandbox([:]).namespaces[.network] == .new)
        #expect(sandbox([:]).hostname == "web")
        #expect(sandbox([:]).namespaces[.pid] == nil)
        #expect(sandbox(["hostNetwork": true]).namespaces[.network] == nil)
        #expect(sandbox(["hostIPC": true]).namespaces[.ipc] == nil)
        #expect(sandbox(["shareProcessNamespace": true]).namespaces[.pid] == .new)
        let sysctls: Document = ["sysctls": [["name": "net.ipv4.ip_unprivileged_port_start", "value": "80"]]]
        #expect(sandbox(["securityContext": sysctls]).sysctls["net.ipv4.ip_unprivileged_port_start"] == "80")
        #expect(
            SandboxBuilder.hostname(
                of: pod(metadata: ["name": Document(String(repeating: "a", count: 62) + "-b")]), nodeName: "n")
                == String(repeating: "a", count: 62))
    }

    @Test func resolverConfigurations() {
        func text(_ specification: Document) -> String {
            PodFiles(
                pod: pod(specification), configuration: configuration, addresses: [IPAddress(v4: 0x0AF4_0105)],
                hostname: "web"
            ).resolvConf
        }
        #expect(text(["dnsPolicy": "ClusterFirst"]).contains("nameserver 10.96.0.10\n"))
        #expect(
            text([
                "dnsPolicy": "None",
                "dnsConfig": [
                    "nameservers": ["1.2.3.4"], "searches": ["a.b"], "options": [["name": "ndots", "value": "2"]],
                ],
            ])
                == "search a.b\nnameserver 1.2.3.4\noptions ndots:2\n")
        #expect(!text(["dnsPolicy": "ClusterFirst", "hostNetwork": true]).contains("10.96.0.10"))
        let hosts = PodFiles(
            pod: pod(["subdomain": "sub", "hostAliases": [["ip": "9.9.9.9", "hostnames": ["x", "y"]]]]),
            configuration: configuration, addresses: [IPAddress(v4: 0x0AF4_0105)], hostname: "web"
        ).hosts
        #expect(hosts.contains("10.244.1.5\tweb.sub.shop.svc.cluster.local\tweb\n"))
        #expect(hosts.contains("9.9.9.9\tx\ty\n"))
    }

    @Test(arguments: [("SIGQUIT", Int32(3)), ("term", 15), ("9", 9), ("SIGRTMIN+3", 37)])
    func signals(text: String, number: Int32) { #expect(Signals.number(text) == number) }

    @Test(arguments: [
        ("busybox", true), ("docker.io/library/nginx:1.27", true), ("reg:5000/a/b@sha256:0a", true), ("UPPER", false),
        ("a b", false), ("", false), ("a//b", false), ("nginx:", false),
    ])
    func imageNames(name: String, isValid: Bool) { #expect(((try? ImageReference.check(name)) != nil) == isValid) }

    @Test func imageIDs() {
        var image = busybox
        #expect(ContainerStatusBuilder.imageID(image) == "docker.io/library/busybox@sha256:bb")
        image.names = ["localhost:5000/x"]
        #expect(ContainerStatusBuilder.imageID(image) == "localhost:5000/x@sha256:bb")
    }
}
