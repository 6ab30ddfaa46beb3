import Basics
import Glibc
import Linux
import Wire

/// Sends a container's log, of which the newest part lies in `PATH` and older ones in `PATH.1`, `PATH.2`…
struct LogReader: Sendable {
    let path: String
    let query: LogQuery
    let kept: Int
    let pool: BlockingPool
    let clock: any WorldClock
    /// With a loop, following waits for the kernel's word; without, it looks five times a second.
    let loop: EventLoop?
    /// Whether more may still be written; following ends when it no longer may.
    let isLive: @Sendable () -> Bool

    private static let pieceSize = 256 << 10
    private static let longestLine = 1 << 20

    func send(to writer: any BodyWriter) async throws {
        var filter = LogFilter(query)
        let files = (0...max(0, kept)).reversed().map { $0 == 0 ? path : "\(path).\($0)" }.filter(Files.exists)
        // Opened together, so that a rotation in between neither loses nor repeats lines.
        var readers: [TailReader] = []
        for file in files { if let reader = TailReader(file) { readers.append(reader) } }
        if let wanted = query.tailLines { try await skip(&readers, keeping: wanted) }
        let watch = query.follow ? LogWatch(path, loop: loop, clock: clock) : nil
        var current = readers.popLast()
        for reader in readers { try await drain(reader, &filter, writer) }
        if let current { try await drain(current, &filter, writer) }
        guard query.follow else { return }
        while !filter.isDone {
            let mayGrow = isLive()
            if let reader = current { try await drain(reader, &filter, writer) }
            if let next = current?.successor(at: path) ?? (current == nil ? TailReader(path) : nil) {
                current = next
                continue
            }
            guard mayGrow else { return }
            try await watch?.wait()
        }
    }

    private func drain(_ reader: TailReader, _ filter: inout LogFilter, _ writer: any BodyWriter) async throws {
        while !filter.isDone {
            let lines = try await pool.run { try reader.read(Self.pieceSize, longestLine: Self.longestLine) }
            guard !lines.isEmpty else { return }
            var out: [UInt8] = []
            for line in lines { out += filter.output(line) }
            if !out.isEmpty { try await writer.write(out) }
        }
    }

    /// Moves the readers forward so that `wanted` lines are left, dropping whole files at the old end.
    private func skip(_ readers: inout [TailReader], keeping wanted: Int) async throws {
        var left = wanted
        var kept: [TailReader] = []
        for reader in readers.reversed() {
            let need = left
            let found = try await pool.run { try reader.skip(keeping: need) }
            kept.insert(reader, at: 0)
            left -= found
            if left <= 0 { break }
        }
        readers = kept
    }
}

/// An open log file and how far it was read.
final class TailReader: @unchecked Sendable {
    // Used by one task at a time; the reads happen on the blocking pool, one after the other.
    private let file: Int32
    private let inode: UInt
    private var offset: Int64 = 0
    private var rest: [UInt8] = []

    init?(_ path: String) {
        file = open(path, O_RDONLY | O_CLOEXEC)
        var status = stat()
        guard file >= 0 else { return nil }
        guard fstat(file, &status) == 0 else {
            close(file)
            return nil
        }
        inode = UInt(status.st_ino)
    }

    deinit { close(file) }

    /// A reader for the file now at `path`, where the log was rotated since.
    func successor(at path: String) -> TailReader? {
        var status = stat()
        guard stat(path, &status) == 0, UInt(status.st_ino) != inode else { return nil }
        return TailReader(path)
    }

    /// Whole lines, about `size` bytes of them; empty at the end.
    func read(_ size: Int, longestLine: Int) throws -> [ArraySlice<UInt8>] {
        while true {
            var buffer = [UInt8](repeating: 0, count: size)
            let count = buffer.withUnsafeMutableBytes { pread(file, $0.baseAddress, size, off_t(offset)) }
            guard count >= 0 else { throw SystemError("read", "log", errno: errno) }
            if count == 0 { return [] }
            offset += Int64(count)
            rest += buffer.prefix(count)
            var lines: [ArraySlice<UInt8>] = []
            var start = 0
            while let end = rest[start...].firstIndex(of: 10) {
                lines.append(rest[start..<end])
                start = end + 1
            }
            if lines.isEmpty, rest.count > longestLine {
                defer { rest = [] }
                return [rest[...]]
            }
            rest = Array(rest[start...])
            if !lines.isEmpty { return lines }
        }
    }

    /// Reads backwards until `wanted` lines are left to read; answers how many there are.
    func skip(keeping wanted: Int) throws -> Int {
        var status = stat()
        guard fstat(file, &status) == 0 else { throw SystemError("stat", "log", errno: errno) }
        let end = Int64(status.st_size)
        if wanted == 0 {
            offset = end
            return 0
        }
        var position = end
        var found = 0
        while position > 0 {
            let size = Int(min(64 << 10, position))
            position -= Int64(size)
            var buffer = [UInt8](repeating: 0, count: size)
            let count = buffer.withUnsafeMutableBytes { pread(file, $0.baseAddress, size, off_t(position)) }
            guard count == size else { throw SystemError("read", "log", errno: count < 0 ? errno : EIO) }
            for index in buffer.indices.reversed() where buffer[index] == 10 {
                // The newline that ends the file ends the last line and begins none.
                if position + Int64(index) == end - 1 { continue }
                found += 1
                if found == wanted {
                    offset = position + Int64(index) + 1
                    return wanted
                }
            }
        }
        offset = 0
        return end > 0 ? found + 1 : 0
    }
}

/// Waits for a log to grow or to be rotated.
private final class LogWatch: Sendable {
    private let descriptor: Int32
    private let loop: EventLoop?
    private let clock: any WorldClock

    private static let pause = Duration.milliseconds(200)
    /// A container's end changes no file: liveness is looked at again after so long.
    private static let longestWait = Duration.seconds(1)

    init(_ path: String, loop: EventLoop?, clock: any WorldClock) {
        self.loop = loop
        self.clock = clock
        var file: Int32 = -1
        if loop != nil, let slash = path.lastIndex(of: "/") {
            file = inotify_init1(Int32(0o2000000 | 0o4000))  // IN_CLOEXEC, IN_NONBLOCK
            // The directory tells of writes to the file and of its replacement.
            if file >= 0,
                inotify_add_watch(file, String(path[..<slash]), UInt32(IN_MODIFY | IN_CREATE | IN_MOVED_TO)) < 0
            {
                close(file)
                file = -1
            }
        }
        descriptor = file
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    func wait() async throws {
        guard let loop, descriptor >= 0 else { return try await clock.sleep(for: Self.pause) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { [self] in
                let pollable = try await Pollable(descriptor, loop: loop)
                defer { pollable.close() }
                try await pollable.readable()
            }
            group.addTask { [self] in try await clock.sleep(for: Self.longestWait) }
            defer { group.cancelAll() }
            _ = try await group.next()
        }
        var buffer = [UInt8](repeating: 0, count: 4096)
        while buffer.withUnsafeMutableBytes({ Glibc.read(descriptor, $0.baseAddress, $0.count) }) > 0 {}
    }
}
