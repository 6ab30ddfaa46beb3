import Document
import Glibc
import Linux
import Synchronization

/// The images of one machine, below one directory. Calls block. Several processes may use the same directory at the
/// same time: locks order them, and what is not finished is nobody's.
public final class ImageStore: Sendable {
    let layout: StoreLayout
    let content: ContentStore
    /// What the last list has read.
    private let read = Mutex<[Digest: Image]>([:])

    public init(root: String) throws {
        layout = StoreLayout(root: root)
        content = ContentStore(layout: layout)
        for directory in [
            layout.blobs, layout.layers, layout.temporary, layout.partials, layout.uses, layout.stamps,
        ] { try Files.makeDirectories(directory) }
        // Nobody adds anything while we hold the lock alone, so what lies there unlocked is of processes that died.
        if let lock = try StoreLock(exclusiveNow: layout.contentLock) {
            defer { withExtendedLifetime(lock) {} }
            try Workspace.sweep(layout)
        }
    }

    /// The full name that Docker understands `reference` as: `nginx` is `docker.io/library/nginx:latest`.
    public static func normalize(_ reference: String) throws -> String { try Reference(reference).description }

    // MARK: Adding

    /// Loads every image of an OCI or docker archive that fits this machine, and gives them the names they have there.
    public func load(archive path: String, progress: (@Sendable (String) -> Void)? = nil) throws -> [Image] {
        let lock = try StoreLock(layout.contentLock, .shared)
        defer { withExtendedLifetime(lock) {} }
        let loaded = try ArchiveLoader.load(path, into: content, progress: progress)
        try ImageIndex.change(layout) { index in
            for image in loaded { index.add(image.manifest, names: image.names) }
        }
        let index = try ImageIndex.read(layout)
        return try loaded.map { image in
            try self.image(
                index.entries.first { $0.digest == image.manifest } ?? .init(digest: image.manifest, names: []))
        }
    }

    /// Gives an image another name; the name leaves the image that had it.
    public func tag(_ reference: String, as name: String) throws {
        let name = try Reference(name).description
        let lock = try StoreLock(layout.contentLock, .shared)
        defer { withExtendedLifetime(lock) {} }
        try ImageIndex.change(layout) { index in
            guard let entry = try find(reference, in: index) else { throw Self.absent(reference) }
            index.add(entry.digest, names: [name])
        }
    }

    // MARK: Reading

    /// Every image, in the index's order. What a digest names cannot change, so each image is read once; a node lists them
    /// with every heartbeat.
    public func list() throws -> [Image] {
        let entries = try ImageIndex.read(layout).entries
        let before = read.withLock { $0 }
        let images = try entries.map { entry in
            guard var image = before[entry.digest] else { return try self.image(entry) }
            image.names = entry.names
            image.repoDigests = entry.repoDigests
            return image
        }
        let now = Dictionary(zip(entries.map(\.digest), images)) { first, _ in first }
        read.withLock { $0 = now }
        return images
    }

    /// The image that a name, a name with digest, or an image ID means; nil where the store has none.
    public func resolve(_ reference: String) throws -> Image? {
        try find(reference, in: try ImageIndex.read(layout)).map { try image($0) }
    }

    static func absent(_ reference: String) -> ImageError { ImageError(reference, "no such image") }

    func find(_ text: String, in index: ImageIndex) throws -> ImageIndex.Entry? {
        if let digest = Digest(text) ?? Digest(hex: text) {
            return try index.entries.first { try $0.digest == digest || manifest($0.digest).config.digest == digest }
        }
        let reference = try Reference(text)
        guard let digest = reference.digest else { return index.entry(named: reference.description) }
        // With a digest the tag says nothing more; the name must be one of the image's. The digest may be that of an
        // index through which the image was pulled.
        let known = "\(reference.repository)@\(digest)"
        return index.entries.first { entry in
            entry.repoDigests.contains(known)
                || entry.digest == digest
                    && entry.names.contains { (try? Reference($0).repository) == reference.repository }
        }
    }

    func manifest(_ digest: Digest) throws -> Manifest {
        try Manifest(content.document(digest, for: "image \(digest)"), in: "image \(digest)")
    }

    func image(_ entry: ImageIndex.Entry) throws -> Image {
        let manifest = try manifest(entry.digest)
        let object = entry.names.first ?? entry.digest.description
        let configuration = try ImageConfiguration(
            try content.document(manifest.config.digest, for: object), in: object)
        return Image(
            id: manifest.config.digest.description, digest: entry.digest.description, names: entry.names,
            size: manifest.layers.reduce(0) { $0 + $1.size },
            layerDirectories: configuration.diffIDs.reversed().map { layout.layer($0) }, config: configuration.config,
            repoDigests: entry.repoDigests)
    }
}
