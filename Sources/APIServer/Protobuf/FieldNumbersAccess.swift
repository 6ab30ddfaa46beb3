extension FieldNumbers {
    /// See `FieldNumbers` for the form.
    static let access: StaticString = """
        package k8s.io.api.authentication.v1
          BoundObjectReference kind=1 apiVersion=2 name=3 uid=4
          ExtraValue items=1
          SelfSubjectReview metadata=1 status=2
          SelfSubjectReviewStatus userInfo=1
          TokenRequest metadata=1 spec=2 status=3
          TokenRequestSpec audiences=1 boundObjectRef=3 expirationSeconds=4
          TokenRequestStatus token=1 expirationTimestamp=2
          TokenReview metadata=1 spec=2 status=3
          TokenReviewSpec token=1 audiences=2
          TokenReviewStatus authenticated=1 user=2 error=3 audiences=4
          UserInfo username=1 uid=2 groups=3 extra=4
        package k8s.io.api.authorization.v1
          ExtraValue items=1
          FieldSelectorAttributes rawSelector=1 requirements=2
          LabelSelectorAttributes rawSelector=1 requirements=2
          LocalSubjectAccessReview metadata=1 spec=2 status=3
          NonResourceAttributes path=1 verb=2
          NonResourceRule verbs=1 nonResourceURLs=2
          ResourceAttributes namespace=1 verb=2 group=3 version=4 resource=5 subresource=6 name=7
            fieldSelector=8 labelSelector=9
          ResourceRule verbs=1 apiGroups=2 resources=3 resourceNames=4
          SelfSubjectAccessReview metadata=1 spec=2 status=3
          SelfSubjectAccessReviewSpec resourceAttributes=1 nonResourceAttributes=2
          SelfSubjectRulesReview metadata=1 spec=2 status=3
          SelfSubjectRulesReviewSpec namespace=1
          SubjectAccessReview metadata=1 spec=2 status=3
          SubjectAccessReviewSpec resourceAttributes=1 nonResourceAttributes=2 user=3 groups=4 extra=5 uid=6
          SubjectAccessReviewStatus allowed=1 reason=2 evaluationError=3 denied=4
          SubjectRulesReviewStatus resourceRules=1 nonResourceRules=2 incomplete=3 evaluationError=4
        package k8s.io.api.certificates.v1
          CertificateSigningRequest metadata=1 spec=2 status=3
          CertificateSigningRequestCondition type=1 reason=2 message=3 lastUpdateTime=4 lastTransitionTime=5
            status=6
          CertificateSigningRequestList metadata=1 items=2
          CertificateSigningRequestSpec request=1 username=2 uid=3 groups=4 usages=5 extra=6 signerName=7
            expirationSeconds=8
          CertificateSigningRequestStatus conditions=1 certificate=2
          ExtraValue items=1
        package k8s.io.api.rbac.v1
          AggregationRule clusterRoleSelectors=1
          ClusterRole metadata=1 rules=2 aggregationRule=3
          ClusterRoleBinding metadata=1 subjects=2 roleRef=3
          ClusterRoleBindingList metadata=1 items=2
          ClusterRoleList metadata=1 items=2
          PolicyRule verbs=1 apiGroups=2 resources=3 resourceNames=4 nonResourceURLs=5
          Role metadata=1 rules=2
          RoleBinding metadata=1 subjects=2 roleRef=3
          RoleBindingList metadata=1 items=2
          RoleList metadata=1 items=2
          RoleRef apiGroup=1 kind=2 name=3
          Subject kind=1 apiGroup=2 name=3 namespace=4
        package k8s.io.api.admission.v1
          AdmissionRequest uid=1 kind=2 resource=3 subResource=4 name=5 namespace=6 operation=7 userInfo=8
            object=9 oldObject=10 dryRun=11 options=12 requestKind=13 requestResource=14 requestSubResource=15
          AdmissionResponse uid=1 allowed=2 status=3 patch=4 patchType=5 auditAnnotations=6 warnings=7
          AdmissionReview request=1 response=2
        package k8s.io.api.admissionregistration.v1
          ApplyConfiguration expression=1
          AuditAnnotation key=1 valueExpression=2
          ExpressionWarning fieldRef=2 warning=3
          JSONPatch expression=1
          MatchCondition name=1 expression=2
          MatchResources namespaceSelector=1 objectSelector=2 resourceRules=3 excludeResourceRules=4
            matchPolicy=7
          MutatingAdmissionPolicy metadata=1 spec=2
          MutatingAdmissionPolicyBinding metadata=1 spec=2
          MutatingAdmissionPolicyBindingList metadata=1 items=2
          MutatingAdmissionPolicyBindingSpec policyName=1 paramRef=2 matchResources=3
          MutatingAdmissionPolicyList metadata=1 items=2
          MutatingAdmissionPolicySpec paramKind=1 matchConstraints=2 variables=3 mutations=4 failurePolicy=5
            matchConditions=6 reinvocationPolicy=7
          MutatingWebhook name=1 clientConfig=2 rules=3 failurePolicy=4 namespaceSelector=5 sideEffects=6
            timeoutSeconds=7 admissionReviewVersions=8 matchPolicy=9 reinvocationPolicy=10 objectSelector=11
            matchConditions=12
          MutatingWebhookConfiguration metadata=1 webhooks=2
          MutatingWebhookConfigurationList metadata=1 items=2
          Mutation patchType=2 applyConfiguration=3 jsonPatch=4
          NamedRuleWithOperations resourceNames=1 ruleWithOperations=2>RuleWithOperations
          ParamKind apiVersion=1 kind=2
          ParamRef name=1 namespace=2 selector=3 parameterNotFoundAction=4
          Rule apiGroups=1 apiVersions=2 resources=3 scope=4
          RuleWithOperations operations=1 rule=2>Rule
          ServiceReference namespace=1 name=2 path=3 port=4
          TypeChecking expressionWarnings=1
          ValidatingAdmissionPolicy metadata=1 spec=2 status=3
          ValidatingAdmissionPolicyBinding metadata=1 spec=2
          ValidatingAdmissionPolicyBindingList metadata=1 items=2
          ValidatingAdmissionPolicyBindingSpec policyName=1 paramRef=2 matchResources=3 validationActions=4
          ValidatingAdmissionPolicyList metadata=1 items=2
          ValidatingAdmissionPolicySpec paramKind=1 matchConstraints=2 validations=3 failurePolicy=4
            auditAnnotations=5 matchConditions=6 variables=7
          ValidatingAdmissionPolicyStatus observedGeneration=1 typeChecking=2 conditions=3
          ValidatingWebhook name=1 clientConfig=2 rules=3 failurePolicy=4 namespaceSelector=5 sideEffects=6
            timeoutSeconds=7 admissionReviewVersions=8 matchPolicy=9 objectSelector=10 matchConditions=11
          ValidatingWebhookConfiguration metadata=1 webhooks=2
          ValidatingWebhookConfigurationList metadata=1 items=2
          Validation expression=1 message=2 reason=3 messageExpression=4
          Variable name=1 expression=2
          WebhookClientConfig service=1 caBundle=2 url=3
        package k8s.io.api.flowcontrol.v1
          ExemptPriorityLevelConfiguration nominalConcurrencyShares=1 lendablePercent=2
          FlowDistinguisherMethod type=1
          FlowSchema metadata=1 spec=2 status=3
          FlowSchemaCondition type=1 status=2 lastTransitionTime=3 reason=4 message=5
          FlowSchemaList metadata=1 items=2
          FlowSchemaSpec priorityLevelConfiguration=1 matchingPrecedence=2 distinguisherMethod=3 rules=4
          FlowSchemaStatus conditions=1
          GroupSubject name=1
          LimitResponse type=1 queuing=2
          LimitedPriorityLevelConfiguration nominalConcurrencyShares=1 limitResponse=2 lendablePercent=3
            borrowingLimitPercent=4
          NonResourcePolicyRule verbs=1 nonResourceURLs=6
          PolicyRulesWithSubjects subjects=1 resourceRules=2 nonResourceRules=3
          PriorityLevelConfiguration metadata=1 spec=2 status=3
          PriorityLevelConfigurationCondition type=1 status=2 lastTransitionTime=3 reason=4 message=5
          PriorityLevelConfigurationList metadata=1 items=2
          PriorityLevelConfigurationReference name=1
          PriorityLevelConfigurationSpec type=1 limited=2 exempt=3
          PriorityLevelConfigurationStatus conditions=1
          QueuingConfiguration queues=1 handSize=2 queueLengthLimit=3
          ResourcePolicyRule verbs=1 apiGroups=2 resources=3 clusterScope=4 namespaces=5
          ServiceAccountSubject namespace=1 name=2
          Subject kind=1 user=2 group=3 serviceAccount=4
          UserSubject name=1
        """
}
