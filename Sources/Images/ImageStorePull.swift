import Document
import Glibc
import Linux

/// What a pull does to the store.
extension ImageStore {
    /// Content that a pull counted on was removed before the image had its name.
    struct Vanished: Error {}

    /// Moves a finished download to its place.
    func adopt(_ path: String, as digest: Digest) throws {
        let lock = try StoreLock(layout.contentLock, .shared)
        defer { withExtendedLifetime(lock) {} }
        try content.adopt(path, as: digest)
    }

    /// A manifest, whose bytes the caller has digested.
    func add(_ bytes: [UInt8], as digest: Digest) throws {
        let lock = try StoreLock(layout.contentLock, .shared)
        defer { withExtendedLifetime(lock) {} }
        guard try content.add(bytes) == digest else {
            throw ImageError("\(digest)", "the manifest has another digest")
        }
    }

    /// Makes the layer's directory of its blob. The lock is not held meanwhile: that takes long, and a directory is
    /// nobody's until it has its name.
    func unpack(_ blob: Digest, diffID: Digest, for object: String) throws {
        let workspace: Workspace
        do {
            let lock = try StoreLock(layout.contentLock, .shared)
            defer { withExtendedLifetime(lock) {} }
            if content.hasLayer(diffID) { return }
            workspace = try Workspace(in: layout)
        }
        defer { withExtendedLifetime(workspace) {} }
        // Several nodes may pull one image at the same moment; the layer is unpacked once, and the others wait.
        let turn = try StoreLock(existing: layout.blob(blob), .exclusive)
        defer { withExtendedLifetime(turn) {} }
        if content.hasLayer(diffID) { return }
        try content.unpack(layout.blob(blob), diffID: diffID, in: workspace, for: object)
    }

    /// Names an image whose parts are all there; throws `Vanished` where one is not any more.
    func commit(manifest digest: Digest, names: [String], repoDigests: some Sequence<String>) throws -> Image {
        let lock = try StoreLock(layout.contentLock, .shared)
        defer { withExtendedLifetime(lock) {} }
        guard content.has(digest) else { throw Vanished() }
        let manifest = try manifest(digest)
        guard content.has(manifest.config.digest), manifest.layers.allSatisfy({ content.has($0.digest) }) else {
            throw Vanished()
        }
        let configuration = try ImageConfiguration(
            try content.document(manifest.config.digest, for: "\(digest)"), in: "\(digest)")
        guard configuration.diffIDs.allSatisfy({ content.hasLayer($0) }) else { throw Vanished() }
        try touch(digest)
        let known = try ImageIndex.read(layout).entries.first { $0.digest == digest }
        if let known, names.allSatisfy(known.names.contains), repoDigests.allSatisfy(known.repoDigests.contains) {
            return try image(known)
        }
        let entry = try ImageIndex.change(layout) { index in
            index.add(digest, names: names, repoDigests: Array(repoDigests))
            return index.entries.first { $0.digest == digest }
        }
        return try image(entry ?? ImageIndex.Entry(digest: digest, names: names))
    }

    /// Remembers where a registry has the image now.
    func note(_ repoDigest: String, of digest: Digest) throws {
        let lock = try StoreLock(layout.contentLock, .shared)
        defer { withExtendedLifetime(lock) {} }
        try ImageIndex.change(layout) { index in
            guard index.entries.contains(where: { $0.digest == digest }) else { return }
            index.add(digest, names: [], repoDigests: [repoDigest])
        }
    }
}
