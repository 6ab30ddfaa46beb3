import Glibc

/// A finished program: what it printed and how it ended.
struct Ran: Sendable, CustomStringConvertible {
    var command: String
    var code: Int32
    var out: String
    var err: String

    var description: String { "\(command)\nexit \(code)\n--- out\n\(out)\n--- err\n\(err)" }
}

enum Shell {
    /// Runs `words[0]` from the PATH with `extra` environment, waits for it, and returns all it printed.
    static func run(_ words: [String], extra: [String: String] = [:]) -> Ran {
        let process = Started(words, extra: extra)
        return process.wait()
    }

    /// A program that has been started and not been waited for.
    final class Started {
        let pid: pid_t
        private let words: [String]
        private let outPath: String
        private let errPath: String

        init(_ words: [String], extra: [String: String] = [:]) {
            self.words = words
            let base = "/tmp/lab-system-test-\(getpid())-\(UInt64.random(in: 0 ... .max))"
            outPath = base + ".out"
            errPath = base + ".err"
            var actions = posix_spawn_file_actions_t()
            posix_spawn_file_actions_init(&actions)
            posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
            posix_spawn_file_actions_addopen(&actions, 1, outPath, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
            posix_spawn_file_actions_addopen(&actions, 2, errPath, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
            defer { posix_spawn_file_actions_destroy(&actions) }
            var variables: [String: String] = extra
            var cursor = environ
            while let entry = cursor.pointee {
                let parts = String(cString: entry).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                if parts.count == 2, variables[String(parts[0])] == nil { variables[String(parts[0])] = String(parts[1]) }
                cursor += 1
            }
            var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
            var environment: [UnsafeMutablePointer<CChar>?] = variables.map { strdup("\($0)=\($1)") } + [nil]
            defer { for pointer in arguments + environment { free(pointer) } }
            var child: pid_t = -1
            let code = posix_spawnp(&child, words[0], &actions, nil, &arguments, &environment)
            pid = code == 0 ? child : -1
        }

        func wait() -> Ran {
            var status: Int32 = 127 << 8
            if pid > 0 { while waitpid(pid, &status, 0) < 0, errno == EINTR {} }
            defer {
                unlink(outPath)
                unlink(errPath)
            }
            let code = status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + (status & 0x7F)
            return Ran(
                command: words.joined(separator: " "), code: code, out: Shell.read(outPath), err: Shell.read(errPath))
        }
    }

    static func read(_ path: String) -> String {
        guard let file = fopen(path, "r") else { return "" }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = fread(&buffer, 1, buffer.count, file)
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += buffer[..<count]
        }
    }

    static func has(_ program: String) -> Bool {
        run(["sh", "-c", "command -v \(program)"]).code == 0
    }
}

/// Where the tests run, and what they can do there.
enum Machine {
    static let binary: String? = getenv("LAB_BINARY").map { String(cString: $0) }
    static let isRoot = geteuid() == 0
    static let hasKubectl = Shell.has("kubectl")
    static var canCreate: Bool { isRoot && binary != nil }
    static let why = "needs root and the release binary in LAB_BINARY ('make test' sets it)"
}

/// A home of its own for each suite, so that tests never meet the user's clusters.
struct Lab {
    let home: String
    let kubeconfig: String
    let name: String

    init(_ purpose: String) {
        name = "t\(getpid() % 100_000)-\(purpose)"
        home = "/var/tmp/lab-test-\(name)"
        kubeconfig = "\(home)/kubeconfig"
        mkdir(home, 0o755)
    }

    var environment: [String: String] { ["LAB_HOME": home, "KUBECONFIG": kubeconfig] }

    @discardableResult
    func lab(_ words: String...) -> Ran { Shell.run([Machine.binary ?? "lab"] + words, extra: environment) }

    func start(_ words: String...) -> Shell.Started {
        Shell.Started([Machine.binary ?? "lab"] + words, extra: environment)
    }

    @discardableResult
    func kubectl(_ words: String...) -> Ran { Shell.run(["kubectl"] + words, extra: environment) }

    /// Repeats until `condition` holds; gives up after `seconds`.
    func eventually(within seconds: Int = 60, _ condition: () -> Bool) -> Bool {
        let start = time(nil)
        while time(nil) - start <= seconds {
            if condition() { return true }
            usleep(50_000)
        }
        return false
    }

    /// Deletes every cluster of this home and the home itself, whatever the test did.
    func tearDown() {
        lab("delete", "--all")
        _ = Shell.run(["rm", "-rf", home])
    }
}

/// What the kernel holds that a cluster could have left behind.
struct KernelState: Equatable, CustomStringConvertible {
    var mounts: Set<String>
    var links: Set<String>
    var cgroups: Set<String>
    var tables: Set<String>
    var processes: Set<String>
    var namespaces: Int

    /// `needle` picks out what belongs to the test: its home and its cluster names.
    static func capture(home: String, needle: String) -> KernelState {
        func lines(_ command: String) -> Set<String> {
            Set(Shell.run(["sh", "-c", command]).out.split(separator: "\n").map(String.init))
        }
        return KernelState(
            mounts: lines("grep -F '\(home)' /proc/self/mountinfo"),
            links: lines("ls /sys/class/net"),
            cgroups: lines("find /sys/fs/cgroup -type d -path '*lab/\(needle)*'"),
            tables: lines("command -v nft >/dev/null && nft list tables"),
            processes: lines(
                "for p in /proc/[0-9]*; do readlink $p/exe; done 2>/dev/null | grep -F '\(home)'"),
            namespaces: lines(
                "for p in /proc/[0-9]*; do readlink $p/ns/net; done 2>/dev/null | sort -u").count)
    }

    var description: String {
        "mounts \(mounts) links \(links) cgroups \(cgroups) tables \(tables) processes \(processes) netns \(namespaces)"
    }
}
