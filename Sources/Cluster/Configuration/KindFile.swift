import Basics
import Document
import Kinds

/// kind's format, `kind.x-k8s.io/v1alpha4`, as people have it in their repositories.
enum KindFile {
    static let apiVersion = "kind.x-k8s.io/v1alpha4"
    private static let fields = [
        "apiVersion", "kind", "name", "nodes", "networking", "featureGates", "runtimeConfig", "kubeadmConfigPatches",
        "kubeadmConfigPatchesJSON6902", "containerdConfigPatches", "containerdConfigPatchesJSON6902",
    ]

    static func read(_ root: ConfigurationField) throws(UsageError) -> ClusterConfiguration {
        var configuration = ClusterConfiguration()
        // Without a list kind makes one node.
        configuration.workers = 0
        var patches: [ConfigurationField] = []
        var operations: [ConfigurationField] = []
        for (key, field) in try root.members(fields) where !field.isNull {
            switch key {
            case "name": configuration.name = try OwnFile.name(field)
            case "nodes": configuration.nodes = try nodes(field, into: &configuration)
            case "networking": try NetworkingReader.read(field, into: &configuration)
            case "featureGates": try Features.checkGates(field)
            case "runtimeConfig": try Features.checkRuntimeConfig(field, notes: &configuration.notes)
            case "kubeadmConfigPatches": patches = try field.elements()
            case "kubeadmConfigPatchesJSON6902": operations = try field.elements()
            case "containerdConfigPatches", "containerdConfigPatchesJSON6902": try refusePatches(key, field)
            default: break  // apiVersion and kind have been looked at
            }
        }
        // The cluster's patches count for every node, a node's own go over them.
        let own = configuration.nodes.map { ($0.labels, $0.taints, $0.maxPods) }
        for patch in patches {
            try KubeadmPatch.apply(patch, to: &configuration, nodes: Array(configuration.nodes.indices))
        }
        for patch in operations {
            try KubeadmPatch.applyJSON(patch, to: &configuration, nodes: Array(configuration.nodes.indices))
        }
        for (index, (labels, taints, maxPods)) in own.enumerated() {
            configuration.nodes[index].labels.merge(labels) { $1 }
            if let taints { configuration.nodes[index].taints = taints }
            if let maxPods { configuration.nodes[index].maxPods = maxPods }
        }
        return configuration
    }

    private static func nodes(
        _ field: ConfigurationField, into configuration: inout ClusterConfiguration
    ) throws(UsageError) -> [NodeConfiguration] {
        var nodes: [NodeConfiguration] = []
        for element in try field.elements() {
            // A patch of a node may also set what is the whole cluster's.
            var scratch = configuration
            scratch.nodes = [NodeConfiguration(role: try NodeReader.role(element))]
            for (key, value) in try element.members(NodeReader.kindFields) where !value.isNull {
                if try NodeReader.readCommon(key, value, into: &scratch.nodes[0]) { continue }
                switch key {
                case "image": try check(image: value)
                case "kubeadmConfigPatches":
                    for patch in try value.elements() {
                        try KubeadmPatch.apply(patch, to: &scratch, nodes: [0], isNodes: true)
                    }
                case "kubeadmConfigPatchesJSON6902":
                    for patch in try value.elements() {
                        try KubeadmPatch.applyJSON(patch, to: &scratch, nodes: [0], isNodes: true)
                    }
                default: throw value.refuse("gpus is not supported", allowed: "leave it out")
                }
            }
            nodes += scratch.nodes
            let before = configuration.nodes
            configuration = scratch
            configuration.nodes = before
        }
        return try NodeList.checked(nodes, field)
    }

    private static func check(image field: ConfigurationField) throws(UsageError) {
        do { try ClusterConfiguration.check(nodeImage: try field.string()) } catch {
            throw field.refuse(error.message, allowed: error.remedy)
        }
    }

    private static func refusePatches(_ key: String, _ field: ConfigurationField) throws(UsageError) {
        guard let first = try field.elements().first else { return }
        throw first.refuse("\(key) cannot be honoured: there is no containerd in a node", allowed: "leave it out")
    }
}

extension ClusterConfiguration {
    /// There is no node image. One that was pinned for its version of Kubernetes is as good as ours if that is the same.
    public static func check(nodeImage image: String) throws(UsageError) {
        let name = image.split(separator: "@", maxSplits: 1).first ?? ""
        let tag = name.split(separator: "/").last?.split(separator: ":").dropFirst().first ?? ""
        let version = "v\(KubernetesVersion.major).\(KubernetesVersion.minor)"
        guard tag == version || tag.hasPrefix(version + ".") || tag == "latest" else {
            throw UsageError(
                "image '\(image)' is not what a node is made of: lab has no node images",
                remedy: "leave it out, or name one of Kubernetes \(version), which is the version of this lab")
        }
    }
}
