import Document
import Testing

@testable import Scheduler

@Suite struct PreemptionTests {
    private func running(_ name: String, _ cpu: String, _ priority: Int, on node: String, _ map: [String: String] = [:])
        -> Document
    {
        podDocument(
            name, cpu: cpu, memory: "1Mi", labels: map, on: node, spec: ["priority": Document(priority)],
            status: ["phase": "Running", "startTime": "2026-01-01T00:00:00Z"])
    }

    private func urgent(_ cpu: String = "800m", _ extra: Document = [:]) -> Document {
        podDocument(
            "urgent", cpu: cpu, memory: "1Mi", spec: (["priority": 1_000] as Document).applyingMergePatch(extra))
    }

    @Test func drivesOutTheLeastImportantOnTheCheapestNode() {
        var core = makeCore(3)
        core.add(running("a1", "900m", 10, on: "n1"))
        core.add(running("b1", "450m", 5, on: "n2"))
        core.add(running("b2", "450m", 5, on: "n2"))
        core.add(running("c1", "900m", 5, on: "n3"))
        core.add(urgent())
        // Equal priorities on n2 and n3: fewer pods are lost on n3.
        #expect(
            core.step()
                == "urgent: 0/3 nodes are available: 3 Insufficient cpu., driving out c1, nominated n3")
        // Its place is kept from others of no higher priority.
        core.takePod("default/c1", running("c1", "900m", 5, on: "n3"), nil, now: .seconds(1))
        core.add(podDocument("usurper", cpu: "500m", spec: ["priority": 10]), now: .seconds(1))
        #expect(core.step(.seconds(1)).hasPrefix("urgent on n3") || core.step(.seconds(1)).hasPrefix("urgent on n3"))
        #expect(core.cluster.nomination(of: "default/urgent") == nil)
    }

    @Test func onlyAsManyAsNeeded() {
        var core = makeCore(1)
        core.add(running("small", "200m", 1, on: "n1"))
        core.add(running("middle", "300m", 1, on: "n1"))
        core.add(running("big", "400m", 2, on: "n1"))
        core.add(urgent("500m"))
        #expect(
            core.step()
                == "urgent: 0/1 nodes are available: 1 Insufficient cpu., driving out middle small, nominated n1")
        // The trial has left no trace.
        #expect(core.cluster.node("n1")?.requested.cpu == 900)
        #expect(core.cluster.node("n1")?.pods.count == 3)
    }

    @Test func whatCannotHelpIsSaid() {
        var core = makeCore(2)
        core.takeNode("n2", nodeDocument("n2", ["spec": ["unschedulable": true]]))
        core.add(running("a", "900m", 2_000, on: "n1"))
        core.add(urgent())
        #expect(
            core.step()
                == "urgent: 0/2 nodes are available: 1 Insufficient cpu, 1 node(s) were unschedulable. preemption: "
                + "0/2 nodes are available: 1 No preemption victims found for incoming pod, "
                + "1 Preemption is not helpful for scheduling.")
    }

    @Test func somePodsNeverPreempt() {
        var core = makeCore(1)
        core.add(running("a", "900m", 1, on: "n1"))
        core.add(urgent("800m", ["preemptionPolicy": "Never"]))
        #expect(
            core.step()
                == "urgent: 0/1 nodes are available: 1 Insufficient cpu. "
                + "preemption: not eligible due to preemptionPolicy=Never.")
    }

    @Test func waitsForThoseItHasDrivenOut() {
        var core = makeCore(1)
        let victim = running("a", "900m", 1, on: "n1")
        core.add(victim)
        core.add(urgent())
        #expect(core.step().hasSuffix("nominated n1"))
        let ending = victim.applyingMergePatch([
            "metadata": ["deletionTimestamp": "2026-01-01T00:00:00Z"],
            "status": [
                "conditions": [
                    ["type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"]
                ]
            ],
        ])
        core.takePod("default/a", victim, ending, now: .seconds(1))
        // Five minutes later someone looks again, though nothing has happened.
        #expect(
            core.step(.seconds(300))
                == "urgent: 0/1 nodes are available: 1 Insufficient cpu. "
                + "preemption: not eligible due to a terminating pod on the nominated node.")
        core.takePod("default/a", ending, nil, now: .seconds(301))
        #expect(core.step(.seconds(301)) == "urgent on n1")
    }

    @Test func budgetsAreBrokenLast() {
        var core = makeCore(2)
        core.add(running("guarded", "900m", 1, on: "n1", ["app": "guarded"]))
        core.add(running("free", "900m", 5, on: "n2"))
        core.cluster.budgets["default/b"] = DisruptionBudget([
            "metadata": ["namespace": "default"], "spec": ["selector": ["matchLabels": ["app": "guarded"]]],
            "status": ["disruptionsAllowed": 0],
        ])
        core.add(urgent())
        #expect(core.step().contains("driving out free"))
    }

    @Test func pastAntiAffinity() {
        var core = makeCore(1)
        let far: Document = [
            "affinity": [
                "podAntiAffinity": [
                    "requiredDuringSchedulingIgnoredDuringExecution": [
                        [
                            "labelSelector": ["matchLabels": ["app": "x"]],
                            "topologyKey": "kubernetes.io/hostname",
                        ]
                    ]
                ]
            ]
        ]
        core.add(running("x", "10m", 1, on: "n1", ["app": "x"]))
        core.add(running("y", "10m", 1, on: "n1", ["app": "y"]))
        core.add(urgent("10m", far))
        #expect(
            core.step()
                == "urgent: 0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules., "
                + "driving out x, nominated n1")
    }
}
