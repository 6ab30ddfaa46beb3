import CArchive
import Glibc
import Linux

/// Makes a directory of a layer's tar archive, in the form that overlayfs stacks:
/// `.wh.NAME` becomes a character device 0/0, `.wh..wh..opq` the attribute `trusted.overlay.opaque`.
struct LayerUnpacker {
    static let mostEntries = 4_000_000
    private static let whiteoutPrefix = ".wh."
    private static let opaqueMarker = ".wh..wh..opq"

    private let directory: LayerDirectory
    private let name: String
    /// Directories get their times last, when nothing is put into them any more.
    private var directoryTimes: [([String], timespec)] = []
    /// What this layer hides from the layers below: a directory made again at such a place must be opaque.
    private var hidden: Set<[String]> = []

    static func unpack(_ source: any ByteSource, into path: String, name: String) throws {
        let reader = try ArchiveReader.tar(source, name: name)
        var unpacker = LayerUnpacker(directory: try LayerDirectory(path), name: name)
        var count = 0
        while let entry = try reader.next() {
            count += 1
            guard count <= mostEntries else { throw ImageError(name, "more than \(mostEntries) entries") }
            try unpacker.add(entry, reader)
        }
        try unpacker.finish()
    }

    private init(directory: LayerDirectory, name: String) {
        self.directory = directory
        self.name = name
    }

    private mutating func add(_ entry: ArchiveEntry, _ reader: ArchiveReader) throws {
        guard let parts = LayerDirectory.components(entry.path) else {
            throw ImageError(name, "the entry \"\(entry.path)\" would leave the image")
        }
        guard let last = parts.last else { return try setRoot(entry) }
        if last == Self.opaqueMarker { return try makeOpaque(Array(parts.dropLast())) }
        if last.hasPrefix(".wh..wh.") { return }  // aufs's own bookkeeping
        if last.hasPrefix(Self.whiteoutPrefix) {
            let target = String(last.dropFirst(Self.whiteoutPrefix.count))
            guard !target.isEmpty, target != ".", target != ".." else {
                throw ImageError(name, "the entry \"\(entry.path)\" hides nothing")
            }
            return try hide(parts.dropLast() + [target])
        }
        switch entry.kind {
        case .file: try makeFile(entry, parts, reader)
        case .directory: try makeDirectory(entry, parts)
        case .symbolicLink: try makeSymbolicLink(entry, parts)
        case .hardLink: try makeHardLink(entry, parts)
        case .characterDevice, .blockDevice, .fifo: try makeNode(entry, parts)
        case .other: break  // a socket means nothing to a program that starts
        }
    }

    // MARK: What hides lower layers

    private mutating func hide(_ parts: [String]) throws {
        let parent = try directory.parentDescriptor(of: parts)
        guard let last = parts.last else { return }
        hidden.insert(parts)
        var status = stat()
        if fstatat(parent, last, &status, AT_SYMLINK_NOFOLLOW) == 0 {
            // This layer has its own: it stays, and shows nothing from below.
            if status.st_mode & S_IFMT == S_IFDIR { try makeOpaque(parts) }
            return
        }
        guard mknodat(parent, last, S_IFCHR, 0) == 0 else { throw directory.failure("make a whiteout", parts) }
    }

    private func makeOpaque(_ parts: [String]) throws {
        try withDirectory(parts) { descriptor in
            guard fsetxattr(descriptor, "trusted.overlay.opaque", "y", 1, 0) == 0 else {
                throw directory.failure("setxattr trusted.overlay.opaque", parts)
            }
        }
    }

    private func withDirectory(_ parts: [String], making: Bool = true, _ body: (Int32) throws -> Void) throws {
        // A child that is never made names the directory itself as the parent.
        try body(try directory.parentDescriptor(of: parts + [""], making: making))
    }

    // MARK: Entries

    private func makeFile(_ entry: ArchiveEntry, _ parts: [String], _ reader: ArchiveReader) throws {
        try directory.clear(parts, keepDirectory: false)
        let parent = try directory.parentDescriptor(of: parts)
        let file = openat(parent, parts[parts.count - 1], O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw directory.failure("create", parts) }
        defer { close(file) }
        var end: Int64 = 0
        try reader.readData { bytes, offset in
            try write(bytes, to: file, at: offset, parts)
            end = max(end, offset + Int64(bytes.count))
        }
        if end < entry.size, ftruncate(file, off_t(entry.size)) != 0 { throw directory.failure("truncate", parts) }
        try setAttributes(entry, file, parts)
        var times = (entry.modified, entry.modified)
        _ = withUnsafePointer(to: &times) {
            $0.withMemoryRebound(to: timespec.self, capacity: 2) { futimens(file, $0) }
        }
    }

