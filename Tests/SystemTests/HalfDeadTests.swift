import Document
import Glibc
import Testing

/// Clusters of which a part is stopped, frozen or killed: what people do then says what is wrong, and loses nothing.
@Suite(.serialized, .enabled(if: Machine.canCreate, "\(Machine.why)"))
struct HalfDeadTests {
    /// Far below the two minutes after which a command gives up a supervisor that does not answer.
    private func soon(_ lab: Lab, _ words: String...) -> Ran {
        Shell.run(["timeout", "60", Machine.binary ?? "lab"] + words, extra: lab.environment)
    }

    @Test func aNodeIsNotRemovedWhereTheAPICannotBeAsked() {
        let lab = Lab("half-removed")
        defer { lab.tearDown() }
        let control = "\(lab.name)-control-plane"
        let worker = "\(lab.name)-worker"
        #expect(lab.lab("create", lab.name, "--workers", "1", "--egress", "false").code == 0)
        #expect(lab.lab("node", "stop", "--cluster", lab.name, control).code == 0)
        #expect(lab.lab("list").out.contains(" 1/2 "), "\(lab.lab("list"))")
        #expect(soon(lab, "fault", "list", "--cluster", lab.name).code == 0)
        let removed = soon(lab, "node", "remove", "--cluster", lab.name, worker)
        #expect(removed.code == 1)
        #expect(removed.err.contains("lab node start --cluster \(lab.name) \(control)"), "\(removed)")
        #expect(lab.lab("node", "start", "--cluster", lab.name, control).code == 0)
        let added = lab.lab("node", "add", "--cluster", lab.name)
        #expect(added.code == 0, "\(added)")
        let again = lab.lab("node", "remove", "--cluster", lab.name, worker)
        #expect(again.code == 0, "\(again)")
        #expect(lab.lab("stop", lab.name).code == 0)
        let started = lab.lab("start", lab.name)
        #expect(started.code == 0, "\(started)")
    }

    @Test func aFrozenNodeIsDeletedWithItsCluster() {
        let lab = Lab("half-frozen")
        defer { lab.tearDown() }
        let before = lab.kernelState
        let worker = "node/\(lab.name)-worker"
        #expect(lab.lab("create", lab.name, "--workers", "1", "--egress", "false").code == 0)
        #expect(lab.lab("fault", "add", "--cluster", lab.name, "freeze", worker).code == 0)
        let other = soon(lab, "fault", "add", "--cluster", lab.name, "partition", worker)
        #expect(other.code == 0, "\(other)")
        let listed = soon(lab, "fault", "list", "--cluster", lab.name)
        #expect(listed.out.contains("freeze-1") && listed.out.contains("partition-1"), "\(listed)")
        let deleted = soon(lab, "delete", lab.name)
        #expect(deleted.code == 0, "\(deleted)")
        lab.expectNothingLeft(since: before)
    }

    @Test func aKilledNodeIsSeenAndStarted() throws {
        let lab = Lab("half-killed")
        defer { lab.tearDown() }
        let worker = "\(lab.name)-worker"
        #expect(lab.lab("create", lab.name, "--workers", "1", "--egress", "false").code == 0)
        let script = """
            for f in $(grep -ls '/lab/\(lab.name)/\(worker)' /proc/[0-9]*/cgroup); do
                p=${f%/cgroup}; grep -q '^Name:.*lab-supervisor' $p/status && echo ${p#/proc/}
            done
            """
        let found = Shell.run(["sh", "-c", script]).out.split(separator: "\n").compactMap { pid_t($0) }
        // The node's own supervisor is the oldest; pods have some of their own.
        let victim = try #require(found.min(), "a supervisor of the node")
        kill(victim, SIGKILL)
        #expect(lab.eventually { lab.lab("list").out.contains(" 1/2 ") }, "\(lab.lab("list"))")
        #expect(lab.lab("doctor").out.contains("lab node start --cluster \(lab.name) \(worker)"))
        #expect(lab.lab("start", lab.name).err.contains("without \(worker)"))
        let started = lab.lab("node", "start", "--cluster", lab.name, worker)
        #expect(started.code == 0 && started.out.contains("node/\(worker) started"), "\(started)")
        #expect(lab.lab("list").out.contains(" 2 "), "\(lab.lab("list"))")
        let again = lab.lab("node", "start", "--cluster", lab.name, worker)
        #expect(again.code == 0 && !again.out.contains("started"), "\(again)")
    }
}
