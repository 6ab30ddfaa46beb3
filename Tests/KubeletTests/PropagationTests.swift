import Document
import Runtime
import Testing

@testable import Kubelet

@Suite struct PropagationTests {
    /// Mounts of containers reach the node only where no copy of its mounts is in between.
    @Test(arguments: [("None", true), ("HostToContainer", true), ("Bidirectional", false)])
    func podsThatMountForTheNodeStayInItsMountNamespace(_ propagation: String, _ hasOwn: Bool) throws {
        let node = try TestNode()
        defer { node.remove() }
        let pod = pod([
            "containers": [
                [
                    "name": "main", "image": "busybox",
                    "volumeMounts": [
                        ["name": "data", "mountPath": "/data", "mountPropagation": Document(propagation)]
                    ],
                ]
            ]
        ])
        let sandbox = SandboxBuilder.build(
            pod: pod, hostname: "web", stateDirectory: "/run/x", configuration: node.configuration)
        #expect((sandbox.namespaces[.mount] == .new) == hasOwn)
    }
}
