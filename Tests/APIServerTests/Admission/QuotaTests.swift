import Basics
import Document
import Kinds
import Testing

@testable import APIServer

@Suite struct QuotaTests {
    private let now = Timestamp(seconds: 1_800_000_000)

    private func quota(_ hard: Document, used: Document, spec: Document = [:]) -> Document {
        ["metadata": ["name": "q"], "spec": spec, "status": ["hard": hard, "used": used]]
    }

    private func charge(_ kind: String, _ object: Document, old: Document? = nil) -> QuotaCharge {
        QuotaCharge(kind: kind, object: object, old: old, now: now)
    }

    private func pod(_ requests: Document, limits: Document = [:], priority: String? = nil) -> Document {
        var pod: Document = [
            "metadata": ["name": "p"],
            "spec": ["containers": [["name": "c", "resources": ["requests": requests, "limits": limits]]]],
        ]
        if let priority { pod.set(Document(priority), at: "spec", "priorityClassName") }
        return pod
    }

    private func message(_ charge: QuotaCharge, _ quotas: [Document]) -> String? {
        do {
            _ = try charge.apply(to: quotas)
            return nil
        } catch {
            return error.message
        }
    }

    @Test func chargesWhatTheQuotaNames() throws {
        let changes = try charge("pods", pod(["cpu": "500m", "memory": "1Gi"])).apply(
            to: [quota(["requests.cpu": "1", "pods": "3"], used: ["requests.cpu": "250m", "pods": "1"])])
        #expect(changes.count == 1)
        #expect(changes[0].used.mapValues(\.description) == ["requests.cpu": "750m", "pods": "2"])
    }

    @Test func refusesWhatExceedsAndSaysBySomuch() {
        let quotas = [
            quota(
                ["cpu": "1", "memory": "1Gi", "pods": "1"], used: ["cpu": "800m", "memory": "0", "pods": "1"])
        ]
        #expect(
            message(charge("pods", pod(["cpu": "300m", "memory": "1Mi"])), quotas)
                == "exceeded quota: q, requested: cpu=300m,pods=1, used: cpu=800m,pods=1, limited: cpu=1,pods=1")
    }

    @Test func everyContainerHasToSayWhatIsCounted() {
        let quotas = [quota(["limits.cpu": "1", "memory": "1Gi"], used: ["limits.cpu": "0", "memory": "0"])]
        #expect(
            message(charge("pods", pod([:])), quotas)
                == "failed quota: q: must specify limits.cpu for: c; memory for: c")
        #expect(message(charge("pods", pod(["memory": "1"], limits: ["cpu": "1"])), quotas) == nil)
    }

    @Test func withoutAKnownUseNothingIsAdmitted() {
        #expect(
            message(charge("configmaps", [:]), [quota(["count/configmaps": "1"], used: [:])])
                == "status unknown for quota: q, resources: count/configmaps")
        // What has not been counted at all yet does not bind.
        #expect(message(charge("configmaps", [:]), [["metadata": ["name": "q"], "spec": [:]]]) == nil)
    }

    @Test func updatesAreChargedByTheDifference() throws {
        let claim: (String) -> Document = { size in
            [
                "metadata": ["resourceVersion": "1"],
                "spec": ["storageClassName": "fast", "resources": ["requests": ["storage": Document(size)]]],
            ]
        }
        let name = "fast.storageclass.storage.k8s.io/requests.storage"
        let quotas = [
            quota(
                ["requests.storage": "3Gi", .init(name): "3Gi", "persistentvolumeclaims": "1"],
                used: ["requests.storage": "1Gi", .init(name): "1Gi", "persistentvolumeclaims": "1"])
        ]
        let grown = charge("persistentvolumeclaims", claim("2Gi"), old: claim("1Gi"))
        let used = try grown.apply(to: quotas).first?.used
        #expect(used?["requests.storage"]?.description == "2Gi")
        #expect(used?["persistentvolumeclaims"]?.description == "1")
        let tooBig = charge("persistentvolumeclaims", claim("4Gi"), old: claim("1Gi"))
        #expect(message(tooBig, quotas)?.hasPrefix("exceeded quota: q, requested: \(name)=3Gi") == true)
        #expect(try charge("persistentvolumeclaims", claim("1Gi"), old: claim("1Gi")).apply(to: quotas).isEmpty)
    }

    @Test func scopesChooseThePods() {
        let full: (Document) -> [Document] = { spec in [self.quota(["pods": "0"], used: ["pods": "0"], spec: spec)] }
        let named = pod(["cpu": "1"], priority: "high")
        #expect(message(charge("pods", named), full(["scopes": ["BestEffort"]])) == nil)
        #expect(message(charge("pods", named), full(["scopes": ["NotBestEffort"]])) != nil)
        #expect(message(charge("pods", named), full(["scopes": ["Terminating"]])) == nil)
        let selector: (String, Document) -> Document = { action, values in
            [
                "scopeSelector": [
                    "matchExpressions": [
                        ["scopeName": "PriorityClass", "operator": Document(action), "values": values]
                    ]
                ]
            ]
        }
        #expect(message(charge("pods", named), full(selector("In", ["high"]))) != nil)
        #expect(message(charge("pods", named), full(selector("NotIn", ["high"]))) == nil)
        #expect(message(charge("pods", pod([:])), full(selector("DoesNotExist", []))) != nil)
    }

    @Test func servicesCountTheirPorts() throws {
        let service: Document = ["spec": ["type": "LoadBalancer", "ports": [["port": 1], ["port": 2]]]]
        let usage = QuotaUsage.usage(service, kind: "services", now: now).mapValues(\.description)
        #expect(
            usage == [
                "count/services": "1", "services": "1", "services.nodeports": "2", "services.loadbalancers": "1",
            ])
    }
}

