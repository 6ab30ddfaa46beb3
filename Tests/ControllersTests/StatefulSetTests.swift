import Basics
import Client
import Document
import Testing

@testable import Controllers

private let now = Timestamp(seconds: 1_700_000_000)

/// A stateful set with its world in memory, so that several rounds can be played.
private struct Stage {
    var set: Document
    var pods: [String: Document] = [:]
    var revisions: [String: Document] = [:]
    var claims: [String: Document] = [:]
    /// What was done, one word each.
    var log: [String] = []
    var events: [String] = []
    private var count = 0

    init(replicas: Int = 3, image: String = "web:1", _ spec: Document = [:]) {
        let base: Document = [
            "replicas": Document(replicas), "selector": ["matchLabels": ["app": "web"]], "serviceName": "web",
            "podManagementPolicy": "OrderedReady", "revisionHistoryLimit": 2,
            "updateStrategy": ["type": "RollingUpdate", "rollingUpdate": ["partition": 0]],
            "template": [
                "metadata": ["labels": ["app": "web"]],
                "spec": ["containers": [["name": "main", "image": Document(image)]]],
            ],
        ]
        set = [
            "apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": ["name": "web", "namespace": "default", "uid": "uid-set", "generation": 1],
            "spec": base.applyingMergePatch(spec),
        ]
    }

    func plan() -> Plan {
        func matches(_ object: Document) -> Bool { object.controllerUID == nil || object.controllerUID == set.uid }
        return StatefulSetPlan.plan(
            set, pods: pods.values.filter(matches).sorted { $0.name < $1.name },
            revisions: revisions.values.filter(matches).sorted { $0.name < $1.name },
            revisionNamed: { revisions[$0] }, claimNamed: { claims[$0] }, Situation(now: now))
    }

    /// Plays rounds until nothing is left to do.
    @discardableResult mutating func settle() -> [String] {
        log = []
        for _ in 0..<20 {
            let plan = plan()
            if plan.actions.isEmpty { break }
            for action in plan.actions { play(action) }
        }
        return log
    }

    /// Plays rounds, each followed by every pod becoming ready and every deleted pod going away.
    @discardableResult mutating func settleWithNodes() -> [String] {
        var log: [String] = []
        for _ in 0..<40 {
            let done = settle()
            log += done
            let before = pods
            for name in pods.keys.sorted() { finish(name) }
            if done.isEmpty, pods == before { break }
        }
        return log
    }

    mutating func finish(_ name: String) {
        if pods[name]?.isTerminating == true {
            pods[name] = nil
        } else if pods[name]?.phase == "Pending" {
            setReady(name, true)
        }
    }

    mutating func setReady(_ name: String, _ ready: Bool, since: Int = 100) {
        let condition: Document = [
            "type": "Ready", "status": ready ? "True" : "False",
            "lastTransitionTime": Document((now + .seconds(-since)).rfc3339()),
        ]
        pods[name]?["status"] = ["phase": "Running", "conditions": [condition]]
    }

    mutating func setImage(_ image: String) {
        set.set([["name": "main", "image": Document(image)]], at: "spec", "template", "spec", "containers")
        set.set(Document(set.generation + 1), at: "metadata", "generation")
    }

    private var isOrdered: Bool { self.set.text("spec", "podManagementPolicy") == "OrderedReady" }

    func image(_ name: String) -> String? { pods[name]?.list("spec", "containers").first?.text("image") }
    var images: [String?] { pods.keys.sorted().map { image($0) } }
    func status(_ field: String) -> Int { set.number("status", field) ?? 0 }

