import Basics
import Document
import Linux

/// `docker pull`: a reference in, an image that is ready to run in the store.
///
/// Every blob and every layer enters the store on its own as soon as it is whole. Only the last step, which names the
/// image, holds the store's lock, and looks whether what was brought or found is still there: a removal of unused
/// content in between costs another round, never a broken image.
public struct ImagePuller: Sendable {
    /// Docker and containerd take three at a time.
    static let parallelLayers = 3
    static let mostRounds = 3

    let store: ImageStore
    let client: RegistryClient
    let blocking: BlockingPool
    public var stall: Duration = .seconds(30)

    public init(store: ImageStore, client: RegistryClient, blocking: BlockingPool) {
        self.store = store
        self.client = client
        self.blocking = blocking
    }

    public struct Outcome: Sendable {
        public var image: Image
        /// Nothing had to be fetched.
        public var wasCurrent: Bool
    }

    /// `platform` is such as `linux/arm64`; without it this machine's image is chosen.
    public func pull(
        _ text: String, platform: String? = nil, progress: @escaping ProgressHandler = { _ in }
    ) async throws -> Outcome {
        let reference = try Reference(text)
        let platform = try platform.map { try Platform($0) } ?? .here
        let object = reference.description
        let top: RegistryClient.Fetched
        do { top = try await client.manifest(reference) } catch let failure as RegistryFailure {
            throw ImageError("failed to resolve reference \"\(object)\"", failure.message)
        }
        let (digest, manifest) = try await choose(top, platform, object)
        let places = [top.place] + client.places(of: reference).filter { $0.endpoint != top.place.endpoint }
        let names = reference.tag.map { ["\(reference.repository):\($0)"] } ?? []
        let pulled = Set([top.digest, digest]).map { "\(reference.repository)@\($0)" }
        for round in 1...Self.mostRounds {
            let wasCurrent = try await fetch(manifest, digest, places, platform, object, progress)
            do {
                let image = try await blocking.run {
                    try store.commit(manifest: digest, names: names, repoDigests: pulled)
                }
                return Outcome(image: image, wasCurrent: wasCurrent && round == 1)
            } catch is ImageStore.Vanished {}
        }
        throw ImageError(object, "what was pulled is removed from the store again and again")
    }

    // MARK: Manifests

    /// Follows indexes down to the manifest for the platform; those that the store has are not asked for again.
    private func choose(
        _ top: RegistryClient.Fetched, _ platform: Platform, _ object: String
    ) async throws -> (Digest, Manifest) {
        var digest = top.digest
        var document = try Self.parse(top.bytes, object)
        var bytes = top.bytes
        for _ in 0..<ArchiveLoader.mostIndexDepth {
            if document.number("schemaVersion") == 1 || document["fsLayers"] != nil {
                throw ImageError(object, "its manifest is of the old first schema, which is not supported")
            }
            guard Manifest.isIndex(document) else {
                let manifest = try Manifest(document, in: object)
                let keep = bytes
                let name = digest
                try await blocking.run { try store.add(keep, as: name) }
                return (digest, manifest)
            }
            let listed = document.list("manifests")
            guard let best = platform.best(of: listed) else {
                let there = Set(listed.compactMap { Platform.name(of: $0) }).sorted()
                throw ImageError(
                    object,
                    "no match for platform \(platform) in manifest: not found; it has \(there.joined(separator: ", "))")
            }
            let next = try Descriptor(best, in: object)
            bytes = try await self.bytes(next, in: top.place, object)
            digest = next.digest
            document = try Self.parse(bytes, object)
        }
        throw ImageError(object, "indexes nested too deeply")
    }

