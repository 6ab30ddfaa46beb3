import Glibc
import Linux
import Testing

@testable import Runtime

/// What comes out of a descriptor until its end, or until `enough` of it is there.
private func drain(_ descriptor: Descriptor?, until enough: @Sendable ([UInt8]) -> Bool = { _ in false }) throws
    -> String
{
    let descriptor = try #require(descriptor)
    var all: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while !enough(all) {
        var request = pollfd(fd: descriptor.number, events: Int16(POLLIN), revents: 0)
        try #require(poll(&request, 1, 20_000) > 0, "nothing comes: \(String(decoding: all, as: UTF8.self))")
        let count = read(descriptor.number, &buffer, buffer.count)
        // The end of a terminal is told as an error.
        if count <= 0 { break }
        all += buffer.prefix(count)
    }
    return String(decoding: all, as: UTF8.self)
}

private func contains(_ text: String) -> @Sendable ([UInt8]) -> Bool {
    { String(decoding: $0, as: UTF8.self).contains(text) }
}

private func send(_ text: String, to descriptor: Descriptor?) throws {
    let bytes = Array(text.utf8)
    try #require(write(try #require(descriptor).number, bytes, bytes.count) == bytes.count)
}

@Suite(.serialized, .enabled(if: Fixture.canRun, Fixture.reason))
struct StreamTests {
    private func entering(_ pid: Int32, _ id: String, _ script: String) -> ProcessSpecification {
        var process = ProcessSpecification(id: id, arguments: ["/bin/sh", "-c", script])
        process.environment = ["PATH=/bin"]
        for (kind, name) in [(NamespaceKind.mount, "mnt"), (.pid, "pid"), (.cgroup, "cgroup")] {
            process.namespaces[kind] = .path("/proc/\(pid)/ns/\(name)")
        }
        return process
    }

    private func makeRoot(_ fixture: Fixture) throws -> String {
        let root = try fixture.makeRoot()
        for applet in ["stty", "tty", "wc", "head", "tr"] {
            try #require(symlink("busybox", "\(root)/bin/\(applet)") == 0)
        }
        return root
    }

    @Test func aProcessHasItsOwnPipes() async throws {
        try await Fixture.with { fixture in
            let sandbox = try await fixture.launch()
            let pid = try await sandbox.start(fixture.container("c", lower: makeRoot(fixture), "exec sleep 1000"))
            let process = entering(pid, "exec", "cat; echo wrong >&2; exit 9")
            let streams = try await sandbox.start(process, with: [.input, .output, .errors])
            try send("hello", to: streams.input)
            close(try #require(streams.input).take())
            #expect(try drain(streams.output) == "hello")
            #expect(try drain(streams.errors) == "wrong\n")
            let status = try await sandbox.wait(for: "exec") { $0.hasExited }
            guard case .exited(let code, nil, _, _) = status.state else { throw SystemError("exec", errno: 0) }
            #expect(code == 9 && streams.terminal == nil)

            // Without input it is at its end, and what is not asked for goes nowhere.
            let other = try await sandbox.start(entering(pid, "exec2", "cat; echo out; echo err >&2"), with: .errors)
            #expect(try drain(other.errors) == "err\n" && other.output == nil && other.input == nil)
            await #expect(throws: StageError.self) {
                var missing = process
                missing.id = "exec3"
                missing.arguments = ["/bin/missing"]
                _ = try await sandbox.start(missing, with: [.output])
            }
        }
    }

    @Test func aProcessHasATerminalOfItsContainers() async throws {
        try await Fixture.with { fixture in
            let sandbox = try await fixture.launch()
            let pid = try await sandbox.start(fixture.container("c", lower: makeRoot(fixture), "exec sleep 1000"))
            var process = entering(
                pid, "exec", "tty; stty size; trap 'stty size; exit 3' WINCH; echo ready; while :; do read line; done")
            process.terminal = TerminalSize(columns: 100, rows: 30)
            let streams = try await sandbox.start(process, with: [.input, .output])
            let first = try drain(streams.output, until: contains("ready"))
            #expect(first.hasPrefix("/dev/pts/0\r\n30 100\r\n"), "\(first)")
            try #require(streams.terminal).resize(to: TerminalSize(columns: 80, rows: 25))
            #expect(try drain(streams.output).contains("25 80"))
            let status = try await sandbox.wait(for: "exec") { $0.hasExited }
            guard case .exited(3, nil, _, _) = status.state else { throw SystemError("exit", "\(status)", errno: 0) }
        }
    }