    private mutating func play(_ action: Action) {
        switch action {
        case .unit(let parts, let notice):
            for part in parts { play(part) }
            if let notice { events.append(notice.success) }
        case .create(let resource, var object, _):
            count += 1
            if resource == .pods, isOrdered {
                let below = object.labels["apps.kubernetes.io/pod-index"].flatMap { Int($0) } ?? 0
                for ordinal in (self.set.number("spec", "ordinals", "start") ?? 0)..<below {
                    let pod = pods["web-\(ordinal)"]
                    #expect(pod?.isReadyPod == true && pod?.isTerminating == false, "before \(object.name)")
                }
            }
            object.set(Document("uid-\(count)"), at: "metadata", "uid")
            log.append("+" + object.name)
            if resource == .pods {
                #expect(pods[object.name] == nil)
                object["status"] = ["phase": "Pending"]
                pods[object.name] = object
            } else if resource == .controllerRevisions {
                revisions[object.name] = object
            } else {
                claims[object.name] = object
            }
        case .delete(let resource, let object, _, _, _):
            log.append("-" + object.name)
            if resource == .pods {
                pods[object.name]?.set(Document(now.rfc3339()), at: "metadata", "deletionTimestamp")
            } else {
                revisions[object.name] = nil
            }
        case .patch(let resource, _, let name, let patch, _):
            log.append("~" + name)
            if resource == .pods { pods[name] = pods[name]?.applyingMergePatch(patch) }
            if resource == .controllerRevisions { revisions[name] = revisions[name]?.applyingMergePatch(patch) }
            if resource == .persistentVolumeClaims { claims[name] = claims[name]?.applyingMergePatch(patch) }
        case .update(_, let object, _): set["status"] = object["status"]
        case .event(_, _, _, let message): events.append(message)
        case .strategicPatch, .checkUnused: Issue.record("no plan of a stateful set does this: \(action)")
        }
    }
}

@Suite struct StatefulSetTests {
    @Test func bringsUpOnePodAfterTheOther() {
        var stage = Stage()
        let revision = stage.plan().actions.compactMap { action -> String? in
            if case .create(.controllerRevisions, let object, _) = action { object.name } else { nil }
        }
        #expect(revision.count == 1)
        #expect(stage.settle() == ["+\(revision[0])", "+web-0"])
        stage.setReady("web-0", false)
        #expect(stage.settle() == [])
        stage.setReady("web-0", true)
        #expect(stage.settle() == ["+web-1"])
        #expect(stage.settleWithNodes() == ["+web-2"])
        #expect(stage.status("replicas") == 3)
        #expect(stage.status("availableReplicas") == 3)
        #expect(stage.status("currentReplicas") == 3)
        #expect(stage.set.text("status", "currentRevision") == revision[0])
        #expect(stage.events.first == "create Pod web-0 in StatefulSet web successful")
    }

    @Test func podsHaveAStableIdentity() throws {
        var stage = Stage(["ordinals": ["start": 5]])
        stage.settle()
        let pod = try #require(stage.pods["web-5"])
        #expect(pod.labels["statefulset.kubernetes.io/pod-name"] == "web-5")
        #expect(pod.labels["apps.kubernetes.io/pod-index"] == "5")
        #expect(pod.labels["controller-revision-hash"] == stage.set.text("status", "updateRevision"))
        #expect(pod.text("spec", "hostname") == "web-5")
        #expect(pod.text("spec", "subdomain") == "web")
        #expect(pod.controllerReference?.text("kind") == "StatefulSet")
        stage.pods["web-5"]?.set("other", at: "metadata", "labels", "statefulset.kubernetes.io/pod-name")
        stage.setReady("web-5", true)
        #expect(stage.settle() == ["~web-5", "+web-6"])
    }

    @Test func parallelSetsDoEverythingAtOnce() {
        var stage = Stage(["podManagementPolicy": "Parallel"])
        #expect(stage.settle().dropFirst() == ["+web-0", "+web-1", "+web-2"])
        stage.set.set(1, at: "spec", "replicas")
        #expect(stage.settle() == ["-web-2", "-web-1"])
        stage.pods["web-1"] = nil
        stage.set.set(3, at: "spec", "replicas")
        #expect(stage.settle() == ["+web-1"], "web-2 still has its name")
    }

    @Test func scalesDownFromTheTop() {
        var stage = Stage()
        stage.settleWithNodes()
        stage.set.set(1, at: "spec", "replicas")
        #expect(stage.settle() == ["-web-2"])
        #expect(stage.settle() == [])
        stage.pods["web-2"] = nil
        #expect(stage.settle() == ["-web-1"])
        stage.pods["web-1"] = nil
        #expect(stage.settle() == [])
        #expect(stage.status("replicas") == 1)
    }

    @Test func nothingScalesPastAnUnhealthyPod() {
        var stage = Stage()
        stage.settleWithNodes()
        stage.setReady("web-0", false)
        stage.set.set(1, at: "spec", "replicas")
        #expect(stage.settle() == [])
        stage.setReady("web-0", true)
        stage.setReady("web-1", false)
        stage.setReady("web-2", false)
        stage.set.set(0, at: "spec", "replicas")
        #expect(stage.settle() == [], "web-1 waits to become well")
        stage.setReady("web-1", true)
        #expect(stage.settle() == ["-web-2"])
    }

