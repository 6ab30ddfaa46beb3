import Basics
import Glibc
import Linux

/// Who runs from which image. The store is shared by all nodes of all clusters, none of which sees the others'
/// processes; so each node says here what its pods use, and whoever removes looks here first.
///
///     uses/OWNER/USER.DIGEST      an empty file for each image of each pod
///     used/DIGEST                 an empty file with the time of the last use
///
/// A file is made before the pod's container mounts the image, while the content lock is held shared: a removal, which
/// holds it alone, sees it or has happened before.
extension ImageStore {
    /// Keeps the image from being removed until `release`. Throws where it is not in the store any more.
    public func use(_ image: Image, owner: String, user: String) throws {
        guard let digest = Digest(image.digest) else { throw ImageError(image.digest, "is no digest") }
        let path = try usePath(owner, user, digest)
        if Files.exists(path) { return }
        let lock = try StoreLock(layout.contentLock, .shared)
        defer { withExtendedLifetime(lock) {} }
        guard try ImageIndex.read(layout).entries.contains(where: { $0.digest == digest }) else {
            throw Self.absent(image.names.first ?? image.digest)
        }
        try Files.makeDirectories("\(layout.uses)/\(owner)")
        try Self.makeEmpty(path)
        try touch(digest)
    }

    public func release(owner: String, user: String) throws {
        for use in try uses(of: owner) where use.user == user { try end(use) }
    }

    /// Ends what users held that are not in `users`: they went away while their owner was not looking.
    public func retain(owner: String, users: Set<String>) throws {
        for use in try uses(of: owner) where !users.contains(use.user) { try end(use) }
    }

    /// Forgets owners that are gone, such as the nodes of a deleted cluster.
    public func forget(owners gone: (String) -> Bool) throws {
        for owner in try Files.list(layout.uses) where gone(owner) { try Files.removeTree("\(layout.uses)/\(owner)") }
    }

    struct Use {
        var owner: String
        var user: String
        var digest: Digest
    }

    func uses(of owner: String) throws -> [Use] {
        let directory = "\(layout.uses)/\(owner)"
        guard Files.exists(directory) else { return [] }
        return try Files.list(directory).compactMap { name in
            guard let dot = name.lastIndex(of: "."), let digest = Digest(hex: String(name[name.index(after: dot)...]))
            else { return nil }
            return Use(owner: owner, user: String(name[..<dot]), digest: digest)
        }
    }

    func allUses() throws -> [Use] { try Files.list(layout.uses).flatMap { try uses(of: $0) } }

    private func end(_ use: Use) throws {
        try? touch(use.digest)
        let path = try usePath(use.owner, use.user, use.digest)
        guard unlink(path) == 0 || errno == ENOENT else { throw SystemError("unlink", path, errno: errno) }
    }

    private func usePath(_ owner: String, _ user: String, _ digest: Digest) throws -> String {
        for name in [owner, user] where name.isEmpty || name.hasPrefix(".") || name.contains("/") {
            throw ImageError("use of \(digest)", "\"\(name)\" cannot be a file's name")
        }
        return "\(layout.uses)/\(owner)/\(user).\(digest.hex)"
    }

    private static func makeEmpty(_ path: String) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw SystemError("create", path, errno: errno) }
        close(file)
    }

    /// The image is used now.
    func touch(_ digest: Digest) throws {
        let path = "\(layout.stamps)/\(digest.hex)"
        if utimensat(AT_FDCWD, path, nil, 0) == 0 { return }
        try Self.makeEmpty(path)
    }

    /// When the image was used last, or came.
    func lastUse(_ digest: Digest) -> Timestamp {
        var status = stat()
        for path in ["\(layout.stamps)/\(digest.hex)", layout.blob(digest)] where stat(path, &status) == 0 {
            return Timestamp(
                nanoseconds: Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec))
        }
        return Timestamp(nanoseconds: 0)
    }
}
