import Basics
import Glibc
import Linux

/// Tells when a directory's files have changed.
final class DirectoryWatch: Sendable {
    private let descriptor: Int32
    private let loop: EventLoop?
    private let clock: any WorldClock

    /// How long a change may go unnoticed where the kernel does not tell.
    private static let interval = Duration.seconds(20)

    init(_ path: String, loop: EventLoop?, clock: any WorldClock) {
        self.loop = loop
        self.clock = clock
        var file: Int32 = -1
        if loop != nil {
            file = inotify_init1(Int32(0o2000000 | 0o4000))  // IN_CLOEXEC, IN_NONBLOCK
            let events = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM | IN_ATTRIB
            if file >= 0, inotify_add_watch(file, path, UInt32(events)) < 0 {
                close(file)
                file = -1
            }
        }
        descriptor = file
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Calls back at once and after every change, until cancelled.
    func run(_ changed: () async throws -> Void) async throws {
        guard let loop, descriptor >= 0 else {
            while true {
                try await changed()
                try await clock.sleep(for: Self.interval)
            }
        }
        let pollable = try await Pollable(descriptor, loop: loop)
        defer { pollable.close() }
        while true {
            try await changed()
            try await pollable.readable()
            // An editor writes in several steps; they are one change.
            try await clock.sleep(for: .milliseconds(50))
            var buffer = [UInt8](repeating: 0, count: 4096)
            while buffer.withUnsafeMutableBytes({ read(descriptor, $0.baseAddress, $0.count) }) > 0 {}
        }
    }
}
