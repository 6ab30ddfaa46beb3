import Schema

extension GroupText {
    static let nodeV1 = GroupText(
        group: "node.k8s.io", version: "v1", package: "io.k8s.api.node.v1",
        texts: """
            kind RuntimeClass runtimeclasses runtimeclass cluster
              column Name string format=name "Name of the object."
              column Handler string "Configuration of the container runtime."
              column Age string "Time since it was made."

            type Overhead  "What a pod costs besides its containers."
              podFixed {quantity}  "Amounts of a pod, by resource."

            type RuntimeClass object  "A way to run the containers of a pod."
              handler    string required  "Configuration of the container runtime."
              overhead   Overhead?  "What a pod costs besides its containers."
              scheduling Scheduling?  "Nodes that can run it."

            type Scheduling  "Nodes that can run a class."
              nodeSelector {string} atomic  "Labels of the nodes."
              tolerations  [core/v1:Toleration] atomic  "Taints that its pods accept."
            """)
}