@Suite struct LimitTests {
    private func faults(_ item: Document, requests: Document, limits: Document = [:]) -> [String] {
        LimitCheck(item: item, requests: PodResources.amounts(requests), limits: PodResources.amounts(limits)).faults
    }

    @Test func boundsAreNamedWithWhatLiesOutside() {
        let item: Document = [
            "type": "Container", "min": ["cpu": "100m"], "max": ["cpu": "1"], "maxLimitRequestRatio": ["cpu": "4"],
        ]
        #expect(
            faults(item, requests: ["cpu": "50m"], limits: ["cpu": "1"]) == [
                "minimum cpu usage per Container is 100m, but request is 50m",
                "cpu max limit to request ratio per Container is 4, but provided ratio is 20.000000",
            ])
        #expect(
            faults(item, requests: [:]) == [
                "minimum cpu usage per Container is 100m.  No request is specified",
                "maximum cpu usage per Container is 1.  No limit is specified",
                "cpu max limit to request ratio per Container is 4, but no request is specified or request is 0",
            ])
        #expect(faults(item, requests: ["cpu": "500m"], limits: ["cpu": "1"]).isEmpty)
    }

    @Test func aPodNeedsTheMostOfItsPhases() {
        let spec: Document = [
            "initContainers": [
                ["name": "s", "restartPolicy": "Always", "resources": ["requests": ["cpu": "1"]]],
                ["name": "i", "resources": ["requests": ["cpu": "4"]]],
            ],
            "containers": [["name": "c", "resources": ["requests": ["cpu": "2"]]]],
            "overhead": ["cpu": "250m"],
        ]
        #expect(PodResources.containers(spec, "requests")["cpu"]?.description == "5")
        #expect(PodResources.pod(spec, "requests")["cpu"]?.description == "5250m")
        #expect(PodResources.pod(spec, "limits")["cpu"] == nil)
    }

    @Test func tolerationsThatOthersCoverGo() {
        let exact: Document = ["key": "a", "operator": "Equal", "value": "b", "effect": "NoSchedule"]
        let wide: Document = ["key": "a", "operator": "Exists"]
        let all: Document = ["operator": "Exists"]
        #expect(Document(Tolerations.merged([exact], [wide])).means([wide]))
        #expect(Document(Tolerations.merged([wide], [exact])).means([wide]))
        #expect(Document(Tolerations.merged([exact, wide], [all])).means([all]))
        let timed: Document = ["key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5]
        var longer = timed
        longer["tolerationSeconds"] = 9
        #expect(Document(Tolerations.merged([timed], [longer])).means([longer]))
    }

    @Test func aBucketFillsWithTime() {
        let rule = EventRateLimitRule(scope: .server, perSecond: 2, burst: 1)
        var bucket = TokenBucket(burst: 1, now: .zero)
        let taken = [0, 100, 600].map { bucket.take(rule, now: .milliseconds($0)) }
        #expect(taken == [true, false, true])
    }
}
