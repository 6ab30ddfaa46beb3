import Glibc
import Linux
import Testing

@testable import Runtime

@Suite(.serialized, .enabled(if: Fixture.canRun, Fixture.reason))
struct ContainerTests {
    @Test func hasARootOfItsOwn() async throws {
        try await Fixture.with { fixture in
            let sandbox = try await fixture.launch()
            var process = try fixture.container(
                "c", lower: fixture.makeRoot(),
                """
                echo $$; hostname; pwd; id -u; echo >/made; ls /; echo >/dev/null && echo null
                cat /proc/sys/net/ipv4/ip_forward; ls /proc | grep -c '^[0-9]'; exit 7
                """)
            process.hostname = "box"
            process.workingDirectory = "/srv/deep"
            process.sysctls = ["net.ipv4.ip_forward": "1"]
            let (code, output) = try await fixture.run(process, in: sandbox)
            #expect(code == 7)
            #expect(output.prefix(4) == ["1", "box", "/srv/deep", "0"])
            let root = ["bin", "dev", "etc", "made", "proc", "srv", "sys", "tmp"]
            #expect(Array(output.dropFirst(4).prefix(root.count)) == root)
            // Itself, ls, grep and maybe a subshell: nothing of the host.
            #expect(output.dropFirst(4 + root.count).prefix(2) == ["null", "1"])
            #expect(Int(output.last ?? "99") ?? 99 < 8)
            #expect(Files.exists("\(fixture.directory)/c/upper/made"))
            #expect(!Files.exists("\(fixture.directory)/root/made"))
        }
    }

