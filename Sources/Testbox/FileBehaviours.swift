import Glibc
import Linux

/// What scenarios do with the files of volumes.
enum FileBehaviour: Equatable {
    case write(path: String, text: String)
    case read(path: String)
    /// Mode, owner and file system.
    case show(path: String)

    func run() throws {
        switch self {
        case .write(let path, let text): try Files.write(Array((text + "\n").utf8), to: path)
        case .read(let path):
            var text = try Files.text(path)
            if text.last == "\n" { text.removeLast() }
            Output.line(text)
        case .show(let path): Output.line(try Self.description(of: path))
        }
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
