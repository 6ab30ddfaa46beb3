import CLinux
import Document
import Glibc
import Linux
import Testing

@testable import Runtime

/// Known ways out of containers, tried.
@Suite(.serialized, .enabled(if: Fixture.canRun, Fixture.reason))
struct EscapeTests {
    /// All of root's powers in the container: what holds then holds for fewer.
    private static let powerful: Document = {
        let all = Document(Capability.names.map { "CAP_\($0)" })
        return ["bounding": all, "effective": all, "permitted": all]
    }()

    /// O_PATH, which the Glibc module hides.
    private static let pathOnly: Int32 = 0x20_0000

    /// While it waits to be started, and when its image asks for `/proc/self/exe` to be run, the container's process is
    /// this binary: nobody may write to it, through whatever descriptor.
    @Test func theBinaryCannotBeOverwritten() async throws {
        try await ContainerFixture.with { fixture in
            try fixture.write("true", ["process": ["capabilities": Self.powerful]])
            let (container, _) = try fixture.creator("c").create()
            let pid = container.record.process.pid
            defer { ContainerSpawn.reap(pid) }
            let file = open("/proc/\(pid)/exe", Self.pathOnly | O_CLOEXEC)
            #expect(file >= 0)
            #expect(open("/proc/\(pid)/exe", O_WRONLY) < 0 && (errno == EROFS || errno == ETXTBSY), "\(errno)")
            _ = try container.delete(force: true)
            // The attack keeps a way to the file until nothing executes it any more.
            #expect(open("/proc/self/fd/\(file)", O_WRONLY | O_TRUNC) < 0 && errno == EROFS, "\(errno)")
            close(file)
        }
    }

    @Test func podsCannotOverwriteItEither() async throws {
        try await Fixture.with { fixture in
            let sandbox = try await fixture.launch()
            #expect(open("/proc/\(sandbox.pid)/exe", O_WRONLY) < 0 && (errno == EROFS || errno == ETXTBSY), "\(errno)")
        }
    }

    @Test(arguments: (3...12).map { "/proc/self/fd/\($0)" } + ["/proc/self/fd/7/../..", "/proc/1/cwd"])
    func theWorkingDirectoryStaysInside(path: String) async throws {
        try await ContainerFixture.with { fixture in
            try fixture.write("ls / >/out; exec ls .. >>/out", ["process": ["cwd": Document(path)]])
            // Either there is no such descriptor, or it leads nowhere outside.
            do {
                let (_, out) = try fixture.run()
                #expect(!out.contains("home") && !out.contains("usr"), "\(out)")
            } catch let error as StageError {
                #expect(error.step == "chdir", "\(error)")
            }
        }
    }

    @Test(arguments: ["/proc/self/fd/4", "/proc/self/fd/5", "/proc/self/fd/6", "/proc/self/fd/7", "/proc/self/fd/8"])
    func podsStayInsideToo(path: String) async throws {
        try await Fixture.with { fixture in
            let sandbox = try await fixture.launch()
            var process = try fixture.container("c", lower: fixture.makeRoot(), "ls ..")
            process.workingDirectory = path
            do {
                let (_, out) = try await fixture.run(process, in: sandbox)
                #expect(!out.contains("control.sock") && !out.contains("usr"), "\(out)")
            } catch let error as StageError {
                #expect(error.step == "chdir", "\(error)")
            }
        }
    }

    @Test func noDescriptorLeaks() async throws {
        try await ContainerFixture.with { fixture in
            let leak = open(fixture.bundle, O_RDONLY | O_DIRECTORY)
            defer { close(leak) }
            try fixture.write("for f in /proc/self/fd/*; do readlink $f; done >/out; ls /proc/self/fd >>/out")
            try #require(symlink("busybox", "\(fixture.bundle)/rootfs/bin/readlink") == 0)
            let (code, out) = try fixture.run()
            #expect(code == 0 && !out.contains(fixture.bundle) && !out.contains("socket:"), "\(out)")
        }
    }

