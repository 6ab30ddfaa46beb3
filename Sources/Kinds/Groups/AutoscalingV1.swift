import Schema

extension GroupText {
    static let autoscalingV1 = GroupText(
        group: "autoscaling", version: "v1", package: "io.k8s.api.autoscaling.v1",
        texts: """
            type Scale object  "The number of replicas of an object."
              spec   ScaleSpec  "What is wanted."
              status ScaleStatus  "What is there."

            type ScaleSpec  "The number wanted."
              replicas int32 min=0  "Number of pods."

            type ScaleStatus  "The number there."
              replicas int32 required  "Number of pods."
              selector string  "Labels of the pods, as in a query."
            """)
}
