import Basics
import Document
import Glibc
import Linux
import Wire

/// The distribution API over a content store: pull and push, as `docker`, `podman` and `skopeo` do it.
///
///     push   POST uploads ▸ PATCH… ▸ PUT ?digest= ─▶ blob   then PUT manifest ─▶ repositories.json
///     pull   GET manifest ▸ GET blobs
///
/// Nobody has to say who he is: it is to be listened for on a loopback address.
public struct RegistryServer: Sendable {
    static let mostManifest = 4 << 20
    /// The most of a blob that is in memory for one reader.
    static let piece = 512 << 10

    let store: ImageStore
    let world: World
    let blocking: BlockingPool
    let log: Log

    var layout: StoreLayout { store.layout }

    public init(store: ImageStore, world: World, blocking: BlockingPool, log: Log = .silent) throws {
        self.store = store
        self.world = world
        self.blocking = blocking
        self.log = log
        for directory in [layout.uploads, layout.pending] { try Files.makeDirectories(directory) }
        try RegistryUpload.sweep(layout)
    }

    /// Serves until it is cancelled.
    public func run(on listener: any Listener) async throws {
        var limits = HTTPServer.Limits()
        limits.connections = 256
        // Blobs are taken as they come; only manifests are gathered.
        limits.message.bodyBytes = Int(RegistryUpload.mostBytes)
        limits.allBodies = 16 * Self.mostManifest
        let server = HTTPServer(
            listener: listener, limits: limits, clock: world.clock, log: log, intake: { await intake($0) }
        ) { request in
            var response = await answer(request)
            response.headers["Docker-Distribution-Api-Version"] = "registry/2.0"
            return response
        }
        try await server.run()
    }

    func answer(_ request: Request) async -> Response {
        do { return try await route(request) } catch let problem as RegistryProblem {
            return problem.response
        } catch {
            log.warning("\(request.method) \(request.target): \(error)")
            return RegistryProblem.failed(error).response
        }
    }

    private func route(_ request: Request) async throws -> Response {
        switch (request.method, try RegistryRoute(request.target)) {
        case ("GET", .base), ("HEAD", .base): return Self.json([:])
        case ("GET", .catalog(let page)): return try await catalog(page)
        case ("GET", .tags(let name, let page)): return try await tags(name, page)
        case ("GET", .manifest(let name, let which)), ("HEAD", .manifest(let name, let which)):
            return try await manifest(name, which, isHead: request.method == "HEAD")
        case ("PUT", .manifest(let name, let which)): return try await put(name, which, request)
        case ("DELETE", .manifest(let name, let which)): return try await delete(name, which)
        case ("GET", .blob(_, let digest)), ("HEAD", .blob(_, let digest)): return try await blob(digest, request)
        case ("GET", .referrers(let name, let digest)): return try await referrers(name, digest)
        case ("POST", .uploads(let name, let digest, let mount)):
            return try await begin(name, digest, mount, request.taker)
        case ("PATCH", .upload(let name, _, _)): return try await append(name, request.taker)
        case ("PUT", .upload(let name, _, let digest)):
            guard let digest else { throw RegistryProblem.digestInvalid("the query names no digest") }
            return try await complete(name, digest, request.taker)
        case ("GET", .upload(let name, let id, _)):
            let upload = try RegistryUpload(id, isNew: false, in: layout, blocking: blocking)
            upload.unlock()
            return Self.underway(204, name, upload)
        case ("DELETE", .upload(_, let id, _)):
            try RegistryUpload(id, isNew: false, in: layout, blocking: blocking).discard()
            return Response(status: 204)
        default: throw RegistryProblem.unsupported
        }
    }

    // MARK: Pulling

    private func find(_ name: String, _ which: RegistryRoute.Manifest) throws -> (digest: Digest, type: String) {
        guard let repository = try RegistryIndex.read(layout).repositories[name] else {
            throw RegistryProblem.nameUnknown(name)
        }
        let digest: Digest?
        switch which {
        case .tag(let tag): digest = repository.tags[tag]
        case .digest(let wanted): digest = wanted
        }
        guard let digest, let type = repository.manifests[digest] else {
            throw RegistryProblem.manifestUnknown("\(name) \(which.text)")
        }
        return (digest, type)
    }

    private func manifest(_ name: String, _ which: RegistryRoute.Manifest, isHead: Bool) async throws -> Response {
        let (digest, type, bytes) = try await blocking.run {
            let (digest, type) = try find(name, which)
            return (digest, type, try store.content.bytes(digest, for: name))
        }
        let headers = Headers([
            ("Content-Type", type), ("Docker-Content-Digest", digest.description), ("ETag", "\"\(digest)\""),
            ("Content-Length", String(bytes.count)),
        ])
        return Response(status: 200, headers: headers, body: .bytes(isHead ? [] : bytes))
    }

