import Glibc
import Linux

/// What scenarios do with the files of volumes.
enum FileBehaviour: Equatable {
    case write(path: String, text: String, mode: mode_t? = nil)
    case read(path: String)
    /// Mode, owner and file system.
    case show(path: String)
    /// Content, mode, owner and file system of each.
    case survey(paths: [String])
    case remove(path: String)
    case link(target: String, path: String)
    /// A file system in memory.
    case mount(path: String)
    case unmount(path: String)
    /// What the control group allows.
    case limits

    func run() throws {
        switch self {
        case .write(let path, let text, let mode): try Self.write(Array((text + "\n").utf8), to: path, mode: mode)
        case .read(let path):
            var text = try Files.text(path)
            if text.last == "\n" { text.removeLast() }
            Output.line(text)
        case .show(let path): Output.line(try Self.description(of: path))
        case .survey(let paths): Output.line(Survey.lines(of: paths).joined(separator: "\n"))
        case .remove(let path): try Files.removeTree(path)
        case .link(let target, let path):
            guard symlink(target, path) == 0 else { throw SystemError("symlink", path, errno: errno) }
        case .mount(let path):
            guard Glibc.mount("tmpfs", path, "tmpfs", 0, "size=1m") == 0 else {
                throw SystemError("mount", path, errno: errno)
            }
        case .unmount(let path):
            guard umount2(path, 0) == 0 else { throw SystemError("unmount", path, errno: errno) }
        case .limits: Output.line(try Self.limits())
        }
    }

    static func fill(_ path: String, megabytes: Int) throws {
        try write([UInt8](repeating: 120, count: megabytes << 20), to: path)
    }

    /// In place: the file may be a mount of its own.
    private static func write(_ bytes: [UInt8], to path: String, mode: mode_t? = nil) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw SystemError("create", path, errno: errno) }
        defer { close(file) }
        try Files.writeAll(bytes, to: file, name: path)
        // What is asked for is what is made, whatever the mask.
        if let mode, fchmod(file, mode) != 0 { throw SystemError("chmod", path, errno: errno) }
    }

    /// `memory=52428800 cpu=3000/100000`, `memory=none cpu=none`.
    static func limits() throws -> String {
        func line(_ path: String) throws -> String {
            String(try Files.text("/sys/fs/cgroup/\(path)").prefix { $0 != "\n" })
        }
        if Files.exists("/sys/fs/cgroup/cgroup.controllers") {
            let memory = try line("memory.max")
            let cpu = try line("cpu.max").replacing(" ", with: "/")
            return "memory=\(memory == "max" ? "none" : memory) cpu=\(cpu.hasPrefix("max") ? "none" : cpu)"
        }
        let memory = try line("memory/memory.limit_in_bytes")
        let quota = try line("cpu/cpu.cfs_quota_us")
        let period = try line("cpu/cpu.cfs_period_us")
        // No limit is the largest number of whole pages.
        let isFree = (Int64(memory) ?? 0) > 1 << 60
        return "memory=\(isFree ? "none" : memory) cpu=\(quota == "-1" ? "none" : "\(quota)/\(period)")"
    }

    /// `directory mode=2777 uid=0 gid=1000 on tmpfs rw`
    static func description(of path: String) throws -> String {
        var status = stat()
        guard stat(path, &status) == 0 else { throw SystemError("stat", path, errno: errno) }
        let kinds: [mode_t: String] = [
            S_IFDIR: "directory", S_IFREG: "file", S_IFBLK: "block", S_IFCHR: "character", S_IFSOCK: "socket",
            S_IFIFO: "pipe",
        ]
        let mode = String(status.st_mode & 0o7777, radix: 8)
        let owner = "uid=\(status.st_uid) gid=\(status.st_gid)"
        return "\(kinds[status.st_mode & S_IFMT] ?? "other") mode=\(mode) \(owner) on \(fileSystem(of: path))"
    }

    /// The type and the first option of the innermost mount that holds the path.
    private static func fileSystem(of path: String) -> String {
        var best = (length: -1, text: "unknown")
        for line in ((try? Files.text("/proc/self/mountinfo")) ?? "").split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count > 5, let dash = words.firstIndex(of: "-"), dash + 1 < words.count else { continue }
            let point = String(words[4])
            guard path == point || path.hasPrefix(point == "/" ? "/" : point + "/"), point.count >= best.length else {
                continue
            }
            let access = words[5].split(separator: ",").first ?? ""
            best = (point.count, "\(words[dash + 1]) \(access)")
        }
        return best.text
    }
}
