import Schema

extension GroupText {
    static let coordinationV1 = GroupText(
        group: "coordination.k8s.io", version: "v1", package: "io.k8s.api.coordination.v1",
        texts: """
            kind Lease leases lease namespaced
              column Name string format=name ""
              column Holder string ""
              column Age string ""

            type Lease object
              spec LeaseSpec

            type LeaseSpec
              acquireTime          microTime?
              holderIdentity       string?
              leaseDurationSeconds int32? min=1
              leaseTransitions     int32? min=0
              preferredHolder      string?
              renewTime            microTime?
              strategy             string?
            """)
}
