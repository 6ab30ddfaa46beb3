import Schema

extension GroupText {
    static let schedulingV1 = GroupText(
        group: "scheduling.k8s.io", version: "v1", package: "io.k8s.api.scheduling.v1",
        texts: """
            kind PriorityClass priorityclasses priorityclass cluster generation short=pc
              column Name string format=name ""
              column Value integer ""
              column Global-Default boolean ""
              column Age string ""
              column PreemptionPolicy string ""

            type PriorityClass object
              description      string
              globalDefault    bool
              preemptionPolicy string? = PreemptLowerPriority enum(Never,PreemptLowerPriority)
              value            int32 always
            """)
}