    /// Blobs are named by their content, so which repository one is asked in does not matter.
    private func blob(_ digest: Digest, _ request: Request) async throws -> Response {
        let layout = layout
        let size = try await blocking.run {
            var status = stat()
            guard stat(layout.blob(digest), &status) == 0 else { throw RegistryProblem.blobUnknown(digest) }
            // Who learns that it is here will not push it.
            if request.method == "HEAD" { try PendingBlobs.note(digest, in: layout) }
            return Int64(status.st_size)
        }
        var headers = Headers([
            ("Content-Type", "application/octet-stream"), ("Docker-Content-Digest", digest.description),
            ("Accept-Ranges", "bytes"), ("ETag", "\"\(digest)\""), ("Cache-Control", "max-age=31536000"),
        ])
        if request.method == "HEAD" {
            headers.add("Content-Length", String(size))
            return Response(status: 200, headers: headers)
        }
        var part: Range<Int64> = 0..<size
        var status = 200
        if let text = request.headers["Range"], let wanted = Self.range(text, of: size) {
            guard !wanted.isEmpty else {
                return Response(status: 416, headers: Headers([("Content-Range", "bytes */\(size)")]))
            }
            part = wanted
            status = 206
            headers.add("Content-Range", "bytes \(part.lowerBound)-\(part.upperBound - 1)/\(size)")
        }
        let content = store.content
        let range = part
        return Response(
            status: status, headers: headers,
            body: .stream { [blocking] writer in
                var at = range.lowerBound
                while at < range.upperBound {
                    let count = Int(min(Int64(Self.piece), range.upperBound - at))
                    let start = at
                    let bytes = try await blocking.run { try content.piece(of: digest, at: start, count) }
                    guard bytes.count == count else { throw ImageError("\(digest)", "became shorter") }
                    try await writer.write(bytes)
                    at += Int64(count)
                }
            })
    }

    /// `bytes=5-9`, `bytes=5-`, `bytes=-5`; nil for what is none of these, which a server may leave alone; empty where
    /// it begins behind the end.
    static func range(_ text: String, of size: Int64) -> Range<Int64>? {
        guard text.hasPrefix("bytes=") else { return nil }
        let parts = text.dropFirst(6).split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2 else { return nil }
        if parts[0].isEmpty {
            guard let count = Int64(parts[1]), count >= 0 else { return nil }
            return max(0, size - count)..<size
        }
        guard let first = Int64(parts[0]), first >= 0 else { return nil }
        guard !parts[1].isEmpty else { return min(first, size)..<size }
        guard let last = Int64(parts[1]), last >= first else { return nil }
        return min(first, size)..<min(last < .max ? last + 1 : last, size)
    }

    // MARK: Looking

    private func catalog(_ page: RegistryRoute.Page) async throws -> Response {
        let names = try await blocking.run { [layout] in try RegistryIndex.read(layout).repositories.keys.sorted() }
        let (shown, next) = Self.cut(names, page)
        return Self.json(
            ["repositories": Document(shown)], next: next.map { "/v2/_catalog?n=\(page.count)&last=\($0)" })
    }

    private func tags(_ name: String, _ page: RegistryRoute.Page) async throws -> Response {
        let known = try await blocking.run { [layout] in try RegistryIndex.read(layout).repositories[name] }
        guard let known else { throw RegistryProblem.nameUnknown(name) }
        let (shown, next) = Self.cut(known.tags.keys.sorted(), page)
        return Self.json(
            ["name": Document(name), "tags": Document(shown)],
            next: next.map { "/v2/\(name)/tags/list?n=\(page.count)&last=\($0)" })
    }

    static func cut(_ names: [String], _ page: RegistryRoute.Page) -> (shown: [String], next: String?) {
        let rest = names.drop { !page.last.isEmpty && $0 <= page.last }
        let shown = Array(rest.prefix(page.count))
        return (shown, shown.count < rest.count ? shown.last : nil)
    }

    /// Manifests that say they are about another one: signatures, bills of material.
    private func referrers(_ name: String, _ subject: Digest) async throws -> Response {
        let found = try await blocking.run { () -> [Document] in
            let repository = try RegistryIndex.read(layout).repositories[name] ?? .init()
            return try repository.manifests.sorted { $0.key.hex < $1.key.hex }.compactMap { digest, type in
                let bytes = try store.content.bytes(digest, for: name)
                let manifest = try Document(json: bytes, deepest: Document.deepestInput)
                guard manifest.text("subject", "digest") == subject.description else { return nil }
                var entry = Descriptor(digest: digest, size: Int64(bytes.count), mediaType: type).document
                let artifact = manifest.text("artifactType") ?? manifest.text("config", "mediaType")
                if let artifact { entry["artifactType"] = Document(artifact) }
                if let notes = manifest["annotations"] { entry["annotations"] = notes }
                return entry
            }
        }
        let type = "application/vnd.oci.image.index.v1+json"
        var response = Self.json(
            ["schemaVersion": 2, "mediaType": Document(type), "manifests": Document(found)])
        response.headers["Content-Type"] = type
        return response
    }

    static func json(_ document: Document, status: Int = 200, next: String? = nil) -> Response {
        var headers = Headers([("Content-Type", "application/json")])
        if let next { headers.add("Link", "<\(next)>; rel=\"next\"") }
        return Response(status: status, headers: headers, body: .bytes(document.json))
    }
}

extension RegistryRoute.Manifest {
    var text: String {
        switch self {
        case .tag(let tag): tag
        case .digest(let digest): digest.description
        }
    }
}
