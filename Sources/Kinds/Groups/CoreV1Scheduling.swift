extension StaticString {
    static let coreV1Scheduling: StaticString = """
        type Affinity
          nodeAffinity    NodeAffinity?
          podAffinity     PodAffinity?
          podAntiAffinity PodAntiAffinity?

        type NodeAffinity
          preferredDuringSchedulingIgnoredDuringExecution [PreferredSchedulingTerm] atomic
          requiredDuringSchedulingIgnoredDuringExecution  NodeSelector?

        type NodeSelector atomic
          nodeSelectorTerms [NodeSelectorTerm] required atomic

        type NodeSelectorRequirement
          key      string required
          operator string required
          values   [string] atomic

        type NodeSelectorTerm atomic
          matchExpressions [NodeSelectorRequirement] atomic
          matchFields      [NodeSelectorRequirement] atomic

        type PodAffinity
          preferredDuringSchedulingIgnoredDuringExecution [WeightedPodAffinityTerm] atomic
          requiredDuringSchedulingIgnoredDuringExecution  [PodAffinityTerm] atomic

        type PodAffinityTerm
          labelSelector     LabelSelector?
          matchLabelKeys    [string] atomic
          mismatchLabelKeys [string] atomic
          namespaceSelector LabelSelector?
          namespaces        [string] atomic
          topologyKey       string required

        type PodAntiAffinity
          preferredDuringSchedulingIgnoredDuringExecution [WeightedPodAffinityTerm] atomic
          requiredDuringSchedulingIgnoredDuringExecution  [PodAffinityTerm] atomic

        type PodSchedulingGate
          name string required

        type PodSchedulingGroup union(:podGroupName=PodGroupName)
          podGroupName string?

        type PreferredSchedulingTerm
          preference NodeSelectorTerm required
          weight     int32 required

        type SessionAffinityConfig
          clientIP ClientIPConfig?

        type Taint
          effect    string required
          key       string required nonempty
          timeAdded time?
          value     string

        type Toleration
          effect        string
          key           string
          operator          string
          tolerationSeconds int64?
          value         string

        type TopologySpreadConstraint
          labelSelector      LabelSelector?
          matchLabelKeys     [string] atomic
          maxSkew        int32 required
          minDomains         int32?
          nodeAffinityPolicy string?
          nodeTaintsPolicy   string?
          topologyKey        string required
          whenUnsatisfiable  string required

        type WeightedPodAffinityTerm
          podAffinityTerm PodAffinityTerm required
          weight          int32 required
        """
}
