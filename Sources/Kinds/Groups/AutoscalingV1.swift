import Schema

extension GroupText {
    static let autoscalingV1 = GroupText(
        group: "autoscaling", version: "v1", package: "io.k8s.api.autoscaling.v1",
        texts: """
            kind HorizontalPodAutoscaler horizontalpodautoscalers horizontalpodautoscaler namespaced short=hpa categories=all
              /status get,patch,update
              column Name string format=name "Name of the object."
              column Reference string "What it scales."
              column Targets string "Metrics, measured and wanted."
              column MinPods string "Least number of pods."
              column MaxPods string "Greatest number of pods."
              column Replicas string "Number of pods."
              column Age string "Time since it was made."

            type CrossVersionObjectReference atomic order(kind,name)  "An object of the same namespace, of any kind."
              apiVersion string  "Group and version of the object."
              kind       string required  "Kind of the object."
              name       string required  "Its name."

            type HorizontalPodAutoscaler object  "Sets a number of replicas by the processor time that pods use."
              spec   HorizontalPodAutoscalerSpec required  "What is wanted."
              status HorizontalPodAutoscalerStatus  "What is there."

            type HorizontalPodAutoscalerSpec  "What an autoscaler wants."
              scaleTargetRef                 CrossVersionObjectReference required  "What to scale."
              minReplicas                    int32? = 1  "Least number of pods."
              maxReplicas                    int32 required  "Greatest number of pods."
              targetCPUUtilizationPercentage int32?  "Processor time wanted, in percent of the pods' requests."

            type HorizontalPodAutoscalerStatus  "State of an autoscaler."
              currentCPUUtilizationPercentage int32?  "Processor time used, in percent of the pods' requests."
              currentReplicas                 int32 required  "Number of pods."
              desiredReplicas                 int32 required  "Number of pods that follows from the metrics."
              lastScaleTime                   time?  "When the number was last changed."
              observedGeneration              int64?  "Generation of the spec that this status is about."

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
