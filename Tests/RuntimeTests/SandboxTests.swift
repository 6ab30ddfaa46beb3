import CLinux
import Glibc
import Linux
import Testing

@testable import Runtime

@Suite(.serialized, .enabled(if: Fixture.canRun, Fixture.reason))
struct SandboxTests {
    @Test func runsAProcessAndRecordsItsEnd() async throws {
        try await Fixture.with { fixture in
            let sandbox = try await fixture.launch()
            let (code, output) = try await fixture.run(
                fixture.shell("one", "echo hi; echo oops >&2; printf end; exit 3"), in: sandbox)
            #expect(code == 3)
            #expect(Set(output) == ["hi", "oops", "end"])
            let lines = try fixture.lines("one")
            #expect(lines.contains("stdout F hi") && lines.contains("stderr F oops") && lines.contains("stdout P end"))
            let record = try Files.text("\(fixture.state)/one.exit")
            #expect(record.hasPrefix("code=3 signal=0 oom=0 "))
            let own = try Files.text("/proc/self/status"), theirs = try Files.text("/proc/\(sandbox.pid)/status")
            func parent(_ text: String) -> Substring? { text.split(separator: "\n").first { $0.hasPrefix("PPid:") } }
            #expect(parent(theirs) != nil && parent(theirs) != "PPid:\t\(getpid())" && !own.isEmpty)
        }
    }

    @Test func timesLinesInRFC3339() async throws {
        try await Fixture.with { fixture in
            let sandbox = try await fixture.launch()
            _ = try await fixture.run(fixture.shell("t", "echo x; date -u +%Y-%m-%dT%H"), in: sandbox)
            let lines = try Files.text(fixture.log("t")).split(separator: "\n")
            let stamp = try #require(lines.last?.split(separator: " ").first)
            #expect(stamp.count == 30 && stamp.last == "Z")
            // The hour may turn between the two; then the first line's does not match the second's text either way.
            let hour = try #require(lines.last?.split(separator: " ").last)
            #expect(stamp.hasPrefix(hour) || lines[0].prefix(13) != lines[1].prefix(13))
        }
    }

    @Test func splitsLongLines() async throws {
        try await Fixture.with { fixture in
            let sandbox = try await fixture.launch()
            _ = try await fixture.run(
                fixture.shell("long", "head -c 40000 /dev/zero | tr '\\0' x; echo; echo short"), in: sandbox)
            let shape = try fixture.lines("long").map { line in
                "\(line.split(separator: " ")[1])\(line.split(separator: " ")[2].utf8.count)"
            }
            #expect(shape == ["P16384", "P16384", "F7232", "F5"])
        }
    }

