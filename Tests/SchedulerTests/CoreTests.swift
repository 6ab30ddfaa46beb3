import Document
import Testing

@testable import Scheduler

@Suite struct CoreTests {
    private func bound(_ document: Document, to node: String) -> Document {
        document.applyingMergePatch(["spec": ["nodeName": Document(node)]])
    }

    @Test func assumedPodsCountAtOnce() {
        var core = makeCore(1)
        core.add(podDocument("a", cpu: "600m"))
        core.add(podDocument("b", cpu: "600m"))
        #expect(core.step() == "a on n1")
        #expect(core.step().hasPrefix("b: 0/1 nodes are available: 1 Insufficient cpu."))
        #expect(core.step() == "nothing")
    }

    @Test func refusedBindingsGiveTheRoomBack() {
        var core = makeCore(1)
        let a = podDocument("a", cpu: "600m")
        core.add(a)
        core.add(podDocument("b", cpu: "600m"))
        _ = core.step()
        _ = core.step()
        core.bindingFailed(PodInfo(a), "n1", .refused)
        // The room is free: b goes first, since a must sit its pause out.
        #expect(core.step() == "b on n1")
        #expect(core.step(.seconds(1)).hasPrefix("a: 0/1 nodes are available"))
    }

    @Test func whatBecameOfABindingMayStayUnclear() {
        var core = makeCore(1)
        let a = podDocument("a", cpu: "600m")
        core.add(a)
        _ = core.step()
        core.bindingFailed(PodInfo(a), "n1", .unclear)
        // It may be there: nobody else gets its room.
        core.add(podDocument("b", cpu: "600m"))
        #expect(core.step().hasPrefix("b: 0/1"))
        // The watch shows it there: no second binding.
        core.takePod("default/a", a, bound(a, to: "n1"), now: .zero)
        #expect(core.step(.seconds(9)) == "nothing")
    }

    @Test func unclearBindingsAreTriedAgain() {
        var core = makeCore(1)
        let a = podDocument("a", cpu: "600m")
        core.add(a)
        _ = core.step()
        core.bindingFailed(PodInfo(a), "n1", .unclear)
        #expect(core.step() == "nothing")
        #expect(core.step(.seconds(1)) == "a on n1")
    }

    @Test func podsMayGoWhileTheyAreBound() {
        var core = makeCore(1)
        let a = podDocument("a", cpu: "600m")
        core.add(a)
        _ = core.step()
        core.takePod("default/a", a, nil, now: .zero)
        core.add(podDocument("b", cpu: "600m"))
        #expect(core.step() == "b on n1")
        // The late news of the first pod's binding touches nobody.
        core.bindingFailed(PodInfo(a), "n1", .gone)
        #expect(core.cluster.node("n1")?.pods.count == 1)
    }

    @Test func nodesMayGoAndComeBack() {
        var core = makeCore(1)
        let a = bound(podDocument("a", cpu: "600m"), to: "n1")
        core.add(a)
        core.takeNode("n1", nil)
        core.add(podDocument("b", cpu: "600m"))
        #expect(core.step() == "b: no nodes available to schedule pods")
        core.takeNode("n1", nodeDocument("n1"))
        #expect(core.step(.seconds(1)).hasPrefix("b: 0/1 nodes are available: 1 Insufficient cpu."))
        core.takePod("default/a", a, nil, now: .seconds(2))
        #expect(core.step(.seconds(3)) == "b on n1")
    }

    @Test func onlyHelpfulEventsWake() {
        var core = makeCore(2)
        core.add(bound(podDocument("small", cpu: "100m"), to: "n1"))
        core.add(bound(podDocument("large", cpu: "800m"), to: "n2"))
        core.add(bound(podDocument("rest", cpu: "600m"), to: "n1"))
        core.add(podDocument("b", cpu: "500m"))
        #expect(core.step().hasPrefix("b: 0/2"))
        core.takePod("default/small", bound(podDocument("small", cpu: "100m"), to: "n1"), nil, now: .zero)
        #expect(core.step(.seconds(1)) == "nothing")
        core.takeNode("n1", nodeDocument("n1", ["metadata": ["labels": ["x": "y"]]]))
        #expect(core.step(.seconds(1)) == "nothing")
        core.takePod("default/large", bound(podDocument("large", cpu: "800m"), to: "n2"), nil, now: .zero)
        #expect(core.step(.seconds(1)) == "b on n2")
    }

