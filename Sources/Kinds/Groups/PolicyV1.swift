import Schema

extension GroupText {
    static let policyV1 = GroupText(
        group: "policy", version: "v1", package: "io.k8s.api.policy.v1",
        texts: """
            kind PodDisruptionBudget poddisruptionbudgets poddisruptionbudget namespaced generation short=pdb
              /status get,patch,update
              column Name string format=name "Name of the object."
              column "Min Available" string "Pods that must stay."
              column "Max Unavailable" string "Pods that may go."
              column "Allowed Disruptions" integer "Pods that may go now."
              column Age string "Time since it was made."

            type Eviction object  "Removes a pod if its budget allows."
              deleteOptions DeleteOptions?  "How to delete it."

            type PodDisruptionBudget object  "Bounds how many of some pods may be evicted at once."
              spec   PodDisruptionBudgetSpec  "What is wanted."
              status PodDisruptionBudgetStatus  "What is there."

            type PodDisruptionBudgetSpec  "What a budget wants."
              maxUnavailable             intOrString?  "Pods that may go, as number or share."
              minAvailable               intOrString?  "Pods that must stay, as number or share."
              selector                   LabelSelector? replace  "Selects the pods it is about; all when empty."
              unhealthyPodEvictionPolicy string? values(AlwaysAllow,IfHealthyBudget)  "When pods that are not ready may be evicted."

            type PodDisruptionBudgetStatus  "State of a budget."
              conditions         [Condition] map(type) merge(type)  "State of the object, one entry a type."
              disruptionsAllowed int32 always min=0  "Pods that may go now."
              currentHealthy     int32 always min=0  "Number of healthy pods."
              desiredHealthy     int32 always min=0  "Number of healthy pods that must stay."
              expectedPods       int32 always min=0  "Number of pods counted."
              disruptedPods      {time}  "Pods whose eviction was allowed and is not seen yet, with the time."
              observedGeneration int64  "Generation of the spec that this status is about."
            """)
}