    @Test func whoLeavesATerminalHangsItUp() async throws {
        try await Fixture.with { fixture in
            let sandbox = try await fixture.launch()
            let pid = try await sandbox.start(fixture.container("c", lower: makeRoot(fixture), "exec sleep 1000"))
            var process = entering(pid, "exec", "exec sleep 1000")
            process.terminal = TerminalSize()
            // The streams are forgotten at once.
            _ = try await sandbox.start(process, with: [.input, .output])
            let status = try await sandbox.wait(for: "exec") { $0.hasExited }
            guard case .exited(_, SIGHUP, _, _) = status.state else { throw SystemError("end", "\(status)", errno: 0) }
        }
    }

    @Test func aContainersTerminalIsLoggedAndShared() async throws {
        try await Fixture.with { fixture in
            let sandbox = try await fixture.launch()
            var process = try fixture.container(
                "c", lower: makeRoot(fixture), "read line; echo got $line; read line; echo then $line; exit 4")
            process.terminal = TerminalSize()
            process.input = .open(once: false)
            _ = try await sandbox.start(process)
            let one = try await sandbox.attach("c", to: [.input, .output, .errors])
            let two = try await sandbox.attach("c", to: [.output])
            #expect(one.terminal != nil && two.input == nil)
            try send("hello\n", to: one.input)
            #expect(try drain(two.output, until: contains("got hello")).contains("hello\r\ngot hello"))
            try send("bye\n", to: one.input)
            #expect(try drain(one.output).hasSuffix("then bye\r\n"))
            #expect(try drain(two.output).hasSuffix("then bye\r\n"))
            // A terminal has one output.
            #expect(try drain(one.errors).isEmpty)
            _ = try await sandbox.wait(for: "c") { $0.hasExited }
            #expect(try Files.text(fixture.log("c")).contains(" stdout F got hello\r\n"))
            await #expect(throws: SystemError.self) { _ = try await sandbox.attach("c", to: .output) }
        }
    }

    @Test func inputStaysOpenOrEndsWithTheFirst() async throws {
        try await Fixture.with { fixture in
            let sandbox = try await fixture.launch()
            let root = try makeRoot(fixture)
            for once in [false, true] {
                var process = try fixture.container(once ? "once" : "open", lower: root, "cat; echo over")
                process.input = .open(once: once)
                _ = try await sandbox.start(process)
            }
            for id in ["open", "once"] {
                let first = try await sandbox.attach(id, to: [.input, .output])
                try send("first\n", to: first.input)
                #expect(try drain(first.output, until: contains("\n")) == "first\n")
            }
            // Both have left. One input ends with that, the other goes on until it is closed.
            _ = try await sandbox.wait(for: "once") { $0.hasExited }
            let second = try await sandbox.attach("open", to: [.input, .output])
            try send("second\n", to: second.input)
            #expect(try drain(second.output, until: contains("\n")) == "second\n")
            try await sandbox.closeInput("open")
            close(try #require(second.input).take())
            #expect(try drain(second.output) == "over\n")
            #expect(try fixture.output("open") == ["first", "second", "over"])
            #expect(try fixture.output("once") == ["first", "over"])
        }
    }

    @Test func aSlowReaderLosesNothing() async throws {
        try await Fixture.with { fixture in
            let sandbox = try await fixture.launch()
            var process = try fixture.container(
                "c", lower: makeRoot(fixture), "read go; head -c 2000000 /dev/zero | tr '\\0' a; echo; echo err >&2")
            process.input = .open(once: true)
            if case .criLog(let path, _, let keep) = process.output {
                process.output = .criLog(path: path, maximumBytes: 200 << 20, keep: keep)
            }
            _ = try await sandbox.start(process)
            let reader = try await sandbox.attach("c", to: [.input, .output, .errors])
            let gone = try await sandbox.attach("c", to: [.output])
            close(try #require(gone.output).take())
            try send("go\n", to: reader.input)
            // More than all pipes hold: it cannot have ended, as nobody reads.
            let running = try await sandbox.processes()
            #expect(running.first { $0.id == "c" }?.hasExited == false)
            #expect(try drain(reader.output).utf8.count == 2_000_001)
            #expect(try drain(reader.errors) == "err\n")
            _ = try await sandbox.wait(for: "c") { $0.hasExited }
            #expect(try fixture.output("c").reduce(0) { $0 + $1.utf8.count } == 2_000_003)
        }
    }
}
