import Glibc
import Linux

/// Writes one layer: packages, directories, files. Directories are written once, and parents before what is in them.
struct LayerBuilder {
    /// Of every Debian root file system since the merge: packages still name the old places.
    private static let merged = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"]
    /// What nobody reads in a container; licences stay.
    private static let leftOut = ["usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian"]

    private let writer: ArchiveWriter
    private var directories: Set<String> = []
    /// Directories as this layer and those below have them: one that is named again only as a parent keeps its mode.
    private(set) var known: [String: ArchiveEntry] = [:]
    /// Paths below `/bin` and its kin go to `/usr`.
    var isMerged = false

    init(_ path: String, over known: [String: ArchiveEntry] = [:]) throws {
        writer = try ArchiveWriter(path)
        self.known = known
    }

    func finish() throws { try writer.finish() }

    // MARK: Packages

    /// The skeleton that packages expect beneath them.
    mutating func addBase() throws {
        isMerged = true
        for name in Self.merged.prefix(3) + ["lib64"] {
            try directory("usr/\(name)")
            try writer.add(ArchiveEntry(path: name, kind: .symbolicLink, target: "usr/\(name)", mode: 0o777))
        }
        for name in ["dev", "etc", "home", "proc", "run", "sys", "var", "var/cache", "var/lib", "var/log"] {
            try directory(name)
        }
        for name in ["tmp", "var/tmp"] { try directory(name, mode: 0o1777) }
        try directory("root", mode: 0o700)
        try text("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
        try writer.add(ArchiveEntry(path: "var/run", kind: .symbolicLink, target: "/run", mode: 0o777))
    }

    mutating func add(package path: String) throws {
        let name = String(path.split(separator: "/").last ?? "")
        let outer = try ArchiveReader.ar(try FileSource(path), name: name)
        while let member = try outer.next() {
            guard member.path.hasPrefix("data.tar") else { continue }
            let reader = try ArchiveReader.packageTar(outer.data(), name: name)
            while let entry = try reader.next() { try add(entry, of: reader, in: name) }
            return
        }
        throw ImageError(name, "is no Debian package: it has no data.tar")
    }

    private mutating func add(_ entry: ArchiveEntry, of reader: ArchiveReader, in package: String) throws {
        guard let parts = LayerDirectory.components(entry.path) else {
            throw ImageError(package, "the entry \"\(entry.path)\" would leave the image")
        }
        let path = place(parts)
        if path.isEmpty || Self.isLeftOut(path) { return }
        var entry = entry
        entry.path = path
        switch entry.kind {
        case .directory: try directory(path, entry)
        case .hardLink:
            guard let target = LayerDirectory.components(entry.target) else {
                throw ImageError(package, "the link \"\(path)\" leads out of the image")
            }
            entry.target = place(target)
            try parents(of: path)
            try writer.add(entry)
        case .file:
            try parents(of: path)
            try writer.begin(entry)
            var written: Int64 = 0
            try reader.readData { bytes, offset in
                try writer.zeros(offset - written)
                try writer.write(bytes)
                written = offset + Int64(bytes.count)
            }
            try writer.zeros(entry.size - written)
        default:
            try parents(of: path)
            try writer.add(entry)
        }
    }

    private func place(_ parts: [String]) -> String {
        let path = parts.joined(separator: "/")
        return isMerged && parts.first.map(Self.merged.contains) == true ? "usr/\(path)" : path
    }

    private static func isLeftOut(_ path: String) -> Bool {
        if leftOut.contains(where: { path == $0 || path.hasPrefix("\($0)/") }) { return true }
        guard path.hasPrefix("usr/share/doc/") else { return false }
        // usr/share/doc/PACKAGE and its copyright.
        let depth = path.split(separator: "/").count
        return depth > 5 || depth == 5 && !path.hasSuffix("/copyright")
    }

    // MARK: Files

    private mutating func directory(
        _ path: String, _ entry: ArchiveEntry = ArchiveEntry(path: "", kind: .directory, mode: 0o755)
    ) throws {
        try parents(of: path)
        guard directories.insert(path).inserted else { return }
        var entry = entry
        entry.path = "\(path)/"
        known[path] = entry
        try writer.add(entry)
    }

    mutating func directory(_ path: String, mode: mode_t, owner: uid_t = 0, group: gid_t = 0) throws {
        // Given again it is meant: with its own mode and owner.
        directories.remove(path)
        try directory(
            path, ArchiveEntry(path: path, kind: .directory, mode: mode, owner: owner, group: group))
    }

    private mutating func parents(of path: String) throws {
        guard let slash = path.lastIndex(of: "/") else { return }
        let parent = String(path[..<slash])
        if directories.contains(parent) { return }
        try directory(parent, known[parent] ?? ArchiveEntry(path: parent, kind: .directory, mode: 0o755))
    }

    mutating func text(_ path: String, _ text: String) throws {
        try parents(of: path)
        try writer.add(ArchiveEntry(path: path, kind: .file, mode: 0o644), Array(text.utf8))
    }

    mutating func add(_ file: ImageDefinition.File, relativeTo folder: String) throws {
        let path = place(LayerDirectory.components(file.path) ?? [])
        func entry(_ path: String, _ kind: ArchiveEntry.Kind, _ target: String = "", mode: mode_t) -> ArchiveEntry {
            ArchiveEntry(
                path: path, kind: kind, target: target, mode: file.mode ?? mode, owner: file.owner, group: file.group)
        }
        switch file.content {
        case .directory: try directory(path, mode: file.mode ?? 0o755, owner: file.owner, group: file.group)
        case .text(let text):
            try parents(of: path)
            try writer.add(entry(path, .file, mode: 0o644), Array(text.utf8))
        case .link(let target):
            try parents(of: path)
            try writer.add(entry(path, .symbolicLink, target, mode: 0o777))
        case .links(let target, let names):
            for name in names.sorted() {
                try parents(of: "\(path)/\(name)")
                try writer.add(entry("\(path)/\(name)", .symbolicLink, target, mode: 0o777))
            }
        case .source(let source):
            try copy(source.hasPrefix("/") ? source : "\(folder)/\(source)", to: path, file)
        }
    }

    /// A file, or a directory with all that is in it. Times are left out: the same content makes the same layer.
    private mutating func copy(_ source: String, to path: String, _ file: ImageDefinition.File) throws {
        var status = stat()
        guard lstat(source, &status) == 0 else { throw SystemError("stat", source, errno: errno) }
        let mode = status.st_mode & 0o7777
        var entry = ArchiveEntry(path: path, kind: .file, mode: mode, owner: file.owner, group: file.group)
        switch status.st_mode & S_IFMT {
        case S_IFDIR:
            if !path.isEmpty { try directory(path, mode: mode, owner: file.owner, group: file.group) }
            for name in try Files.list(source) {
                try copy("\(source)/\(name)", to: path.isEmpty ? name : "\(path)/\(name)", file)
            }
        case S_IFREG:
            try parents(of: path)
            if let mode = file.mode { entry.mode = mode }
            try writer.add(entry, contentOf: source)
        case S_IFLNK:
            try parents(of: path)
            entry.kind = .symbolicLink
            entry.target = try Self.target(of: source)
            try writer.add(entry)
        default: throw ImageError(source, "is neither a file nor a directory nor a link")
        }
    }

    private static func target(of link: String) throws -> String {
        var buffer = [CChar](repeating: 0, count: LayerDirectory.longestPath)
        let count = readlink(link, &buffer, buffer.count)
        guard count >= 0 else { throw SystemError("readlink", link, errno: errno) }
        return String(decoding: buffer.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
