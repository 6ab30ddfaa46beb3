import Glibc
import Linux

/// A part of a volume, found or made without following a link: a container may write links into its volume
/// and must not reach the node's files through them.
enum SubPath {
    static func prepare(_ part: String, below root: String) throws -> String {
        let steps = part.split(separator: "/").filter { $0 != "." }
        guard !part.hasPrefix("/"), !steps.contains("..") else { throw SystemError("subPath", part, errno: EINVAL) }
        var path = root
        var status = stat()
        guard stat(root, &status) == 0 else { throw SystemError("stat", root, errno: errno) }
        let rootMode = status.st_mode & 0o2777
        for (index, step) in steps.enumerated() {
            path += "/\(step)"
            if lstat(path, &status) != 0 {
                guard errno == ENOENT else { throw SystemError("stat", path, errno: errno) }
                try make(path, mode: rootMode)
                guard lstat(path, &status) == 0 else { throw SystemError("stat", path, errno: errno) }
            }
            if status.st_mode & S_IFMT == S_IFLNK {
                path = try follow(path, root: root)
                guard lstat(path, &status) == 0 else { throw SystemError("stat", path, errno: errno) }
            }
            if index < steps.count - 1, status.st_mode & S_IFMT != S_IFDIR {
                throw SystemError("subPath", path, errno: ENOTDIR)
            }
        }
        return path
    }

    /// Whoever may write to the volume may write to a part of it that is made here.
    private static func make(_ path: String, mode: mode_t) throws {
        guard mkdir(path, 0o755) == 0 else {
            if errno == EEXIST { return }
            throw SystemError("mkdir", path, errno: errno)
        }
        let directory = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard directory >= 0 else { throw SystemError("open", path, errno: errno) }
        defer { close(directory) }
        guard fchmod(directory, mode) == 0 else { throw SystemError("chmod", path, errno: errno) }
    }

    /// A part that has to be there already.
    static func find(_ part: String, below root: String) throws -> String {
        let steps = part.split(separator: "/").filter { $0 != "." }
        guard !part.hasPrefix("/"), !steps.contains("..") else { throw SystemError("open", part, errno: EINVAL) }
        var path = root
        var status = stat()
        for step in steps {
            path += "/\(step)"
            guard lstat(path, &status) == 0 else { throw SystemError("stat", path, errno: errno) }
            if status.st_mode & S_IFMT == S_IFLNK { path = try follow(path, root: root) }
        }
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw SystemError("open", path, errno: EINVAL)
        }
        return path
    }

    /// Links are part of configMap volumes (`key → ..data/key`): allowed as long as they stay inside.
    private static func follow(_ path: String, root: String) throws -> String {
        func resolved(_ path: String) throws -> String {
            guard let real = realpath(path, nil) else { throw SystemError("resolve", path, errno: errno) }
            defer { free(real) }
            return String(cString: real)
        }
        let target = try resolved(path)
        let base = try resolved(root)
        guard target == base || target.hasPrefix(base + "/") else { throw SystemError("subPath", path, errno: EXDEV) }
        return target
    }
}
