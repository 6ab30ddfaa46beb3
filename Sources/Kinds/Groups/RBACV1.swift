import Schema

extension GroupText {
    static let rbacV1 = GroupText(
        group: "rbac.authorization.k8s.io", version: "v1", package: "io.k8s.api.rbac.v1",
        texts: """
            kind ClusterRoleBinding clusterrolebindings clusterrolebinding cluster
              column Name string format=name "Name of the object."
              column Role string "Role that is granted."
              column Age string "Time since it was made."
              column Users string priority=1 "Users it is granted to."
              column Groups string priority=1 "Groups it is granted to."
              column ServiceAccounts string priority=1 "Service accounts it is granted to."

            kind ClusterRole clusterroles clusterrole cluster
              column Name string format=name "Name of the object."
              column "Created At" date "When it was made."

            kind RoleBinding rolebindings rolebinding namespaced
              column Name string format=name "Name of the object."
              column Role string "Role that is granted."
              column Age string "Time since it was made."
              column Users string priority=1 "Users it is granted to."
              column Groups string priority=1 "Groups it is granted to."
              column ServiceAccounts string priority=1 "Service accounts it is granted to."

            kind Role roles role namespaced
              column Name string format=name "Name of the object."
              column "Created At" date "When it was made."

            type AggregationRule  "Where a role's rules come from."
              clusterRoleSelectors [LabelSelector] atomic  "Selects the roles whose rules are gathered."

            type ClusterRole object  "Rules for the whole cluster."
              aggregationRule AggregationRule?  "Gathers the rules from other roles."
              rules           [PolicyRule] always atomic  "What is allowed."

            type ClusterRoleBinding object  "Grants a role in the whole cluster."
              roleRef  RoleRef required  "The role that is granted."
              subjects [Subject] atomic  "Who it is granted to."

            type PolicyRule  "Something that is allowed."
              apiGroups       [string] atomic  "API groups, * for all."
              nonResourceURLs [string] atomic  "Paths that are no resources, * as the last part for all below."
              resourceNames   [string] atomic  "Names of the objects, all when empty."
              resources       [string] atomic  "Resources, * for all."
              verbs           [string] required atomic  "Allowed verbs, * for all."

            type Role object  "Rules for one namespace."
              rules [PolicyRule] always atomic  "What is allowed."

            type RoleBinding object  "Grants a role in one namespace."
              roleRef  RoleRef required  "The role that is granted."
              subjects [Subject] atomic  "Who it is granted to."

            type RoleRef atomic order(kind,name)  "The role that is granted."
              apiGroup string = rbac.authorization.k8s.io always  "API group of the object."
              kind     string required  "Kind of the object."
              name     string required  "Its name."

            type Subject atomic order(kind,name)  "Who something is granted to."
              apiGroup  string  "API group of the object."
              kind      string required  "Kind of the object."
              name      string required nonempty  "Its name."
              namespace string  "Its namespace."
            """)
}
