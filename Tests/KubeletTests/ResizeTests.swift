import Document
import Testing

@testable import Kubelet

@Suite struct ResizeTests {
    private func resources(_ cpu: String, limit: String? = nil, memory: String = "32Mi") -> Document {
        var result: Document = ["requests": ["cpu": Document(cpu), "memory": Document(memory)]]
        if let limit { result["limits"] = ["cpu": Document(limit)] }
        return result
    }

    private func sized(_ resources: Document, generation: Int = 1, policy: Document = .emptyArray) -> Document {
        pod(
            ["containers": [container("main", ["resources": resources, "resizePolicy": policy])]],
            metadata: ["generation": Document(generation)])
    }

    @Test func aResizeIsAskedForGrantedAndApplied() {
        var script = Script(sized(resources("100m")))
        _ = script.settle()
        let actions = script.after(.desired(sized(resources("200m"), generation: 2)), at: at(1))
        #expect(actions.names == ["ask 2"])
        // Until the node has agreed, everything is as before.
        var status = script.status(at: at(1))
        #expect(status.container("main")?.text("allocatedResources", "cpu") == "100m")
        #expect(
            script.lifecycle.grantedPod.list("spec", "containers").first?.text("resources", "requests", "cpu") == "100m"
        )
        let granted = script.after(.resizeAnswered(generation: 2, .granted), at: at(2))
        #expect(granted.names == ["apply 2"])
        #expect(granted.events == ["ResizeStarted"])
        status = script.status(at: at(2))
        #expect(status.container("main")?.text("allocatedResources", "cpu") == "200m")
        #expect(status.container("main")?.text("resources", "requests", "cpu") == "100m")
        #expect(status.condition("PodResizeInProgress")?.text("status") == "True")
        #expect(status.condition("PodResizeInProgress")?.number("observedGeneration") == 2)
        #expect(script.after(.resourcesApplied(generation: 2, problem: nil), at: at(3)).events == ["ResizeCompleted"])
        status = script.status(at: at(3))
        #expect(status.container("main")?.text("resources", "requests", "cpu") == "200m")
        #expect(status.condition("PodResizeInProgress") == nil)
        #expect(script.after(at: at(9)).names == [])
    }

    @Test func sameAmountsInOtherWordsAreNoResize() {
        var script = Script(sized(resources("100m")))
        _ = script.settle()
        #expect(script.after(.desired(sized(resources("0.1"), generation: 2)), at: at(1)).names == [])
    }

    @Test(arguments: ["Deferred", "Infeasible"])
    func whatTheNodeCannotGiveWaits(reason: String) {
        var script = Script(sized(resources("100m")))
        _ = script.settle()
        _ = script.after(.desired(sized(resources("9"), generation: 2)), at: at(1))
        let verdict: ResizeVerdict = reason == "Deferred" ? .deferred("no room") : .infeasible("too small")
        let actions = script.after(.resizeAnswered(generation: 2, verdict), at: at(2))
        #expect(actions.names == [])
        #expect(actions.events == ["Resize\(reason)"])
        var status = script.status(at: at(2))
        #expect(status.condition("PodResizePending")?.text("reason") == reason)
        #expect(status.container("main")?.text("allocatedResources", "cpu") == "100m")
        // Room has come: asked again; the same answer is not told twice.
        #expect(script.after(.roomFreed, at: at(3)).names == ["ask 2"])
        #expect(script.after(.resizeAnswered(generation: 2, verdict), at: at(3)).events == [])
        // Taken back: nothing is pending any more.
        #expect(script.after(.desired(sized(resources("100m"), generation: 3)), at: at(4)).names == [])
        status = script.status(at: at(4))
        #expect(status.condition("PodResizePending") == nil)
    }

    @Test func aPolicyRestartsTheContainerForIt() {
        let policy: Document = [["resourceName": "memory", "restartPolicy": "RestartContainer"]]
        var never = sized(resources("100m"), policy: policy)
        never.set("Never", at: "spec", "restartPolicy")
        var script = Script(never)
        _ = script.settle()
        var changed = sized(resources("100m", memory: "64Mi"), generation: 2, policy: policy)
        changed.set("Never", at: "spec", "restartPolicy")
        _ = script.after(.desired(changed), at: at(1))
        #expect(script.after(.resizeAnswered(generation: 2, .granted), at: at(1)).names == ["terminate main.0"])
        // It comes back at once with what it was granted, also in a pod that never restarts.
        let restart = script.after(exited("main.0", code: 143, at: at(2)), at: at(2)).names
        #expect(restart == ["start main.1"])
        _ = script.after(.started(container: "main", attempt: 1, pid: 9), at: at(2))
        #expect(script.lifecycle.resizing.progress == nil)
        #expect(script.status(at: at(3)).container("main")?.text("resources", "requests", "memory") == "64Mi")
        #expect(script.after(exited("main.1", code: 143, at: at(5)), at: at(5)).names.contains("clean"))
    }

    @Test func failuresAreToldAndTriedAgain() {
        var script = Script(sized(resources("100m")))
        _ = script.settle()
        _ = script.after(.desired(sized(resources("200m"), generation: 2)), at: at(1))
        _ = script.after(.resizeAnswered(generation: 2, .granted), at: at(1))
        #expect(script.after(.resourcesApplied(generation: 2, problem: "busy"), at: at(2)).events == ["ResizeError"])
        let condition = script.status(at: at(2)).condition("PodResizeInProgress")
        #expect(condition?.text("reason") == "Error" && condition?.text("message") == "busy")
        #expect(script.after(at: at(5)).names == [])
        #expect(script.after(at: at(12)).names == ["apply 2"])
    }

    @Test func whatWasGrantedOutlivesTheAgent() {
        let found = FoundSandbox(addresses: [.loopback], processes: [])
        var big = sized(resources("200m"), generation: 2)
        big["status"] = [
            "phase": "Running",
            "containerStatuses": [["name": "main", "resources": resources("100m"), "restartCount": 0]],
        ]
        var script = Script(big, found: found)
        #expect(
            script.lifecycle.grantedPod.list("spec", "containers").first?.text("resources", "requests", "cpu") == "100m"
        )
        #expect(script.after().names.contains("ask 2"))
    }

    @Test func conditionsThatHoldNoMoreAreTakenAway() {
        let old: Document = ["conditions": [["type": "PodResizePending", "status": "True"], ["type": "Mine"]]]
        let patch = StatusPatch.make(from: old, to: ["conditions": .emptyArray], uid: "u")
        #expect(patch?.list("status", "conditions") == [["type": "PodResizePending", "$patch": "delete"]])
    }
}
