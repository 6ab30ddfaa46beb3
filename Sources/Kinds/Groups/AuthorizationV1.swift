import Schema

extension GroupText {
    static let authorizationV1 = GroupText(
        group: "authorization.k8s.io", version: "v1", package: "io.k8s.api.authorization.v1",
        texts: """
            kind LocalSubjectAccessReview localsubjectaccessreviews localsubjectaccessreview namespaced verbs=create

            kind SelfSubjectAccessReview selfsubjectaccessreviews selfsubjectaccessreview cluster verbs=create

            kind SelfSubjectRulesReview selfsubjectrulesreviews selfsubjectrulesreview cluster verbs=create

            kind SubjectAccessReview subjectaccessreviews subjectaccessreview cluster verbs=create

            type FieldSelectorAttributes  "The fields that a request is limited to."
              rawSelector  string  "The selector as in a query, unless parsed."
              requirements [FieldSelectorRequirement] atomic  "The parsed selector."

            type LabelSelectorAttributes  "The labels that a request is limited to."
              rawSelector  string  "The selector as in a query, unless parsed."
              requirements [LabelSelectorRequirement] atomic  "The parsed selector."

            type LocalSubjectAccessReview object  "Tells whether someone may do something in a namespace."
              spec   SubjectAccessReviewSpec required  "What is wanted."
              status SubjectAccessReviewStatus  "What is there."

            type NonResourceAttributes  "A request for a path."
              path string  "The path."
              verb string  "Verb of the request."

            type NonResourceRule  "Allowed verbs on paths."
              nonResourceURLs [string] atomic  "Paths that are no resources, * as the last part for all below."
              verbs           [string] required atomic  "Allowed verbs, * for all."

            type ResourceAttributes  "A request for a resource."
              fieldSelector FieldSelectorAttributes?  "Fields that it is limited to."
              group         string  "API group."
              labelSelector LabelSelectorAttributes?  "Labels that it is limited to."
              name          string  "Name of the object, all when empty."
              namespace     string  "Its namespace."
              resource      string  "Plural name of the resource."
              subresource   string  "Subresource."
              verb          string  "Verb of the request."
              version       string  "API version."

            type ResourceRule  "Allowed verbs on resources."
              apiGroups     [string] atomic  "API groups, * for all."
              resourceNames [string] atomic  "Names of the objects, all when empty."
              resources     [string] atomic  "Resources, * for all."
              verbs         [string] required atomic  "Allowed verbs, * for all."

            type SelfSubjectAccessReview object  "Tells whether the asker may do something."
              spec   SelfSubjectAccessReviewSpec required  "What is wanted."
              status SubjectAccessReviewStatus  "What is there."

            type SelfSubjectAccessReviewSpec  "The request in question."
              nonResourceAttributes NonResourceAttributes?  "A request for a path that is no resource."
              resourceAttributes    ResourceAttributes?  "A request for a resource."

            type SelfSubjectRulesReview object  "Tells what the asker may do in a namespace."
              spec   SelfSubjectRulesReviewSpec required  "What is wanted."
              status SubjectRulesReviewStatus  "What is there."

            type SelfSubjectRulesReviewSpec  "The namespace in question."
              namespace string  "Its namespace."

            type SubjectAccessReview object  "Tells whether someone may do something."
              spec   SubjectAccessReviewSpec required  "What is wanted."
              status SubjectAccessReviewStatus  "What is there."

            type SubjectAccessReviewSpec  "The request in question."
              extra                 {[string]}  "More facts about the user."
              groups                [string] atomic  "Groups that the user belongs to."
              nonResourceAttributes NonResourceAttributes?  "A request for a path that is no resource."
              resourceAttributes    ResourceAttributes?  "A request for a resource."
              uid                   string  "Unique identity of the user."
              user                  string  "User name."

            type SubjectAccessReviewStatus  "The answer."
              allowed         bool required  "Whether it is allowed."
              denied          bool  "Whether it is forbidden whatever others say."
              evaluationError string  "Trouble met while deciding."
              reason          string  "Why."

            type SubjectRulesReviewStatus order(resourceRules,nonResourceRules,incomplete)  "What is allowed."
              evaluationError  string  "Trouble met while deciding."
              incomplete       bool required  "Whether there may be more."
              nonResourceRules [NonResourceRule] required atomic  "What is allowed on paths."
              resourceRules    [ResourceRule] required atomic  "What is allowed on resources."
            """)
}