    @Test func appliesPrivileges() async throws {
        try await Fixture.with { fixture in
            let sandbox = try await fixture.launch()
            var process = try fixture.container(
                "c", lower: fixture.makeRoot(),
                """
                id -u; id -g; grep -E 'Groups|CapBnd|CapPrm|NoNewPrivs|Seccomp:' /proc/self/status
                cat /proc/self/limits | grep 'open files'; unshare -n true 2>/dev/null; echo unshare $?
                echo 1 2>/dev/null >/proc/sys/kernel/printk || echo denied; echo x 2>/dev/null >/file || echo read-only
                ls /sys/kernel | grep -c .; cat /proc/version | grep -c .; exec true
                """)
            process.privileges.user = User(uid: 1000, gid: 2000, additionalGroups: [3, 4])
            process.privileges.noNewPrivileges = true
            process.privileges.seccomp = .runtimeDefault
            process.privileges.maskedPaths = Privileges.defaultMaskedPaths + ["/proc/version", "/sys/kernel"]
            process.privileges.readOnlyPaths = Privileges.defaultReadOnlyPaths
            process.rlimits = [ResourceLimit(name: "RLIMIT_NOFILE", soft: 100, hard: 200)]
            process.oomScoreAdjust = -500
            if case .overlay(let lower, let upper, let work, _) = process.root {
                process.root = .overlay(lower: lower, upper: upper, work: work, readOnly: true)
            }
            let (code, output) = try await fixture.run(process, in: sandbox)
            #expect(code == 0)
            #expect(output.prefix(2) == ["1000", "2000"])
            let text = output.joined(separator: "\n")
            #expect(text.contains("Groups:\t3 4"))
            #expect(text.contains("CapPrm:\t0000000000000000"))
            #expect(text.contains("CapBnd:\t00000000a80425fb"))
            #expect(text.contains("NoNewPrivs:\t1") && text.contains("Seccomp:\t2"))
            #expect(text.contains("unshare 1") && text.contains("denied") && text.contains("read-only"))
            #expect(
                text.split(separator: "\n").contains {
                    $0.hasPrefix("Max open files") && $0.contains("100") && $0.contains("200")
                })
            #expect(output.suffix(2) == ["0", "0"])
        }
    }

    @Test func filtersSystemCallsOfRoot() async throws {
        try await Fixture.with { fixture in
            let sandbox = try await fixture.launch()
            let root = try fixture.makeRoot()
            var process = try fixture.container("c", lower: root, "mkdir /x 2>&1; unshare -m true; echo $?")
            process.privileges.capabilities = nil
            process.privileges.seccomp = .custom(
                json: Array(
                    """
                    {"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86_64"],
                     "syscalls":[{"names":["unshare"],"action":"SCMP_ACT_ERRNO","errnoRet":1}]}
                    """.utf8))
            try #require(symlink("busybox", "\(root)/bin/mkdir") == 0)
            let (_, output) = try await fixture.run(process, in: sandbox)
            #expect(output.last == "1" && output.contains { $0.contains("Operation not permitted") })
            #expect(Files.exists("\(fixture.directory)/c/upper/x"))
        }
    }

    static let restrictsDevices = (try? CgroupLayout.ofProcess()).map { $0.isV2 || $0.v1("devices") != nil } ?? false

    @Test(.enabled(if: restrictsDevices, "needs cgroup v2, or v1's devices controller"))
    func deniesDevicesToContainers() async throws {
        try await Fixture.with { fixture in
            let sandbox = try await fixture.launch()
            let root = try fixture.makeRoot()
            try #require(symlink("busybox", "\(root)/bin/mknod") == 0)
            var process = try fixture.container(
                "c", lower: root,
                "mknod /kmsg c 1 11 && mknod /n c 1 3; cat </n && echo null; cat </kmsg || echo no kmsg")
            process.cgroup = "\(fixture.cgroup)/c"
            let (_, output) = try await fixture.run(process, in: sandbox)
            #expect(output.contains("null") && output.contains("no kmsg"), "\(output)")
            try await sandbox.remove("c")
            #expect(try !Cgroup("\(fixture.cgroup)/c", layout: .ofProcess()).exists)
        }
    }

    @Test func keepsTargetsInsideTheRoot() async throws {
        try await Fixture.with { fixture in
            let sandbox = try await fixture.launch()
            let root = try fixture.makeRoot()
            let outside = "\(fixture.directory)/outside"
            try Files.makeDirectories(outside)
            try Files.write([120], to: "\(fixture.directory)/file")
            try #require(symlink(outside, "\(root)/absolute") == 0)
            try #require(symlink("../../../../../..\(outside)", "\(root)/relative") == 0)
            try #require(symlink("/nowhere/yet", "\(root)/dangling") == 0)
            var process = try fixture.container(
                "c", lower: root,
                "cat /absolute/a /relative/b /dangling/c /../../d; echo; cat \(outside)/a \(outside)/b /nowhere/yet/c; echo"
            )
            for target in ["/absolute/a", "/relative/b", "/dangling/c", "/../../d"] {
                process.mounts.append(
                    Mount(source: "\(fixture.directory)/file", target: target, type: "bind", options: ["ro"]))
            }
            let (_, output) = try await fixture.run(process, in: sandbox)
            #expect(output == ["xxxx", "xxx"])
            #expect(try Files.list(outside).isEmpty)
            #expect(!Files.exists("/nowhere"))
        }
    }

    @Test func handsOnHeldNamespaces() async throws {
        try await Fixture.with { fixture in
            var specification = fixture.specification()
            specification.heldNamespaces["host-net"] = "/proc/self/ns/net"
            let sandbox = try await fixture.runtime.launch(specification)
            var process = fixture.shell(
                "c", "readlink /proc/self/fd/7; readlink /proc/self/ns/net; exec ls /proc/self/fd")
            process.heldDescriptors[7] = "host-net"
            let (_, output) = try await fixture.run(process, in: sandbox)
            var link = [CChar](repeating: 0, count: 64)
            let length = readlink("/proc/self/ns/net", &link, link.count - 1)
            let own = String(decoding: link.prefix(max(0, length)).map(UInt8.init(bitPattern:)), as: UTF8.self)
            #expect(output.first == own && output.dropFirst().first != own)
            // 0, 1, 2, 7, and the one that ls reads the directory with.
            #expect(output.dropFirst(2) == ["0", "1", "2", "3", "7"])
        }
    }

    @Test func entersAContainer() async throws {
        try await Fixture.with { fixture in
            let sandbox = try await fixture.launch()
            let pid = try await sandbox.start(
                fixture.container("c", lower: fixture.makeRoot(), "echo inside >/etc/mark; exec sleep 1000"))
            // The container's script has written its mark once it is sleep.
            while try Files.text("/proc/\(pid)/comm") != "sleep\n" { usleep(1_000) }
            var process = fixture.shell("exec", "cat /etc/mark; cat /proc/1/comm; readlink /proc/self/ns/pid")
            for kind in [NamespaceKind.mount, .pid, .cgroup] {
                let name = kind == .mount ? "mnt" : kind.rawValue
                process.namespaces[kind] = .path("/proc/\(pid)/ns/\(name)")
            }
            process.environment = ["PATH=/bin"]
            process.arguments[2] = "cat /etc/mark; cat /proc/1/comm"
            let (code, output) = try await fixture.run(process, in: sandbox)
            #expect(code == 0 && output == ["inside", "sleep"])
        }
    }
}
