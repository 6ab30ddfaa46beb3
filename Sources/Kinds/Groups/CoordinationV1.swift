import Schema

extension GroupText {
    static let coordinationV1 = GroupText(
        group: "coordination.k8s.io", version: "v1", package: "io.k8s.api.coordination.v1",
        texts: """
            kind Lease leases lease namespaced
              column Name string format=name "Name of the object."
              column Holder string "Who holds it."
              column Age string "Time since it was made."

            type Lease object  "Something that one holds at a time."
              spec LeaseSpec  "What is wanted."

            type LeaseSpec  "Who holds a lease."
              acquireTime          microTime?  "When it was taken."
              holderIdentity       string?  "Who holds it."
              leaseDurationSeconds int32? min=1  "Seconds that it is held without renewal."
              leaseTransitions     int32? min=0  "How often it changed hands."
              preferredHolder      string?  "Who is to have it."
              renewTime            microTime?  "When it was last renewed."
              strategy             string?  "How the holder is chosen."
            """)
}
