import Document
import Testing

@testable import Scheduler

@Suite struct VolumePluginTests {
    private func withClaim(_ name: String, _ claim: String = "data") -> PodInfo {
        pod(name, spec: ["volumes": [["name": "v", "persistentVolumeClaim": ["claimName": Document(claim)]]]])
    }

    private func claim(_ patch: Document = [:]) -> Document {
        ([
            "metadata": ["name": "data", "namespace": "default", "uid": "c1"],
            "spec": [
                "accessModes": ["ReadWriteOnce"], "storageClassName": "local",
                "resources": ["requests": ["storage": "1Gi"]],
            ],
            "status": ["phase": "Pending"],
        ] as Document).applyingMergePatch(patch)
    }

    private func volume(_ name: String, on node: String, size: String = "1Gi", _ patch: Document = [:]) -> Document {
        ([
            "metadata": ["name": Document(name)],
            "spec": [
                "capacity": ["storage": Document(size)], "accessModes": ["ReadWriteOnce"], "storageClassName": "local",
                "nodeAffinity": [
                    "required": [
                        "nodeSelectorTerms": [
                            [
                                "matchExpressions": [
                                    ["key": "kubernetes.io/hostname", "operator": "In", "values": [Document(node)]]
                                ]
                            ]
                        ]
                    ]
                ],
            ],
            "status": ["phase": "Available"],
        ] as Document).applyingMergePatch(patch)
    }

    private func cluster(mode: String = "WaitForFirstConsumer", provisioner: String = "kubernetes.io/no-provisioner")
        -> Cluster
    {
        var cluster = makeCluster(count: 2)
        cluster.storage.classes["local"] = [
            "metadata": ["name": "local"], "provisioner": Document(provisioner), "volumeBindingMode": Document(mode),
        ]
        cluster.storage.claims["default/data"] = claim()
        return cluster
    }

    @Test func missingAndUnboundClaims() {
        var cluster = cluster(mode: "Immediate")
        #expect(
            decide(withClaim("a", "none"), &cluster)
                == "0/2 nodes are available: persistentvolumeclaim \"none\" not found.")
        #expect(
            decide(withClaim("a"), &cluster)
                == "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims.")
    }

    @Test func volumesOfANodeDrawThePodThere() {
        var cluster = cluster()
        #expect(
            decide(withClaim("a"), &cluster)
                == "0/2 nodes are available: 2 node(s) didn't find available persistent volumes to bind.")
        cluster.storage.volumes["small"] = volume("small", on: "n1", size: "1Mi")
        cluster.storage.volumes["large"] = volume("large", on: "n2", size: "9Gi")
        cluster.storage.volumes["right"] = volume("right", on: "n2", size: "2Gi")
        #expect(decide(withClaim("a"), &cluster) == "n2")
        #expect(VolumeBinding().reserve(withClaim("a"), "n2", &cluster) == nil)
        #expect(
            cluster.volumePlans["default/a"]
                == VolumePlan(node: "n2", bindings: [.init(claim: "default/data", volume: "right")]))
        // What is promised is nobody else's.
        cluster.storage.claims["default/more"] = claim(["metadata": ["name": "more", "uid": "c2"]])
        #expect(VolumeBinding().reserve(withClaim("b", "more"), "n2", &cluster) == nil)
        #expect(cluster.volumePlans["default/b"]?.bindings.map(\.volume) == ["large"])
        VolumeBinding().unreserve(withClaim("a"), "n2", &cluster)
        #expect(cluster.storage.promised == ["large": "default/more"])
    }

    @Test func boundVolumesBindTheirPods() {
        var cluster = cluster()
        cluster.storage.claims["default/data"] = claim([
            "metadata": ["annotations": ["pv.kubernetes.io/bind-completed": "yes"]], "spec": ["volumeName": "v"],
            "status": ["phase": "Bound"],
        ])
        #expect(
            decide(withClaim("a"), &cluster)
                == "0/2 nodes are available: "
                + "2 node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s).")
        cluster.storage.volumes["v"] = volume("v", on: "n2")
        #expect(decide(withClaim("a"), &cluster) == "n2")
        cluster.storage.volumes["v"] = volume("v", on: "elsewhere")
        #expect(
            decide(withClaim("a"), &cluster)
                == "0/2 nodes are available: 2 node(s) didn't match PersistentVolume's node affinity.")
    }

    @Test func provisionedVolumesNeedSpace() {
        var cluster = cluster(provisioner: "csi.example.com")
        #expect(decide(withClaim("a"), &cluster).hasPrefix("n"))
        cluster.storage.capacityDrivers = ["csi.example.com"]
        #expect(
            decide(withClaim("a"), &cluster)
                == "0/2 nodes are available: 2 node(s) did not have enough free storage.")
        cluster.storage.capacities["default/x"] = [
            "storageClassName": "local", "capacity": "5Gi",
            "nodeTopology": ["matchLabels": ["kubernetes.io/hostname": "n2"]],
        ]
        #expect(decide(withClaim("a"), &cluster) == "n2")
        #expect(VolumeBinding().reserve(withClaim("a"), "n2", &cluster) == nil)
        #expect(cluster.volumePlans["default/a"]?.provisions == ["default/data"])
    }

    @Test func onePodAtATime() {
        var cluster = cluster(provisioner: "csi.example.com")
        cluster.storage.claims["default/data"] = claim(["spec": ["accessModes": ["ReadWriteOncePod"]]])
        cluster.place(withClaim("a"), on: "n1")
        #expect(
            decide(withClaim("b"), &cluster)
                == "0/2 nodes are available: 2 node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod "
                + "access mode already in-use by another pod.")
        cluster.remove("default/a")
        #expect(decide(withClaim("b"), &cluster).hasPrefix("n"))
    }

    @Test func zonesAndLimits() {
        var cluster = cluster()
        cluster.storage.claims["default/data"] = claim([
            "metadata": ["annotations": ["pv.kubernetes.io/bind-completed": "yes"]], "spec": ["volumeName": "v"],
        ])
        cluster.storage.volumes["v"] = [
            "metadata": ["name": "v", "labels": ["topology.kubernetes.io/zone": "z1__z7"]],
            "spec": ["csi": ["driver": "d", "volumeHandle": "h"]],
        ]
        // n1 is in z1.
        #expect(decide(withClaim("a"), &cluster) == "n1")
        cluster.storage.limits["n1"] = ["d": 0]
        #expect(
            decide(withClaim("a"), &cluster)
                == "0/2 nodes are available: 1 node(s) exceed max volume count, "
                + "1 node(s) had no available volume zone.")
    }

    @Test func disksAreNotShared() {
        func withDisk(_ name: String, readOnly: Bool) -> PodInfo {
            pod(
                name,
                spec: [
                    "volumes": [["name": "d", "gcePersistentDisk": ["pdName": "x", "readOnly": Document(readOnly)]]]
                ])
        }
        var cluster = makeCluster(count: 1)
        cluster.place(withDisk("a", readOnly: true), on: "n1")
        #expect(decide(withDisk("b", readOnly: true), &cluster) == "n1")
        #expect(
            decide(withDisk("b", readOnly: false), &cluster)
                == "0/1 nodes are available: 1 node(s) had no available disk.")
    }
}
