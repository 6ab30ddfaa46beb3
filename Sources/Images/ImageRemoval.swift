import Basics
import Glibc
import Linux

/// An image with what it costs.
public struct ImageUsage: Sendable {
    public var image: Image
    /// Bytes on disk of its layers, unpacked and as they came; shared ones count for each image.
    public var bytes: Int64
    /// Of pods that run from it now: `owner/user`.
    public var users: [String]
    public var lastUsed: Timestamp
}

/// Room on the store's file system.
public struct StoreSpace: Sendable, Equatable {
    public var capacity: Int64
    public var available: Int64

    public init(capacity: Int64, available: Int64) {
        self.capacity = capacity
        self.available = available
    }
}

/// What came of a prune.
public struct PruneOutcome: Sendable {
    /// The names of removed images, or their digests.
    public var removed: [String] = []
    public var freed: Int64 = 0

    public init() {}
}

extension ImageStore {
    public var space: StoreSpace? {
        var status = statvfs()
        guard statvfs(layout.root, &status) == 0 else { return nil }
        let block = Int64(status.f_frsize)
        return StoreSpace(capacity: Int64(status.f_blocks) * block, available: Int64(status.f_bavail) * block)
    }

    /// Takes the name away; with an image's last name, or by its ID, the image goes, and what only it needed.
    /// An image that a pod runs from is not removed.
    public func remove(_ reference: String) throws {
        try removing { index in
            guard let entry = try find(reference, in: index) else { throw Self.absent(reference) }
            guard let place = index.entries.firstIndex(where: { $0.digest == entry.digest }) else { return }
            if Digest(reference) == nil, Digest(hex: reference) == nil {
                let name = try Reference(reference)
                if let digest = name.digest {
                    index.entries[place].repoDigests.removeAll { $0 == "\(name.repository)@\(digest)" }
                    index.entries[place].names.removeAll { (try? Reference($0).repository) == name.repository }
                } else {
                    index.entries[place].names.removeAll { $0 == name.description }
                }
            } else {
                index.entries[place].names = []
            }
            guard index.entries[place].names.isEmpty else { return }
            let users = try allUses().filter { $0.digest == entry.digest }
            guard users.isEmpty else {
                let some = users.prefix(3).map { "\($0.owner)/\($0.user)" }.joined(separator: ", ")
                throw ImageError(reference, "is in use by \(users.count) pods: \(some)")
            }
            index.entries.remove(at: place)
        }
    }

    /// What each image costs and who uses it, the longest unused first.
    public func usage() throws -> [ImageUsage] {
        let uses = Dictionary(grouping: try allUses(), by: \.digest)
        let all = try ImageIndex.read(layout).entries.map { entry in
            ImageUsage(
                image: try image(entry), bytes: try diskUse(of: entry.digest),
                users: (uses[entry.digest] ?? []).map { "\($0.owner)/\($0.user)" }.sorted(),
                lastUsed: lastUse(entry.digest))
        }
        return all.sorted { ($0.lastUsed, $0.image.digest) < ($1.lastUsed, $1.image.digest) }
    }

    /// Removes images that nobody uses: those without a name, or with `all` the named ones as well. Those that were made
    /// of this program stay while they have a name, since no registry has them.
    public func prune(all: Bool, unusedSince limit: Timestamp? = nil) throws -> PruneOutcome {
        let before = space?.available ?? 0
        var outcome = PruneOutcome()
        try removing { index in
            let used = Set(try allUses().map(\.digest))
            index.entries.removeAll { entry in
                guard !used.contains(entry.digest), entry.names.isEmpty || (all && entry.origin == nil) else {
                    return false
                }
                if let limit, lastUse(entry.digest) > limit { return false }
                outcome.removed.append(entry.names.first ?? entry.digest.description)
                return true
            }
        }
        outcome.freed = max(0, (space?.available ?? 0) - before)
        return outcome
    }

    /// Removes the longest unused images until `wanted` bytes are free that were not, sparing those used after `limit`
    /// and those made of this program.
    public func collect(_ wanted: Int64, unusedSince limit: Timestamp) throws -> PruneOutcome {
        let before = space?.available ?? 0
        var outcome = PruneOutcome()
        let own = Set(
            try ImageIndex.read(layout).entries.filter { $0.origin != nil && !$0.names.isEmpty }.map(\.digest))
        for usage in try usage() where outcome.freed < wanted {
            guard usage.users.isEmpty, usage.lastUsed <= limit, let digest = Digest(usage.image.digest),
                !own.contains(digest)
            else { continue }
            try removing { index in
                // Somebody may have begun to use it since we looked.
                guard try !allUses().contains(where: { $0.digest == digest }) else { return }
                index.entries.removeAll { $0.digest == digest }
                outcome.removed.append(usage.image.names.first ?? usage.image.digest)
            }
            outcome.freed = max(0, (space?.available ?? 0) - before)
        }
        return outcome
    }

