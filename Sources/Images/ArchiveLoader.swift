import Document
import Glibc
import Linux

/// Reads an archive of images: an OCI layout (`index.json`) or what `docker save` writes (`manifest.json`), as tar,
/// plain or compressed as a whole, or as a directory.
///
/// One pass over the archive puts every file into a workspace and notes its digest. Then the manifests say
/// which of them are needed: those become blobs, and their layers are unpacked. What nothing needs goes away with
/// the workspace; after a failure that is everything.
struct ArchiveLoader {
    struct Loaded {
        var manifest: Digest
        var names: [String]
    }

    private struct Staged {
        var digest: Digest
        var size: Int64
        var path: String
    }

    static let mostFiles = 100_000
    static let mostIndexDepth = 4

    private let content: ContentStore
    private let workspace: Workspace
    private let archive: String
    private let progress: (@Sendable (String) -> Void)?
    /// Files of the archive, by their path in it.
    private var files: [String: Staged] = [:]
    /// The same, by what they hold.
    private var staged: [Digest: Staged] = [:]
    /// Links between layers: `docker save` writes an equal layer once.
    private var links: [String: String] = [:]

    static func load(
        _ path: String, into content: ContentStore, progress: (@Sendable (String) -> Void)?
    ) throws -> [Loaded] {
        var loader = ArchiveLoader(
            content: content, workspace: try Workspace(in: content.layout), archive: path, progress: progress)
        try loader.stage()
        if loader.files["index.json"] != nil { return try loader.loadLayout() }
        if loader.files["manifest.json"] != nil { return try loader.loadDockerArchive() }
        throw ImageError(path, "neither an OCI layout (no index.json) nor a docker archive (no manifest.json)")
    }

    private init(
        content: ContentStore, workspace: Workspace, archive: String, progress: (@Sendable (String) -> Void)?
    ) {
        self.content = content
        self.workspace = workspace
        self.archive = archive
        self.progress = progress
    }

    // MARK: Staging

    private mutating func stage() throws {
        var status = stat()
        if stat(archive, &status) == 0, status.st_mode & S_IFMT == S_IFDIR { return try stageDirectory() }
        let reader = try ArchiveReader.tar(try FileSource(archive), name: archive)
        while let entry = try reader.next() {
            guard files.count + links.count < Self.mostFiles else {
                throw ImageError(archive, "more than \(Self.mostFiles) files")
            }
            guard let parts = LayerDirectory.components(entry.path), !parts.isEmpty else { continue }
            let name = parts.joined(separator: "/")
            switch entry.kind {
            case .file: try stage(name) { try reader.readData($0) }
            case .hardLink: links[name] = LayerDirectory.components(entry.target)?.joined(separator: "/")
            case .symbolicLink: links[name] = Self.resolve(entry.target, from: parts.dropLast())
            default: break
            }
        }
    }

    /// A layout that lies in a directory. What else is there is not read.
    private mutating func stageDirectory() throws {
        let blobs = "blobs/sha256"
        let found = Files.exists("\(archive)/\(blobs)") ? try Files.list("\(archive)/\(blobs)") : []
        guard found.count < Self.mostFiles else { throw ImageError(archive, "more than \(Self.mostFiles) files") }
        let names = ["index.json", "manifest.json"].filter { Files.exists("\(archive)/\($0)") }
        for name in names + found.filter({ Digest(hex: $0) != nil }).map({ "\(blobs)/\($0)" }) {
            let source = try FileSource("\(archive)/\(name)")
            try stage(name) { body in
                var offset: Int64 = 0
                while true {
                    let bytes = try source.next()
                    if bytes.isEmpty { return }
                    try body(bytes, offset)
                    offset += Int64(bytes.count)
                }
            }
        }
    }

    private static func resolve(_ target: String, from directory: ArraySlice<String>) -> String? {
        var parts = target.hasPrefix("/") ? [] : Array(directory)
        for part in target.split(separator: "/") where part != "." {
            if part == ".." {
                guard parts.popLast() != nil else { return nil }
            } else {
                parts.append(String(part))
            }
        }
        return parts.joined(separator: "/")
    }

