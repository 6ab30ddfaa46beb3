import Document
import Kinds
import Testing

@testable import APIServer

/// The standards' rules by themselves; how namespaces apply them is asked through the server.
@Suite struct PodSecurityTests {
    private func detail(_ standard: PodSecurityStandard, _ spec: Document, metadata: Document = [:]) -> String {
        PodSecurityViolation.detail(
            of: PodSecurityChecks.violations(standard, CheckedPod(metadata: metadata, spec: spec)))
    }

    private let plain: Document = ["containers": [["name": "a"], ["name": "b"]]]

    @Test func restrictedNamesEveryContainerThatLacksSomething() {
        #expect(
            detail(.init(.restricted), plain)
                == "allowPrivilegeEscalation != false (containers \"a\", \"b\" must set "
                + "securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (containers \"a\", \"b\" "
                + "must set securityContext.capabilities.drop=[\"ALL\"]), runAsNonRoot != true (pod or containers \"a\", "
                + "\"b\" must set securityContext.runAsNonRoot=true), seccompProfile (pod or containers \"a\", \"b\" must "
                + "set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")")
        #expect(detail(.init(.baseline), plain) == "")
        #expect(detail(.init(.privileged), plain) == "")
    }

    @Test func olderVersionsKnowFewerRules() {
        #expect(!detail(.init(.restricted, minor: 21), plain).contains("capabilities"))
        #expect(detail(.init(.restricted, minor: 7), plain).hasPrefix("runAsNonRoot"))
        let probing: Document = [
            "containers": [["name": "c", "livenessProbe": ["httpGet": ["host": "h", "port": 1]]]]
        ]
        #expect(detail(.init(.baseline, minor: 33), probing) == "")
        #expect(
            detail(.init(.baseline, minor: 34), probing)
                == "probe or lifecycle host (container \"c\" uses probe or lifecycle host \"h\")")
    }

    @Test func rulesOfTheStricterLevelReplaceTheirWeakerForm() {
        let spec: Document = [
            "containers": [
                ["name": "c", "securityContext": ["capabilities": ["add": ["SYS_ADMIN"], "drop": ["ALL"]]]]
            ],
            "volumes": [["name": "v", "hostPath": ["path": "/"]]],
        ]
        #expect(
            detail(.init(.baseline), spec)
                == "non-default capabilities (container \"c\" must not include \"SYS_ADMIN\" in "
                + "securityContext.capabilities.add), hostPath volumes (volume \"v\")")
        let strict = detail(.init(.restricted), spec)
        #expect(!strict.contains("non-default"))
        #expect(!strict.contains("hostPath volumes"))
        #expect(strict.contains("restricted volume types (volume \"v\" uses restricted volume type \"hostPath\")"))
    }

    @Test func podAndContainersAreNamedTogether() {
        let spec: Document = [
            "securityContext": ["seccompProfile": ["type": "Unconfined"], "sysctls": [["name": "kernel.x"]]],
            "containers": [["name": "c", "securityContext": ["seccompProfile": ["type": "Odd"]]]],
        ]
        #expect(
            detail(.init(.baseline), spec)
                == "seccompProfile (pod and container \"c\" must not set securityContext.seccompProfile.type to \"Odd\", "
                + "\"Unconfined\"), forbidden sysctls (kernel.x)")
    }

    @Test func userNamespacesMakeRootHarmless() {
        var spec: Document = [
            "hostUsers": false,
            "containers": [["name": "c", "securityContext": ["procMount": "Unmasked", "runAsUser": 0]]],
        ]
        #expect(detail(.init(.baseline), spec) == "")
        #expect(!detail(.init(.restricted), spec).contains("runAsUser=0"))
        #expect(detail(.init(.restricted), spec).contains("procMount"))
        spec["hostUsers"] = true
        #expect(detail(.init(.baseline), spec).contains("procMount"))
    }

    @Test func labelsThatMeanNothingCountAsStrict() {
        let labels: Document = [
            "pod-security.kubernetes.io/enforce": "odd", "pod-security.kubernetes.io/warn": "odd",
            "pod-security.kubernetes.io/audit-version": "v2",
        ]
        let policy = PodSecurityPolicy(labels, PodSecurityConfiguration())
        #expect(policy.enforce.level == .restricted)
        #expect(policy.warn.level == .privileged)
        #expect(policy.errors.count == 3)
        #expect(PodSecurityStandard.minor("v1.01") == nil)
        #expect(PodSecurityStandard.minor("latest") == .some(nil))
        #expect(PodSecurityStandard.minor("v1.31") == .some(31))
    }

    @Test func namespacesRefusePodsAndWarnOfWorkloads() async throws {
        let harness = try await Harness()
        try await harness.create(
            "/api/v1/namespaces",
            [
                "apiVersion": "v1", "kind": "Namespace",
                "metadata": ["name": "n", "labels": ["pod-security.kubernetes.io/enforce": "baseline"]],
            ])
        try await harness.create("/api/v1/namespaces/n/serviceaccounts", Harness.serviceAccount)
        var pod = Harness.pod("p")
        pod.set(true, at: "spec", "hostPID")
        let refused = try await harness.send("POST", "/api/v1/namespaces/n/pods", pod)
        #expect(refused.status == 403)
        #expect(
            refused.body.text("message")
                == "pods \"p\" is forbidden: violates PodSecurity \"baseline:latest\": host namespaces (hostPID=true)")
        let deployment: Document = [
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": "d"],
            "spec": [
                "selector": ["matchLabels": ["a": "b"]],
                "template": ["metadata": ["labels": ["a": "b"]], "spec": pod["spec"] ?? .null],
            ],
        ]
        let warned = try await harness.send("POST", "/apis/apps/v1/namespaces/n/deployments", deployment)
        #expect(warned.status == 201)
        #expect(warned.headers.all("Warning").contains { $0.contains("would violate PodSecurity") })
    }

    @Test func aStricterNamespaceNamesThePodsThatViolateIt() async throws {
        let harness = try await Harness()
        try await harness.create("/api/v1/namespaces/default/serviceaccounts", Harness.serviceAccount)
        for name in ["b", "a"] {
            var pod = Harness.pod(name)
            pod.set(true, at: "spec", "hostIPC")
            try await harness.create("/api/v1/namespaces/default/pods", pod)
        }
        let reply = try await harness.send(
            "PATCH", "/api/v1/namespaces/default",
            ["metadata": ["labels": ["pod-security.kubernetes.io/enforce": "baseline"]]],
            type: "application/merge-patch+json")
        #expect(reply.status == 200)
        let warnings = reply.headers.all("Warning")
        #expect(
            warnings == [
                "299 - \"existing pods in namespace \\\"default\\\" violate the new PodSecurity enforce level "
                    + "\\\"baseline:latest\\\"\"",
                "299 - \"a (and 1 other pod): host namespaces\"",
            ])
    }
}