    /// Removes what former versions of this program were made into, where no pod runs from it. Whoever uses the store
    /// at the moment is not waited for: the next version comes by here too.
    func removeFormerPrograms() throws {
        try removing(waiting: false) { index in
            let used = Set(try allUses().map(\.digest))
            index.entries.removeAll { $0.origin != nil && $0.names.isEmpty && !used.contains($0.digest) }
        }
    }

    /// Changes the index and takes away what no image needs then. The lock is held only until that is out of the way:
    /// deleting many files takes long, and nobody shall wait for it.
    private func removing(waiting: Bool = true, _ body: (inout ImageIndex) throws -> Void) throws {
        let garbage: Workspace
        do {
            let path = layout.contentLock
            guard let lock = try waiting ? StoreLock(path, .exclusive) : StoreLock(exclusiveNow: path) else { return }
            defer { withExtendedLifetime(lock) {} }
            garbage = try Workspace(in: layout)
            try ImageIndex.change(layout, body)
            try collectGarbage(into: garbage.path)
        }
        withExtendedLifetime(garbage) {}
    }

    /// The content lock is held alone.
    private func collectGarbage(into place: String) throws {
        var blobs: Set<String> = []
        var layers: Set<String> = []
        var images: Set<String> = []
        for entry in try ImageIndex.read(layout).entries {
            let manifest = try manifest(entry.digest)
            let configuration = try ImageConfiguration(
                try content.document(manifest.config.digest, for: "\(entry.digest)"), in: "\(entry.digest)")
            images.insert(entry.digest.hex)
            blobs.formUnion([entry.digest.hex, manifest.config.digest.hex])
            blobs.formUnion(manifest.layers.map(\.digest.hex))
            layers.formUnion(configuration.diffIDs.map(\.hex))
        }
        // What was pushed to the registry stays until it is deleted there.
        if Files.exists(layout.repositories) {
            blobs.formUnion(try RegistryIndex.read(layout).reachable(in: content).map(\.hex))
        }
        if Files.exists(layout.pending) { blobs.formUnion(try PendingBlobs.current(layout).map(\.hex)) }
        for (directory, kept, kind) in [
            (layout.blobs, blobs, "blob"), (layout.layers, layers, "layer"), (layout.stamps, images, "stamp"),
        ] {
            for name in try Files.list(directory) where !kept.contains(name) {
                let path = "\(directory)/\(name)"
                guard rename(path, "\(place)/\(kind).\(name)") == 0 else {
                    throw SystemError("rename", path, errno: errno)
                }
            }
        }
        try removeForgottenPartials()
    }

    /// Interrupted downloads that nobody goes on with at the moment; a pull that wants one begins anew.
    private func removeForgottenPartials() throws {
        for name in try Files.list(layout.partials) {
            guard let digest = Digest(hex: name) else { continue }
            try PartialBlob(digest, in: layout)?.discard()
        }
    }

    /// Blocks on disk below the image's layers and of its blobs.
    private func diskUse(of digest: Digest) throws -> Int64 {
        let manifest = try manifest(digest)
        let configuration = try ImageConfiguration(
            try content.document(manifest.config.digest, for: "\(digest)"), in: "\(digest)")
        let blobs = manifest.layers.map { Self.blocks(layout.blob($0.digest)) }
        return try configuration.diffIDs.reduce(blobs.reduce(0, +)) { try $0 + Self.blocksBelow(layout.layer($1)) }
    }

    private static func blocks(_ path: String) -> Int64 {
        var status = stat()
        return lstat(path, &status) == 0 ? Int64(status.st_blocks) * 512 : 0
    }

    private static func blocksBelow(_ path: String) throws -> Int64 {
        var status = stat()
        guard lstat(path, &status) == 0 else { return 0 }
        // A file with several names is counted in parts.
        guard status.st_mode & S_IFMT == S_IFDIR else {
            return Int64(status.st_blocks) * 512 / Int64(max(1, status.st_nlink))
        }
        return try Files.list(path).reduce(Int64(status.st_blocks) * 512) { try $0 + blocksBelow("\(path)/\($1)") }
    }
}
