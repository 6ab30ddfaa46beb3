import Schema

extension GroupText {
    static let flowControlV1 = GroupText(
        group: "flowcontrol.apiserver.k8s.io", version: "v1", package: "io.k8s.api.flowcontrol.v1",
        texts: """
            kind FlowSchema flowschemas flowschema cluster generation
              /status get,patch,update
              column Name string format=name "Name of the object."
              column PriorityLevel string "Priority level that takes the requests."
              column MatchingPrecedence string "Order of the schemas; the smallest that matches wins."
              column DistinguisherMethod string "What tells the flows apart."
              column Age string "Time since it was made."
              column MissingPL string "Whether the priority level is missing."

            kind PriorityLevelConfiguration prioritylevelconfigurations prioritylevelconfiguration cluster generation
              /status get,patch,update
              column Name string format=name "Name of the object."
              column Type string "Whether requests are limited."
              column NominalConcurrencyShares string "Share of the server's concurrency."
              column Queues string "Number of queues."
              column HandSize string "Queues that one flow may use."
              column QueueLengthLimit string "Requests that may wait in one queue."
              column Age string "Time since it was made."

            type ExemptPriorityLevelConfiguration  "A level whose requests never wait."
              lendablePercent          int32? = 0  "Part of the seats that others may borrow, in percent."
              nominalConcurrencyShares int32? = 0  "Share of the server's seats that it counts for."

            type FlowDistinguisherMethod  "What tells the flows of a schema apart."
              type string required  "ByUser or ByNamespace."

            type FlowSchema object  "Assigns requests to a priority level and to flows."
              spec   FlowSchemaSpec  "What is wanted."
              status FlowSchemaStatus  "What the server found."

            type FlowSchemaCondition  "One aspect of a flow schema's state."
              lastTransitionTime time  "When the status last changed."
              message            string  "Explanation for people."
              reason             string  "Reason in one CamelCase word."
              status             string  "True, False or Unknown."
              type               string  "Its type."

            type FlowSchemaSpec  "Which requests, and where they go."
              distinguisherMethod        FlowDistinguisherMethod?  "What tells the flows apart; without it all requests are one flow."
              matchingPrecedence         int32 = 1000 always  "From 1 to 10000; of the schemas that match, the smallest wins."
              priorityLevelConfiguration PriorityLevelConfigurationReference required  "The level that takes the requests."
              rules                      [PolicyRulesWithSubjects] atomic  "Requests that it is about; one rule has to match."

            type FlowSchemaStatus  "State of a flow schema."
              conditions [FlowSchemaCondition] map(type) merge(type)  "State of the object, one entry a type."

            type GroupSubject  "Users of a group."
              name string required  "Its name, * for every group."

            type LimitResponse union(type:queuing=Queuing)  "What happens to requests that find no free seat."
              queuing QueuingConfiguration?  "How they wait; only with type Queue."
              type    string required  "Queue or Reject."

            type LimitedPriorityLevelConfiguration  "A level with a limited number of seats."
              borrowingLimitPercent    int32?  "Seats that it may borrow, in percent of its own; no limit when absent."
              lendablePercent          int32? = 0  "Part of the seats that others may borrow, in percent."
              limitResponse            LimitResponse  "What happens to requests that find no free seat."
              nominalConcurrencyShares int32? = 30  "Share of the server's seats."

            type NonResourcePolicyRule order(verbs,nonResourceURLs)  "Matches requests that are about no resource."
              nonResourceURLs [string] required set  "Paths, * for all, * as the last part for all below."
              verbs           [string] required set  "Verbs, * for all."

            type PolicyRulesWithSubjects  "Matches requests by who asks and what for."
              nonResourceRules [NonResourcePolicyRule] atomic  "Requests about no resource."
              resourceRules    [ResourcePolicyRule] atomic  "Requests about resources."
              subjects         [Subject] required atomic  "Who asks; one has to match."

            type PriorityLevelConfiguration object  "A share of the server's capacity, and the queues before it."
              spec   PriorityLevelConfigurationSpec  "What is wanted."
              status PriorityLevelConfigurationStatus  "What the server found."

            type PriorityLevelConfigurationCondition  "One aspect of a priority level's state."
              lastTransitionTime time  "When the status last changed."
              message            string  "Explanation for people."
              reason             string  "Reason in one CamelCase word."
              status             string  "True, False or Unknown."
              type               string  "Its type."

            type PriorityLevelConfigurationReference  "Names a priority level."
              name string required  "Its name."

            type PriorityLevelConfigurationSpec union(type:exempt=Exempt,limited=Limited)  "What a priority level grants."
              exempt  ExemptPriorityLevelConfiguration?  "Only with type Exempt."
              limited LimitedPriorityLevelConfiguration?  "Only with type Limited."
              type    string required  "Limited or Exempt."

            type PriorityLevelConfigurationStatus  "State of a priority level."
              conditions [PriorityLevelConfigurationCondition] map(type) merge(type)  "State of the object, one entry a type."

            type QueuingConfiguration  "The queues before a priority level."
              handSize         int32 = 8 always  "Number of queues that one flow may use; the shortest takes a request."
              queueLengthLimit int32 = 50 always  "Number of requests that may wait in one queue."
              queues           int32 = 64 always  "Number of queues."

            type ResourcePolicyRule order(verbs,apiGroups,resources)  "Matches requests about resources."
              apiGroups    [string] required set  "API groups, * for all."
              clusterScope bool  "Whether requests without a namespace match."
              namespaces   [string] set  "Namespaces of the requests, * for all."
              resources    [string] required set  "Resources, with a subresource behind a slash, * for all."
              verbs        [string] required set  "Verbs, * for all."

            type ServiceAccountSubject order(namespace,name)  "A service account."
              name      string required  "Its name, * for all of the namespace."
              namespace string required  "Its namespace."

            type Subject union(kind:group=Group,serviceAccount=ServiceAccount,user=User)  "Who asks."
              group          GroupSubject?  "Only with kind Group."
              kind           string required  "User, Group or ServiceAccount."
              serviceAccount ServiceAccountSubject?  "Only with kind ServiceAccount."
              user           UserSubject?  "Only with kind User."

            type UserSubject  "A user."
              name string required  "Its name, * for every user."
            """)
}
