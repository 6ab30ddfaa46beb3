import Basics
import Document
import Runtime
import Testing

@testable import Kubelet

@Suite struct RestoringTests {
    private func process(_ id: String, _ state: ProcessStatus.State, startedAt: Timestamp = start) -> ObservedProcess {
        ObservedProcess(
            status: ProcessStatus(id: id, state: state, startedAtNanoseconds: startedAt.nanoseconds, restarts: 0))
    }

    /// The pod as the API has it after it ran well for a while.
    private func running(_ specification: Document = .emptyObject) -> Document {
        var script = Script(pod(specification))
        _ = script.settle()
        _ = script.after(exited("main.0", code: 1, at: at(5)), at: at(5))
        _ = script.after(.started(container: "main", attempt: 1, pid: 50), at: at(5))
        return pod(specification, status: script.status(at: at(6)))
    }

    @Test func aRunningPodIsTakenOverUnchanged() {
        let before = running()
        var script = Script(
            before,
            found: FoundSandbox(
                addresses: [IPAddress(v4: 0x0AF4_0105)],
                processes: [
                    process(
                        "main.0", .exited(code: 1, signal: nil, atNanoseconds: at(5).nanoseconds, outOfMemory: false)),
                    process("main.1", .running(pid: 50), startedAt: at(5)),
                ]), at: at(100))
        let actions = script.after(at: at(100))
        // Volumes are refreshed, nothing is restarted, and the status stays word for word.
        #expect(actions.names == ["volumes"])
        #expect(script.status(at: at(100)) == before["status"])
        #expect(
            StatusPatch.make(from: before["status"] ?? .null, to: script.status(at: at(101)), uid: "u") == nil)
    }

    @Test func anEndDuringTheAbsenceIsNoticed() {
        var script = Script(
            running(),
            found: FoundSandbox(
                addresses: [.loopback],
                processes: [
                    process(
                        "main.1", .exited(code: 0, signal: nil, atNanoseconds: at(50).nanoseconds, outOfMemory: false),
                        startedAt: at(5))
                ]), at: at(100))
        #expect(script.settle(at: at(100)).names == ["volumes", "image main", "start main.2"])
        let status = script.status(at: at(100)).container("main")
        #expect(status?.number("restartCount") == 2)
        #expect(status?.text("lastState", "terminated", "reason") == "Completed")
        #expect(status?.text("lastState", "terminated", "finishedAt") == at(50).description)
    }

    @Test func aLostSandboxRestartsWithTheNextNumber() {
        var script = Script(running(), found: nil, at: at(100))
        #expect(script.settle(at: at(100)).names == ["volumes", "sandbox", "image main", "start main.2"])
        let status = script.status(at: at(100)).container("main")
        #expect(status?.number("restartCount") == 2)
        #expect(status?.number("lastState", "terminated", "exitCode") == 137)
    }

    @Test func aFinishedPodStaysFinished() {
        var ended = Script(pod(["restartPolicy": "Never"]))
        _ = ended.settle()
        _ = ended.after(exited("main.0", at: at(5)), at: at(5))
        let status = ended.status(at: at(6))
        var script = Script(pod(["restartPolicy": "Never"], status: status), found: nil, at: at(100))
        #expect(script.settle(at: at(100)).names == [])
        let deleted = pod(
            ["restartPolicy": "Never"], metadata: ["deletionTimestamp": "2027-01-15T08:00:00Z"], status: status)
        #expect(script.after(.desired(deleted), at: at(101)).names == ["confirm"])
    }

    @Test func readinessSurvives() {
        let probe: Document = ["tcpSocket": ["port": 80]]
        let specification: Document = ["containers": [container("main", ["readinessProbe": probe])]]
        var before = Script(pod(specification))
        _ = before.settle()
        _ = before.after(.probe(container: "main", attempt: 0, .readiness, .success), at: at(1))
        var script = Script(
            pod(specification, status: before.status(at: at(1))),
            found: FoundSandbox(addresses: [.loopback], processes: [process("main.0", .running(pid: 9))]), at: at(50))
        _ = script.after(at: at(50))
        #expect(script.status(at: at(50)).condition("Ready")?.text("status") == "True")
    }
}
