import CLinux
import Glibc

/// Copies directory trees as they are: owners, modes, times, extended attributes, links, holes and devices.
/// Blocks are shared where the file system can (btrfs, XFS). Sockets are left out, since nobody listens at a copy, and
/// so is what is mounted below.
public struct TreeCopy {
    private let device: dev_t
    /// Files with several names: the first copy of each, so that the copies are one file, too.
    private var linked: [ino_t: String] = [:]
    private let skips: (String) -> Bool
    /// Bytes that the copied files hold.
    public private(set) var bytes: Int64 = 0

    /// `skips` is asked with each path below `source`; what it skips of directories is their content and themselves.
    @discardableResult
    public static func copy(
        _ source: String, to target: String, skips: @escaping (String) -> Bool = { _ in false }
    ) throws -> Int64 {
        var status = stat()
        guard lstat(source, &status) == 0 else { throw SystemError("stat", source, errno: errno) }
        var copy = TreeCopy(device: status.st_dev, skips: skips)
        try copy.directory(source, target, "", status)
        return copy.bytes
    }

    private init(device: dev_t, skips: @escaping (String) -> Bool) {
        self.device = device
        self.skips = skips
    }

    private mutating func directory(_ source: String, _ target: String, _ path: String, _ status: stat) throws {
        guard mkdir(target, 0o700) == 0 else { throw SystemError("mkdir", target, errno: errno) }
        if status.st_dev == device {
            for name in try Files.list(source) {
                let below = path.isEmpty ? name : "\(path)/\(name)"
                if !skips(below) { try entry("\(source)/\(name)", "\(target)/\(name)", below) }
            }
        }
        // Last: what is made in it changes its times.
        try attributes(source, target, status)
    }

    private mutating func entry(_ source: String, _ target: String, _ path: String) throws {
        var status = stat()
        guard lstat(source, &status) == 0 else {
            // Gone since it was listed: a log that was rotated.
            if errno == ENOENT { return }
            throw SystemError("stat", source, errno: errno)
        }
        let kind = status.st_mode & S_IFMT
        if kind == S_IFDIR { return try directory(source, target, path, status) }
        if kind == S_IFSOCK { return }
        if status.st_nlink > 1 {
            if let first = linked[status.st_ino], link(first, target) == 0 { return }
            linked[status.st_ino] = target
        }
        switch kind {
        case S_IFREG: try file(source, target)
        case S_IFLNK: try symbolicLink(source, target, Int(status.st_size))
        default:
            guard mknod(target, status.st_mode, status.st_rdev) == 0 else {
                throw SystemError("mknod", target, errno: errno)
            }
        }
        try attributes(source, target, status)
    }

    private mutating func file(_ source: String, _ target: String) throws {
        let input = open(source, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard input >= 0 else { throw SystemError("open", source, errno: errno) }
        defer { close(input) }
        let output = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard output >= 0 else { throw SystemError("create", target, errno: errno) }
        defer { close(output) }
        guard lab_copy_data(input, output) == 0 else { throw SystemError("copy", target, errno: errno) }
        var status = stat()
        if fstat(output, &status) == 0 { bytes += Int64(status.st_size) }
    }

    private func symbolicLink(_ source: String, _ target: String, _ size: Int) throws {
        var buffer = [CChar](repeating: 0, count: max(size, 4_095) + 1)
        let count = readlink(source, &buffer, buffer.count - 1)
        guard count >= 0 else { throw SystemError("readlink", source, errno: errno) }
        buffer[count] = 0
        guard symlink(buffer, target) == 0 else { throw SystemError("symlink", target, errno: errno) }
    }

    private func attributes(_ source: String, _ target: String, _ status: stat) throws {
        guard lchown(target, status.st_uid, status.st_gid) == 0 else {
            throw SystemError("chown", target, errno: errno)
        }
        if status.st_mode & S_IFMT != S_IFLNK {
            // After the owner, whose change takes the setuid bit away.
            guard chmod(target, status.st_mode & 0o7777) == 0 else { throw SystemError("chmod", target, errno: errno) }
        }
        // Among them what overlayfs writes in upper directories, and file capabilities.
        guard lab_copy_attributes(source, target) == 0 else {
            throw SystemError("copy the attributes of", target, errno: errno)
        }
        let times = [status.st_atim, status.st_mtim]
        guard utimensat(AT_FDCWD, target, times, AT_SYMLINK_NOFOLLOW) == 0 else {
            throw SystemError("set the times of", target, errno: errno)
        }
    }
}