    @Test(arguments: ["Failed", "Succeeded"]) func finishedPodsAreMadeAnew(phase: String) {
        var stage = Stage()
        stage.settleWithNodes()
        stage.pods["web-1"]?["status"] = ["phase": Document(phase)]
        #expect(stage.settle() == ["-web-1"])
        stage.pods["web-1"] = nil
        #expect(stage.settle() == ["+web-1"])
    }

    @Test func minimumReadyTimeIsWaitedFor() {
        var stage = Stage(["minReadySeconds": 60])
        stage.settle()
        stage.setReady("web-0", true, since: 20)
        #expect(stage.plan().lookAgain == .seconds(40))
        #expect(stage.settle() == [])
        #expect(stage.status("readyReplicas") == 1)
        #expect(stage.status("availableReplicas") == 0)
        stage.setReady("web-0", true, since: 60)
        #expect(stage.settle() == ["+web-1"])
    }

    @Test func adoptsAndLetsGo() {
        var stage = Stage()
        stage.settleWithNodes()
        stage.pods["web-1"]?.set(nil, at: "metadata", "ownerReferences")
        stage.pods["stray"] = stage.pods["web-1"]
        stage.pods["stray"]?.set("stray", at: "metadata", "name")
        stage.pods["web-7"] = stage.pods["web-2"]
        stage.pods["web-7"]?.set("web-7", at: "metadata", "name")
        stage.pods["web-7"]?.set("other", at: "metadata", "labels", "app")
        #expect(stage.settle() == ["~web-1", "~web-7"], "of the orphans only those with a name of the set's")
        #expect(stage.pods["web-1"]?.controllerUID == "uid-set")
        #expect(stage.pods["web-7"]?.controllerUID == nil)
    }

    @Test func aTerminatingSetIsLeftAlone() {
        var stage = Stage()
        stage.settleWithNodes()
        stage.pods["web-2"] = nil
        stage.set.set(Document(now.rfc3339()), at: "metadata", "deletionTimestamp")
        #expect(stage.settle() == [])
        #expect(stage.status("replicas") == 2)
    }
}

@Suite struct StatefulSetRolloutTests {
    private func rolledOut(_ spec: Document = [:]) -> Stage {
        var stage = Stage(spec)
        stage.settleWithNodes()
        return stage
    }

    @Test func replacesFromTheTopOneByOne() {
        var stage = rolledOut()
        let old = stage.set.text("status", "currentRevision")
        stage.setImage("web:2")
        #expect(stage.settle().dropFirst() == ["-web-2"])
        #expect(stage.set.text("status", "currentRevision") == old)
        #expect(stage.set.text("status", "updateRevision") != old)
        stage.pods["web-2"] = nil
        #expect(stage.settle() == ["+web-2"])
        #expect(stage.settle() == [], "not before web-2 is available")
        #expect(stage.settleWithNodes() == ["-web-1", "+web-1", "-web-0", "+web-0"])
        #expect(stage.images == ["web:2", "web:2", "web:2"])
        #expect(stage.set.text("status", "currentRevision") == stage.set.text("status", "updateRevision"))
        #expect(stage.status("updatedReplicas") == 3)
    }

    @Test func partitionHoldsBackTheLowerPods() {
        var stage = rolledOut(["updateStrategy": ["rollingUpdate": ["partition": 2]]])
        stage.setImage("web:2")
        stage.settleWithNodes()
        #expect(stage.images == ["web:1", "web:1", "web:2"])
        // A pod below the partition comes back as it was.
        stage.pods["web-0"] = nil
        stage.settleWithNodes()
        #expect(stage.images == ["web:1", "web:1", "web:2"])
        #expect(stage.status("currentReplicas") == 2)
        stage.set.set(0, at: "spec", "updateStrategy", "rollingUpdate", "partition")
        stage.settleWithNodes()
        #expect(stage.images == ["web:2", "web:2", "web:2"])
    }

    @Test func onDeleteWaitsForSomebodyToDelete() {
        var stage = rolledOut(["updateStrategy": ["type": "OnDelete", "rollingUpdate": nil]])
        stage.setImage("web:2")
        stage.settleWithNodes()
        #expect(stage.images == ["web:1", "web:1", "web:1"])
        stage.pods["web-1"] = nil
        stage.settleWithNodes()
        #expect(stage.images == ["web:1", "web:2", "web:1"])
    }

