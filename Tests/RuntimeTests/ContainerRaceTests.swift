import CLinux
import Document
import Glibc
import Linux
import Testing

@testable import Runtime

/// What happens while a container starts: somebody moves things in its root, somebody kills its creator.
@Suite(.serialized, .enabled(if: Fixture.canRun, Fixture.reason))
struct ContainerRaceTests {
    /// A directory that turns into a link to the outside and back, as a volume shared with a hostile container may.
    @Test func targetsThatMoveStayInside() async throws {
        try await ContainerFixture.with { fixture in
            let outside = "\(fixture.bundle)/outside", root = "\(fixture.bundle)/rootfs"
            try Files.makeDirectories(outside)
            try Files.makeDirectories("\(root)/race")
            try #require(symlink(outside, "\(root)/link") == 0)
            try fixture.write("true")
            try fixture.write(
                "true",
                [
                    "mounts": fixture.mounts(and: ["destination": "/race/x", "type": "tmpfs", "source": "t"]),
                    "process": ["cwd": "/race/y"],
                ])
            let mover = Command([
                "sh", "-c",
                "cd \(root); while :; do mv -T race held; mv -T link race; mv -T race link; mv -T held race; done",
            ])
            defer {
                kill(mover.pid, SIGKILL)
                _ = mover.wait()
            }
            var tries = 0
            for _ in 0..<6 {
                // Either it works, or the target was just not there: both are fine.
                do {
                    let (container, _) = try fixture.creator("c").create()
                    tries += 1
                    _ = try container.delete(force: true)
                    ContainerSpawn.reap(container.record.process.pid)
                } catch is StageError {
                    tries += 1
                }
                #expect(try Files.list(outside).isEmpty)
            }
            #expect(tries == 6)
        }
    }

    /// A creator that dies takes the half-made container's process with it: it is waiting for an answer.
    @Test func aProcessWithoutItsCreatorEnds() async throws {
        var ends: (Int32, Int32) = (-1, -1)
        let made = withUnsafeMutableBytes(of: &ends) {
            $0.bindMemory(to: Int32.self).baseAddress.map { lab_status_pair($0) } ?? -1
        }
        try #require(made == 0)
        let plan = Descriptor(
            try Plan([.sync(reason: 1), .exec(arguments: ["/bin/sleep", "1000"], environment: [])]).memoryFile())
        let binary = Descriptor(lab_protected_executable("/proc/self/exe"))
        let pid = lab_spawn_contained(binary.number, plan.number, ends.1, 0)
        close(ends.1)
        try #require(pid > 0)
        var packet = lab_failure()
        var sender: pid_t = 0
        var attached: Int32 = -1
        let count = withUnsafeMutableBytes(of: &packet) {
            lab_control_receive(ends.0, $0.baseAddress, $0.count, &sender, &attached)
        }
        #expect(count == MemoryLayout<lab_failure>.size && packet.step == UInt32(LAB_FAILURE_SYNC) && sender == pid)
        close(ends.0)
        var status: Int32 = 0
        #expect(waitpid(pid, &status, 0) == pid)
        // It had nobody to tell: a failed exit, or the signal that the kernel has for that.
        #expect(status != 0)
    }

    /// Where the state cannot be written, there is no container.
    @Test func aFullDiskIsAnError() async throws {
        try await ContainerFixture.with { fixture in
            try fixture.write("true")
            try Files.makeDirectories(fixture.store.root)
            try #require(mount("tmpfs", fixture.store.root, "tmpfs", 0, "size=4k,nr_inodes=3") == 0)
            defer { umount2(fixture.store.root, Int32(MNT_DETACH)) }
            let error = #expect(throws: SystemError.self) { try fixture.creator("c").create() }
            #expect(error?.errno == ENOSPC, "\(error.debugDescription)")
            #expect(try Files.list(fixture.store.root).isEmpty)
            #expect(try !Cgroup("\(fixture.fixture.cgroup)/c", layout: .ofProcess()).exists)
        }
    }
}
