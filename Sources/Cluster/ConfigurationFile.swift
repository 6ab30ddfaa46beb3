import Document

/// The file behind `lab create --config`: ours, or one that was written for kind, told apart by their apiVersion.
///
///     apiVersion: lab.dev/v1
///     kind: Cluster
///     name: blue
///     nodes:
///     - role: control-plane
///     - role: worker
///       count: 3
///       labels: {disk: ssd}
///       taints: [{key: gpu, effect: NoSchedule}]
///       cpus: 2
///       memory: 2Gi
///       extraMounts: [{hostPath: ./data, containerPath: /data}]
///     networking: {podSubnet: 10.64.0.0/16}
///     apiPort: 16443
///     imageArchives: [app.tar]
///     controllers: ["*", "-cronjob-controller"]
///     leaderElection: false
///     components: {apiServer: {enableAdmissionPlugins: [AlwaysPullImages]}}
///     egress: false
///
/// `workers: 3` stands for a control plane and three plain workers. What is not known here is refused with its line
/// and column: a silently ignored field is a wrong cluster.
public enum ConfigurationFile {
    public static func parse(_ bytes: [UInt8], name file: String) throws(UsageError) -> ClusterConfiguration {
        let root = try ConfigurationSource.read(bytes, name: file)
        var isKinds = false
        for (key, field) in try root.members() {
            switch key {
            case "apiVersion":
                isKinds = field.value.string == KindFile.apiVersion
                guard isKinds || field.value.string == ClusterConfiguration.apiVersion else {
                    throw field.refuse(
                        "unknown apiVersion",
                        allowed: "use '\(ClusterConfiguration.apiVersion)', or kind's '\(KindFile.apiVersion)'")
                }
            case "kind":
                guard field.value.string == "Cluster" else {
                    throw field.refuse("unknown kind", allowed: "use 'Cluster'")
                }
            default: break
            }
        }
        return isKinds ? try KindFile.read(root) : try OwnFile.read(root)
    }
}
