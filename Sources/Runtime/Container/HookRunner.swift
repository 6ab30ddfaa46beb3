import CLinux
import Document
import Glibc
import Linux

/// Runs the hooks that run outside of the container, one after the other, with the container's state on standard input.
struct HookRunner {
    var state: Document

    /// Throws at the first that fails.
    func run(_ hooks: [Hook], kind: Hook.Kind) throws {
        for hook in hooks { try run(hook, kind) }
    }

    private func run(_ hook: Hook, _ kind: Hook.Kind) throws {
        let step = "\(kind.rawValue) hook"
        let input = Descriptor(lab_memfd("state"))
        guard input.number >= 0 else { throw SystemError("memfd", "state", errno: errno) }
        try Files.writeAll(Array(state.jsonText.utf8), to: input.number, name: "the hook's input")
        lseek(input.number, 0, SEEK_SET)
        let pid = try start(hook, step, input: input.number)
        let process = Descriptor(lab_pidfd_open(pid))
        var ended = pollfd(fd: process.number, events: Int16(POLLIN), revents: 0)
        let limit = hook.timeoutSeconds == 0 ? -1 : Int32(clamping: hook.timeoutSeconds * 1_000)
        var result = poll(&ended, 1, limit)
        while result < 0, errno == EINTR { result = poll(&ended, 1, limit) }
        if result == 0 { kill(pid, SIGKILL) }
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        if result == 0 {
            throw StageError(
                step: step, object: hook.path, errno: ETIMEDOUT, detail: "killed after \(hook.timeoutSeconds) s")
        }
        guard status != 0 else { return }
        let how = status & 0x7F == 0 ? "exit status \(status >> 8 & 0xFF)" : "ended by signal \(status & 0x7F)"
        throw StageError(step: step, object: hook.path, errno: 0, detail: how)
    }

    private func start(_ hook: Hook, _ step: String, input: Int32) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, input, 0)
        // What it says is for whoever reads this runtime's errors; standard output is the container's.
        posix_spawn_file_actions_adddup2(&actions, 2, 1)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var arguments: [UnsafeMutablePointer<CChar>?] = hook.arguments.map { strdup($0) } + [nil]
        var environment: [UnsafeMutablePointer<CChar>?] = hook.environment.map { strdup($0) } + [nil]
        defer { for pointer in arguments + environment { free(pointer) } }
        var pid: pid_t = 0
        let code = posix_spawn(&pid, hook.path, &actions, &attributes, &arguments, &environment)
        guard code == 0 else { throw StageError(step: step, object: hook.path, errno: code, detail: "") }
        return pid
    }
}
