import Glibc
import Testing

/// Creating, living through kills, and deleting: the whole path with the real binary and the real kernel.
@Suite(.serialized, .enabled(if: Machine.canCreate, "\(Machine.why)"))
struct LifecycleTests {
    @Test func twoClustersSideBySideLeaveNothing() {
        let lab = Lab("pair")
        defer { lab.tearDown() }
        let first = lab.name
        let second = lab.name + "b"
        let before = lab.kernelState
        for name in [first, second] {
            let created = lab.lab("create", name, "--workers", "1")
            #expect(created.code == 0, "\(created)")
            #expect(created.out.contains("kubectl get nodes"))
        }
        let listed = lab.lab("list")
        #expect(listed.out.contains(first) && listed.out.contains(second), "\(listed)")

        let again = lab.lab("create", first)
        #expect(again.code == 1)
        #expect(again.err.contains("exists already"), "\(again)")

        #expect(lab.kernelState != before, "the probe sees a living cluster")
        for name in [first, second] {
            let deleted = lab.lab("delete", name)
            #expect(deleted.code == 0, "\(deleted)")
        }
        #expect(lab.lab("list", "--json").out == "[]\n")
        lab.expectNothingLeft(since: before)
        #expect(access("\(lab.home)/clusters/\(first)", F_OK) != 0)
    }

    @Test func aCreationKilledHalfWayIsRecovered() {
        let lab = Lab("killed")
        defer { lab.tearDown() }
        let before = lab.kernelState
        let creation = lab.start("create", lab.name, "--workers", "1")
        // Killed as soon as the cluster's supervisor is there: the most there is to leave behind.
        #expect(lab.eventually(within: 30) { access("\(lab.home)/clusters/\(lab.name)/s/control.sock", F_OK) == 0 })
        kill(creation.pid, SIGKILL)
        _ = creation.wait()
        let listed = lab.lab("list", "--json").out
        #expect(listed.contains("incomplete") || listed.contains("running"), "\(listed)")
        let created = lab.lab("create", lab.name, "--workers", "0")
        #expect(created.code == 0 || created.err.contains("exists already"), "\(created)")
        lab.lab("delete", lab.name)
        lab.expectNothingLeft(since: before)
    }

    @Test func anInterruptedCreationLeavesNothing() {
        let lab = Lab("interrupt")
        defer { lab.tearDown() }
        let creation = lab.start("create", lab.name)
        #expect(lab.eventually(within: 30) { access("\(lab.home)/clusters/\(lab.name)/s/control.sock", F_OK) == 0 })
        kill(creation.pid, SIGINT)
        let ran = creation.wait()
        #expect(ran.code == 1, "\(ran)")
        #expect(ran.err.contains("interrupted"), "\(ran)")
        #expect(lab.lab("list", "--json").out == "[]\n")
    }

    @Test func deletingAClusterWhoseSupervisorWasKilledLeavesNothing() {
        let lab = Lab("dead")
        defer { lab.tearDown() }
        let before = lab.kernelState
        #expect(lab.lab("create", lab.name, "--workers", "1").code == 0)
        let victims = processes(of: lab)
        #expect(victims.count > 5, "supervisors and services: \(victims)")
        for pid in victims { kill(pid, SIGKILL) }
        #expect(lab.eventually(within: 10) { lab.lab("list", "--json").out.contains("\"dead\"") })
        #expect(lab.lab("doctor").out.contains("lab delete \(lab.name)"))
        #expect(lab.lab("delete", lab.name).code == 0)
        #expect(lab.eventually(within: 10) { lab.kernelState == before })
    }

    /// Every process of the cluster, by its cgroup.
    private func processes(of lab: Lab) -> [pid_t] {
        let script = "grep -ls '/lab/\(lab.name)/' /proc/[0-9]*/cgroup | cut -d/ -f3"
        return Shell.run(["sh", "-c", script]).out.split(separator: "\n").compactMap { pid_t($0) }
    }
}