    @Test func severalMayBeMissingAtATime() {
        var stage = rolledOut(["replicas": 5, "updateStrategy": ["rollingUpdate": ["maxUnavailable": "50%"]]])
        stage.setImage("web:2")
        #expect(stage.settle().dropFirst() == ["-web-4", "-web-3"])
    }

    @Test func aBrokenPodStopsAnOrderedRollout() {
        var stage = rolledOut()
        stage.setImage("web:broken")
        stage.settle()
        stage.pods["web-2"] = nil
        stage.settle()
        stage.setReady("web-2", false)
        stage.setImage("web:1")
        #expect(stage.settle().allSatisfy { $0.hasPrefix("~") }, "only somebody who deletes web-2 gets it going")
        stage.pods["web-2"] = nil
        stage.settleWithNodes()
        #expect(stage.images == ["web:1", "web:1", "web:1"])
    }

    @Test func parallelRolloutsReplaceBrokenPods() {
        var stage = rolledOut(["podManagementPolicy": "Parallel"])
        for name in stage.pods.keys { stage.setReady(name, false) }
        stage.setImage("web:2")
        #expect(stage.settle().dropFirst() == ["-web-2"])
        stage.settleWithNodes()
        #expect(stage.images == ["web:2", "web:2", "web:2"])
    }

    @Test func returningToAnOldTemplateTakesItsRevision() throws {
        var stage = rolledOut()
        let first = try #require(stage.set.text("status", "currentRevision"))
        stage.setImage("web:2")
        stage.settleWithNodes()
        stage.setImage("web:1")
        stage.settleWithNodes()
        #expect(stage.revisions.count == 2)
        #expect(stage.revisions[first]?.number("revision") == 3)
        #expect(stage.set.text("status", "currentRevision") == first)
    }

    @Test func oldRevisionsAreForgotten() {
        var stage = rolledOut()
        for image in 2...6 {
            stage.setImage("web:\(image)")
            stage.settleWithNodes()
        }
        #expect(stage.revisions.values.map { $0.number("revision") ?? 0 }.sorted() == [4, 5, 6])
    }
}

@Suite struct StatefulSetClaimTests {
    private func stage(_ policy: Document = [:], _ spec: Document = [:]) -> Stage {
        var base: Document = [
            "persistentVolumeClaimRetentionPolicy": ["whenDeleted": "Retain", "whenScaled": "Retain"],
            "volumeClaimTemplates": [["metadata": ["name": "data", "labels": ["a": "b"]], "spec": ["size": 1]]],
        ]
        base["persistentVolumeClaimRetentionPolicy"] =
            base["persistentVolumeClaimRetentionPolicy"]?.applyingMergePatch(policy)
        return Stage(base.applyingMergePatch(spec))
    }

    @Test func everyPodHasItsClaims() throws {
        var stage = stage()
        #expect(stage.settle().dropFirst() == ["+data-web-0", "+web-0"])
        let claim = try #require(stage.claims["data-web-0"])
        #expect(claim.labels == ["a": "b", "app": "web"])
        #expect(claim.ownerReferences.isEmpty)
        let volume = stage.pods["web-0"]?.list("spec", "volumes").first
        #expect(volume?.text("name") == "data")
        #expect(volume?.text("persistentVolumeClaim", "claimName") == "data-web-0")
        #expect(stage.events.first == "create Claim data-web-0 Pod web-0 in StatefulSet web success")
        // A claim that somebody took from a waiting pod is made anew.
        stage.claims["data-web-0"] = nil
        #expect(stage.settle() == ["+data-web-0"])
    }

    @Test func claimsOutliveTheirPods() {
        var stage = stage()
        stage.settleWithNodes()
        stage.set.set(1, at: "spec", "replicas")
        stage.settleWithNodes()
        #expect(stage.claims.keys.sorted() == ["data-web-0", "data-web-1", "data-web-2"])
        #expect(stage.claims.values.allSatisfy { $0.ownerReferences.isEmpty })
        stage.set.set(2, at: "spec", "replicas")
        #expect(stage.settleWithNodes() == ["+web-1"])
    }

    @Test func theSetOwnsWhatGoesWithIt() {
        var stage = stage(["whenDeleted": "Delete"])
        stage.settleWithNodes()
        #expect(stage.claims["data-web-1"]?.controllerUID == "uid-set")
        stage.set.set("Retain", at: "spec", "persistentVolumeClaimRetentionPolicy", "whenDeleted")
        stage.settleWithNodes()
        #expect(stage.claims["data-web-1"]?.ownerReferences.isEmpty == true)
    }