    @Test func eachProfileHasItsPods() {
        var second = Profile.standard(name: "second")
        second.disabled[.filter] = ["NodeUnschedulable"]
        var core = Core([.standard(), second], queue: .init())
        core.takeNode("n1", nodeDocument("n1", ["spec": ["unschedulable": true]]))
        core.add(podDocument("a"))
        core.add(podDocument("b", spec: ["schedulerName": "second"]))
        core.add(podDocument("c", spec: ["schedulerName": "stranger"]))
        #expect(core.step().hasPrefix("a: 0/1 nodes are available: 1 node(s) were unschedulable."))
        #expect(core.step() == "b on n1")
        #expect(core.step() == "nothing")
    }

    @Test func gatedPodsAreNotTouched() {
        var core = makeCore(1)
        let gated = podDocument("a", spec: ["schedulingGates": [["name": "g"]]])
        core.add(gated)
        #expect(core.step() == "nothing")
        core.takePod("default/a", gated, podDocument("a"), now: .zero)
        #expect(core.step() == "a on n1")
    }
}

@Suite struct ConfigurationTests {
    private func read(_ text: String) throws -> SchedulerConfiguration {
        try SchedulerConfiguration(
            yaml: Array(
                ("apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n" + text).utf8))
    }

    @Test func profilesPluginsAndArguments() throws {
        let configuration = try read(
            """
            percentageOfNodesToScore: 30
            podInitialBackoffSeconds: 2
            profiles:
            - schedulerName: default-scheduler
            - schedulerName: packer
              plugins:
                score:
                  disabled: [{name: ImageLocality}]
                  enabled: [{name: TaintToleration, weight: 7}]
                multiPoint:
                  disabled: [{name: DefaultPreemption}]
              pluginConfig:
              - name: NodeResourcesFit
                args:
                  scoringStrategy: {type: MostAllocated, resources: [{name: cpu, weight: 3}]}
            """)
        #expect(configuration.schedulerNames == ["default-scheduler", "packer"])
        let packer = configuration.profiles[1]
        #expect(packer.percentageOfNodes == 30)
        #expect(configuration.queue.shortestPause == .seconds(2))
        #expect(packer.weight(of: ImageLocality()) == 0)
        #expect(packer.weight(of: TaintToleration()) == 7)
        #expect(!packer.isEnabled("DefaultPreemption", at: .postFilter))
        let fit = packer.plugins.lazy.compactMap { $0 as? NodeResourcesFit }.first
        #expect(fit?.arguments.strategy == .mostAllocated)
        #expect(fit?.arguments.weights == ["cpu": 3])
    }

    @Test(arguments: [
        ("leaderElection: {leaderElect: true}", "leaderElection: not supported"),
        ("percentageOfNodesToScore: 101", "percentageOfNodesToScore: must be between 0 and 100"),
        (
            "profiles: [{plugins: {score: {disabled: [{name: Nope}]}}}]",
            "profiles[0].plugins.score.disabled: there is no plugin \"Nope\""
        ),
        ("profiles: [{}, {}]", "profiles: two have the same schedulerName"),
        (
            "profiles: [{pluginConfig: [{name: InterPodAffinity, args: {hardPodAffinityWeight: 200}}]}]",
            "profiles[0].pluginConfig[InterPodAffinity].hardPodAffinityWeight: must be between 0 and 100"
        ),
    ])
    func whatCannotBeDoneIsRefused(_ text: String, _ problem: String) throws {
        #expect {
            _ = try read(text)
        } throws: {
            "\($0)" == "scheduler configuration: " + problem
        }
    }
}
