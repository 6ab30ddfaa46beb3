import Glibc
import Linux

/// A directory in which a layer is unpacked. Every path is walked from its descriptor, one component at a time and
/// without following a link, so nothing that an archive says can reach outside.
final class LayerDirectory {
    static let longestPath = 4096

    let path: String
    private let root: Int32
    /// The last parent that was opened: archives list a directory's entries together.
    private var parent: (path: ArraySlice<String>, descriptor: Int32)?

    init(_ path: String) throws {
        self.path = path
        root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
        guard root >= 0 else { throw SystemError("open", path, errno: errno) }
    }

    deinit {
        forgetParent()
        close(root)
    }

    /// The components of an entry's path; empty for the root itself. Nil where it leads upward.
    static func components(_ path: String) -> [String]? {
        guard path.utf8.count <= longestPath, !path.utf8.contains(0) else { return nil }
        let parts = path.split(separator: "/").filter { $0 != "." }.map(String.init)
        return parts.contains("..") ? nil : parts
    }

    private func forgetParent() {
        if let parent { close(parent.descriptor) }
        parent = nil
    }

    /// The directory that holds the last component of `parts`, made where it is absent.
    func parentDescriptor(of parts: [String], making: Bool = true) throws -> Int32 {
        let wanted = parts.dropLast()
        if wanted.isEmpty { return root }
        if let parent, parent.path == wanted { return parent.descriptor }
        forgetParent()
        var here = dup(root)
        guard here >= 0 else { throw SystemError("dup", path, errno: errno) }
        for (depth, name) in wanted.enumerated() {
            if making, mkdirat(here, name, 0o755) == 0 { fchmodat(here, name, 0o755, 0) }
            let next = openat(here, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
            let reason = errno
            close(here)
            guard next >= 0 else {
                let place = wanted.prefix(depth + 1).joined(separator: "/")
                if reason == ELOOP || reason == ENOTDIR {
                    throw ImageError(
                        "/" + parts.joined(separator: "/"), "its path goes through /\(place), no directory")
                }
                throw SystemError("open", "\(path)/\(place)", errno: reason)
            }
            here = next
        }
        parent = (wanted, here)
        return here
    }

    /// Removes what a layer's later entry replaces. A directory stays when `keepDirectory`.
    func clear(_ parts: [String], keepDirectory: Bool) throws {
        let parent = try parentDescriptor(of: parts)
        guard let name = parts.last else { return }
        var status = stat()
        guard fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else { return }
        if status.st_mode & S_IFMT == S_IFDIR {
            if keepDirectory { return }
            forgetParent()
            // The descriptor's path names the parent whatever links the way to it may have.
            try Files.removeTree("\(path)/\(parts.joined(separator: "/"))")
        } else if unlinkat(parent, name, 0) != 0 {
            throw failure("remove", parts)
        }
    }

    func failure(_ operation: String, _ parts: [String]) -> SystemError {
        SystemError(operation, "\(path)/\(parts.joined(separator: "/"))", errno: errno)
    }

    func withRoot<T>(_ body: (Int32) throws -> T) rethrows -> T { try body(root) }
}
