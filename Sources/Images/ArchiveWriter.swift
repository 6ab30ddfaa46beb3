import CArchive
import Glibc
import Linux

/// Writes a tar archive. The same entries make the same bytes: nothing of the machine or the minute gets in.
final class ArchiveWriter {
    private let archive: OpaquePointer
    private let path: String

    init(_ path: String) throws {
        guard let archive = archive_write_new() else { throw ImageError(path, "no memory for writing") }
        self.archive = archive
        self.path = path
        archive_write_set_format_pax_restricted(archive)
        archive_write_add_filter_none(archive)
        guard archive_write_open_filename(archive, path) == ARCHIVE_OK else { throw failure() }
    }

    deinit { archive_write_free(archive) }

    private func failure() -> any Error {
        // Positive numbers are the kernel's: a full disk shall be told as one.
        let number = archive_errno(archive)
        if number > 0, number < 134 { return SystemError("write", path, errno: number) }
        return ImageError(path, archive_error_string(archive).map { String(cString: $0) } ?? "cannot be written")
    }

    private func header(_ entry: ArchiveEntry) throws {
        guard let made = archive_entry_new() else { throw failure() }
        defer { archive_entry_free(made) }
        archive_entry_set_pathname(made, entry.path)
        switch entry.kind {
        case .directory: archive_entry_set_filetype(made, UInt32(Glibc.S_IFDIR as mode_t))
        case .symbolicLink:
            archive_entry_set_filetype(made, UInt32(Glibc.S_IFLNK as mode_t))
            archive_entry_set_symlink(made, entry.target)
        case .hardLink:
            archive_entry_set_filetype(made, UInt32(Glibc.S_IFREG as mode_t))
            archive_entry_set_hardlink(made, entry.target)
        case .characterDevice:
            archive_entry_set_filetype(made, UInt32(Glibc.S_IFCHR as mode_t))
            archive_entry_set_rdevmajor(made, dev_t(entry.device.major))
            archive_entry_set_rdevminor(made, dev_t(entry.device.minor))
        case .fifo: archive_entry_set_filetype(made, UInt32(Glibc.S_IFIFO as mode_t))
        default:
            archive_entry_set_filetype(made, UInt32(Glibc.S_IFREG as mode_t))
            archive_entry_set_size(made, entry.size)
        }
        archive_entry_set_perm(made, entry.mode)
        archive_entry_set_uid(made, la_int64_t(entry.owner))
        archive_entry_set_gid(made, la_int64_t(entry.group))
        archive_entry_set_mtime(made, entry.modified.tv_sec, entry.modified.tv_nsec)
        for (name, value) in entry.attributes { archive_entry_xattr_add_entry(made, name, value, value.count) }
        let code = archive_write_header(archive, made)
        guard code == ARCHIVE_OK || code == ARCHIVE_WARN else { throw failure() }
    }

    func add(_ entry: ArchiveEntry, _ content: [UInt8] = []) throws {
        var entry = entry
        entry.size = Int64(content.count)
        try header(entry)
        if entry.kind == .file { try content.withUnsafeBytes { try write($0) } }
    }

    /// A file whose bytes come from another file.
    func add(_ entry: ArchiveEntry, contentOf file: String) throws {
        var status = stat()
        guard stat(file, &status) == 0 else { throw SystemError("stat", file, errno: errno) }
        var entry = entry
        entry.size = Int64(status.st_size)
        try header(entry)
        let source = try FileSource(file)
        var left = entry.size
        while true {
            let bytes = try source.next()
            if bytes.isEmpty { break }
            left -= Int64(bytes.count)
            guard left >= 0 else { throw ImageError(file, "changed while it was read") }
            try write(bytes)
        }
        guard left == 0 else { throw ImageError(file, "changed while it was read") }
    }

    /// A file whose `size` bytes come by `write` and `zeros`.
    func begin(_ entry: ArchiveEntry) throws { try header(entry) }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        if bytes.isEmpty { return }
        guard archive_write_data(archive, bytes.baseAddress, bytes.count) == bytes.count else { throw failure() }
    }

    func zeros(_ count: Int64) throws {
        var left = count
        let page = [UInt8](repeating: 0, count: 4096)
        while left > 0 {
            let piece = Int(min(left, Int64(page.count)))
            try page.withUnsafeBytes { try write(UnsafeRawBufferPointer(rebasing: $0[..<piece])) }
            left -= Int64(piece)
        }
    }

    func finish() throws {
        guard archive_write_close(archive) == ARCHIVE_OK else { throw failure() }
    }
}
