import CLinux
import Glibc
import Linux

/// Starts a plan's process and talks to it until it is ready (see `contain.c`).
struct ContainerSpawn {
    /// What the process needs of its creator on the way.
    struct Answers {
        var born: (Int32) throws -> Void = { _ in }
        var hooks: () throws -> Void = {}
        /// The near end of its terminal.
        var terminal: (Descriptor) throws -> Void = { _ in }
        /// The seccomp listener, and whose it is.
        var listener: (Descriptor, Int32) throws -> Void = { _, _ in }
    }

    enum End {
        /// It waits at the gate.
        case ready
        /// Its program runs.
        case executed
    }

    let plan: Plan
    var executable = "/proc/self/exe"
    /// Descriptors from 3 on that it inherits.
    var kept: Int32 = 0
    let end: End
    var answers = Answers()

    /// The pid of the container's process, which is this process's child. Whatever goes wrong, no process is left.
    func run() throws -> Int32 {
        let file = Descriptor(try plan.memoryFile())
        var ends: (Int32, Int32) = (-1, -1)
        let made = withUnsafeMutableBytes(of: &ends) {
            $0.bindMemory(to: Int32.self).baseAddress.map { lab_status_pair($0) } ?? -1
        }
        guard made == 0 else { throw SystemError("socketpair", "", errno: errno) }
        let near = Descriptor(ends.0)
        let far = Descriptor(ends.1)
        let binary = Descriptor(lab_protected_executable(executable))
        guard binary.number >= 0 else { throw SystemError("open", executable, errno: errno) }
        let first = withExtendedLifetime((file, binary)) {
            lab_spawn_contained(binary.number, file.number, far.number, kept)
        }
        close(far.take())
        guard first > 0 else { throw StageError(step: "clone", object: executable, errno: -first, detail: "") }
        var pid: Int32 = 0
        do {
            try talk(near, pid: &pid)
            Self.reap(first)
            return pid
        } catch {
            // Both may live still: the first before the fork, the other after it.
            kill(first, SIGKILL)
            Self.reap(first)
            if pid > 0 {
                kill(pid, SIGKILL)
                Self.reap(pid)
            }
            throw error
        }
    }

    static func reap(_ pid: Int32) { while waitpid(pid, nil, 0) < 0, errno == EINTR {} }

    private func talk(_ near: Descriptor, pid: inout Int32) throws {
        while true {
            var packet = lab_failure()
            var sender: pid_t = 0
            var attached: Int32 = -1
            let count = withUnsafeMutableBytes(of: &packet) {
                lab_control_receive(near.number, $0.baseAddress, $0.count, &sender, &attached)
            }
            let passed = attached >= 0 ? Descriptor(attached) : nil
            guard count == MemoryLayout<lab_failure>.size else {
                // Exec closes the socket, and so does a sudden death.
                if count == 0, end == .executed, pid > 0 { return }
                throw StageError(
                    step: "container process", object: "", errno: count < 0 ? errno : ESRCH,
                    detail: "it ended before it could say why")
            }
            switch packet.step {
            case UInt32(LAB_FAILURE_FORKED):
                pid = sender
                try answers.born(sender)
            case UInt32(LAB_FAILURE_SYNC):
                try answers.hooks()
                try answer(near)
            case UInt32(LAB_FAILURE_LISTENER):
                try answers.listener(Self.take(packet.error, of: pid), pid)
                try answer(near)
            case UInt32(LAB_FAILURE_TERMINAL):
                guard let passed else { throw SystemError("receive", "the terminal", errno: EBADMSG) }
                try answers.terminal(passed)
            case UInt32(LAB_FAILURE_READY): return
            default:
                let detail = withUnsafeBytes(of: &packet.detail) {
                    String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
                }
                throw plan.error(step: packet.step, errno: packet.error, detail: detail)
            }
        }
    }

    private func answer(_ near: Descriptor) throws {
        var yes: UInt8 = 1
        guard send(near.number, &yes, 1, Int32(MSG_NOSIGNAL)) == 1 else {
            throw SystemError("answer the container's process", "", errno: errno)
        }
    }

    private static func take(_ number: Int32, of pid: Int32) throws -> Descriptor {
        let process = Descriptor(lab_pidfd_open(pid))
        guard process.number >= 0 else { throw SystemError("pidfd_open", "\(pid)", errno: errno) }
        let listener = Descriptor(lab_pidfd_take(process.number, number))
        guard listener.number >= 0 else { throw SystemError("pidfd_getfd", "the seccomp listener", errno: errno) }
        return listener
    }
}
