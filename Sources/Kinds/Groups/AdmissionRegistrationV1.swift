import Schema

extension GroupText {
    static let admissionRegistrationV1 = GroupText(
        group: "admissionregistration.k8s.io", version: "v1", package: "io.k8s.api.admissionregistration.v1",
        texts: """
            kind MutatingAdmissionPolicy mutatingadmissionpolicies mutatingadmissionpolicy cluster generation categories=api-extensions
              column Name string format=name "Name of the object."
              column Mutations integer "How many mutations it makes."
              column ParamKind string "Kind of the objects that parameterize it."
              column Age string "Time since it was made."

            kind MutatingAdmissionPolicyBinding mutatingadmissionpolicybindings mutatingadmissionpolicybinding cluster generation categories=api-extensions
              column Name string format=name "Name of the object."
              column PolicyName string "Policy that it puts into effect."
              column ParamRef string "Object that parameterizes the policy here."
              column Age string "Time since it was made."

            kind MutatingWebhookConfiguration mutatingwebhookconfigurations mutatingwebhookconfiguration cluster generation categories=api-extensions
              column Name string format=name "Name of the object."
              column Webhooks integer "How many webhooks it has."
              column Age string "Time since it was made."

            kind ValidatingAdmissionPolicy validatingadmissionpolicies validatingadmissionpolicy cluster generation categories=api-extensions
              /status get,patch,update
              column Name string format=name "Name of the object."
              column Validations integer "How many validations it makes."
              column ParamKind string "Kind of the objects that parameterize it."
              column Age string "Time since it was made."

            kind ValidatingAdmissionPolicyBinding validatingadmissionpolicybindings validatingadmissionpolicybinding cluster generation categories=api-extensions
              column Name string format=name "Name of the object."
              column PolicyName string "Policy that it puts into effect."
              column ParamRef string "Object that parameterizes the policy here."
              column Age string "Time since it was made."

            kind ValidatingWebhookConfiguration validatingwebhookconfigurations validatingwebhookconfiguration cluster generation categories=api-extensions
              column Name string format=name "Name of the object."
              column Webhooks integer "How many webhooks it has."
              column Age string "Time since it was made."

            type ApplyConfiguration  "A change in the form of a partial object."
              expression string  "CEL expression for the object that is applied."

            type AuditAnnotation  "A note for the audit log."
              key             string required  "Its name, after that of the policy."
              valueExpression string required  "CEL expression for its value."

            type ExpressionWarning  "Doubts about an expression."
              fieldRef string required  "Path of the field with the expression."
              warning  string required  "What the type checker says of it."

            type JSONPatch  "A change in the form of a JSON patch."
              expression string  "CEL expression for the patch operations."

            type MatchCondition order(name,expression)  "A further condition for being asked."
              expression string required  "CEL expression that must be true."
              name       string required  "Its name, unique among the conditions."

            type MatchResources atomic  "Which requests something is about."
              excludeResourceRules [NamedRuleWithOperations] atomic  "Requests that it is not about after all."
              matchPolicy          string? = Equivalent  "Whether a rule also covers the same objects under other groups and versions."
              namespaceSelector    LabelSelector? = {}  "Labels of the namespaces."
              objectSelector       LabelSelector? = {}  "Labels of the objects, the old or the new one."
              resourceRules        [NamedRuleWithOperations] atomic  "Requests that it is about."

            type MutatingAdmissionPolicy object  "Changes objects on their way in, by expressions."
              spec MutatingAdmissionPolicySpec  "What is wanted."

            type MutatingAdmissionPolicyBinding object  "Puts a mutating policy into effect."
              spec MutatingAdmissionPolicyBindingSpec  "What is wanted."

            type MutatingAdmissionPolicyBindingSpec  "How a mutating policy is put into effect."
              matchResources MatchResources?  "Narrows the requests down."
              paramRef       ParamRef?  "Objects that parameterize it."
              policyName     string  "Name of the policy."

            type MutatingAdmissionPolicySpec  "What a mutating policy does."
              failurePolicy      string? = Fail  "Whether an error refuses the request or is ignored."
              matchConditions    [MatchCondition] map(name) merge(name)  "Further conditions, all needed."
              matchConstraints   MatchResources?  "Which requests it is about."
              mutations          [Mutation] atomic  "The changes, in this order."
              paramKind          ParamKind?  "Kind of its parameters."
              reinvocationPolicy string  "Whether it may run again after others changed the object."
              variables          [Variable] atomic  "Named expressions for use in the others."

            type MutatingWebhook order(name,clientConfig,sideEffects,admissionReviewVersions)  "A server that may change objects on their way in."
              admissionReviewVersions [string] required atomic  "Versions of AdmissionReview that it understands."
              clientConfig            WebhookClientConfig required  "How to reach it."
              failurePolicy           string? = Fail values(Fail,Ignore)  "Whether an error refuses the request or is ignored."
              matchConditions         [MatchCondition] map(name) merge(name)  "Further conditions, all needed."
              matchPolicy             string? = Equivalent values(Equivalent,Exact)  "Whether a rule also covers the same objects under other groups and versions."
              name                    string required  "Its full name, as a domain."
              namespaceSelector       LabelSelector? = {}  "Labels of the namespaces."
              objectSelector          LabelSelector? = {}  "Labels of the objects, the old or the new one."
              reinvocationPolicy      string? = Never values(IfNeeded,Never)  "Whether it may be asked again after others changed the object."
              rules                   [RuleWithOperations] atomic  "Requests that it is about."
              sideEffects             string? required values(None,NoneOnDryRun,Some,Unknown)  "Whether asking it changes anything elsewhere."
              timeoutSeconds          int32? = 10  "Seconds until it counts as failed."

            type MutatingWebhookConfiguration object  "Servers that may change objects on their way in."
              webhooks [MutatingWebhook] map(name) merge(name)  "The servers."

            type Mutation  "A change of an object."
              applyConfiguration ApplyConfiguration?  "The change as a partial object."
              jsonPatch          JSONPatch?  "The change as a JSON patch."
              patchType          string required  "Which of the two it is."

            type NamedRuleWithOperations atomic  "Requests, also by the objects' names."
              apiGroups     [string] atomic  "API groups, * for all."
              apiVersions   [string] atomic  "Versions, * for all."
              operations    [string] atomic  "Operations, * for all."
              resourceNames [string] atomic  "Names of the objects, all when empty."
              resources     [string] atomic  "Resources and subresources, * for all."
              scope         string? = *  "Objects in namespaces, of the cluster, or both."

            type ParamKind atomic  "A kind of parameters."
              apiVersion string  "Group and version."
              kind       string  "Kind."

            type ParamRef atomic  "Objects that are parameters."
              name                    string  "Name of the object."
              namespace               string  "Its namespace, that of the request when empty."
              parameterNotFoundAction string?  "What to do when there is none."
              selector                LabelSelector?  "Labels of the objects, instead of a name."

            type RuleWithOperations  "Requests."
              apiGroups   [string] atomic  "API groups, * for all."
              apiVersions [string] atomic  "Versions, * for all."
              operations  [string] atomic  "Operations, * for all."
              resources   [string] atomic  "Resources and subresources, * for all."
              scope       string? = *  "Objects in namespaces, of the cluster, or both."

            type ServiceReference order(namespace,name)  "A server behind a Service."
              name      string required  "Name of the Service."
              namespace string required  "Its namespace."
              path      string?  "Path of the requests."
              port      int32? = 443  "Port of the Service."

            type TypeChecking  "What checking the types brought up."
              expressionWarnings [ExpressionWarning] atomic  "Doubts about expressions."

            type ValidatingAdmissionPolicy object  "Refuses objects by expressions."
              spec   ValidatingAdmissionPolicySpec  "What is wanted."
              status ValidatingAdmissionPolicyStatus  "What is there."

            type ValidatingAdmissionPolicyBinding object  "Puts a validating policy into effect."
              spec ValidatingAdmissionPolicyBindingSpec required  "What is wanted."

            type ValidatingAdmissionPolicyBindingSpec  "How a validating policy is put into effect."
              matchResources    MatchResources?  "Narrows the requests down."
              paramRef          ParamRef?  "Objects that parameterize it."
              policyName        string required  "Name of the policy."
              validationActions [string]? required set  "What follows from a failed validation."

            type ValidatingAdmissionPolicySpec  "What a validating policy demands."
              auditAnnotations [AuditAnnotation] atomic  "Notes for the audit log."
              failurePolicy    string? = Fail  "Whether an error refuses the request or is ignored."
              matchConditions  [MatchCondition] map(name) merge(name)  "Further conditions, all needed."
              matchConstraints MatchResources?  "Which requests it is about."
              paramKind        ParamKind?  "Kind of its parameters."
              validations      [Validation] atomic  "What must hold."
              variables        [Variable] map(name) merge(name)  "Named expressions for use in the others."

            type ValidatingAdmissionPolicyStatus  "State of a validating policy."
              conditions         [Condition] map(type)  "Its conditions."
              observedGeneration int64  "Generation of the spec that this status is about."
              typeChecking       TypeChecking?  "What checking the types brought up."

            type ValidatingWebhook order(name,clientConfig,sideEffects,admissionReviewVersions)  "A server that may refuse objects."
              admissionReviewVersions [string] required atomic  "Versions of AdmissionReview that it understands."
              clientConfig            WebhookClientConfig required  "How to reach it."
              failurePolicy           string? = Fail values(Fail,Ignore)  "Whether an error refuses the request or is ignored."
              matchConditions         [MatchCondition] map(name) merge(name)  "Further conditions, all needed."
              matchPolicy             string? = Equivalent values(Equivalent,Exact)  "Whether a rule also covers the same objects under other groups and versions."
              name                    string required  "Its full name, as a domain."
              namespaceSelector       LabelSelector? = {}  "Labels of the namespaces."
              objectSelector          LabelSelector? = {}  "Labels of the objects, the old or the new one."
              rules                   [RuleWithOperations] atomic  "Requests that it is about."
              sideEffects             string? required values(None,NoneOnDryRun,Some,Unknown)  "Whether asking it changes anything elsewhere."
              timeoutSeconds          int32? = 10  "Seconds until it counts as failed."

            type ValidatingWebhookConfiguration object  "Servers that may refuse objects."
              webhooks [ValidatingWebhook] map(name) merge(name)  "The servers."

            type Validation  "Something that must hold."
              expression        string required  "CEL expression that must be true."
              message           string  "What to tell when it is not."
              messageExpression string  "CEL expression for what to tell."
              reason            string?  "Reason of the refusal, Invalid unless said."

            type Variable atomic order(name,expression)  "A named expression."
              expression string required  "CEL expression for the value."
              name       string required  "Its name, an identifier."

            type WebhookClientConfig  "How to reach a server."
              caBundle bytes  "Certificates that its own is checked by, in PEM."
              service  ServiceReference?  "The Service in front of it."
              url      string?  "Its address, instead of a Service."
            """)
}
