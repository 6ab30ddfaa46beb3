import Schema

extension GroupText {
    static let authenticationV1 = GroupText(
        group: "authentication.k8s.io", version: "v1", package: "io.k8s.api.authentication.v1",
        texts: """
            kind SelfSubjectReview selfsubjectreviews selfsubjectreview cluster verbs=create

            kind TokenReview tokenreviews tokenreview cluster verbs=create

            type BoundObjectReference  "The object that a token dies with."
              apiVersion string  "Group and version of the object."
              kind       string  "Kind of the object."
              name       string  "Its name."
              uid        string  "Unique identity of the object."

            type SelfSubjectReview object  "Tells who the asker is."
              status SelfSubjectReviewStatus  "What is there."

            type SelfSubjectReviewStatus  "Who the asker is."
              userInfo UserInfo  "The user."

            type TokenRequest object  "Asks for a token of a service account."
              spec   TokenRequestSpec  "What is wanted."
              status TokenRequestStatus  "What is there."

            type TokenRequestSpec  "The token wanted."
              audiences         [string] atomic  "Who may accept the token."
              boundObjectRef    BoundObjectReference?  "Object that the token dies with."
              expirationSeconds int64? = 3600  "Seconds that it is to be good for."

            type TokenRequestStatus  "The token."
              expirationTimestamp time  "When it ends."
              token               string always  "The token."

            type TokenReview object  "Tells whose a token is."
              spec   TokenReviewSpec required  "What is wanted."
              status TokenReviewStatus  "What is there."

            type TokenReviewSpec  "The token in question."
              audiences [string] atomic  "Who may accept the token."
              token     string required  "The token."

            type TokenReviewStatus  "Whose the token is."
              audiences     [string] atomic  "Who may accept the token."
              authenticated bool  "Whether the token is good."
              error         string  "Why it could not be checked."
              user          UserInfo  "The user."

            type UserInfo  "A user."
              extra    {[string]}  "More facts about the user."
              groups   [string] atomic  "Groups that the user belongs to."
              uid      string  "Unique identity of the user."
              username string  "Name of the user."
            """)
}
