import CLinux
import Glibc
import Linux
import Runtime

/// Waiting for a container's process as its parent: signals go on to it, and its terminal is this program's.
final class Foreground {
    private let signals: Int32
    private var terminal: Descriptor?
    private var savedState: [UInt8]?
    private var forwardsInput = true

    /// What cannot be forwarded, or is meant for this process itself.
    private static let kept: Set<Int32> = [SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS]

    init() throws {
        var mask: UInt64 = 0
        for number in Int32(1)...64 where !Self.kept.contains(number) && number != 32 && number != 33 {
            mask |= 1 << UInt64(number - 1)
        }
        signals = lab_signalfd(&mask)
        guard signals >= 0 else { throw SystemError("signalfd", "", errno: errno) }
    }

    deinit {
        close(signals)
        restore()
    }

    /// The near end of the process's terminal. Where our own input is one, it becomes the process's.
    func take(_ near: Descriptor) {
        terminal = near
        var state = [UInt8](repeating: 0, count: 128)
        if isatty(0) == 1, lab_raw_terminal(0, &state, state.count) == 0 { savedState = state }
        if isatty(1) == 1 { lab_copy_window(1, near.number) }
    }

    private func restore() {
        if let state = savedState { lab_restore_terminal(0, state) }
        savedState = nil
    }

    /// The exit code; 128 and the signal's number for a process that a signal ended.
    func wait(for pid: Int32) throws -> Int32 {
        defer { restore() }
        // It may have ended before its signals were watched.
        if let code = reap(pid) { return finish(code) }
        while true {
            var watched = [
                pollfd(fd: signals, events: Int16(POLLIN), revents: 0),
                pollfd(fd: terminal?.number ?? -1, events: Int16(POLLIN), revents: 0),
                pollfd(fd: terminal != nil && forwardsInput ? 0 : -1, events: Int16(POLLIN), revents: 0),
            ]
            guard poll(&watched, nfds_t(watched.count), -1) >= 0 else {
                if errno == EINTR { continue }
                throw SystemError("poll", "", errno: errno)
            }
            if watched[1].revents != 0 { copyOutput() }
            if watched[2].revents != 0 { copyInput() }
            if watched[0].revents != 0, let code = handleSignals(pid) { return finish(code) }
        }
    }

    private func handleSignals(_ pid: Int32) -> Int32? {
        var ended: Int32?
        while case let number = lab_next_signal(signals), number > 0 {
            switch number {
            case SIGCHLD: ended = ended ?? reap(pid)
            case SIGWINCH: if let terminal, isatty(1) == 1 { lab_copy_window(1, terminal.number) }
            // Go's runtime and terminals send these to a program about itself.
            case SIGURG, SIGPIPE, SIGTTOU, SIGTTIN: break
            default: kill(pid, number)
            }
        }
        return ended
    }

    /// Everything that has ended is reaped: orphans of the container come to this process as their subreaper.
    private func reap(_ pid: Int32) -> Int32? {
        var code: Int32?
        var status: Int32 = 0
        while true {
            let ended = waitpid(-1, &status, WNOHANG)
            guard ended > 0 else { return code }
            if ended == pid { code = status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + (status & 0x7F) }
        }
    }

    /// What the terminal still holds when its process has ended; a bounded amount, because others may go on writing.
    private func finish(_ code: Int32) -> Int32 {
        guard let terminal else { return code }
        for _ in 0..<256 {
            var request = pollfd(fd: terminal.number, events: Int16(POLLIN), revents: 0)
            guard poll(&request, 1, 0) > 0, request.revents & Int16(POLLIN) != 0, self.terminal != nil else { break }
            copyOutput()
        }
        return code
    }

    private func copyOutput() {
        guard let terminal else { return }
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        let count = read(terminal.number, &buffer, buffer.count)
        // EIO: nobody has the far end open any more.
        guard count > 0 else {
            if count == 0 || errno == EIO { self.terminal = nil }
            return
        }
        try? Files.writeAll(Array(buffer[..<count]), to: 1, name: "standard output")
    }

    private func copyInput() {
        guard let terminal else { return }
        var buffer = [UInt8](repeating: 0, count: 4 << 10)
        let count = read(0, &buffer, buffer.count)
        guard count > 0 else {
            forwardsInput = false
            return
        }
        try? Files.writeAll(Array(buffer[..<count]), to: terminal.number, name: "the terminal")
    }
}
