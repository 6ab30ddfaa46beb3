import Schema

extension GroupText {
    static let apiregistrationV1 = GroupText(
        group: "apiregistration.k8s.io", version: "v1", package: "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1",
        texts: """
            kind APIService apiservices apiservice cluster categories=api-extensions
              /status get,patch,update
              column Name string format=name "Name of the object."
              column Service string "The Service that answers, or Local."
              column Available string "Whether it can be used."
              column Age string "Time since it was made."

            type APIService object  "Says which server answers for an API group version."
              spec   APIServiceSpec  "What is wanted."
              status APIServiceStatus  "What became of it."

            type APIServiceSpec  "Who answers for a group version."
              caBundle              bytes? atomic  "Authorities that sign the server's certificate."
              group                 string  "The API group."
              groupPriorityMinimum  int32 required  "Rank of the group, the highest first."
              insecureSkipTLSVerify bool  "Whether any certificate will do."
              service               ServiceReference?  "The Service to ask; this server itself when absent."
              version               string  "The version."
              versionPriority       int32 required  "Rank of the version in its group, the highest first."

            type ServiceReference  "A Service of the cluster."
              name      string  "Its name."
              namespace string  "Its namespace."
              port      int32? = 443  "Its port."

            type APIServiceStatus  "What became of an API service."
              conditions [APIServiceCondition] map(type) merge(type)  "Whether it can be used."

            type APIServiceCondition order(type,status)  "One thing that is so or not."
              lastTransitionTime time?  "When that changed."
              message            string  "Why, for people."
              reason             string  "Why, for programs."
              status             string required  "True, False or Unknown."
              type               string required  "What it is about."
            """)
}
