import Glibc
import Linux

/// Files that are made anew after a crash anyway and so need not reach the disk before we go on.
/// They are written in place: a container may hold a bind mount of the very file.
enum PlainFile {
    static func write(_ bytes: [UInt8], to path: String, mode: mode_t) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode)
        guard file >= 0 else { throw SystemError("create", path, errno: errno) }
        defer { close(file) }
        try Files.writeAll(bytes, to: file, name: path)
        // The process's umask must not narrow what the pod asked for.
        guard fchmod(file, mode) == 0 else { throw SystemError("chmod", path, errno: errno) }
    }

    /// Replaces the file in one step: whoever reads it, also after we were killed, finds the old or the new one.
    static func replace(_ bytes: [UInt8], at path: String, mode: mode_t) throws {
        let temporary = "\(path).new"
        unlink(temporary)
        try write(bytes, to: temporary, mode: mode)
        guard rename(temporary, path) == 0 else { throw SystemError("rename", path, errno: errno) }
    }
}
