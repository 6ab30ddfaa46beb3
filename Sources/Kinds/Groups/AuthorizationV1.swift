import Schema

extension GroupText {
    static let authorizationV1 = GroupText(
        group: "authorization.k8s.io", version: "v1", package: "io.k8s.api.authorization.v1",
        texts: """
            kind LocalSubjectAccessReview localsubjectaccessreviews localsubjectaccessreview namespaced verbs=create

            kind SelfSubjectAccessReview selfsubjectaccessreviews selfsubjectaccessreview cluster verbs=create

            kind SelfSubjectRulesReview selfsubjectrulesreviews selfsubjectrulesreview cluster verbs=create

            kind SubjectAccessReview subjectaccessreviews subjectaccessreview cluster verbs=create

            type FieldSelectorAttributes
              rawSelector  string
              requirements [FieldSelectorRequirement] atomic

            type LabelSelectorAttributes
              rawSelector  string
              requirements [LabelSelectorRequirement] atomic

            type LocalSubjectAccessReview object
              spec   SubjectAccessReviewSpec required
              status SubjectAccessReviewStatus

            type NonResourceAttributes
              path string
              verb string

            type NonResourceRule
              nonResourceURLs [string] atomic
              verbs           [string] required atomic

            type ResourceAttributes
              fieldSelector FieldSelectorAttributes?
              group         string
              labelSelector LabelSelectorAttributes?
              name          string
              namespace     string
              resource      string
              subresource   string
              verb          string
              version       string

            type ResourceRule
              apiGroups     [string] atomic
              resourceNames [string] atomic
              resources     [string] atomic
              verbs         [string] required atomic

            type SelfSubjectAccessReview object
              spec   SelfSubjectAccessReviewSpec required
              status SubjectAccessReviewStatus

            type SelfSubjectAccessReviewSpec
              nonResourceAttributes NonResourceAttributes?
              resourceAttributes    ResourceAttributes?

            type SelfSubjectRulesReview object
              spec   SelfSubjectRulesReviewSpec required
              status SubjectRulesReviewStatus

            type SelfSubjectRulesReviewSpec
              namespace string

            type SubjectAccessReview object
              spec   SubjectAccessReviewSpec required
              status SubjectAccessReviewStatus

            type SubjectAccessReviewSpec
              extra                 {[string]}
              groups                [string] atomic
              nonResourceAttributes NonResourceAttributes?
              resourceAttributes    ResourceAttributes?
              uid                   string
              user                  string

            type SubjectAccessReviewStatus
              allowed         bool required
              denied          bool
              evaluationError string
              reason          string

            type SubjectRulesReviewStatus
              evaluationError  string
              incomplete       bool required
              nonResourceRules [NonResourceRule] required atomic
              resourceRules    [ResourceRule] required atomic
            """)
}
