import Schema

extension GroupText {
    static let rbacV1 = GroupText(
        group: "rbac.authorization.k8s.io", version: "v1", package: "io.k8s.api.rbac.v1",
        texts: """
            kind ClusterRoleBinding clusterrolebindings clusterrolebinding cluster
              column Name string format=name ""
              column Role string ""
              column Age string ""
              column Users string priority=1 ""
              column Groups string priority=1 ""
              column ServiceAccounts string priority=1 ""

            kind ClusterRole clusterroles clusterrole cluster
              column Name string format=name ""
              column "Created At" date ""

            kind RoleBinding rolebindings rolebinding namespaced
              column Name string format=name ""
              column Role string ""
              column Age string ""
              column Users string priority=1 ""
              column Groups string priority=1 ""
              column ServiceAccounts string priority=1 ""

            kind Role roles role namespaced
              column Name string format=name ""
              column "Created At" date ""

            type AggregationRule
              clusterRoleSelectors [LabelSelector] atomic

            type ClusterRole object
              aggregationRule AggregationRule?
              rules           [PolicyRule] always atomic

            type ClusterRoleBinding object
              roleRef  RoleRef required
              subjects [Subject] atomic

            type PolicyRule
              apiGroups       [string] atomic
              nonResourceURLs [string] atomic
              resourceNames   [string] atomic
              resources       [string] atomic
              verbs           [string] required atomic

            type Role object
              rules [PolicyRule] always atomic

            type RoleBinding object
              roleRef  RoleRef required
              subjects [Subject] atomic

            type RoleRef atomic
              apiGroup string = rbac.authorization.k8s.io always
              kind     string required
              name     string required nonempty

            type Subject atomic
              apiGroup  string
              kind      string required
              name      string required nonempty
              namespace string
            """)
}
