import CArchive
import Glibc

/// A stream of bytes to read: a file, a decompressed file, or what a test makes up.
protocol ByteSource: AnyObject {
    /// The next bytes, valid until the next call; empty at the end.
    func next() throws -> UnsafeRawBufferPointer
}

/// One header of a tar archive.
struct ArchiveEntry {
    enum Kind { case file, directory, symbolicLink, hardLink, characterDevice, blockDevice, fifo, other }

    var path: String
    var kind: Kind
    /// Where a link leads.
    var target = ""
    var size: Int64 = 0
    var mode: mode_t = 0
    var owner: uid_t = 0
    var group: gid_t = 0
    var modified = timespec()
    var device: (major: UInt32, minor: UInt32) = (0, 0)
    var attributes: [(name: String, value: [UInt8])] = []
}

/// Reads archives through libarchive: tar entries, or (as `decompress`) the plain bytes of a compressed file.
///
/// Formats are enabled by name: `support_format_all` would pull in parsers nobody asked for.
final class ArchiveReader {
    private let archive: OpaquePointer
    private let feed: Feed
    private let name: String

    /// What libarchive's read callback gets: our source, and the error that a C callback cannot throw.
    private final class Feed {
        let source: any ByteSource
        var failure: (any Error)?

        init(_ source: any ByteSource) { self.source = source }
    }

    private enum Format { case tar, raw, ar }

    /// A tar archive, compressed with gzip or zstd or not at all. `name` is what errors speak of.
    static func tar(_ source: any ByteSource, name: String) throws -> ArchiveReader {
        try ArchiveReader(source, name: name, format: .tar)
    }

    /// The outer archive of a Debian package.
    static func ar(_ source: any ByteSource, name: String) throws -> ArchiveReader {
        try ArchiveReader(source, name: name, format: .ar)
    }

    /// The tar archive in a Debian package, which is mostly compressed with xz.
    static func packageTar(_ source: any ByteSource, name: String) throws -> ArchiveReader {
        try ArchiveReader(source, name: name, format: .tar, withXZ: true)
    }

    /// The data of the current entry as a source for a reader of its own.
    func data() -> any ByteSource { Decompressed(self, isEmpty: false) }

    private init(_ source: any ByteSource, name: String, format: Format, withXZ: Bool = false) throws {
        guard let archive = archive_read_new() else { throw ImageError(name, "no memory for reading") }
        self.archive = archive
        self.name = name
        feed = Feed(source)
        archive_read_support_filter_gzip(archive)
        archive_read_support_filter_zstd(archive)
        if withXZ { archive_read_support_filter_xz(archive) }
        switch format {
        case .ar: archive_read_support_format_ar(archive)
        case .tar: archive_read_support_format_tar(archive)
        case .raw: archive_read_support_format_raw(archive)
        }
        let code = archive_read_open(
            archive, Unmanaged.passUnretained(feed).toOpaque(), nil,
            { _, context, buffer in
                guard let context, let buffer else { return -1 }
                let feed = Unmanaged<Feed>.fromOpaque(context).takeUnretainedValue()
                do {
                    let bytes = try feed.source.next()
                    buffer.pointee = bytes.baseAddress
                    return bytes.count
                } catch {
                    feed.failure = error
                    return -1
                }
            }, nil)
        guard code == ARCHIVE_OK else { throw failure() }
    }

    deinit { archive_read_free(archive) }

    private func failure() -> any Error {
        if let failure = feed.failure { return failure }
        let text = archive_error_string(archive).map { String(cString: $0) } ?? "unreadable archive"
        return ImageError(name, text)
    }

    /// The next header; nil at the end of the archive.
    func next() throws -> ArchiveEntry? {
        var entry: OpaquePointer?
        let code = archive_read_next_header(archive, &entry)
        if code == ARCHIVE_EOF { return nil }
        // A warning is about a name that is not in the current locale's encoding: we take its bytes as they are.
        guard code == ARCHIVE_OK || code == ARCHIVE_WARN, let entry else { throw failure() }
        return try Self.header(entry, archive: name)
    }

