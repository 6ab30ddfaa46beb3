import Schema

extension GroupText {
    /// What nodes and pods use. Not one of Kubernetes' own groups: a server offers it where it can ask the nodes.
    static let metricsV1beta1 = GroupText(
        group: "metrics.k8s.io", version: "v1beta1", package: "io.k8s.metrics.pkg.apis.metrics.v1beta1",
        texts: """
            kind NodeMetrics nodes "" cluster verbs=get,list
              column Name string format=name "Name of the node."
              column cpu string "Processors' time, in processors."
              column memory string "Memory that could not be taken away at once."
              column Window string "How long the use was looked at."

            kind PodMetrics pods "" namespaced verbs=get,list
              column Name string format=name "Name of the pod."
              column cpu string "Processors' time of all containers, in processors."
              column memory string "Memory of all containers that could not be taken away at once."
              column Window string "How long the use was looked at."

            type NodeMetrics object  "What a node uses."
              timestamp time required  "End of the time that was looked at."
              window    string required  "Length of that time."
              usage     {quantity} required  "Use, by resource."

            type PodMetrics object  "What a pod uses."
              timestamp  time required  "End of the time that was looked at."
              window     string required  "Length of that time."
              containers [ContainerMetrics] required atomic  "Its running containers."

            type ContainerMetrics  "What a container uses."
              name  string required  "Name of the container."
              usage {quantity} required  "Use, by resource."
            """)
}
