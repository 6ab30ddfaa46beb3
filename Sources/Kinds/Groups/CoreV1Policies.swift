extension StaticString {
    static let coreV1Policies: StaticString = """
        type ComponentCondition order(type,status)  "One aspect of a component's state."
          error   string  "What went wrong when it was asked."
          message string  "What it answered."
          type    string required  "Its type; Healthy."
          status  string required  "True, False or Unknown."

        type ComponentStatus object  "State of a part of the control plane."
          conditions [ComponentCondition] map(type) merge(type)  "State of the object, one entry a type."

        type LimitRange object  "Bounds of what a namespace's objects may use each."
          spec LimitRangeSpec  "What is wanted."

        type LimitRangeItem  "Bounds for one type of object."
          default              {quantity}  "Limits where none are given."
          defaultRequest       {quantity}  "Requests where none are given."
          max                  {quantity}  "Upper bounds."
          maxLimitRequestRatio {quantity}  "How many times its request a limit may be."
          min                  {quantity}  "Lower bounds."
          type                 string required  "Type of object: Container, Pod or PersistentVolumeClaim."

        type LimitRangeSpec  "The bounds."
          limits [LimitRangeItem] required atomic  "Bounds, one entry a type of object."

        type ReplicationController object  "Keeps a number of equal pods (old form)."
          spec   ReplicationControllerSpec  "What is wanted."
          status ReplicationControllerStatus  "What is there."

        type ReplicationControllerCondition order(type,status)  "One aspect of a replication controller's state."
          lastTransitionTime time  "When the status last changed."
          message            string  "Explanation for people."
          reason             string  "Reason in one CamelCase word."
          type               string required  "Its type."
          status             string required  "What is there."

        type ReplicationControllerSpec  "What a replication controller wants."
          minReadySeconds int32 min=0  "Seconds that a new pod must be ready before it counts as available."
          selector        {string} atomic nonempty  "Labels of its pods."
          replicas        int32? = 1 min=0  "Number of pods."
          template        PodTemplateSpec? nonempty  "The pod to make."

        type ReplicationControllerStatus  "State of a replication controller."
          replicas             int32 required min=0  "Number of pods."
          fullyLabeledReplicas int32 min=0  "Number of pods with all labels of the template."
          readyReplicas        int32 min=0  "Number of ready pods."
          availableReplicas    int32 min=0  "Number of pods ready for minReadySeconds."
          observedGeneration   int64 min=0  "Generation of the spec that this status is about."
          conditions           [ReplicationControllerCondition] map(type) merge(type)  "State of the object, one entry a type."

        type ResourceQuota object  "Bounds of what a namespace may use in all."
          spec   ResourceQuotaSpec  "What is wanted."
          status ResourceQuotaStatus  "What is there."

        type ResourceQuotaSpec  "The bounds."
          hard          {quantity}  "Upper bounds."
          scopeSelector ScopeSelector?  "Which objects count, by scope and value."
          scopes        [string] atomic values(BestEffort,CrossNamespacePodAffinity,NotBestEffort,NotTerminating,PriorityClass,Terminating,VolumeAttributesClass)  "Which objects count."

        type ResourceQuotaStatus  "What is used of a quota."
          hard {quantity}  "Upper bounds that are enforced."
          used {quantity}  "What is used."

        type ScopeSelector atomic  "Scopes wanted; all conditions."
          matchExpressions [ScopedResourceSelectorRequirement] atomic  "The conditions."

        type ScopedResourceSelectorRequirement  "A condition on one scope."
          scopeName string required values(BestEffort,CrossNamespacePodAffinity,NotBestEffort,NotTerminating,PriorityClass,Terminating,VolumeAttributesClass)  "Name of the scope."
          operator  string required values(DoesNotExist,Exists,In,NotIn)  "How the scope relates to the values."
          values    [string] atomic  "Values to compare with."
        """
}
