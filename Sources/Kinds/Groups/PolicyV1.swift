import Schema

extension GroupText {
    static let policyV1 = GroupText(
        group: "policy", version: "v1", package: "io.k8s.api.policy.v1",
        texts: """
            type Eviction object  "Removes a pod if its budget allows."
              deleteOptions DeleteOptions?  "How to delete it."
            """)
}
