import Basics
import Client
import Document
import Testing
import Wire

@testable import Controllers

@Suite struct ServiceCIDRTests {
    private let now = Timestamp(seconds: 1_800_000_000)

    private func range(_ name: String, _ cidr: String, deleted: Int? = nil, finalizer: Bool = true) -> Document {
        var metadata: Document = ["name": Document(name), "uid": Document(name), "resourceVersion": "1"]
        if finalizer { metadata["finalizers"] = [Document(ServiceCIDRPlan.finalizer)] }
        if let deleted { metadata["deletionTimestamp"] = Document((now + .seconds(-deleted)).rfc3339()) }
        return ["metadata": metadata, "spec": ["cidrs": [Document(cidr)]]]
    }

    private let address: Document = [
        "metadata": ["name": "10.97.0.5", "labels": ["ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"]]
    ]

    private func plan(_ range: Document, _ others: [Document] = [], _ addresses: [Document] = []) -> Plan {
        ServiceCIDRPlan.plan(range, others: others, addresses: { addresses }, Situation(now: now))
    }

    @Test func newRangesAreProtectedAndReady() {
        let plan = plan(range("more", "10.97.0.0/24", finalizer: false))
        #expect(plan.actions.count == 2)
        guard case .patch(_, _, _, let status, "status") = plan.actions.last else {
            Issue.record("no status")
            return
        }
        #expect(status.list("status", "conditions").first?.text("status") == "True")
    }

    @Test func rangesInUseStay() {
        let terminating = range("more", "10.97.0.0/24", deleted: 60)
        #expect(plan(terminating, [], [address]).steps.isEmpty)
        // Another range has the address too, so it does not need this one.
        #expect(plan(terminating, [range("all", "10.97.0.0/16")], [address]).steps.count == 1)
        #expect(plan(terminating, [], []).steps.count == 1)
    }

    @Test func allocatorsGetTimeToHear() {
        let plan = plan(range("more", "10.97.0.0/24", deleted: 4))
        #expect(plan.steps.isEmpty)
        #expect(plan.lookAgain == .seconds(6))
    }
}

@Suite struct BootstrapSignerTests {
    private func secret(_ id: String, _ secret: String, expiration: String? = nil) -> Document {
        var data: Document = [
            "token-id": Document(Base64.encode(Array(id.utf8))),
            "token-secret": Document(Base64.encode(Array(secret.utf8))),
            "usage-bootstrap-signing": Document(Base64.encode(Array("true".utf8))),
        ]
        if let expiration { data["expiration"] = Document(Base64.encode(Array(expiration.utf8))) }
        return [
            "metadata": ["name": Document("bootstrap-token-\(id)"), "namespace": "kube-system", "uid": "u"],
            "data": data,
        ]
    }

    private let now = Timestamp(seconds: 1_800_000_000)

    @Test func everyGoodTokenSigns() throws {
        let map: Document = [
            "metadata": ["name": "cluster-info", "namespace": "kube-public"],
            "data": ["kubeconfig": "hello", "jws-kubeconfig-gone00": "old"],
        ]
        let plan = BootstrapSigner.plan(
            map,
            secrets: [
                secret("abcdef", "0123456789abcdef"),
                secret("expire", "0123456789abcdef", expiration: "2020-01-01T00:00:00Z"),
            ], Situation(now: now))
        guard case .update(_, let signed, _) = plan.actions.first else {
            Issue.record("nothing signed")
            return
        }
        let data = signed.map("data")
        #expect(data.keys.sorted() == ["jws-kubeconfig-abcdef", "kubeconfig"])
        let parts = (data["jws-kubeconfig-abcdef"] ?? "").split(separator: ".", omittingEmptySubsequences: false)
        #expect(parts.count == 3)
        let header = Base64.encode(Array("{\"alg\":\"HS256\",\"kid\":\"abcdef\"}".utf8), url: true)
        #expect(parts[0] == header && parts[1] == "")
        let content = header + "." + Base64.encode(Array("hello".utf8), url: true)
        let wanted = Digest.hmacSHA256(Array(content.utf8), key: Array("0123456789abcdef".utf8))
        #expect(parts[2] == Base64.encode(wanted, url: true))
        #expect(
            BootstrapSigner.plan(signed, secrets: [secret("abcdef", "0123456789abcdef")], Situation(now: now))
                == .nothing)
    }
}

@Suite struct ResourceClaimTests {
    private let pod: Document = [
        "metadata": ["name": "p", "namespace": "default", "uid": "pod-uid"],
        "spec": [
            "nodeName": "n",
            "resourceClaims": [["name": "gpu", "resourceClaimTemplateName": "one-gpu"]],
        ],
    ]
    private let template: Document = [
        "metadata": ["name": "one-gpu"],
        "spec": ["metadata": ["labels": ["a": "b"]], "spec": ["devices": ["requests": []]]],
    ]

    private func claim(_ status: Document = [:], finalizers: Document = []) -> Document {
        [
            "metadata": [
                "name": "p-gpu-x", "namespace": "default", "uid": "c", "finalizers": finalizers,
                "annotations": ["resource.kubernetes.io/pod-claim-name": "gpu"],
                "ownerReferences": [
                    ["kind": "Pod", "apiVersion": "v1", "name": "p", "uid": "pod-uid", "controller": true]
                ],
            ], "status": status,
        ]
    }

    @Test func templatesBecomeClaims() {
        let plan = ResourceClaimPlan.plan(pod, claims: [], claim: { _ in nil }, template: { _ in template })
        guard case .create(_, let claim, _) = plan.actions.first else {
            Issue.record("no claim")
            return
        }
        #expect(claim.text("metadata", "generateName") == "p-gpu-")
        #expect(claim.annotations == ["resource.kubernetes.io/pod-claim-name": "gpu"])
        #expect(claim.labels == ["a": "b"])
        #expect(claim.controllerUID == "pod-uid")
    }

    @Test func thePodLearnsTheClaimsName() {
        let claim = claim()
        let plan = ResourceClaimPlan.plan(pod, claims: [claim], claim: { _ in claim }, template: { _ in nil })
        guard case .patch(_, _, "p", let patch, "status") = plan.actions.first else {
            Issue.record("no status")
            return
        }
        let status = patch.list("status", "resourceClaimStatuses")
        #expect(status == [["name": "gpu", "resourceClaimName": "p-gpu-x"]])
    }

    @Test func endedPodsFreeWhatTheyUsed() {
        let used = claim([
            "allocation": [:], "reservedFor": [["resource": "pods", "name": "p", "uid": "pod-uid"]],
        ])
        #expect(ResourceClaimPlan.plan(used, pod: { _ in pod }) == .nothing)
        let plan = ResourceClaimPlan.plan(used, pod: { _ in nil })
        guard case .update(_, let freed, "status") = plan.actions.first else {
            Issue.record("not freed")
            return
        }
        #expect(freed.at("status", "allocation") == nil && freed.at("status", "reservedFor") == nil)
        let kept = claim(finalizers: ["resource.kubernetes.io/delete-protection"])
        #expect(ResourceClaimPlan.plan(kept, pod: { _ in nil }).actions.count == 1)
    }
}
