extension StaticString {
    static let coreV1Scheduling: StaticString = """
        type Affinity  "Where a pod should run."
          nodeAffinity    NodeAffinity?  "Relation to nodes."
          podAffinity     PodAffinity?  "Pods to be near to."
          podAntiAffinity PodAntiAffinity?  "Pods to be away from."

        type NodeAffinity  "Relation of a pod to nodes."
          preferredDuringSchedulingIgnoredDuringExecution [PreferredSchedulingTerm] atomic  "Preferences, which are weighed."
          requiredDuringSchedulingIgnoredDuringExecution  NodeSelector?  "Demands, without which the pod is not placed."

        type NodeSelector atomic  "Nodes; any of the terms."
          nodeSelectorTerms [NodeSelectorTerm] required atomic  "The terms."

        type NodeSelectorRequirement  "A condition on one label or field."
          key      string required  "Key of the entry."
          operator string required  "How the key relates to the values."
          values   [string] atomic  "Values to compare with."

        type NodeSelectorTerm atomic  "Conditions that a node meets all of."
          matchExpressions [NodeSelectorRequirement] atomic  "Conditions on labels."
          matchFields      [NodeSelectorRequirement] atomic  "Conditions on fields."

        type PodAffinity  "Pods to be near to."
          preferredDuringSchedulingIgnoredDuringExecution [WeightedPodAffinityTerm] atomic  "Preferences, which are weighed."
          requiredDuringSchedulingIgnoredDuringExecution  [PodAffinityTerm] atomic  "Demands, without which the pod is not placed."

        type PodAffinityTerm  "Pods, and what counts as near."
          labelSelector     LabelSelector?  "Selects objects by their labels."
          matchLabelKeys    [string] atomic  "Labels of the incoming pod to add to the selector."
          mismatchLabelKeys [string] atomic  "Labels of the incoming pod that the others must not share."
          namespaceSelector LabelSelector?  "Selects namespaces by their labels."
          namespaces        [string] atomic  "Namespaces of the pods."
          topologyKey       string required  "Label of the nodes that makes up a domain."

        type PodAntiAffinity  "Pods to be away from."
          preferredDuringSchedulingIgnoredDuringExecution [WeightedPodAffinityTerm] atomic  "Preferences, which are weighed."
          requiredDuringSchedulingIgnoredDuringExecution  [PodAffinityTerm] atomic  "Demands, without which the pod is not placed."

        type PodSchedulingGate  "A reason not to place the pod yet."
          name string required  "Its name."

        type PodSchedulingGroup union(:podGroupName=PodGroupName)  "The group that a pod is placed with."
          podGroupName string?  "Name of the group."

        type PreferredSchedulingTerm order(weight,preference)  "A weighted preference about nodes."
          preference NodeSelectorTerm required  "The nodes."
          weight     int32 required  "Weight among the preferences, 1 to 100."

        type SessionAffinityConfig  "Details of session affinity."
          clientIP ClientIPConfig?  "Affinity by the client's address."

        type Taint  "Keeps pods off a node unless they tolerate it."
          key       string required nonempty  "Key of the entry."
          effect    string required values(NoExecute,NoSchedule,PreferNoSchedule)  "What it does to pods."
          timeAdded time?  "When it was added."
          value     string  "Value."

        type Toleration  "A taint that a pod accepts."
          effect        string values(NoExecute,NoSchedule,PreferNoSchedule)  "Effect that is accepted, all when empty."
          key           string  "Key of the entry."
          operator          string  "How the key relates to the values."
          tolerationSeconds int64?  "Seconds that NoExecute is accepted for."
          value         string  "Value."

        type TopologySelectorLabelRequirement  "A condition on a label of nodes."
          key    string required  "Key of the label."
          values [string] required atomic  "Values, one of which it must have."

        type TopologySelectorTerm atomic  "A choice of nodes; all conditions must hold."
          matchLabelExpressions [TopologySelectorLabelRequirement] atomic  "Conditions on labels."

        type TopologySpreadConstraint  "How pods spread over domains."
          labelSelector      LabelSelector?  "Selects objects by their labels."
          matchLabelKeys     [string] atomic  "Labels of the incoming pod to add to the selector."
          maxSkew        int32 required  "Most by which domains may differ."
          minDomains         int32?  "Least number of domains."
          nodeAffinityPolicy string?  "Whether the pod's node affinity decides which nodes count."
          nodeTaintsPolicy   string?  "Whether taints decide which nodes count."
          topologyKey        string required  "Label of the nodes that makes up a domain."
          whenUnsatisfiable  string required  "What to do if it cannot be met."

        type WeightedPodAffinityTerm order(weight,podAffinityTerm)  "A weighted preference about pods."
          podAffinityTerm PodAffinityTerm required  "The pods."
          weight          int32 required  "Weight among the preferences, 1 to 100."
        """
}
