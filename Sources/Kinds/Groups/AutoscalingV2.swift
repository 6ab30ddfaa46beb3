import Schema

extension GroupText {
    static let autoscalingV2 = GroupText(
        group: "autoscaling", version: "v2", package: "io.k8s.api.autoscaling.v2",
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

            type ContainerResourceMetricSource  "A resource that one container of every pod uses."
              name      string required  "Name of the resource."
              target    MetricTarget required  "What is wanted."
              container string required  "Name of the container."

            type ContainerResourceMetricStatus  "A resource that one container of every pod uses, measured."
              name      string required  "Name of the resource."
              current   MetricValueStatus required  "What is there."
              container string required  "Name of the container."

            type CrossVersionObjectReference order(kind,name)  "An object of the same namespace, of any kind."
              apiVersion string  "Group and version of the object."
              kind       string required  "Kind of the object."
              name       string required  "Its name."

            type ExternalMetricSource  "A metric of something outside the cluster."
              metric MetricIdentifier required  "The metric."
              target MetricTarget required  "What is wanted."

            type ExternalMetricStatus  "A metric of something outside the cluster, measured."
              metric  MetricIdentifier required  "The metric."
              current MetricValueStatus required  "What is there."

            type HPAScalingPolicy  "A bound on one change."
              type          string required  "Whether the value is pods or percent."
              value         int32 required  "Most that may change."
              periodSeconds int32 required  "Seconds over which the bound holds."

            type HPAScalingRules  "How to scale in one direction."
              policies                   [HPAScalingPolicy] atomic  "Bounds on a change."
              selectPolicy               string?  "Which bound holds: the widest, the narrowest, or no change at all."
              stabilizationWindowSeconds int32?  "Seconds of earlier wishes to take into account."
              tolerance                  quantity?  "How far a metric may be off before anything changes."

            type HorizontalPodAutoscaler object  "Sets a number of replicas by what is measured."
              spec   HorizontalPodAutoscalerSpec required  "What is wanted."
              status HorizontalPodAutoscalerStatus  "What is there."

            type HorizontalPodAutoscalerBehavior  "How to scale."
              scaleDown HPAScalingRules?  "How to remove pods."
              scaleUp   HPAScalingRules?  "How to add pods."

            type HorizontalPodAutoscalerCondition order(type,status)  "One aspect of an autoscaler's state."
              lastTransitionTime time  "When the status last changed."
              message            string  "Explanation for people."
              reason             string  "Reason in one CamelCase word."
              type               string required  "Its type."
              status             string required  "What is there."

            type HorizontalPodAutoscalerSpec order(scaleTargetRef,maxReplicas)  "What an autoscaler wants."
              behavior       HorizontalPodAutoscalerBehavior?  "How to scale."
              scaleTargetRef CrossVersionObjectReference required  "What to scale."
              metrics        [MetricSpec] atomic  "What to measure; the greatest number that follows wins."
              minReplicas    int32? = 1  "Least number of pods."
              maxReplicas    int32 required  "Greatest number of pods."

            type HorizontalPodAutoscalerStatus  "State of an autoscaler."
              conditions         [HorizontalPodAutoscalerCondition] map(type) merge(type)  "State of the object, one entry a type."
              currentMetrics     [MetricStatus] atomic always  "What was last measured."
              currentReplicas    int32 min=0  "Number of pods."
              desiredReplicas    int32 required min=0  "Number of pods that follows from the metrics."
              lastScaleTime      time?  "When the number was last changed."
              observedGeneration int64?  "Generation of the spec that this status is about."

            type MetricIdentifier  "Names a metric."
              name     string required  "Its name."
              selector LabelSelector?  "Selects objects by their labels."

            type MetricSpec  "A metric and what is wanted of it."
              containerResource ContainerResourceMetricSource?  "A resource that one container of every pod uses."
              external          ExternalMetricSource?  "A metric of something outside the cluster."
              object            ObjectMetricSource?  "A metric of one object."
              pods              PodsMetricSource?  "A metric of every pod."
              resource          ResourceMetricSource?  "A resource that every pod uses."
              type              string required  "Which of the others is given."

            type MetricStatus  "A metric and what was measured."
              containerResource ContainerResourceMetricStatus?  "A resource that one container of every pod uses."
              external          ExternalMetricStatus?  "A metric of something outside the cluster."
              object            ObjectMetricStatus?  "A metric of one object."
              pods              PodsMetricStatus?  "A metric of every pod."
              resource          ResourceMetricStatus?  "A resource that every pod uses."
              type              string required  "Which of the others is given."

            type MetricTarget  "What is wanted of a metric."
              averageUtilization int32?  "Percent of the pods' requests, on average."
              averageValue       quantity?  "Amount for each pod, on average."
              type               string required  "Which of the others is given."
              value              quantity?  "Amount in all."

            type MetricValueStatus  "What was measured."
              averageUtilization int32?  "Percent of the pods' requests, on average."
              averageValue       quantity?  "Amount for each pod, on average."
              value              quantity?  "Amount in all."

            type ObjectMetricSource order(describedObject,target,metric)  "A metric of one object."
              describedObject CrossVersionObjectReference required  "The object."
              target          MetricTarget required  "What is wanted."
              metric          MetricIdentifier required  "The metric."

            type ObjectMetricStatus  "A metric of one object, measured."
              metric          MetricIdentifier required  "The metric."
              current         MetricValueStatus required  "What is there."
              describedObject CrossVersionObjectReference required  "The object."

            type PodsMetricSource  "A metric of every pod."
              metric MetricIdentifier required  "The metric."
              target MetricTarget required  "What is wanted."

            type PodsMetricStatus  "A metric of every pod, measured."
              metric  MetricIdentifier required  "The metric."
              current MetricValueStatus required  "What is there."

            type ResourceMetricSource  "A resource that every pod uses."
              name   string required  "Name of the resource."
              target MetricTarget required  "What is wanted."

            type ResourceMetricStatus  "A resource that every pod uses, measured."
              name    string required  "Name of the resource."
              current MetricValueStatus required  "What is there."
            """)
}
