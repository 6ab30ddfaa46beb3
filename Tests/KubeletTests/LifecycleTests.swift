import Basics
import Document
import Runtime
import Testing

@testable import Kubelet

@Suite struct LifecycleTests {
    @Test func startsEverythingAtOnceThenTheContainer() {
        var script = Script(pod())
        #expect(script.after().names == ["volumes", "sandbox", "image main"])
        #expect(script.after(.image(container: "main", .success(busybox))).names == [])
        #expect(script.after(.volumesReady).names == [])
        #expect(script.after(.sandboxReady(addresses: [.loopback])).names == ["start main.0"])
        let actions = script.after(.started(container: "main", attempt: 0, pid: 7))
        #expect(actions.names == [])
        #expect(actions.events == ["Started"])
        #expect(script.lifecycle.nextWake == nil)
    }

    @Test func crashLoopWaitsLongerEachTime() {
        var script = Script(pod())
        _ = script.settle()
        // The first restart comes at once.
        #expect(script.after(exited("main.0", code: 1, at: at(1)), at: at(1)).names == ["start main.1"])
        _ = script.after(.started(container: "main", attempt: 1, pid: 8), at: at(1))
        #expect(script.after(exited("main.1", code: 1, at: at(2)), at: at(2)).names == [])
        #expect(script.lifecycle.nextWake == at(12))
        let waiting = script.status(at: at(3)).container("main")
        #expect(waiting?.text("state", "waiting", "reason") == "CrashLoopBackOff")
        #expect(
            waiting?.text("state", "waiting", "message")?.hasPrefix("back-off 10s restarting failed container=main")
                == true)
        #expect(waiting?.number("lastState", "terminated", "exitCode") == 1)
        #expect(waiting?.number("restartCount") == 1)
        #expect(script.after(at: at(12)).names == ["start main.2"])
        _ = script.after(.started(container: "main", attempt: 2, pid: 9), at: at(12))
        let actions = script.after(exited("main.2", code: 1, at: at(13)), at: at(13))
        #expect(actions.names == ["forget main.0"])
        #expect(actions.events == ["BackOff"])
        #expect(script.lifecycle.nextWake == at(33))
    }

    @Test func backOffHasACeilingAndForgives() {
        var script = Script(pod())
        _ = script.settle()
        var now = 0
        for attempt in 0..<12 {
            now += 1
            _ = script.after(exited("main.\(attempt)", code: 1, at: at(now)), at: at(now))
            if let wake = script.lifecycle.nextWake {
                let pause = (wake - at(now)).wholeSeconds
                #expect(pause <= 300)
                if attempt > 8 { #expect(pause == 300) }
                now += Int(pause)
            }
            _ = script.settle(at: at(now))
        }
        now += 3600
        #expect(script.after(exited("main.12", code: 1, at: at(now)), at: at(now)).names.contains("start main.13"))
    }

    @Test(arguments: [
        ("Never", Int32(0), "Succeeded"), ("Never", 3, "Failed"), ("OnFailure", 0, "Succeeded"),
    ])
    func endsForGood(policy: String, code: Int32, phase: String) {
        var script = Script(pod(["restartPolicy": Document(policy)]))
        _ = script.settle()
        #expect(script.after(exited("main.0", code: code, at: at(5)), at: at(5)).names == ["clean"])
        #expect(script.after(.cleanedUp, at: at(5)).names == [])
        let status = script.status(at: at(6))
        #expect(status.text("phase") == phase)
        #expect(status.container("main")?.number("state", "terminated", "exitCode") == Int(code))
        #expect(status.container("main")?.flag("ready") == false)
        #expect(status.condition("Ready")?.text("status") == "False")
        // Later questions do not change what has ended.
        #expect(script.after(at: at(1000)).names == [])
        #expect(script.status(at: at(1000)) == status)
    }

    @Test func onFailureRestarts() {
        var script = Script(pod(["restartPolicy": "OnFailure"]))
        _ = script.settle()
        #expect(script.after(exited("main.0", code: 1, at: at(5)), at: at(5)).names == ["start main.1"])
    }

    @Test func initContainersRunInOrderAndSidecarsStay() {
        var script = Script(
            pod([
                "initContainers": [
                    container("one"), container("mesh", ["restartPolicy": "Always"]), container("two"),
                ]
            ]))
        let first = script.settle().names
        #expect(first.contains("start one.0"))
        #expect(!first.contains("start mesh.0"))
        var status = script.status()
        #expect(status.text("phase") == "Pending")
        #expect(status.container("main")?.text("state", "waiting", "reason") == "PodInitializing")
        #expect(status.condition("Initialized")?.text("message") == "containers with incomplete status: [one mesh two]")
        script.lifecycle.apply(exited("one.0", at: at(1)), now: at(1))
        #expect(script.settle(at: at(1)).names == ["image mesh", "start mesh.0", "image two", "start two.0"])
        script.lifecycle.apply(exited("two.0", at: at(2)), now: at(2))
        #expect(script.settle(at: at(2)).names == ["image main", "start main.0"])
        status = script.status(at: at(2))
        #expect(status.text("phase") == "Running")
        #expect(status.condition("Initialized")?.text("status") == "True")
        #expect(status.container("one", "initContainerStatuses")?.flag("ready") == true)
        // A sidecar that ends is started again without disturbing the others.
        script.lifecycle.apply(exited("mesh.0", code: 0, at: at(3)), now: at(3))
        #expect(script.settle(at: at(3)).names == ["start mesh.1"])
    }

    @Test func failedInitContainerFailsAPodThatNeverRestarts() {
        var script = Script(pod(["restartPolicy": "Never", "initContainers": [container("one")]]))
        _ = script.settle()
        script.lifecycle.apply(exited("one.0", code: 2, at: at(1)), now: at(1))
        #expect(script.settle(at: at(1)).names == ["clean"])
        #expect(script.status(at: at(1)).text("phase") == "Failed")
    }

    @Test func deletionStopsCleansAndConfirms() {
        var script = Script(pod())
        _ = script.settle()
        let deleted = pod(metadata: [
            "deletionTimestamp": Document(at(40).description), "deletionGracePeriodSeconds": 30,
        ])
        #expect(script.after(.desired(deleted), at: at(10)).names == ["terminate main.0"])
        #expect(script.lifecycle.nextWake == at(40))
        #expect(script.after(at: at(39)).names == [])
        #expect(script.after(at: at(40)).names == ["signal 9 main.0"])
        #expect(script.after(exited("main.0", signal: 9, at: at(41)), at: at(41)).names == ["clean"])
        let status = script.status(at: at(41))
        #expect(status.container("main")?.number("state", "terminated", "exitCode") == 137)
        #expect(script.after(.cleanedUp, at: at(42)).names == ["confirm"])
        #expect(script.status(at: at(42)).text("phase") == "Failed")
        _ = script.after(.deletionConfirmed, at: at(42))
        #expect(script.lifecycle.stage == .gone)
    }

    @Test func aShorterGraceIsTakenUp() {
        var script = Script(pod())
        _ = script.settle()
        func deleted(_ grace: Int) -> PodInput {
            .desired(
                pod(metadata: [
                    "deletionTimestamp": "2027-01-15T08:00:00Z", "deletionGracePeriodSeconds": Document(grace),
                ]))
        }
        _ = script.after(deleted(30), at: at(1))
        #expect(script.after(deleted(0), at: at(2)).names == ["signal 9 main.0"])
    }

    @Test func sidecarsEndAfterTheOthers() {
        var script = Script(
            pod([
                "initContainers": [
                    container("a", ["restartPolicy": "Always"]), container("b", ["restartPolicy": "Always"]),
                ]
            ]))
        _ = script.settle()
        let deleted = pod(
            script.lifecycle.pod["spec"] ?? .emptyObject,
            metadata: ["deletionTimestamp": "2027-01-15T08:00:00Z", "deletionGracePeriodSeconds": 30])
        #expect(script.after(.desired(deleted), at: at(1)).names == ["terminate main.0"])
        #expect(script.after(exited("main.0", at: at(2)), at: at(2)).names == ["terminate b.0"])
        #expect(script.after(exited("b.0", at: at(3)), at: at(3)).names == ["terminate a.0"])
        #expect(script.after(exited("a.0", at: at(4)), at: at(4)).names == ["clean"])
    }

    @Test func preStopRunsBeforeTheSignal() {
        var script = Script(
            pod(["containers": [container("main", ["lifecycle": ["preStop": ["exec": ["command": ["true"]]]]])]]))
        _ = script.settle()
        let deleted = pod(
            script.lifecycle.pod["spec"] ?? .emptyObject,
            metadata: ["deletionTimestamp": "2027-01-15T08:00:00Z", "deletionGracePeriodSeconds": 30])
        #expect(script.after(.desired(deleted), at: at(1)).names == ["PreStop main"])
        #expect(
            script.after(.hook(container: "main", attempt: 0, .preStop, problem: nil), at: at(3)).names
                == ["terminate main.0"])
    }

    @Test func aDeadSandboxIsReplacedAndCounts() {
        var script = Script(pod())
        _ = script.settle()
        let actions = script.after(.sandboxDied, at: at(5))
        #expect(actions.names == ["sandbox"])
        #expect(actions.events.contains("SandboxChanged"))
        #expect(script.settle(at: at(5)).names == [])
        #expect(script.after(.sandboxReady(addresses: [.loopback]), at: at(6)).names == ["start main.1"])
        _ = script.after(.started(container: "main", attempt: 1, pid: 3), at: at(6))
        let status = script.status(at: at(7)).container("main")
        #expect(status?.number("restartCount") == 1)
        #expect(status?.number("lastState", "terminated", "exitCode") == 137)
        #expect(status?.text("state", "running", "startedAt") == at(6).description)
    }

    @Test func livenessFailureRestarts() {
        let probe: Document = ["httpGet": ["port": 80], "periodSeconds": 5, "failureThreshold": 2]
        var script = Script(pod(["containers": [container("main", ["livenessProbe": probe])]]))
        #expect(!script.settle().names.contains("liveness main"))
        #expect(script.after(at: at(1)).names == ["liveness main"])
        let failure = PodInput.probe(container: "main", attempt: 0, .liveness, .failure("no"))
        #expect(script.after(failure, at: at(1)).names == [])
        #expect(script.lifecycle.nextWake == at(6))
        #expect(script.after(at: at(6)).names == ["liveness main"])
        let actions = script.after(failure, at: at(6))
        #expect(actions.names == ["terminate main.0"])
        #expect(actions.events == ["Unhealthy", "Killing"])
        #expect(script.after(exited("main.0", signal: 15, at: at(7)), at: at(7)).names == ["start main.1"])
    }

    @Test func readinessDecidesReady() {
        let probe: Document = ["tcpSocket": ["port": 80], "periodSeconds": 1, "failureThreshold": 1]
        var script = Script(pod(["containers": [container("main", ["readinessProbe": probe])]]))
        _ = script.settle()
        #expect(script.status().condition("Ready")?.text("status") == "False")
        #expect(
            script.status().condition("Ready")?.text("message") == "containers with unready status: [main]")
        _ = script.after(.probe(container: "main", attempt: 0, .readiness, .success), at: at(1))
        let ready = script.status(at: at(1)).condition("Ready")
        #expect(ready?.text("status") == "True")
        #expect(ready?.text("lastTransitionTime") == at(1).description)
        _ = script.after(.probe(container: "main", attempt: 0, .readiness, .failure("x")), at: at(2))
        #expect(script.status(at: at(2)).container("main")?.flag("ready") == false)
    }

    @Test func startupProbeHoldsTheOthersBack() {
        let probe: Document = ["tcpSocket": ["port": 80], "periodSeconds": 1]
        var script = Script(
            pod(["containers": [container("main", ["startupProbe": probe, "livenessProbe": probe])]]))
        let names = script.settle().names
        #expect(names.contains("startup main"))
        #expect(!names.contains("liveness main"))
        #expect(script.status().container("main")?.flag("started") == false)
        let next = script.after(.probe(container: "main", attempt: 0, .startup, .success), at: at(1)).names
        #expect(next == ["liveness main"])
        #expect(script.status(at: at(1)).container("main")?.flag("started") == true)
    }

    @Test func failedPullsBackOff() {
        var script = Script(pod())
        let problem = StartProblem(reason: "ErrImagePull", message: "no such host")
        _ = script.after()
        _ = script.after(.image(container: "main", .failure(problem)))
        #expect(script.status().container("main")?.text("state", "waiting", "reason") == "ErrImagePull")
        #expect(script.lifecycle.nextWake == at(2))
        _ = script.after(at: at(2))
        #expect(script.status(at: at(2)).container("main")?.text("state", "waiting", "reason") == "ImagePullBackOff")
        #expect(script.after(at: at(10)).names == ["image main"])
        _ = script.after(.image(container: "main", .failure(problem)), at: at(10))
        #expect(script.after(at: at(29)).names == [])
        #expect(script.after(at: at(30)).names == ["image main"])
    }

    @Test func whatIsMissingIsNamedAndAskedForAgain() {
        var script = Script(pod())
        _ = script.after(.image(container: "main", .success(busybox)), .volumesReady, .sandboxReady(addresses: []))
        _ = script.after(.volumesReady, .sandboxReady(addresses: []))
        let problem = StartProblem(reason: "CreateContainerConfigError", message: "secret \"s\" not found")
        let actions = script.after(.startFailed(container: "main", attempt: 0, problem), at: at(1))
        #expect(actions.events == ["Failed"])
        let status = script.status(at: at(1)).container("main")
        #expect(status?.text("state", "waiting", "reason") == "CreateContainerConfigError")
        #expect(status?.number("restartCount") == 0)
        #expect(script.after(at: at(3)).names == ["start main.0"])
    }

    @Test func aProgramThatCannotRunCountsAsAnEnd() {
        var script = Script(pod())
        _ = script.after()
        _ = script.after(.image(container: "main", .success(busybox)), .volumesReady, .sandboxReady(addresses: []))
        let problem = StartProblem(reason: "RunContainerError", message: "exec /x: no such file", exitCode: 128)
        #expect(script.after(.startFailed(container: "main", attempt: 0, problem), at: at(1)).names == ["start main.1"])
        _ = script.after(.startFailed(container: "main", attempt: 1, problem), at: at(1))
        let status = script.status(at: at(2)).container("main")
        #expect(status?.text("state", "waiting", "reason") == "CrashLoopBackOff")
        #expect(status?.text("lastState", "terminated", "reason") == "ContainerCannotRun")
        #expect(status?.number("restartCount") == 1)
    }

    @Test func deadlineFailsThePod() {
        var script = Script(pod(["activeDeadlineSeconds": 20]))
        _ = script.settle()
        #expect(script.lifecycle.nextWake == at(20))
        #expect(script.after(at: at(20)).names == ["terminate main.0"])
        #expect(script.after(exited("main.0", signal: 15, at: at(21)), at: at(21)).names == ["clean"])
        let status = script.status(at: at(21))
        #expect(status.text("phase") == "Failed")
        #expect(status.text("reason") == "DeadlineExceeded")
    }
}
