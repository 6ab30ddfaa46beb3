import Document
import Schema

// The priority levels and flow schemas that a server has from the start. `exempt` and `catch-all` are mandatory: without
// them some request would have no place. The others are suggestions that an administrator may change.

extension Kinds {
    public static let mandatoryFlowObjects: Set = ["exempt", "catch-all"]

    public static let bootstrapPriorityLevels: [Document] = [
        level("catch-all", ["type": "Limited", "limited": limited(shares: 5, lendable: 0, queuing: nil)]),
        level("exempt", ["type": "Exempt", "exempt": ["nominalConcurrencyShares": 0, "lendablePercent": 0]]),
        level("global-default", queued(shares: 20, lendable: 50, queues: 128, hand: 6)),
        level("leader-election", queued(shares: 10, lendable: 0, queues: 16, hand: 4)),
        level("node-high", queued(shares: 40, lendable: 25, queues: 64, hand: 6)),
        level("system", queued(shares: 30, lendable: 33, queues: 64, hand: 6)),
        level("workload-high", queued(shares: 40, lendable: 50, queues: 128, hand: 6)),
        level("workload-low", queued(shares: 100, lendable: 90, queues: 128, hand: 6)),
    ]

    private static func limited(shares: Int, lendable: Int, queuing: Document?) -> Document {
        var response: Document = ["type": queuing == nil ? "Reject" : "Queue"]
        if let queuing { response["queuing"] = queuing }
        return [
            "nominalConcurrencyShares": Document(shares), "limitResponse": response,
            "lendablePercent": Document(lendable),
        ]
    }

    private static func queued(shares: Int, lendable: Int, queues: Int, hand: Int) -> Document {
        let queuing: Document = [
            "queues": Document(queues), "handSize": Document(hand), "queueLengthLimit": 50,
        ]
        return ["type": "Limited", "limited": limited(shares: shares, lendable: lendable, queuing: queuing)]
    }

    private static func object(_ kind: String, _ name: String, _ spec: Document) -> Document {
        [
            "apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": Document(kind),
            "metadata": [
                "name": Document(name), "annotations": ["apf.kubernetes.io/autoupdate-spec": "true"],
            ],
            "spec": spec,
        ]
    }

    private static func level(_ name: String, _ spec: Document) -> Document {
        object("PriorityLevelConfiguration", name, spec)
    }

    // MARK: Flow schemas

    public static let bootstrapFlowSchemas: [Document] = [
        schema("catch-all", 10_000, to: "catch-all", by: "ByUser", [everything(everyone)]),
        schema("exempt", 1, to: "exempt", by: nil, [everything([group("system:masters")])]),
        schema("global-default", 9_900, to: "global-default", by: "ByUser", [everything(everyone)]),
        schema(
            "kube-controller-manager", 800, to: "workload-high", by: "ByNamespace",
            [everything([user("system:kube-controller-manager")])]),
        schema(
            "kube-scheduler", 800, to: "workload-high", by: "ByNamespace",
            [everything([user("system:kube-scheduler")])]),
        schema(
            "kube-system-service-accounts", 900, to: "workload-high", by: "ByNamespace",
            [everything([systemAccounts])]),
        schema(
            "probes", 2, to: "exempt", by: nil,
            [
                [
                    "subjects": Document(everyone),
                    "nonResourceRules": [
                        ["verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]]
                    ],
                ]
            ]),
        schema(
            "service-accounts", 9_000, to: "workload-low", by: "ByUser",
            [everything([group("system:serviceaccounts")])]),
        schema(
            "system-leader-election", 100, to: "leader-election", by: "ByUser",
            [
                [
                    "subjects": [
                        user("system:kube-controller-manager"), user("system:kube-scheduler"), systemAccounts,
                    ],
                    "resourceRules": [resources(["get", "create", "update"], "coordination.k8s.io", ["leases"])],
                ]
            ]),
        schema(
            "system-node-high", 400, to: "node-high", by: "ByUser",
            [
                [
                    "subjects": [group("system:nodes")],
                    "resourceRules": [
                        resources(["*"], "", ["nodes", "nodes/status"], clusterScope: true),
                        resources(["*"], "coordination.k8s.io", ["leases"]),
                    ],
                ]
            ]),
        schema("system-nodes", 500, to: "system", by: "ByUser", [everything([group("system:nodes")])]),
    ]

    private static let everyone = [group("system:unauthenticated"), group("system:authenticated")]
    private static let systemAccounts: Document = [
        "kind": "ServiceAccount", "serviceAccount": ["namespace": "kube-system", "name": "*"],
    ]

    private static func group(_ name: String) -> Document {
        ["kind": "Group", "group": ["name": Document(name)]]
    }

    private static func user(_ name: String) -> Document { ["kind": "User", "user": ["name": Document(name)]] }

    private static func resources(
        _ verbs: [String], _ group: String, _ resources: [String], clusterScope: Bool = false
    ) -> Document {
        var rule: Document = [
            "verbs": Document(verbs), "apiGroups": [Document(group)], "resources": Document(resources),
        ]
        if clusterScope { rule["clusterScope"] = true }
        rule["namespaces"] = ["*"]
        return rule
    }

    private static func everything(_ subjects: [Document]) -> Document {
        [
            "subjects": Document(subjects), "resourceRules": [resources(["*"], "*", ["*"], clusterScope: true)],
            "nonResourceRules": [["verbs": ["*"], "nonResourceURLs": ["*"]]],
        ]
    }

    private static func schema(
        _ name: String, _ precedence: Int, to level: String, by method: String?, _ rules: [Document]
    ) -> Document {
        var spec: Document = [
            "priorityLevelConfiguration": ["name": Document(level)], "matchingPrecedence": Document(precedence),
        ]
        if let method { spec["distinguisherMethod"] = ["type": Document(method)] }
        spec["rules"] = Document(rules)
        return object("FlowSchema", name, spec)
    }
}