    @Test func thePodOwnsWhatIsScaledAway() {
        var stage = stage(["whenDeleted": "Delete", "whenScaled": "Delete"])
        stage.settleWithNodes()
        stage.set.set(2, at: "spec", "replicas")
        #expect(stage.settle() == ["~data-web-2", "-web-2"])
        let uid = stage.pods["web-2"]?.uid
        #expect(stage.claims["data-web-2"]?.ownerReferences.map { $0.text("uid") } == [uid])
        #expect(stage.claims["data-web-1"]?.controllerUID == "uid-set")
        // A new pod of the name waits until its claim is gone.
        stage.pods["web-2"] = nil
        stage.set.set(3, at: "spec", "replicas")
        #expect(stage.settle() == [])
        stage.claims["data-web-2"] = nil
        #expect(stage.settle() == ["+data-web-2", "+web-2"])
    }

    @Test func othersClaimsAreRespected() {
        var stage = stage(["whenDeleted": "Delete"])
        stage.claims["data-web-0"] = [
            "metadata": [
                "name": "data-web-0", "namespace": "default", "uid": "c",
                "ownerReferences": [["kind": "Other", "name": "x", "uid": "x", "controller": true]],
            ]
        ]
        stage.settleWithNodes()
        #expect(stage.claims["data-web-0"]?.controllerUID == "x")
        #expect(stage.pods["web-0"] != nil)
    }

    @Test func aClaimOnItsWayOutIsNotMounted() {
        var stage = stage()
        stage.settleWithNodes()
        stage.pods["web-0"] = nil
        stage.claims["data-web-0"]?.set(Document(now.rfc3339()), at: "metadata", "deletionTimestamp")
        let messages = stage.plan().actions.compactMap { action -> String? in
            if case .event(_, .warning, "FailedCreate", let message) = action { message } else { nil }
        }
        #expect(
            messages == ["create Pod web-0 in StatefulSet web failed error: pvc data-web-0 is being deleted"])
    }

    @Test func namesOfClaimsAreTold() {
        let templates = ClaimTemplates(stage().set)
        #expect(templates.names("data-web-12"))
        #expect(!templates.names("data-web-x"))
        #expect(!templates.names("other-web-1"))
    }
}

/// Whatever happens to a set, it comes out right in the end, and on the way nothing is done out of order.
@Suite struct StatefulSetChanceTests {
    private struct Dice {
        var state: UInt64

        mutating func roll(_ sides: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % UInt64(sides))
        }
    }

    @Test(arguments: ["OrderedReady", "Parallel"], [1, 2, 3, 4, 5, 6, 7, 8] as [UInt64])
    func comesOutRight(policy: Document, seed: UInt64) {
        var dice = Dice(state: seed)
        var stage = Stage(["podManagementPolicy": policy])
        for _ in 0..<60 {
            let names = stage.pods.keys.sorted()
            let name = names.isEmpty ? "" : names[dice.roll(names.count)]
            switch dice.roll(8) {
            case 0: stage.set.set(Document(dice.roll(6)), at: "spec", "replicas")
            case 1: stage.setImage("web:\(dice.roll(4))")
            case 2 where !name.isEmpty: stage.pods[name]?["status"] = ["phase": "Failed"]
            case 3 where !name.isEmpty: stage.setReady(name, dice.roll(2) == 0)
            case 4 where !name.isEmpty: stage.pods[name] = nil
            default: if !name.isEmpty { stage.finish(name) }
            }
            stage.settle()
        }
        // Somebody mends what is broken, and deletes what holds up an ordered rollout.
        for name in stage.pods.keys.sorted() where stage.pods[name]?.isFinished == false {
            if stage.pods[name]?.isTerminating == false { stage.setReady(name, true) }
        }
        stage.set.set(3, at: "spec", "replicas")
        stage.setImage("web:final")
        stage.settleWithNodes()
        #expect(stage.pods.keys.sorted() == ["web-0", "web-1", "web-2"])
        #expect(stage.images == ["web:final", "web:final", "web:final"])
        #expect(stage.status("availableReplicas") == 3)
        #expect(stage.set.text("status", "currentRevision") == stage.set.text("status", "updateRevision"))
        #expect(stage.revisions.count <= 3)
    }
}