    private func write(_ bytes: UnsafeRawBufferPointer, to file: Int32, at start: Int64, _ parts: [String]) throws {
        var done = 0
        while done < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
            let count = pwrite(file, rest.baseAddress, rest.count, off_t(start) + off_t(done))
            if count < 0 {
                if errno == EINTR { continue }
                throw directory.failure("write", parts)
            }
            done += count
        }
    }

    private mutating func makeDirectory(_ entry: ArchiveEntry, _ parts: [String]) throws {
        try directory.clear(parts, keepDirectory: true)
        let parent = try directory.parentDescriptor(of: parts)
        guard mkdirat(parent, parts[parts.count - 1], 0o755) == 0 || errno == EEXIST else {
            throw directory.failure("mkdir", parts)
        }
        try withDirectory(parts) { try setAttributes(entry, $0, parts) }
        if hidden.contains(parts) { try makeOpaque(parts) }
        directoryTimes.append((parts, entry.modified))
    }

    private mutating func setRoot(_ entry: ArchiveEntry) throws {
        guard entry.kind == .directory else { throw ImageError(name, "the entry \"\(entry.path)\" is no directory") }
        try directory.withRoot { try setAttributes(entry, $0, []) }
        directoryTimes.append(([], entry.modified))
    }

    private func makeSymbolicLink(_ entry: ArchiveEntry, _ parts: [String]) throws {
        try directory.clear(parts, keepDirectory: false)
        let parent = try directory.parentDescriptor(of: parts)
        guard symlinkat(entry.target, parent, parts[parts.count - 1]) == 0 else {
            throw directory.failure("symlink", parts)
        }
        try setOwnerAndTime(entry, parent, parts)
    }

    /// A hard link's target must be in this layer; links in its own path are refused like everywhere.
    private func makeHardLink(_ entry: ArchiveEntry, _ parts: [String]) throws {
        guard let source = LayerDirectory.components(entry.target), let last = source.last else {
            throw ImageError(name, "the link \"\(entry.path)\" leads out of the image, to \"\(entry.target)\"")
        }
        if source == parts { return }
        try directory.clear(parts, keepDirectory: false)
        let from = dup(try directory.parentDescriptor(of: source, making: false))
        guard from >= 0 else { throw directory.failure("dup", source) }
        defer { close(from) }
        let to = try directory.parentDescriptor(of: parts)
        guard linkat(from, last, to, parts[parts.count - 1], 0) == 0 else {
            if errno == ENOENT {
                throw ImageError(
                    name, "the link \"\(entry.path)\" names \"\(entry.target)\", which is not in the layer")
            }
            throw directory.failure("link", parts)
        }
    }

    private func makeNode(_ entry: ArchiveEntry, _ parts: [String]) throws {
        if entry.kind == .characterDevice, entry.device == (0, 0) {
            throw ImageError(name, "the entry \"\(entry.path)\" is a device 0/0, which overlayfs takes for a deletion")
        }
        try directory.clear(parts, keepDirectory: false)
        let parent = try directory.parentDescriptor(of: parts)
        let type: mode_t =
            switch entry.kind {
            case .characterDevice: S_IFCHR
            case .blockDevice: S_IFBLK
            default: S_IFIFO
            }
        let device = entry.kind == .fifo ? 0 : Self.deviceNumber(entry.device.major, entry.device.minor)
        guard mknodat(parent, parts[parts.count - 1], type | entry.mode, device) == 0 else {
            throw directory.failure("mknod", parts)
        }
        try setOwnerAndTime(entry, parent, parts)
        guard fchmodat(parent, parts[parts.count - 1], entry.mode, 0) == 0 else {
            throw directory.failure("chmod", parts)
        }
    }

    /// glibc's `makedev`, a macro that Swift does not see.
    private static func deviceNumber(_ major: UInt32, _ minor: UInt32) -> dev_t {
        let major = UInt64(major)
        let minor = UInt64(minor)
        return dev_t((major & 0xFFFF_F000) << 32 | (major & 0xFFF) << 8 | (minor & 0xFFFF_FF00) << 12 | minor & 0xFF)
    }

    // MARK: Attributes

    /// The owner first: changing it clears the set-user-ID bits and the capabilities.
    private func setAttributes(_ entry: ArchiveEntry, _ file: Int32, _ parts: [String]) throws {
        guard fchown(file, entry.owner, entry.group) == 0 else { throw directory.failure("chown", parts) }
        guard fchmod(file, entry.mode) == 0 else { throw directory.failure("chmod", parts) }
        for (attribute, value) in entry.attributes where Self.mayCarry(attribute) {
            guard fsetxattr(file, attribute, value, value.count, 0) == 0 else {
                throw directory.failure("setxattr \(attribute)", parts)
            }
        }
    }

    /// Labels of another machine's security policy mean nothing here, and overlayfs's own marks are not the
    /// image's to set.
    private static func mayCarry(_ attribute: String) -> Bool {
        attribute == "security.capability" || attribute.hasPrefix("user.") && !attribute.hasPrefix("user.overlay.")
    }

    private func setOwnerAndTime(_ entry: ArchiveEntry, _ parent: Int32, _ parts: [String]) throws {
        let last = parts[parts.count - 1]
        guard fchownat(parent, last, entry.owner, entry.group, AT_SYMLINK_NOFOLLOW) == 0 else {
            throw directory.failure("chown", parts)
        }
        var times = (entry.modified, entry.modified)
        _ = withUnsafePointer(to: &times) {
            $0.withMemoryRebound(to: timespec.self, capacity: 2) { utimensat(parent, last, $0, AT_SYMLINK_NOFOLLOW) }
        }
    }

    private func finish() throws {
        for (parts, time) in directoryTimes.reversed() {
            var times = (time, time)
            // A directory that a later entry replaced is not there any more; its time does not matter.
            try? withDirectory(parts, making: false) { descriptor in
                _ = withUnsafePointer(to: &times) {
                    $0.withMemoryRebound(to: timespec.self, capacity: 2) { futimens(descriptor, $0) }
                }
            }
        }
    }
}
