import Basics
import Document
import Glibc
import Linux

/// `repositories.json`: what was pushed to the registry that serves this store. Manifests and layers lie with those of
/// the images that nodes run, each once.
///
///     {"repositories": {"team/app": {"tags": {"v1": "sha256:…"}, "manifests": {"sha256:…": "MEDIA TYPE"}}}}
struct RegistryIndex: Sendable {
    struct Repository: Sendable, Equatable {
        var tags: [String: Digest] = [:]
        /// With the media type under which each came.
        var manifests: [Digest: String] = [:]
    }

    var repositories: [String: Repository] = [:]

    static func read(_ layout: StoreLayout) throws -> RegistryIndex {
        guard Files.exists(layout.repositories) else { return RegistryIndex() }
        let document: Document
        do { document = try Document(json: Files.read(layout.repositories)) } catch let error as DocumentError {
            throw ImageError(layout.repositories, "damaged: \(error)")
        }
        var index = RegistryIndex()
        for member in document["repositories"]?.members ?? [] {
            var repository = Repository()
            for (tag, digest) in member.value.map("tags") { repository.tags[tag] = Digest(digest) }
            for (text, type) in member.value.map("manifests") {
                if let digest = Digest(text) { repository.manifests[digest] = type }
            }
            index.repositories[member.key] = repository
        }
        return index
    }

    static func change<T>(_ layout: StoreLayout, _ body: (inout RegistryIndex) throws -> T) throws -> T {
        let lock = try StoreLock(layout.indexLock, .exclusive)
        defer { withExtendedLifetime(lock) {} }
        var index = try read(layout)
        let result = try body(&index)
        try layout.replace(layout.repositories, with: index.document.json)
        return result
    }

    private var document: Document {
        let all = repositories.sorted { $0.key < $1.key }.map { name, repository -> (String, Document) in
            let tags = repository.tags.sorted { $0.key < $1.key }.map { ($0.key, Document($0.value.description)) }
            let manifests = repository.manifests.sorted { $0.key.hex < $1.key.hex }.map {
                ($0.key.description, Document($0.value))
            }
            return (name, ["tags": Document(members: tags), "manifests": Document(members: manifests)])
        }
        return ["repositories": Document(members: all)]
    }

    /// What a manifest or an index needs beside itself.
    static func parts(of manifest: Document) -> [Digest] {
        var parts = [manifest.text("config", "digest")].compactMap(\.self)
        // Layers that say where else they are to be had need not be here.
        for layer in manifest.list("layers") where layer.list("urls").isEmpty {
            if let digest = layer.text("digest") { parts.append(digest) }
        }
        for child in manifest.list("manifests") + manifest.list("blobs") {
            if let digest = child.text("digest") { parts.append(digest) }
        }
        return parts.compactMap { Digest($0) }
    }

    /// Every blob that a repository's manifests need, with themselves.
    func reachable(in content: ContentStore) -> Set<Digest> {
        var found: Set<Digest> = []
        var pending = repositories.values.flatMap(\.manifests.keys)
        while let digest = pending.popLast() {
            guard found.insert(digest).inserted else { continue }
            // Layers are no documents, and large.
            var status = stat()
            guard stat(content.layout.blob(digest), &status) == 0, status.st_size <= ContentStore.mostMetadata,
                let document = try? content.document(digest, for: "\(digest)")
            else { continue }
            pending += Self.parts(of: document)
        }
        return found
    }
}

/// Blobs that came before the manifest that will need them: an empty file each, whose time is that of their coming.
/// A client that has pushed a layer counts on it for a while.
enum PendingBlobs {
    static let keptSeconds: Int = 3_600

    static func note(_ digest: Digest, in layout: StoreLayout) throws {
        let path = "\(layout.pending)/\(digest.hex)"
        if utimensat(AT_FDCWD, path, nil, 0) == 0 { return }
        let file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw SystemError("create", path, errno: errno) }
        close(file)
    }

    /// Those that still count; the others are forgotten.
    static func current(_ layout: StoreLayout) throws -> Set<Digest> {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        var current: Set<Digest> = []
        for name in try Files.list(layout.pending) {
            let path = "\(layout.pending)/\(name)"
            var status = stat()
            if stat(path, &status) == 0, now.tv_sec - status.st_mtim.tv_sec < keptSeconds,
                let digest = Digest(hex: name)
            {
                current.insert(digest)
            } else {
                unlink(path)
            }
        }
        return current
    }
}

/// What a store's registry holds, for people.
public struct RegistryContents: Sendable, Equatable {
    public struct Repository: Sendable, Equatable {
        public var name: String
        public var tags: [String]
    }

    public var repositories: [Repository]

    public init(store: ImageStore) throws {
        repositories = try RegistryIndex.read(store.layout).repositories.sorted { $0.key < $1.key }.map {
            Repository(name: $0.key, tags: $0.value.tags.keys.sorted())
        }
    }
}