    @Test func rotatesLogs() async throws {
        try await Fixture.with { fixture in
            let sandbox = try await fixture.launch()
            var process = fixture.shell("r", "for i in $(seq 100); do echo line $i; done")
            process.output = .criLog(path: fixture.log("r"), maximumBytes: 1000, keep: 2)
            _ = try await fixture.run(process, in: sandbox)
            let names = try Files.list(fixture.directory).filter { $0.hasPrefix("r.log") }.sorted()
            #expect(names == ["r.log", "r.log.1", "r.log.2"])
            for name in names { #expect(try Files.read("\(fixture.directory)/\(name)").count <= 1000) }
            #expect(try fixture.output("r").last == "line 100")
        }
    }

    @Test func survivesAFullDisk() async throws {
        try await Fixture.with { fixture in
            let sandbox = try await fixture.launch()
            var process = fixture.shell("full", "echo lost; exit 4")
            process.output = .criLog(path: "/dev/full", maximumBytes: 0, keep: 0)
            _ = try await sandbox.start(process)
            let status = try await sandbox.wait(for: "full") { $0.hasExited }
            if case .exited(let code, _, _, _) = status.state { #expect(code == 4) }
            let (code, _) = try await fixture.run(fixture.shell("next", "exit 0"), in: sandbox)
            #expect(code == 0)
        }
    }

    @Test func signalsAndRemoves() async throws {
        try await Fixture.with { fixture in
            let sandbox = try await fixture.launch()
            let pid = try await sandbox.start(fixture.shell("s", "exec sleep 1000"))
            #expect(Files.exists("/proc/\(pid)"))
            await #expect(throws: SystemError.self) { try await sandbox.signal("nobody", SIGTERM) }
            await #expect(throws: StageError.self) { _ = try await sandbox.start(fixture.shell("s", "true")) }
            try await sandbox.signal("s", SIGTERM)
            let status = try await sandbox.wait(for: "s") { $0.hasExited }
            guard case .exited(let code, let signal, _, let outOfMemory) = status.state else { return }
            #expect(code == 128 + SIGTERM && signal == SIGTERM && !outOfMemory)
            await #expect(throws: SystemError.self) { try await sandbox.signal("s", SIGTERM) }
            try await sandbox.remove("s")
            #expect(!Files.exists("\(fixture.state)/s.exit"))
            #expect(try await sandbox.processes().isEmpty)
            let second = try await sandbox.start(fixture.shell("s", "exec sleep 1000"))
            try await sandbox.remove("s")
            #expect(kill(second, 0) == -1 && errno == ESRCH)
        }
    }

    @Test func aKilledSupervisorTakesItsProcessesAlong() async throws {
        try await Fixture.with { fixture in
            let sandbox = try await fixture.launch()
            let pid = try await sandbox.start(fixture.shell("s", "setsid sleep 1000 & exec sleep 1000"))
            let process = try #require(Files.exists("/proc/\(pid)") ? pid : nil)
            async let followed: Void = sandbox.follow { _ in }
            kill(sandbox.pid, SIGKILL)
            try await followed
            // The follow ended with the socket; the namespace's init is a zombie only once all others are gone.
            try await sandbox.destroy()
            #expect(!Files.exists("/proc/\(process)"))
            #expect(!Files.exists(fixture.state))
            #expect(try await fixture.runtime.attach(stateDirectory: fixture.state) == nil)
            try await sandbox.destroy()
        }
    }

    @Test func isFoundAgain() async throws {
        try await Fixture.with { fixture in
            let first = try await fixture.launch()
            _ = try await first.start(fixture.shell("s", "exec sleep 1000"))
            let again = try #require(try await fixture.runtime.attach(stateDirectory: fixture.state))
            #expect(again.pid == first.pid)
            #expect(try await again.processes().map(\.id) == ["s"])
            await #expect(throws: SystemError.self) { _ = try await fixture.launch() }
            #expect(try await again.processes().count == 1)
        }
    }

    @Test func restartsWithPauses() async throws {
        try await Fixture.with { fixture in
            let sandbox = try await fixture.launch()
            var process = fixture.shell("again", "echo run; exit 1")
            process.restart = .always(maximumBackoffSeconds: 1)
            _ = try await sandbox.start(process)
            let status = try await sandbox.wait(for: "again") { $0.restarts >= 3 }
            #expect(status.restarts >= 3)
            _ = try await sandbox.wait(for: "again") { if case .backingOff = $0.state { true } else { false } }
            #expect(try fixture.lines("again").count >= 3)
            try await sandbox.remove("again")
            #expect(try await sandbox.processes().isEmpty)
        }
    }

    @Test func reportsLackOfMemory() async throws {
        try await Fixture.with { fixture in
            let sandbox = try await fixture.launch()
            var process = fixture.shell("big", "x=aaaaaaaa; while true; do x=$x$x; done")
            process.cgroup = "\(fixture.cgroup)/big"
            process.limits.memoryBytes = 16 << 20
            _ = try await sandbox.start(process)
            let status = try await sandbox.wait(for: "big") { $0.hasExited }
            guard case .exited(let code, _, _, let outOfMemory) = status.state else { return }
            #expect(outOfMemory && code == 128 + SIGKILL)
            try await sandbox.remove("big")
            #expect(try !Cgroup("\(fixture.cgroup)/big", layout: .ofProcess()).exists)
        }
    }

    @Test func aFollowerThatDoesNotReadHoldsNobodyUp() async throws {
        try await Fixture.with { fixture in
            let sandbox = try await fixture.launch()
            let sleeper = try #require(try Control.connect(stateDirectory: fixture.state))
            try sleeper.send(LAB_REQUEST_FOLLOW)
            for round in 0..<100 {
                var process = ProcessSpecification(id: "p\(round % 3)", arguments: ["/bin/true"])
                process.output = .discard
                _ = try await sandbox.start(process)
                _ = try await sandbox.wait(for: process.id) { $0.hasExited }
                try await sandbox.remove(process.id)
            }
            _ = try await sandbox.start(fixture.shell("last", "exec sleep 1000"))
            var seen: Set<String> = []
            while !seen.contains("last"), let answer = try sleeper.receive() {
                if case .status(let status) = answer { seen.insert(status.id) }
            }
            #expect(seen.contains("last"))
        }
    }
}
