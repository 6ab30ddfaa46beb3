import Basics
import Document

/// A Node as its agent describes it.
struct NodeDescription {
    let configuration: KubeletConfiguration
    let machine: Machine

    var labels: [String: String] {
        var labels = [
            "kubernetes.io/hostname": configuration.nodeName, "kubernetes.io/os": "linux",
            "kubernetes.io/arch": machine.architecture, "beta.kubernetes.io/os": "linux",
            "beta.kubernetes.io/arch": machine.architecture,
        ]
        labels.merge(configuration.labels) { $1 }
        return labels
    }

    func node(status: Document) -> Document {
        var node: Document = [
            "apiVersion": "v1", "kind": "Node",
            "metadata": [
                "name": Document(configuration.nodeName),
                "labels": Document(members: labels.sorted { $0.key < $1.key }.map { ($0.key, Document($0.value)) }),
                "annotations": ["volumes.kubernetes.io/controller-managed-attach-detach": "true"],
            ],
            "status": status,
        ]
        if !configuration.taints.isEmpty { node.set(Document(configuration.taints), at: "spec", "taints") }
        return node
    }

    /// `problem` is what keeps pods from running here; nil: the node is ready.
    func status(
        problem: String?, pressure: Set<NodePressure> = [], images: [Document], previous: Document?, now: Timestamp
    ) -> Document {
        let capacity: Document = [
            "cpu": Document(quantity(machine.cpuMillis)), "memory": Document("\(machine.memoryBytes / 1024)Ki"),
            "pods": Document(String(configuration.maxPods)),
            "ephemeral-storage": Document("\(machine.storageBytes / 1024)Ki"), "hugepages-1Gi": "0",
            "hugepages-2Mi": "0",
        ]
        var addresses = configuration.nodeIPs.map { address -> Document in
            ["type": "InternalIP", "address": Document(address.description)]
        }
        addresses.append(["type": "Hostname", "address": Document(configuration.nodeName)])
        return [
            "capacity": capacity, "allocatable": allocatable(capacity, previous),
            "conditions": Document(conditions(problem, pressure, previous, now)), "addresses": Document(addresses),
            "daemonEndpoints": ["kubeletEndpoint": ["Port": Document(Int(configuration.port))]],
            "nodeInfo": [
                "machineID": Document(machine.machineID), "systemUUID": Document(machine.machineID),
                "bootID": Document(machine.bootID), "kernelVersion": Document(machine.kernelVersion),
                "osImage": Document(machine.osImage), "containerRuntimeVersion": "lab://0.1.0",
                "kubeletVersion": "v1.36.0+lab", "kubeProxyVersion": "", "operatingSystem": "linux",
                "architecture": Document(machine.architecture),
            ],
            "images": Document(images),
            "features": ["supplementalGroupsPolicy": true],
            "runtimeHandlers": [["name": "", "features": ["recursiveReadOnlyMounts": true, "userNamespaces": false]]],
        ]
    }

    /// Capacity without what is reserved. Resources that others brought to the node are all for pods.
    private func allocatable(_ capacity: Document, _ previous: Document?) -> Document {
        let limits = configuration.allocatable(machine)
        var result = capacity
        result["cpu"] = Document(quantity(limits["cpu"]))
        result["memory"] = Document("\(limits["memory"] / 1000 / 1024)Ki")
        if configuration.reserved["ephemeral-storage"] != nil {
            result["ephemeral-storage"] = Document(String(limits["ephemeral-storage"] / 1000))
        }
        for member in previous?.at("capacity")?.members ?? [] where member.key.contains("/") {
            result[member.key] = member.value
        }
        return result
    }

    private func quantity(_ millis: Int64) -> String { millis % 1000 == 0 ? "\(millis / 1000)" : "\(millis)m" }

    private func conditions(
        _ problem: String?, _ pressure: Set<NodePressure>, _ previous: Document?, _ now: Timestamp
    ) -> [Document] {
        func condition(_ type: String, _ holds: Bool, _ reason: String, _ message: String) -> Document {
            let status = holds ? "True" : "False"
            let before = previous?.list("conditions").first { $0.text("type") == type }
            let since = before?.text("status") == status ? before?.text("lastTransitionTime") : nil
            return [
                "type": Document(type), "status": Document(status), "lastHeartbeatTime": Document(now.description),
                "lastTransitionTime": Document(since ?? now.description), "reason": Document(reason),
                "message": Document(message),
            ]
        }
        return [
            pressure.contains(.memory)
                ? condition(
                    "MemoryPressure", true, "KubeletHasInsufficientMemory", "kubelet has insufficient memory available")
                : condition(
                    "MemoryPressure", false, "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
            pressure.contains(.disk)
                ? condition("DiskPressure", true, "KubeletHasDiskPressure", "kubelet has disk pressure")
                : condition("DiskPressure", false, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            pressure.contains(.pid)
                ? condition("PIDPressure", true, "KubeletHasInsufficientPID", "kubelet has insufficient PID available")
                : condition("PIDPressure", false, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            problem.map { condition("Ready", false, "KubeletNotReady", $0) }
                ?? condition("Ready", true, "KubeletReady", "kubelet is posting ready status"),
        ]
    }
}
