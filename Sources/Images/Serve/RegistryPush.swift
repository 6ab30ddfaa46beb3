import Basics
import Document
import Glibc
import Linux
import Wire

/// What changes the registry.
extension RegistryServer {
    /// Takes the place of an upload that cannot be gone on with, until the handler says why.
    final class Refused: BodyTaker {
        let error: any Error
        init(_ error: any Error) { self.error = error }
        func take(_ piece: [UInt8]) async {}
    }

    /// Blobs go to their files as they come.
    func intake(_ request: Request) async -> (any BodyTaker)? {
        do {
            switch (request.method, try RegistryRoute(request.target)) {
            case ("POST", .uploads(_, .some, _)): return try beginning()
            case ("PATCH", .upload(_, let id, _)), ("PUT", .upload(_, let id, _)):
                let upload = try RegistryUpload(id, isNew: false, in: layout, blocking: blocking)
                if let range = request.headers["Content-Range"], Self.start(of: range) != upload.size {
                    throw RegistryProblem.rangeInvalid(upload.size)
                }
                return upload
            default: return nil
            }
        } catch { return Refused(error) }
    }

    /// The first byte of `5-9`, or of HTTP's own `bytes 5-9/10`.
    private static func start(of range: String) -> Int64? {
        let text = range.hasPrefix("bytes ") ? range.dropFirst(6) : range[...]
        return Int64(text.prefix { $0 != "-" })
    }

    private func beginning() throws -> RegistryUpload {
        let id = (0..<2).map { _ -> String in
            let text = String(world.random.next(), radix: 16)
            return String(repeating: "0", count: 16 - text.count) + text
        }
        return try RegistryUpload(id.joined(), isNew: true, in: layout, blocking: blocking)
    }

    private func upload(_ taker: (any BodyTaker)?) throws -> RegistryUpload {
        if let refused = taker as? Refused { throw refused.error }
        guard let upload = taker as? RegistryUpload else { throw RegistryProblem.uploadInvalid("no upload") }
        return upload
    }

    static func underway(_ status: Int, _ name: String, _ upload: RegistryUpload) -> Response {
        Response(
            status: status,
            headers: Headers([
                ("Location", "/v2/\(name)/blobs/uploads/\(upload.id)"), ("Docker-Upload-UUID", upload.id),
                // A range of nothing cannot be said; this is what every registry says.
                ("Range", "0-\(max(0, upload.size - 1))"),
            ]))
    }

    func begin(
        _ name: String, _ digest: Digest?, _ mount: Digest?, _ taker: (any BodyTaker)?
    ) async throws -> Response {
        if let digest { return try await complete(name, digest, taker) }
        if let mount, store.content.has(mount) {
            try await blocking.run { [layout] in try PendingBlobs.note(mount, in: layout) }
            return Self.created("/v2/\(name)/blobs/\(mount)", mount)
        }
        let upload = try beginning()
        upload.unlock()
        return Self.underway(202, name, upload)
    }

    func append(_ name: String, _ taker: (any BodyTaker)?) async throws -> Response {
        let upload = try upload(taker)
        try await upload.finishTaking()
        return Self.underway(202, name, upload)
    }

    func complete(_ name: String, _ digest: Digest, _ taker: (any BodyTaker)?) async throws -> Response {
        let upload = try upload(taker)
        try await upload.finishTaking()
        let found = try await upload.digest()
        guard found == digest else {
            upload.discard()
            throw RegistryProblem.digestInvalid("the content has the digest \(found), not \(digest)")
        }
        let path = upload.path
        try await blocking.run { [layout, store] in
            // Noted first: whoever removes unused blobs in between finds the note.
            try PendingBlobs.note(digest, in: layout)
            try store.adopt(path, as: digest)
        }
        return Self.created("/v2/\(name)/blobs/\(digest)", digest)
    }

    private static func created(_ location: String, _ digest: Digest) -> Response {
        Response(
            status: 201,
            headers: Headers([("Location", location), ("Docker-Content-Digest", digest.description)]))
    }

    // MARK: Manifests

    func put(_ name: String, _ which: RegistryRoute.Manifest, _ request: Request) async throws -> Response {
        guard request.body.count <= Self.mostManifest else {
            throw RegistryProblem.manifestInvalid("more than \(Self.mostManifest) bytes")
        }
        let digest = Digest.of(request.body)
        if case .digest(let wanted) = which, wanted != digest {
            throw RegistryProblem.digestInvalid("the manifest has the digest \(digest), not \(wanted)")
        }
        let document = try Self.parse(request.body)
        let type =
            request.headers["Content-Type"] ?? document.text("mediaType") ?? Manifest.impliedMediaType(document)
        try await blocking.run { [layout, store] in
            let lock = try StoreLock(layout.contentLock, .shared)
            defer { withExtendedLifetime(lock) {} }
            if let missing = RegistryIndex.parts(of: document).first(where: { !store.content.has($0) }) {
                throw RegistryProblem.manifestBlobUnknown(missing)
            }
            try store.content.add(request.body)
            try RegistryIndex.change(layout) { index in
                var repository = index.repositories[name] ?? .init()
                repository.manifests[digest] = type
                if case .tag(let tag) = which { repository.tags[tag] = digest }
                index.repositories[name] = repository
            }
        }
        log.info("\(name) \(which.text): \(digest)")
        var response = Self.created("/v2/\(name)/manifests/\(digest)", digest)
        if let subject = document.text("subject", "digest") { response.headers["OCI-Subject"] = subject }
        return response
    }

    private static func parse(_ bytes: [UInt8]) throws -> Document {
        guard let document = try? Document(json: bytes, deepest: Document.deepestInput), document.isObject else {
            throw RegistryProblem.manifestInvalid("it is no JSON object")
        }
        guard document.number("schemaVersion") == 2 else {
            throw RegistryProblem.manifestInvalid("its schemaVersion is not 2")
        }
        let named = [document["config"]].compactMap(\.self) + document.list("layers") + document.list("manifests")
        guard named.allSatisfy({ $0.text("digest").flatMap { Digest($0) } != nil }) else {
            throw RegistryProblem.manifestInvalid("a descriptor without a sha256 digest")
        }
        guard document["config"] != nil || document["manifests"] != nil || document["artifactType"] != nil else {
            throw RegistryProblem.manifestInvalid("it is neither a manifest nor an index")
        }
        return document
    }

    func delete(_ name: String, _ which: RegistryRoute.Manifest) async throws -> Response {
        try await blocking.run { [layout] in
            try RegistryIndex.change(layout) { index in
                guard var repository = index.repositories[name] else { throw RegistryProblem.nameUnknown(name) }
                let known: Bool
                switch which {
                case .tag(let tag): known = repository.tags.removeValue(forKey: tag) != nil
                case .digest(let digest):
                    known = repository.manifests.removeValue(forKey: digest) != nil
                    repository.tags = repository.tags.filter { $0.value != digest }
                }
                guard known else { throw RegistryProblem.manifestUnknown("\(name) \(which.text)") }
                index.repositories[name] = repository.manifests.isEmpty ? nil : repository
            }
        }
        return Response(status: 202)
    }
}
