import Document
import Linux

/// `images.json`: which manifests are images, what they are called, and notes about where they came from.
struct ImageIndex: Sendable {
    struct Entry: Sendable {
        var digest: Digest
        /// Full references, sorted.
        var names: [String]
        /// What made it, where it was not loaded from an archive; tells whether it has to be made again.
        var origin: String?
        /// Where registries have it: `repository@digest`, sorted. The digest may be that of an index that names it.
        var repoDigests: [String] = []
    }

    var entries: [Entry] = []

    static func read(_ layout: StoreLayout) throws -> ImageIndex {
        guard Files.exists(layout.index) else { return ImageIndex() }
        let document: Document
        do {
            document = try Document(json: Files.read(layout.index))
        } catch let error as DocumentError {
            throw ImageError(layout.index, "damaged: \(error)")
        }
        var index = ImageIndex()
        for entry in document.list("images") {
            guard let digest = entry.text("digest").flatMap({ Digest($0) }) else {
                throw ImageError(layout.index, "damaged: an entry without a digest")
            }
            index.entries.append(
                Entry(
                    digest: digest, names: entry.list("names").compactMap(\.string), origin: entry.text("origin"),
                    repoDigests: entry.list("repoDigests").compactMap(\.string)))
        }
        return index
    }

    /// Reads, changes and writes under the lock, so that processes at the same time lose nothing of each other.
    @discardableResult
    static func change<T>(_ layout: StoreLayout, _ body: (inout ImageIndex) throws -> T) throws -> T {
        let lock = try StoreLock(layout.indexLock, .exclusive)
        defer { withExtendedLifetime(lock) {} }
        var index = try read(layout)
        let result = try body(&index)
        try layout.replace(layout.index, with: index.document.json)
        return result
    }

    private var document: Document {
        let images = entries.map { entry -> Document in
            var image: Document = ["digest": Document(entry.digest.description), "names": Document(entry.names)]
            if let origin = entry.origin { image["origin"] = Document(origin) }
            if !entry.repoDigests.isEmpty { image["repoDigests"] = Document(entry.repoDigests) }
            return image
        }
        return ["images": Document(images)]
    }

    /// Gives the names to this image and takes them from others, as a tag does that moves on.
    mutating func add(_ digest: Digest, names: [String], origin: String? = nil, repoDigests: [String] = []) {
        for place in entries.indices { entries[place].names.removeAll { names.contains($0) } }
        let place: Int
        if let existing = entries.firstIndex(where: { $0.digest == digest }) {
            place = existing
        } else {
            place = entries.count
            entries.append(Entry(digest: digest, names: []))
        }
        entries[place].names = Set(entries[place].names + names).sorted()
        if let origin { entries[place].origin = origin }
        if !repoDigests.isEmpty {
            entries[place].repoDigests = Set(entries[place].repoDigests + repoDigests).sorted()
        }
    }

    func entry(named name: String) -> Entry? { entries.first { $0.names.contains(name) } }
}