    /// The data of the current entry, in pieces; places that no piece covers are zeros.
    func readData(_ body: (UnsafeRawBufferPointer, Int64) throws -> Void) throws {
        while true {
            var start: UnsafeRawPointer?
            var size = 0
            var offset: la_int64_t = 0
            let code = archive_read_data_block(archive, &start, &size, &offset)
            if code == ARCHIVE_EOF { return }
            guard code == ARCHIVE_OK || code == ARCHIVE_WARN else { throw failure() }
            try body(UnsafeRawBufferPointer(start: start, count: size), offset)
        }
    }

    private static func header(_ entry: OpaquePointer, archive: String) throws -> ArchiveEntry {
        guard let path = archive_entry_pathname(entry) else { throw ImageError(archive, "an entry has no usable name") }
        var result = ArchiveEntry(path: String(cString: path), kind: .other)
        let type = archive_entry_filetype(entry)
        if let target = archive_entry_hardlink(entry) {
            result.kind = .hardLink
            result.target = String(cString: target)
        } else {
            switch type {
            case S_IFREG: result.kind = .file
            case S_IFDIR: result.kind = .directory
            case S_IFLNK:
                result.kind = .symbolicLink
                result.target = archive_entry_symlink(entry).map { String(cString: $0) } ?? ""
            case S_IFCHR: result.kind = .characterDevice
            case S_IFBLK: result.kind = .blockDevice
            case S_IFIFO: result.kind = .fifo
            default: result.kind = .other
            }
        }
        result.size = archive_entry_size(entry)
        result.mode = archive_entry_perm(entry)
        result.owner = uid_t(truncatingIfNeeded: archive_entry_uid(entry))
        result.group = gid_t(truncatingIfNeeded: archive_entry_gid(entry))
        result.modified = timespec(tv_sec: archive_entry_mtime(entry), tv_nsec: archive_entry_mtime_nsec(entry))
        result.device = (
            UInt32(truncatingIfNeeded: archive_entry_rdevmajor(entry)),
            UInt32(truncatingIfNeeded: archive_entry_rdevminor(entry))
        )
        archive_entry_xattr_reset(entry)
        var attribute: UnsafePointer<CChar>?
        var value: UnsafeRawPointer?
        var size = 0
        while archive_entry_xattr_next(entry, &attribute, &value, &size) == ARCHIVE_OK, let attribute {
            let bytes = Array(UnsafeRawBufferPointer(start: value, count: size))
            result.attributes.append((String(cString: attribute), bytes))
        }
        return result
    }
}

extension ArchiveReader {
    /// The plain bytes of a file that may be compressed.
    static func decompressed(_ source: any ByteSource, name: String) throws -> any ByteSource {
        let reader = try ArchiveReader(source, name: name, format: .raw)
        return Decompressed(reader, isEmpty: try reader.next() == nil)
    }

    private final class Decompressed: ByteSource {
        private let reader: ArchiveReader
        private var isAtEnd: Bool

        init(_ reader: ArchiveReader, isEmpty: Bool) {
            self.reader = reader
            isAtEnd = isEmpty
        }

        func next() throws -> UnsafeRawBufferPointer {
            while !isAtEnd {
                var start: UnsafeRawPointer?
                var size = 0
                var offset: la_int64_t = 0
                let code = archive_read_data_block(reader.archive, &start, &size, &offset)
                if code == ARCHIVE_EOF { break }
                guard code == ARCHIVE_OK || code == ARCHIVE_WARN else { throw reader.failure() }
                if size > 0 { return UnsafeRawBufferPointer(start: start, count: size) }
            }
            isAtEnd = true
            return UnsafeRawBufferPointer(start: nil, count: 0)
        }
    }
}