    private func bytes(_ descriptor: Descriptor, in place: RegistryClient.Place, _ object: String) async throws
        -> [UInt8]
    {
        let known = try await blocking.run {
            store.content.has(descriptor.digest) ? try? store.content.bytes(descriptor.digest, for: object) : nil
        }
        if let known { return known }
        let fetched = try await client.manifest(descriptor.digest.description, in: place)
        guard fetched.bytes.count == descriptor.size else {
            throw ImageError(
                object, "the manifest \(descriptor.digest) has \(fetched.bytes.count) bytes, not \(descriptor.size)")
        }
        return fetched.bytes
    }

    private static func parse(_ bytes: [UInt8], _ object: String) throws -> Document {
        do {
            return try Document(json: bytes, deepest: Document.deepestInput)
        } catch {
            throw ImageError(object, "the manifest is no JSON: \(error)")
        }
    }

    // MARK: Blobs

    /// Brings what the store lacks; true where it lacked nothing.
    private func fetch(
        _ manifest: Manifest, _ digest: Digest, _ places: [RegistryClient.Place], _ platform: Platform,
        _ object: String, _ progress: @escaping ProgressHandler
    ) async throws -> Bool {
        guard manifest.config.size <= ContentStore.mostMetadata else {
            throw ImageError(object, "its configuration has \(manifest.config.size) bytes")
        }
        try checkRoom(for: manifest, object)
        let download = BlobDownload(client: client, store: store, blocking: blocking, stall: stall)
        try await download.run(manifest.config, from: places) { _ in }
        let configuration = try await blocking.run {
            try ImageConfiguration(try store.content.document(manifest.config.digest, for: object), in: object)
        }
        guard configuration.diffIDs.count == manifest.layers.count else {
            throw ImageError(
                object,
                "\(manifest.layers.count) layers, but \(configuration.diffIDs.count) diff_ids: this is no image to run")
        }
        if let own = configuration.platform, own.os != platform.os || own.architecture != platform.architecture {
            throw ImageError(object, "no match for platform \(platform) in manifest: not found; it is for \(own)")
        }
        var seen: Set<Digest> = []
        let layers = zip(manifest.layers, configuration.diffIDs).filter { seen.insert($0.0.digest).inserted }
        let missing = layers.filter { !store.content.has($0.0.digest) || !store.content.hasLayer($0.1) }
        for layer in layers { progress(TransferProgress(layer.0.digest, .waiting, of: layer.0.size)) }
        try await layers.inParallel(atMost: Self.parallelLayers) { layer, diffID in
            try await self.bring(layer, diffID, download, places, object, progress)
        }
        return missing.isEmpty
    }

    private func bring(
        _ layer: Descriptor, _ diffID: Digest, _ download: BlobDownload, _ places: [RegistryClient.Place],
        _ object: String, _ progress: @escaping ProgressHandler
    ) async throws {
        if store.content.has(layer.digest), store.content.hasLayer(diffID) {
            return progress(TransferProgress(layer.digest, .present, layer.size, of: layer.size))
        }
        try await download.run(layer, from: places) {
            progress(TransferProgress(layer.digest, .downloading, $0, of: layer.size))
        }
        progress(TransferProgress(layer.digest, .unpacking, layer.size, of: layer.size))
        let store = self.store
        try await blocking.run { try store.unpack(layer.digest, diffID: diffID, for: object) }
        progress(TransferProgress(layer.digest, .pulled, layer.size, of: layer.size))
    }

    /// A pull that cannot fit is refused before it fills the disk; unpacked it will need more still.
    private func checkRoom(for manifest: Manifest, _ object: String) throws {
        let missing = manifest.layers.filter { !store.content.has($0.digest) }
        var needed: Int64 = 0
        for layer in missing {
            let (sum, overflow) = needed.addingReportingOverflow(layer.size)
            guard !overflow else { throw ImageError(object, "its layers claim impossible sizes") }
            needed = sum
        }
        guard let space = store.space, needed > space.available else { return }
        throw ImageError(
            object, "its layers have \(needed) bytes, and only \(space.available) are free in \(store.layout.root)")
    }
}
