import Glibc

/// Whole-file operations that say what they tried: the few that the house needs, in one place.
/// All of them block; none of them follows a link where it removes.
public enum Files {
    public static func read(_ path: String, limit: Int = 1 << 30) throws -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw SystemError("open", path, errno: errno) }
        defer { close(file) }
        // One read takes a plain file whole, and one more finds its end; files that the kernel makes up have no size.
        var facts = stat()
        let expected = fstat(file, &facts) == 0 ? Int(facts.st_size) + 1 : 0
        var wanted = min(max(expected, 16 << 10), limit + 1)
        var all: [UInt8] = []
        while true {
            let part = try [UInt8](unsafeUninitializedCapacity: wanted) { buffer, count in
                while true {
                    let result = Glibc.read(file, buffer.baseAddress, buffer.count)
                    if result >= 0 {
                        count = result
                        return
                    }
                    guard errno == EINTR else { throw SystemError("read", path, errno: errno) }
                }
            }
            if part.isEmpty { return all }
            if all.isEmpty { all = part } else { all += part }
            guard all.count <= limit else { throw SystemError("read", path, errno: EFBIG) }
            wanted = 64 << 10
        }
    }

    public static func text(_ path: String) throws -> String { String(decoding: try read(path), as: UTF8.self) }

    /// Replaces the file in one step: readers see the old bytes or the new ones.
    /// `durable` waits for the disk, so that this holds after a power loss too.
    public static func write(
        _ bytes: [UInt8], to path: String, mode: mode_t = 0o644, durable: Bool = false
    ) throws {
        let temporary = "\(path).tmp.\(getpid())"
        let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        guard file >= 0 else { throw SystemError("create", temporary, errno: errno) }
        do {
            defer { close(file) }
            try writeAll(bytes, to: file, name: temporary)
            guard !durable || fsync(file) == 0 else { throw SystemError("fsync", temporary, errno: errno) }
            guard rename(temporary, path) == 0 else { throw SystemError("rename", path, errno: errno) }
        } catch {
            unlink(temporary)
            throw error
        }
    }

    public static func writeAll(_ bytes: [UInt8], to file: Int32, name: String) throws {
        var offset = 0
        while offset < bytes.count {
            let result = bytes.withUnsafeBytes { buffer in
                Glibc.write(file, buffer.baseAddress.map { $0 + offset }, buffer.count - offset)
            }
            if result < 0 {
                if errno == EINTR { continue }
                throw SystemError("write", name, errno: errno)
            }
            offset += result
        }
    }

    public static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    public static func makeDirectories(_ path: String, mode: mode_t = 0o755) throws {
        if mkdir(path, mode) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash > path.startIndex else {
            throw SystemError("mkdir", path, errno: errno)
        }
        try makeDirectories(String(path[..<slash]), mode: mode)
        guard mkdir(path, mode) == 0 || errno == EEXIST else { throw SystemError("mkdir", path, errno: errno) }
    }

    /// Names in a directory, sorted, without `.` and `..`.
    public static func list(_ path: String) throws -> [String] {
        guard let directory = opendir(path) else { throw SystemError("opendir", path, errno: errno) }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { raw in
                String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Names of the directories in a directory, sorted; none where it cannot be read. The entries' own word on what
    /// they are is taken, so that no file among them is touched.
    static func subdirectories(of path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            guard entry.pointee.d_type == UInt8(DT_DIR) || entry.pointee.d_type == UInt8(DT_UNKNOWN) else { continue }
            let isKnown = entry.pointee.d_type == UInt8(DT_DIR)
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { raw in
                String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            var status = stat()
            guard name != ".", name != "..",
                isKnown || lstat("\(path)/\(name)", &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
            else { continue }
            names.append(name)
        }
        return names.sorted()
    }

    /// Removes whatever is at `path`, without following links; nothing there is fine.
    public static func removeTree(_ path: String) throws {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            if errno == ENOENT { return }
            throw SystemError("stat", path, errno: errno)
        }
        if status.st_mode & S_IFMT == S_IFDIR {
            for name in try list(path) { try removeTree("\(path)/\(name)") }
            guard rmdir(path) == 0 || errno == ENOENT else { throw SystemError("rmdir", path, errno: errno) }
        } else {
            guard unlink(path) == 0 || errno == ENOENT else { throw SystemError("unlink", path, errno: errno) }
        }
    }

    public static func copy(_ source: String, to target: String, mode: mode_t = 0o644) throws {
        let input = open(source, O_RDONLY | O_CLOEXEC)
        guard input >= 0 else { throw SystemError("open", source, errno: errno) }
        defer { close(input) }
        let temporary = "\(target).tmp.\(getpid())"
        let output = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        guard output >= 0 else { throw SystemError("create", temporary, errno: errno) }
        do {
            defer { close(output) }
            while true {
                let count = sendfile(output, input, nil, 1 << 30)
                if count < 0 { throw SystemError("copy", temporary, errno: errno) }
                if count == 0 { break }
            }
            guard rename(temporary, target) == 0 else { throw SystemError("rename", target, errno: errno) }
        } catch {
            unlink(temporary)
            throw error
        }
    }
}

/// A file lock that goes with its holder: the kernel drops it when the process dies.
public final class FileLock: Sendable {
    private let descriptor: Int32

    /// Nil when somebody else holds it.
    public init?(path: String) throws {
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw SystemError("open", path, errno: errno) }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            let reason = errno
            close(file)
            if reason == EWOULDBLOCK { return nil }
            throw SystemError("flock", path, errno: reason)
        }
        descriptor = file
    }

    deinit { close(descriptor) }
}
