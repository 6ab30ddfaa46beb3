import Basics
import Client
import Document
import Kinds
import Testing

@testable import Controllers

@Suite struct RevisionHistoryTests {
    private let set: Document = [
        "kind": "StatefulSet",
        "metadata": [
            "name": "web", "namespace": "default", "uid": "uid-set", "annotations": ["kubernetes.io/change-cause": "x"],
        ],
        "spec": ["template": ["spec": ["b": 1, "a": 2], "metadata": ["labels": ["app": "web"], "none": nil]]],
    ]
    private let selector = LabelSelector(labels: ["app": "web"])

    private func history(
        _ candidates: [Document] = [], of object: Document? = nil, taken: [String: Document] = [:]
    ) -> RevisionHistory {
        RevisionHistory(
            of: object ?? set, .statefulSet, selector: selector, candidates: candidates, named: { taken[$0] })
    }

    private func stored(_ history: RevisionHistory, uid: String = "r1") -> Document {
        var revision = history.present
        revision.set(Document(uid), at: "metadata", "uid")
        return revision
    }

    private func changed(_ value: Int) -> Document {
        var set = set
        set.set(Document(value), at: "spec", "template", "spec", "a")
        return set
    }

    @Test func keepsAPatchThatBringsTheTemplateBack() {
        let revision = history().present
        let text = revision["data"]?.jsonText
        #expect(
            text
                == #"{"spec":{"template":{"$patch":"replace","metadata":{"labels":{"app":"web"}},"spec":{"a":2,"b":1}}}}"#
        )
        #expect(revision.number("revision") == 1)
        #expect(revision.annotations["kubernetes.io/change-cause"] == "x")
        #expect(revision.labels["app"] == "web")
        #expect(revision.name == "web-" + (revision.labels["controller.kubernetes.io/hash"] ?? ""))
        #expect(revision.controllerUID == "uid-set")
        let restored = RevisionHistory.template(of: revision, for: changed(9))
        #expect(restored.number("spec", "a") == 2)
        #expect(restored["$patch"] == nil)
    }

    @Test func orderAndNullsMakeNoDifference() {
        var other = set
        other.set(["metadata": ["labels": ["app": "web"]], "spec": ["a": 2, "b": 1]], at: "spec", "template")
        let known = stored(history())
        #expect(history([known], of: other).actions.isEmpty)
        #expect(history(of: other).present.name == known.name)
    }

    @Test func theNewestTemplateHasTheHighestNumber() {
        let first = stored(history())
        let second = stored(history([first], of: changed(3)), uid: "r2")
        #expect(second.number("revision") == 2)
        let back = history([first, second])
        #expect(back.present.name == first.name)
        #expect(back.present.number("revision") == 3)
        #expect(back.actions.count == 1)
        #expect(back.others.map(\.uid) == ["r2"])
    }

    @Test func takenNamesChangeTheHash() {
        let mine = history().present
        var foreign = history(of: changed(7)).present
        foreign.set(Document(mine.name), at: "metadata", "name")
        let collided = history(taken: [mine.name: foreign])
        #expect(collided.collisions == 1)
        #expect(collided.present.name != mine.name)
        #expect(collided.actions.count == 1)
        // The same template under somebody else's name serves as well.
        let shared = history(taken: [mine.name: mine])
        #expect(shared.collisions == 0)
        #expect(shared.actions.isEmpty)
    }

    @Test func orphansAreAdoptedRatherThanMadeAgain() {
        var orphan = stored(history())
        orphan.set(nil, at: "metadata", "ownerReferences")
        let adopting = history([orphan])
        #expect(adopting.present.uid == "r1")
        #expect(adopting.actions.count == 1)
    }

    @Test func duplicatesGiveTheirPodsToTheNewest() {
        let first = stored(history())
        var second = stored(history(), uid: "r2")
        second.set("web-other", at: "metadata", "name")
        second.set("other", at: "metadata", "labels", "controller.kubernetes.io/hash")
        second["revision"] = 2
        let double = history([first, second])
        #expect(double.present.uid == "r2")
        #expect(double.duplicates.map(\.uid) == ["r1"])
        let hash = first.labels["controller.kubernetes.io/hash"] ?? ""
        let pods: [Document] = ["a", "b"].map { name in
            [
                "metadata": [
                    "name": Document(name),
                    "labels": ["controller-revision-hash": Document(name == "a" ? hash : "old")],
                ]
            ]
        }
        let actions = double.merging(pods)
        #expect(actions.count == 2)
        guard case .patch(.pods, _, "a", let patch, _) = actions[0] else {
            Issue.record("no pod was given over")
            return
        }
        #expect(patch.text("metadata", "labels", "controller-revision-hash") == "other")
    }

    @Test func longNamesLeaveRoomForTheHash() {
        var long = set
        long.set(Document(String(repeating: "x", count: 250)), at: "metadata", "name")
        #expect(history(of: long).present.name.count <= 253)
    }

    @Test func forgetsWhatNoPodHas() {
        var known: [Document] = []
        for value in 1...5 {
            var revision = stored(history(known, of: changed(value)), uid: "r\(value)")
            revision["revision"] = Document(value)
            known.append(revision)
        }
        var limited = changed(5)
        limited.set(2, at: "spec", "revisionHistoryLimit")
        let history = history(known, of: limited)
        func names(_ countsLive: Bool) -> [String] {
            history.surplus(countsLive: countsLive) { $0.uid == "r1" }.compactMap {
                if case .delete(_, let object, _, _, _) = $0 { object.uid } else { nil }
            }
        }
        #expect(names(false) == ["r2"])
        #expect(names(true) == ["r2", "r3"])
        limited.set(-1, at: "spec", "revisionHistoryLimit")
        #expect(self.history(known, of: limited).surplus(countsLive: true) { _ in false }.isEmpty)
    }
}
