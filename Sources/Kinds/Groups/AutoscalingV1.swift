import Schema

extension GroupText {
    static let autoscalingV1 = GroupText(
        group: "autoscaling", version: "v1", package: "io.k8s.api.autoscaling.v1",
        texts: """
            type Scale object
              spec   ScaleSpec
              status ScaleStatus

            type ScaleSpec
              replicas int32 min=0

            type ScaleStatus
              replicas int32 required
              selector string
            """)
}
