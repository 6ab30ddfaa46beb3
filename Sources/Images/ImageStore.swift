import Document
import Glibc
import Linux

/// The images of one machine, below one directory. Calls block. Several processes may use the same directory at the
/// same time: locks order them, and what is not finished is nobody's.
public final class ImageStore: Sendable {
    let layout: StoreLayout
    let content: ContentStore

    public init(root: String) throws {
        layout = StoreLayout(root: root)
        content = ContentStore(layout: layout)
        for directory in [layout.blobs, layout.layers, layout.temporary] { try Files.makeDirectories(directory) }
        // Nobody adds anything while we hold the lock alone, so what lies there is of processes that died.
        if let lock = try StoreLock(exclusiveNow: layout.contentLock) {
            defer { withExtendedLifetime(lock) {} }
            for name in try Files.list(layout.temporary) { try Files.removeTree("\(layout.temporary)/\(name)") }
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

    public func list() throws -> [Image] { try ImageIndex.read(layout).entries.map { try image($0) } }

    /// The image that a name, a name with digest, or an image ID means; nil where the store has none.
    public func resolve(_ reference: String) throws -> Image? {
        try find(reference, in: try ImageIndex.read(layout)).map { try image($0) }
    }

    private static func absent(_ reference: String) -> ImageError { ImageError(reference, "no such image") }

    private func find(_ text: String, in index: ImageIndex) throws -> ImageIndex.Entry? {
        if let digest = Digest(text) ?? Digest(hex: text) {
            return try index.entries.first { try $0.digest == digest || manifest($0.digest).config.digest == digest }
        }
        let reference = try Reference(text)
        guard let digest = reference.digest else { return index.entry(named: reference.description) }
        // With a digest the tag says nothing more; the name must be one of the image's.
        return index.entries.first { entry in
            entry.digest == digest
                && entry.names.contains { (try? Reference($0).repository) == reference.repository }
        }
    }

    private func manifest(_ digest: Digest) throws -> Manifest {
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
            layerDirectories: configuration.diffIDs.reversed().map { layout.layer($0) }, config: configuration.config)
    }

    // MARK: Removing

    /// Takes the name away; with an image's last name, or by its ID, the image goes, and what only it needed.
    /// Whoever removes must know that no container runs from it.
    public func remove(_ reference: String) throws {
        let lock = try StoreLock(layout.contentLock, .exclusive)
        defer { withExtendedLifetime(lock) {} }
        try ImageIndex.change(layout) { index in
            guard let entry = try find(reference, in: index) else { throw Self.absent(reference) }
            guard let place = index.entries.firstIndex(where: { $0.digest == entry.digest }) else { return }
            if Digest(reference) == nil, Digest(hex: reference) == nil {
                let name = try Reference(reference)
                index.entries[place].names.removeAll { $0 == name.description || name.digest != nil }
            } else {
                index.entries[place].names = []
            }
            if index.entries[place].names.isEmpty { index.entries.remove(at: place) }
        }
        try collectGarbage()
    }

    /// Removes blobs and layers that no image names. The content lock is held alone.
    private func collectGarbage() throws {
        var blobs: Set<String> = []
        var layers: Set<String> = []
        for entry in try ImageIndex.read(layout).entries {
            let manifest = try manifest(entry.digest)
            let configuration = try ImageConfiguration(
                try content.document(manifest.config.digest, for: "\(entry.digest)"), in: "\(entry.digest)")
            blobs.formUnion([entry.digest.hex, manifest.config.digest.hex])
            blobs.formUnion(manifest.layers.map(\.digest.hex))
            layers.formUnion(configuration.diffIDs.map(\.hex))
        }
        for name in try Files.list(layout.blobs) where !blobs.contains(name) {
            try Files.removeTree("\(layout.blobs)/\(name)")
        }
        for name in try Files.list(layout.layers) where !layers.contains(name) {
            try Files.removeTree("\(layout.layers)/\(name)")
        }
    }
}