    @Test(arguments: ["/absolute/x", "/relative/x", "/../../../tmp/x"])
    func targetsOfMountsStayInside(target: String) async throws {
        try await ContainerFixture.with { fixture in
            let outside = "\(fixture.bundle)/outside"
            try Files.makeDirectories(outside)
            try #require(symlink(outside, "\(fixture.bundle)/rootfs/absolute") == 0)
            try #require(symlink("../../../../../..\(outside)", "\(fixture.bundle)/rootfs/relative") == 0)
            try fixture.write("true")
            let mount: Document = ["destination": Document(target), "type": "tmpfs", "source": "t"]
            try fixture.write("true", ["mounts": fixture.mounts(and: mount)])
            #expect(try fixture.run().code == 0)
            #expect(try Files.list(outside).isEmpty)
        }
    }

    /// A file of the image's or a volume's making in /proc would be taken for the kernel's.
    @Test(arguments: ["/proc/self/attr/exec", "/proc/sys/kernel/x", "/link/sys"])
    func nothingIsMountedInsideProc(target: String) async throws {
        try await ContainerFixture.with { fixture in
            try #require(symlink("/proc", "\(fixture.bundle)/rootfs/link") == 0)
            try fixture.write("true")
            let mount: Document = ["destination": Document(target), "type": "bind", "source": "/etc/hostname"]
            try fixture.write("true", ["mounts": fixture.mounts(and: mount)])
            let error = #expect(throws: StageError.self) { try fixture.run() }
            #expect(error?.step == "bind", "\(error.debugDescription)")
        }
    }

    @Test func procIsNoLink() async throws {
        try await ContainerFixture.with { fixture in
            try Files.makeDirectories("\(fixture.bundle)/rootfs/fake")
            try #require(symlink("/fake", "\(fixture.bundle)/rootfs/proc") == 0)
            try fixture.write("true")
            let error = #expect(throws: StageError.self) { try fixture.run() }
            #expect(error?.step == "mount" && error?.errno == ENOTDIR, "\(error.debugDescription)")
        }
    }

    /// One namespace of the container that cannot be entered means none is.
    @Test func joiningIsAllOrNothing() async throws {
        try await ContainerFixture.with { fixture in
            try fixture.write("exec sleep 1000")
            let (container, _) = try fixture.creator("c").create()
            let pid = container.record.process.pid
            defer { ContainerSpawn.reap(pid) }
            let start = container.record.process.startTime
            // The kernel refuses to enter the user namespace that one is in, after the others were asked for.
            let plan = Plan([
                .join(pid: pid, startTime: start, kinds: [.mount, .uts, .user]), .fork,
                .exec(arguments: ["/bin/true"], environment: []),
            ])
            let error = #expect(throws: StageError.self) { try ContainerSpawn(plan: plan, end: .executed).run() }
            #expect(error?.step == "setns" && error?.errno == EINVAL, "\(error.debugDescription)")
            _ = try container.delete(force: true)
        }
    }

    /// A process that enters cannot be traced by the container's root before it has its own, lesser rights.
    @Test func theEnteringProcessIsHidden() async throws {
        try await ContainerFixture.with { fixture in
            try fixture.write("exec sleep 1000", ["process": ["capabilities": Self.powerful]])
            let configuration = try ConfigurationReader.read(
                json: Files.read("\(fixture.bundle)/config.json"), bundle: fixture.bundle)
            let compiler = ExecCompiler(
                container: configuration, process: try #require(configuration.process), cgroup: [], pid: 1,
                startTime: 1,
                kinds: [.mount])
            let steps = try compiler.plan().steps
            let hidden = try #require(steps.firstIndex(of: .hide))
            let joined = try #require(steps.firstIndex { $0.name == "setns" })
            #expect(hidden < joined)
        }
    }
}