    private mutating func stage(
        _ name: String, _ read: ((UnsafeRawBufferPointer, Int64) throws -> Void) throws -> Void
    ) throws {
        let path = "\(workspace.path)/file.\(files.count)"
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw SystemError("create", path, errno: errno) }
        defer { close(file) }
        let hash = RunningDigest()
        var size: Int64 = 0
        try read { bytes, offset in
            guard offset == size else { throw ImageError(archive, "\(name) is a sparse file") }
            hash.add(bytes)
            try Self.write(bytes, to: file, path)
            size += Int64(bytes.count)
        }
        let digest = hash.finish()
        if name.hasPrefix("blobs/") {
            guard name == "blobs/sha256/\(digest.hex)" else {
                throw ImageError(archive, "\(name) is damaged: its content has the digest \(digest)")
            }
        }
        let entry = Staged(digest: digest, size: size, path: path)
        files[name] = entry
        staged[digest] = entry
    }

    private static func write(_ bytes: UnsafeRawBufferPointer, to file: Int32, _ path: String) throws {
        var done = 0
        while done < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
            let count = Glibc.write(file, rest.baseAddress, rest.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw SystemError("write", path, errno: errno)
            }
            done += count
        }
    }

    // MARK: Looking things up

    private func json(_ file: Staged, _ name: String) throws -> Document {
        guard file.size <= ContentStore.mostMetadata else { throw ImageError(archive, "\(name) is too long") }
        do {
            return try Document(json: Files.read(file.path), deepest: Document.deepestInput)
        } catch let error as DocumentError {
            throw ImageError(archive, "\(name) is no JSON: \(error)")
        }
    }

    /// A file by its path in the archive, through links.
    private func file(_ name: String) throws -> Staged {
        var name = LayerDirectory.components(name)?.joined(separator: "/") ?? name
        for _ in 0..<8 {
            if let file = files[name] { return file }
            guard let target = links[name] else { break }
            name = target
        }
        throw ImageError(archive, "\(name) is missing")
    }

    /// The JSON of a descriptor's blob. A store that has the blob already can stand in for the archive.
    private func document(_ descriptor: Descriptor) throws -> Document {
        if let file = staged[descriptor.digest] { return try json(file, descriptor.digest.description) }
        return try content.document(descriptor.digest, for: archive)
    }

    // MARK: OCI layouts

    private mutating func loadLayout() throws -> [Loaded] {
        let index = try json(file("index.json"), "index.json")
        guard Manifest.isIndex(index) else { throw ImageError(archive, "index.json has no manifests") }
        var loaded: [Loaded] = []
        var foreign: [String] = []
        for entry in index.list("manifests") {
            let descriptor = try Descriptor(entry, in: archive)
            guard Platform.here.fit(entry) != nil else {
                foreign.append(
                    "\(entry.text("platform", "os") ?? "?")/\(entry.text("platform", "architecture") ?? "?")")
                continue
            }
            let (digest, manifest) = try choose(descriptor, depth: 0)
            try keep(digest, manifest)
            loaded.append(Loaded(manifest: digest, names: try names(of: entry)))
        }
        guard !loaded.isEmpty else {
            throw ImageError(archive, "no image for \(Platform.here)" + (foreign.isEmpty ? "" : ", only \(foreign)"))
        }
        return loaded
    }

    /// Follows indexes down to the manifest for this machine.
    private func choose(_ descriptor: Descriptor, depth: Int) throws -> (Digest, Manifest) {
        guard depth < Self.mostIndexDepth else { throw ImageError(archive, "indexes nested too deeply") }
        let document = try document(descriptor)
        guard Manifest.isIndex(document) else { return (descriptor.digest, try Manifest(document, in: archive)) }
        guard let best = Platform.here.best(of: document.list("manifests")) else {
            throw ImageError(archive, "the index \(descriptor.digest) has no image for \(Platform.here)")
        }
        return try choose(try Descriptor(best, in: archive), depth: depth + 1)
    }

    /// containerd's annotation is a full name. The standard one is a name or only a tag: then the archive's own
    /// file name stands for the repository.
    private func names(of entry: Document) throws -> [String] {
        let annotations = entry.map("annotations")
        if let name = annotations["io.containerd.image.name"] { return [try Reference(name).description] }
        guard let name = annotations["org.opencontainers.image.ref.name"] else { return [] }
        if name.contains("/") || name.contains(":") || !Reference.isTag(name) {
            return [try Reference(name).description]
        }
        let file = archive.split(separator: "/").last ?? ""
        let repository = file.split(separator: ".").first.map { $0.lowercased() } ?? ""
        guard let reference = try? Reference("\(repository):\(name)") else { return [] }
        return [reference.description]
    }

    // MARK: Docker archives

    private mutating func loadDockerArchive() throws -> [Loaded] {
        let listed = try json(file("manifest.json"), "manifest.json").elements
        guard !listed.isEmpty else { throw ImageError(archive, "manifest.json lists no image") }
        var loaded: [Loaded] = []
        for entry in listed {
            guard let configName = entry.text("Config") else {
                throw ImageError(archive, "manifest.json names no configuration")
            }
            let config = try file(configName)
            let layers = try entry.list("Layers").map { try file($0.string ?? "") }
            let manifest = Manifest(
                config: Descriptor(
                    digest: config.digest, size: config.size, mediaType: "application/vnd.oci.image.config.v1+json"),
                layers: layers.map {
                    Descriptor(digest: $0.digest, size: $0.size, mediaType: "application/vnd.oci.image.layer.v1.tar")
                })
            let digest = try content.add(manifest.document.json)
            try keep(digest, manifest)
            let names = try entry.list("RepoTags").compactMap(\.string).map { try Reference($0).description }
            loaded.append(Loaded(manifest: digest, names: names))
        }
        return loaded
    }

    // MARK: Keeping

    /// Unpacks the layers and moves the manifest's blobs into the store. Shared blobs may be there already.
    private mutating func keep(_ digest: Digest, _ manifest: Manifest) throws {
        let configuration = try ImageConfiguration(try document(manifest.config), in: archive)
        guard configuration.diffIDs.count == manifest.layers.count else {
            throw ImageError(
                archive, "\(manifest.layers.count) layers, but \(configuration.diffIDs.count) diff_ids in \(digest)")
        }
        for (number, (layer, diffID)) in zip(manifest.layers, configuration.diffIDs).enumerated() {
            progress?("layer \(number + 1) of \(manifest.layers.count), \(layer.size) bytes")
            let blob: String
            if let file = staged[layer.digest] {
                guard file.size == layer.size else {
                    throw ImageError(archive, "the layer \(layer.digest) has \(file.size) bytes, not \(layer.size)")
                }
                blob = Files.exists(file.path) ? file.path : content.layout.blob(layer.digest)
            } else {
                guard content.has(layer.digest) else {
                    throw ImageError(archive, "the layer \(layer.digest) is missing")
                }
                blob = content.layout.blob(layer.digest)
            }
            try content.unpack(blob, diffID: diffID, in: workspace, for: archive)
        }
        for needed in manifest.layers.map(\.digest) + [manifest.config.digest, digest] {
            guard let file = staged[needed], Files.exists(file.path) else { continue }
            try content.adopt(file.path, as: needed)
            staged[needed]?.path = content.layout.blob(needed)
        }
    }
}
