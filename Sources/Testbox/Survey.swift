import Glibc
import Linux

/// What a process sees of files, in one answer: who it is, and a line for each path.
///
///     as uid=1000 gid=0 groups=1001
///     /whole/color: blue (file mode=644 uid=0 gid=0 on tmpfs ro)
///     /whole/raw: \xde\xad (file mode=644 uid=0 gid=0 on tmpfs ro)
///     /dev/raw: blue (block mode=660 uid=0 gid=6 on devtmpfs rw) bytes=1048576
///     /late/word: missing
enum Survey {
    /// Of a file's content so much is shown.
    private static let longest = 512

    static func lines(of paths: [String]) -> [String] {
        [identity()] + paths.map { "\($0): \(state(of: $0))" }
    }

    private static func identity() -> String {
        var groups = [gid_t](repeating: 0, count: 64)
        let count = max(0, Int(getgroups(Int32(groups.count), &groups)))
        let others = groups.prefix(count).sorted().map(String.init).joined(separator: ",")
        return "as uid=\(getuid()) gid=\(getgid()) groups=\(others)"
    }

    private static func state(of path: String) -> String {
        var status = stat()
        guard stat(path, &status) == 0 else {
            return errno == ENOENT || errno == ENOTDIR ? "missing" : "out of reach"
        }
        guard let description = try? FileBehaviour.description(of: path) else { return "missing" }
        if status.st_mode & S_IFMT == S_IFBLK {
            let text = start(of: path).map { shown(Array($0.prefix { $0 != 0 })) } ?? "unreadable"
            return "\(text) (\(description)) bytes=\(size(path))"
        }
        guard status.st_mode & S_IFMT == S_IFREG else { return "(\(description))" }
        guard let bytes = start(of: path) else { return "unreadable (\(description))" }
        return "\(shown(bytes)) (\(description))"
    }

    /// What a file or a device begins with; nil where it may not be read.
    private static func start(of path: String) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: longest)
        let count = read(file, &bytes, bytes.count)
        return count < 0 ? nil : Array(bytes.prefix(count))
    }

    private static func size(_ path: String) -> Int {
        let device = open(path, O_RDONLY | O_CLOEXEC)
        guard device >= 0 else { return 0 }
        defer { close(device) }
        return Int(lseek(device, 0, SEEK_END))
    }

    /// On one line: what is no plain character is written as `\xNN`, but for the last line's end.
    static func shown(_ bytes: [UInt8]) -> String {
        let content = bytes.last == 10 ? bytes.dropLast() : bytes[...]
        return content.map { byte in
            if (32..<127).contains(byte) { return String(UnicodeScalar(byte)) }
            let hex = String(byte, radix: 16)
            return "\\x" + (hex.count == 1 ? "0" : "") + hex
        }.joined()
    }
}
