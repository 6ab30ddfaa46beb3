import Schema

extension GroupText {
    static let authenticationV1 = GroupText(
        group: "authentication.k8s.io", version: "v1", package: "io.k8s.api.authentication.v1",
        texts: """
            kind SelfSubjectReview selfsubjectreviews selfsubjectreview cluster verbs=create

            kind TokenReview tokenreviews tokenreview cluster verbs=create

            type BoundObjectReference
              apiVersion string
              kind       string
              name       string
              uid        string

            type SelfSubjectReview object
              status SelfSubjectReviewStatus

            type SelfSubjectReviewStatus
              userInfo UserInfo

            type TokenRequest object
              spec   TokenRequestSpec
              status TokenRequestStatus

            type TokenRequestSpec
              audiences         [string] atomic
              boundObjectRef    BoundObjectReference?
              expirationSeconds int64? = 3600

            type TokenRequestStatus
              expirationTimestamp time
              token               string always

            type TokenReview object
              spec   TokenReviewSpec required
              status TokenReviewStatus

            type TokenReviewSpec
              audiences [string] atomic
              token     string

            type TokenReviewStatus
              audiences     [string] atomic
              authenticated bool
              error         string
              user          UserInfo

            type UserInfo
              extra    {[string]}
              groups   [string] atomic
              uid      string
              username string
            """)
}
