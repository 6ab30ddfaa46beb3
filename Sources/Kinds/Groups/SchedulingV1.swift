import Schema

extension GroupText {
    static let schedulingV1 = GroupText(
        group: "scheduling.k8s.io", version: "v1", package: "io.k8s.api.scheduling.v1",
        texts: """
            kind PriorityClass priorityclasses priorityclass cluster short=pc
              column Name string format=name "Name of the object."
              column Value integer "Priority as a number."
              column Global-Default boolean "Whether pods without a class get it."
              column Age string "Time since it was made."
              column PreemptionPolicy string "Whether it displaces other pods."

            type PriorityClass object  "A name for a priority."
              description      string  "When to use it."
              globalDefault    bool  "Whether pods without a class get it."
              preemptionPolicy string? = PreemptLowerPriority enum(Never,PreemptLowerPriority)  "Whether it displaces other pods."
              value            int32 always  "Priority; more is more important."
            """)
}
