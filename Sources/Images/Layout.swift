import Glibc
import Linux

/// Where things lie below a store's root.
struct StoreLayout: Sendable {
    let root: String

    /// Bytes by their digest: configurations, manifests, layers as they came.
    var blobs: String { "\(root)/blobs/sha256" }
    /// Unpacked layers by the digest of their plain tar archive.
    var layers: String { "\(root)/layers" }
    /// What is not finished yet.
    var temporary: String { "\(root)/tmp" }
    /// Blobs that are still coming, by their digest; they stay when a pull is interrupted, for the next one.
    var partials: String { "\(root)/partial" }
    /// Which pods run from which image: a directory for each node, an empty file for each pod and image.
    var uses: String { "\(root)/uses" }
    /// Empty files by the digest of an image's manifest; their time is that of its last use.
    var stamps: String { "\(root)/used" }
    /// Blobs that are being pushed to the registry of this store, by their upload.
    var uploads: String { "\(root)/upload" }
    /// Which blobs were pushed and are not part of anything yet.
    var pending: String { "\(root)/pending" }
    /// What was pushed to the registry of this store.
    var repositories: String { "\(root)/repositories.json" }
    /// Which images there are, and what they are called.
    var index: String { "\(root)/images.json" }
    /// Held while `index` is read and written again.
    var indexLock: String { "\(root)/images.lock" }
    /// Held shared by whoever adds blobs and layers, alone by whoever removes unused ones.
    var contentLock: String { "\(root)/content.lock" }

    func blob(_ digest: Digest) -> String { "\(blobs)/\(digest.hex)" }
    func layer(_ diffID: Digest) -> String { "\(layers)/\(diffID.hex)" }

    /// Replaces a file in one step for every reader. It does not wait for the disk: after a crash of the machine an
    /// image may have to be loaded again, which its digests tell.
    func replace(_ path: String, with bytes: [UInt8]) throws {
        var template = Array("\(temporary)/file.XXXXXX".utf8CString)
        let file = mkstemp(&template)
        guard file >= 0 else { throw SystemError("mkstemp", temporary, errno: errno) }
        defer { close(file) }
        let made = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        do {
            try Files.writeAll(bytes, to: file, name: made)
            guard fchmod(file, 0o644) == 0, rename(made, path) == 0 else {
                throw SystemError("rename", path, errno: errno)
            }
        } catch {
            unlink(made)
            throw error
        }
    }
}

/// `flock`, waiting for its turn; given up with the value, and by the kernel when the process dies.
final class StoreLock {
    enum Mode { case shared, exclusive }

    private let descriptor: Int32

    convenience init(_ path: String, _ mode: Mode) throws {
        try self.init(try Self.open(path), path, mode)
    }

    /// On a file that is there for its own sake.
    convenience init(existing path: String, _ mode: Mode) throws {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SystemError("open", path, errno: errno) }
        try self.init(descriptor, path, mode)
    }

    /// An initialiser that fails when `descriptor` has its value runs `deinit`, which closes it.
    private init(_ descriptor: Int32, _ path: String, _ mode: Mode) throws {
        self.descriptor = descriptor
        while flock(descriptor, mode == .shared ? LOCK_SH : LOCK_EX) != 0 {
            guard errno == EINTR else { throw SystemError("lock", path, errno: errno) }
        }
    }

    /// Nil where somebody else holds it.
    init?(exclusiveNow path: String) throws {
        descriptor = try Self.open(path)
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { return nil }
    }

    deinit { close(descriptor) }

    private static func open(_ path: String) throws -> Int32 {
        let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw SystemError("open", path, errno: errno) }
        return descriptor
    }
}

/// A directory that goes away with the value, and with the next process where this one dies: the lock on it tells
/// whether its maker lives. To be made while `contentLock` is held, so that nobody sweeps it before it is locked.
final class Workspace {
    let path: String
    private let descriptor: Int32

    init(in layout: StoreLayout) throws {
        var template = Array("\(layout.temporary)/work.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemError("mkdtemp", layout.temporary, errno: errno) }
        path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        descriptor = Self.lock(path)
    }

    /// The descriptor that holds the lock; -1 where somebody else does.
    private static func lock(_ path: String) -> Int32 {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return -1 }
        if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return descriptor }
        close(descriptor)
        return -1
    }

    /// Best effort: what stays is swept when the store is opened next.
    deinit {
        try? Files.removeTree(path)
        if descriptor >= 0 { close(descriptor) }
    }

    /// Removes what nobody works with. The caller holds `contentLock` alone.
    static func sweep(_ layout: StoreLayout) throws {
        for name in try Files.list(layout.temporary) {
            let path = "\(layout.temporary)/\(name)"
            if name.hasPrefix("work.") {
                let descriptor = lock(path)
                guard descriptor >= 0 else { continue }
                defer { close(descriptor) }
                try Files.removeTree(path)
            } else {
                try Files.removeTree(path)
            }
        }
    }
}
