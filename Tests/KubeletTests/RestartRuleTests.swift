import Document
import Testing

@testable import Kubelet

@Suite struct RestartRuleTests {
    @Test(arguments: [
        ("Always", nil, ContainerRole.main, 0, RestartRules.Verdict.restart), ("OnFailure", nil, .main, 0, .stay),
        ("OnFailure", nil, .main, 1, .restart), ("Never", nil, .main, 1, .stay),
        ("Never", "Always", .main, 0, .restart),
        ("Never", "OnFailure", .main, 3, .restart), ("Always", "Never", .main, 3, .stay),
        ("Always", nil, .initial, 0, .stay), ("Always", nil, .initial, 1, .restart), ("Never", nil, .initial, 1, .stay),
        ("Always", "Never", .initial, 1, .stay), ("Never", "OnFailure", .initial, 1, .restart),
        ("Never", "Always", .sidecar, 0, .restart), ("Always", nil, .ephemeral, 1, .stay),
    ])
    func policies(pod: String, own: String?, role: ContainerRole, code: Int, verdict: RestartRules.Verdict) {
        let container: Document = own.map { ["restartPolicy": Document($0)] } ?? .emptyObject
        #expect(RestartRules(podPolicy: pod).verdict(container, role, exitCode: code) == verdict)
    }

    @Test(arguments: [
        ("In", 42, true), ("In", 41, false), ("NotIn", 42, false), ("NotIn", 41, true), ("Odd", 42, false),
    ])
    func rulesGoBeforePolicies(operation: String, code: Int, restarts: Bool) {
        let container: Document = [
            "restartPolicy": "Never",
            "restartPolicyRules": [
                ["action": "Restart", "exitCodes": ["operator": Document(operation), "values": [42]]]
            ],
        ]
        let verdict = RestartRules(podPolicy: "Never").verdict(container, .main, exitCode: code)
        #expect(verdict == (restarts ? .restart : .stay))
    }

    /// What is run beside a container has names that no container can have.
    @Test func aContainerMayBeCalledExec() {
        var script = Script(pod(["containers": [container("exec")]]))
        _ = script.settle()
        #expect(!ExecRunner.owns("exec.0") && ExecRunner.owns("_exec.main.1"))
        #expect(script.after(exited("exec.0", code: 1, at: at(1)), at: at(1)).names == ["start exec.1"])
    }

    @Test func aContainersRuleKeepsAPodThatNeverRestartsAlive() {
        var script = Script(
            pod([
                "restartPolicy": "Never",
                "containers": [
                    container(
                        "main",
                        [
                            "restartPolicy": "Never",
                            "restartPolicyRules": [
                                ["action": "Restart", "exitCodes": ["operator": "In", "values": [42]]]
                            ],
                        ])
                ],
            ]))
        _ = script.settle()
        #expect(script.after(exited("main.0", code: 42, at: at(1)), at: at(1)).names == ["start main.1"])
        _ = script.after(.started(container: "main", attempt: 1, pid: 8), at: at(1))
        #expect(script.after(exited("main.1", code: 1, at: at(2)), at: at(2)).names.contains("clean"))
    }

    @Test func aRuleForAllBeginsThePodAnew() {
        let rules: Document = [
            "restartPolicy": "Never",
            "restartPolicyRules": [
                ["action": "RestartAllContainers", "exitCodes": ["operator": "In", "values": [88]]]
            ],
        ]
        var script = Script(
            pod([
                "restartPolicy": "Never", "initContainers": [container("prepare")],
                "containers": [container("watcher", rules), container("worker")],
            ]))
        _ = script.settle()
        script.lifecycle.apply(exited("prepare.0", at: at(1)), now: at(1))
        #expect(script.settle(at: at(1)).names.contains("start worker.0"))
        // The others are ended first, then the init containers come again.
        #expect(script.after(exited("watcher.0", code: 88, at: at(2)), at: at(2)).names == ["terminate worker.0"])
        let anew = script.after(exited("worker.0", signal: 15, at: at(3)), at: at(3)).names
        #expect(anew == ["start prepare.1"])
        _ = script.after(.started(container: "prepare", attempt: 1, pid: 70), at: at(3))
        script.lifecycle.apply(exited("prepare.1", at: at(4)), now: at(4))
        let mains = script.settle(at: at(4)).names
        #expect(mains.contains("start watcher.1") && mains.contains("start worker.1"))
        #expect(script.status(at: at(4)).text("phase") == "Running")
        // A second time it pauses before it starts again.
        script.lifecycle.apply(exited("watcher.1", code: 88, at: at(5)), now: at(5))
        _ = script.after(at: at(5))
        script.lifecycle.apply(exited("worker.1", signal: 15, at: at(5)), now: at(5))
        _ = script.settle(at: at(5))
        script.lifecycle.apply(exited("prepare.2", at: at(6)), now: at(6))
        #expect(!script.settle(at: at(6)).names.contains("start watcher.2"))
        #expect(script.settle(at: at(16)).names.contains("start watcher.2"))
    }
}
