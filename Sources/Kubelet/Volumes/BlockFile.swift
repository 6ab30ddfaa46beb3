import Glibc
import Linux

/// Volumes of the built-in class that are block devices: each is a file in the directory of all such volumes, of the
/// volume's size but without taking that room, and a loop device shows it for as long as some pod has it.
///
/// Nobody remembers which device that is. A pod's link names the file; whoever takes the last link away detaches the
/// device. A lock on the file keeps the two apart: the link is made before the lock is taken, and looked for under it.
enum BlockFile {
    /// Whether a place in a pod's directory leads to such a file.
    static func isOne(_ path: String, root: String) -> Bool {
        guard path.hasPrefix(root + "/") else { return false }
        var status = stat()
        return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    /// Makes the file, or makes it as large as it shall be. It never shrinks.
    static func prepare(_ path: String, bytes: Int64) throws {
        guard bytes > 0 else { throw VolumeProblem("a block device of \(bytes) bytes cannot be made") }
        if let slash = path.lastIndex(of: "/") { try Files.makeDirectories(String(path[..<slash])) }
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw SystemError("create", path, errno: errno) }
        defer { close(file) }
        try grow(file, path, bytes: bytes)
    }

    /// A device's blocks have 512 bytes: what does not fill the last one would be out of reach.
    private static func grow(_ file: Int32, _ path: String, bytes: Int64) throws {
        let wanted = (bytes + 511) / 512 * 512
        var status = stat()
        guard fstat(file, &status) == 0 else { throw SystemError("stat", path, errno: errno) }
        guard status.st_size < wanted else { return }
        guard ftruncate(file, off_t(wanted)) == 0 else { throw SystemError("grow", path, errno: errno) }
        try LoopDevice.attached(to: path)?.takeSize()
    }

    /// Makes it larger where it is in use or was; nothing where no pod has needed it yet.
    static func growIfThere(_ path: String, bytes: Int64) throws {
        let file = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else {
            if errno == ENOENT { return }
            throw SystemError("open", path, errno: errno)
        }
        defer { close(file) }
        try grow(file, path, bytes: bytes)
    }

    /// The device that shows the file.
    static func attach(_ path: String) throws -> LoopDevice {
        try locked(path) { try LoopDevice.attached(to: path) ?? LoopDevice.attach(path) }
    }

    /// The files that a pod's links lead to.
    static func files(ofPod directory: String, root: String) -> [String] {
        links(below: "\(directory)/volumes").filter { isOne($0, root: root) }
    }

    /// Detaches the file unless another pod has it. `pods` is the directory of all pods.
    static func detachUnused(_ path: String, pods: String) throws {
        try locked(path) {
            let isUsed = ((try? Files.list(pods)) ?? []).contains { pod in
                links(below: "\(pods)/\(pod)/volumes").contains(path)
            }
            if !isUsed { try LoopDevice.attached(to: path)?.detach() }
        }
    }

    private static func links(below directory: String) -> [String] {
        guard let names = try? Files.list(directory) else { return [] }
        return names.compactMap { AtomicDirectory.link("\(directory)/\($0)") }
    }

    private static func locked<T>(_ path: String, _ body: () throws -> T) throws -> T {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { throw SystemError("open", path, errno: errno) }
        defer { close(file) }
        while flock(file, LOCK_EX) != 0 {
            guard errno == EINTR else { throw SystemError("lock", path, errno: errno) }
        }
        return try body()
    }
}
