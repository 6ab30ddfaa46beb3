import Client
import Document
import Kinds
import Simulation
import Testing

extension FaultScenario {
    static let serviceRange = FaultScenario(
        "a range of addresses becomes ready and goes", controllers: ["service-cidr-controller"],
        begin: { cluster in
            let client = cluster.client
            for (name, cidr) in [("kept", "10.98.0.0/24"), ("gone", "10.99.0.0/24")] {
                _ = try await client.create(
                    .serviceCIDRs,
                    [
                        "apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR",
                        "metadata": ["name": Document(name)], "spec": ["cidrs": [Document(cidr)]],
                    ])
            }
            try await cluster.eventually("it is protected") {
                let range = try await client.get(.serviceCIDRs, name: "gone")
                return !range.list("metadata", "finalizers").isEmpty
            }
            _ = try await client.delete(.serviceCIDRs, name: "gone")
        },
        end: { cluster in
            let ranges = try await cluster.client.list(.serviceCIDRs).list("items")
            let kept = ranges.first { $0.text("metadata", "name") == "kept" }
            return !ranges.contains { $0.text("metadata", "name") == "gone" }
                && kept?.list("status", "conditions").first?.text("status") == "True"
        })

    static let policyStatus = FaultScenario(
        "a policy's mistakes are found in the kinds that it is for",
        controllers: ["validatingadmissionpolicy-status-controller"],
        begin: { cluster in
            _ = try await cluster.client.create(
                .validatingAdmissionPolicies,
                [
                    "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
                    "metadata": ["name": "few"],
                    "spec": [
                        "matchConstraints": [
                            "resourceRules": [
                                [
                                    "apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["*"],
                                    "resources": ["deployments"],
                                ]
                            ]
                        ],
                        "validations": [
                            ["expression": "object.spec.replicas < 6"], ["expression": "object.replicas < 6"],
                        ],
                    ],
                ])
        },
        end: { cluster in
            let policy = try await cluster.client.get(.validatingAdmissionPolicies, name: "few")
            let warnings = policy.list("status", "typeChecking", "expressionWarnings")
            return policy.number("status", "observedGeneration") == 1
                && warnings.map { $0.text("fieldRef") } == ["spec.validations[1].expression"]
                && warnings[0].text("warning")?.hasPrefix("apps/v1, Kind=Deployment: ERROR: <input>:1:7: ") == true
        })

    static let deviceClaim = FaultScenario(
        "a pod gets one claim by template, and frees it", controllers: ["resourceclaim-controller"],
        begin: { cluster in
            let client = cluster.client
            _ = try await client.create(
                .resourceClaimTemplates,
                [
                    "apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaimTemplate",
                    "metadata": ["name": "one", "namespace": "default"],
                    "spec": [
                        "spec": [
                            "devices": ["requests": [["name": "r", "exactly": ["deviceClassName": "c"]]]]
                        ]
                    ],
                ])
            var pod = pod("user", app: "user")
            pod.set([["name": "device", "resourceClaimTemplateName": "one"]], at: "spec", "resourceClaims")
            _ = try await client.create(.pods, pod)
        },
        end: { cluster in
            let claims = try await cluster.client.list(.resourceClaims, namespace: "default").list("items")
            let pod = try await cluster.client.get(.pods, namespace: "default", name: "user")
            return claims.count == 1
                && pod.list("status", "resourceClaimStatuses").map { $0.text("resourceClaimName") }
                    == claims.map { $0.text("metadata", "name") }
        })
}

@Suite struct SmallLoopFaultTests {
    @Test(arguments: [FaultScenario.serviceRange, .deviceClaim, .policyStatus])
    func everyCallMayFail(_ scenario: FaultScenario) throws { try expectEveryCallMayFail(scenario, most: 10) }
}
