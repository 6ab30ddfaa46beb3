import Basics
import Document
import Glibc
import Linux
import Wire

/// `docker push`: the blobs that the registry lacks, then the manifest that names them.
public struct ImagePusher: Sendable {
    static let parallelLayers = 3
    /// A blob travels in pieces of this size; a short one in a single request.
    static let piece = 8 << 20

    let store: ImageStore
    let client: RegistryClient
    let blocking: BlockingPool

    public init(store: ImageStore, client: RegistryClient, blocking: BlockingPool) {
        self.store = store
        self.client = client
        self.blocking = blocking
    }

    /// Pushes the image called `source` under the name `target`; gives the digest of its manifest.
    public func push(
        _ source: String, to target: String, progress: @escaping ProgressHandler = { _ in }
    ) async throws -> String {
        let reference = try Reference(target)
        guard let image = try await blocking.run({ try store.resolve(source) }), let digest = Digest(image.digest)
        else {
            throw ImageError(source, "no such image")
        }
        // Mirrors are for reading.
        let places = client.places(of: reference, actions: "pull,push").filter { !$0.endpoint.isMirror }
        let object = reference.description
        do {
            try await client.firstOf(places) { place in
                try await self.push(digest, image, reference, place, progress)
            }
        } catch let failure as RegistryFailure {
            throw ImageError("failed to push \"\(object)\"", failure.message)
        }
        try await blocking.run { try store.note("\(reference.repository)@\(digest)", of: digest) }
        return digest.description
    }

    private func push(
        _ digest: Digest, _ image: Image, _ reference: Reference, _ place: RegistryClient.Place,
        _ progress: @escaping ProgressHandler
    ) async throws {
        let object = reference.description
        let bytes = try await blocking.run { try store.content.bytes(digest, for: object) }
        let document = try Document(json: bytes)
        let manifest = try Manifest(document, in: object)
        var place = place
        // A blob that came from this very registry can be had without sending it.
        place.source =
            image.repoDigests.lazy.compactMap { try? Reference($0) }
            .first { $0.host == reference.host && $0.path != reference.path }?.path
        let destination = place
        var seen: Set<Digest> = []
        let blobs = (manifest.layers + [manifest.config]).filter { seen.insert($0.digest).inserted }
        for blob in blobs { progress(TransferProgress(blob.digest, .preparing, of: blob.size)) }
        try await blobs.inParallel(atMost: Self.parallelLayers) { blob in
            try await client.plan.run(clock: client.clock, random: client.random) { _ in
                try await upload(blob, destination, object, progress)
            }
        }
        let type = document.text("mediaType") ?? Manifest.impliedMediaType(document)
        try await client.plan.run(clock: client.clock, random: client.random) { _ in
            let response = try await client.send(
                "PUT", destination.address("manifests/\(reference.tag ?? digest.description)"), in: destination,
                Headers([("Content-Type", type)]), body: bytes)
            guard response.status == 201 || response.status == 200 else {
                throw await refusal(response, destination, "manifest")
            }
            let claimed = response.headers["Docker-Content-Digest"]
            _ = try? await response.collect(limit: RegistryFailure.longestAnswer)
            guard claimed == nil || claimed == digest.description else {
                throw RegistryFailure("\(destination.endpoint): keeps the manifest as \(claimed ?? ""), not \(digest)")
            }
        }
    }

    private func refusal(
        _ response: any ResponseStream, _ place: RegistryClient.Place, _ what: String
    ) async -> RegistryFailure {
        var failure = await RegistryFailure(refusal: response, of: "\(place.endpoint): \(what)")
        if failure.status == 401 || failure.status == 403 {
            failure.message = failure.message.replacing("pull access denied", with: "push access denied")
        }
        return failure
    }

    // MARK: Blobs

    private func upload(
        _ blob: Descriptor, _ place: RegistryClient.Place, _ object: String, _ progress: @escaping ProgressHandler
    ) async throws {
        let head = try await client.send("HEAD", place.address("blobs/\(blob.digest)"), in: place)
        _ = try? await head.collect(limit: RegistryFailure.longestAnswer)
        if head.status == 200 { return progress(TransferProgress(blob.digest, .known, blob.size, of: blob.size)) }
        guard head.status == 404 else { throw await refusal(head, place, "blob \(blob.digest)") }
        guard store.content.has(blob.digest) else { throw ImageError(object, "the blob \(blob.digest) is missing") }

        var address = place.address("blobs/uploads/")
        if let source = place.source {
            address = address.adding(query: [("mount", blob.digest.description), ("from", source)])
        }
        let begin = try await client.send("POST", address, in: place)
        _ = try? await begin.collect(limit: RegistryFailure.longestAnswer)
        if begin.status == 201 { return progress(TransferProgress(blob.digest, .mounted, blob.size, of: blob.size)) }
        guard begin.status == 202 else { throw await refusal(begin, place, "upload of \(blob.digest)") }
        try await send(blob, to: try next(begin, address, place), place, progress)
        progress(TransferProgress(blob.digest, .pushed, blob.size, of: blob.size))
    }

    /// Where the registry wants the next piece.
    private func next(
        _ response: any ResponseStream, _ address: WebAddress, _ place: RegistryClient.Place
    ) throws -> WebAddress {
        guard let location = response.headers["Location"], let next = address.resolving(location) else {
            throw RegistryFailure("\(place.endpoint): names no place for the upload")
        }
        return next
    }

    private func send(
        _ blob: Descriptor, to start: WebAddress, _ place: RegistryClient.Place, _ progress: @escaping ProgressHandler
    ) async throws {
        var address = start
        var sent: Int64 = 0
        var last: [UInt8] = []
        while true {
            let from = sent
            let piece = try await blocking.run { try store.content.piece(of: blob.digest, at: from, Self.piece) }
            guard sent + Int64(piece.count) < blob.size else {
                last = piece
                break
            }
            guard !piece.isEmpty else {
                throw ImageError("the blob \(blob.digest)", "has \(sent) bytes, not \(blob.size)")
            }
            let headers = Headers([
                ("Content-Type", "application/octet-stream"),
                ("Content-Range", "\(sent)-\(sent + Int64(piece.count) - 1)"),
            ])
            let response = try await client.send("PATCH", address, in: place, headers, body: piece)
            _ = try? await response.collect(limit: RegistryFailure.longestAnswer)
            guard response.status == 202 || response.status == 204 else {
                throw await refusal(response, place, "upload of \(blob.digest)")
            }
            address = try next(response, address, place)
            sent += Int64(piece.count)
            progress(TransferProgress(blob.digest, .uploading, sent, of: blob.size))
        }
        // The last piece comes with the digest, by which the registry checks all of them.
        var headers = Headers([("Content-Type", "application/octet-stream")])
        if sent > 0, !last.isEmpty { headers.add("Content-Range", "\(sent)-\(sent + Int64(last.count) - 1)") }
        let end = address.adding(query: [("digest", blob.digest.description)])
        let response = try await client.send("PUT", end, in: place, headers, body: last)
        guard response.status == 201 || response.status == 204 else {
            throw await refusal(response, place, "upload of \(blob.digest)")
        }
        _ = try? await response.collect(limit: RegistryFailure.longestAnswer)
    }
}
