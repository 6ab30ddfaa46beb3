import Basics
import Document
import Linux
import Testing
import Wire

@testable import Images

private let hasSkopeo = Command.run(["sh", "-c", "command -v skopeo"]).code == 0

@Suite struct RegistryRouteTests {
    static let digest = "sha256:" + String(repeating: "a", count: 64)
    static let upload = String(repeating: "0f", count: 16)

    @Test func readsWhatClientsAskFor() throws {
        let digest = try #require(ImageDigest(Self.digest))
        let cases: [(String, RegistryRoute)] = [
            ("/v2", .base), ("/v2/", .base), ("/v2/_catalog", .catalog(.init())),
            ("/v2/_catalog?n=2&last=a%2Fb", .catalog(.init(count: 2, last: "a/b"))),
            ("/v2/app/tags/list", .tags("app", .init())), ("/v2/a/b/c/tags/list?n=99999", .tags("a/b/c", .init())),
            ("/v2/app/manifests/v1", .manifest("app", .tag("v1"))),
            ("/v2/team/app/manifests/\(Self.digest)", .manifest("team/app", .digest(digest))),
            ("/v2/app/blobs/\(Self.digest)", .blob("app", digest)),
            ("/v2/app/blobs/sha256%3A\(Self.digest.dropFirst(7))", .blob("app", digest)),
            ("/v2/app/blobs/uploads/", .uploads("app", digest: nil, mount: nil)),
            ("/v2/app/blobs/uploads", .uploads("app", digest: nil, mount: nil)),
            ("/v2/app/blobs/uploads/?mount=\(Self.digest)&from=x", .uploads("app", digest: nil, mount: digest)),
            ("/v2/app/blobs/uploads/?digest=\(Self.digest)", .uploads("app", digest: digest, mount: nil)),
            ("/v2/app/blobs/uploads/\(Self.upload)", .upload("app", id: Self.upload, digest: nil)),
            (
                "/v2/app/blobs/uploads/\(Self.upload)?digest=sha256%3a\(Self.digest.dropFirst(7))",
                .upload("app", id: Self.upload, digest: digest)
            ),
            ("/v2/app/referrers/\(Self.digest)", .referrers("app", digest)),
        ]
        for (target, route) in cases { #expect(try RegistryRoute(target) == route, "\(target)") }
    }

    @Test(arguments: [
        ("/", "NOT_FOUND"), ("/v1/app/manifests/x", "NOT_FOUND"), ("/v2/app", "NOT_FOUND"),
        ("/v2/App/tags/list", "NAME_INVALID"), ("/v2/../manifests/x", "NAME_INVALID"),
        ("/v2/a//b/tags/list", "NAME_INVALID"), ("/v2/%2e%2e/tags/list", "NAME_INVALID"),
        ("/v2/app/manifests/-x", "MANIFEST_INVALID"), ("/v2/app/manifests/sha256:12", "DIGEST_INVALID"),
        ("/v2/app/blobs/sha512:\(String(repeating: "a", count: 128))", "DIGEST_INVALID"),
        ("/v2/app/blobs/../../etc", "NOT_FOUND"), ("/v2/app/blobs/uploads/..", "BLOB_UPLOAD_UNKNOWN"),
        ("/v2/app/blobs/uploads/x%2Fy", "NOT_FOUND"), ("/v2/_catalog?n=x", "PAGINATION_NUMBER_INVALID"),
        ("/v2/app/blobs/uploads/?digest=md5:1", "DIGEST_INVALID"), ("/v2/%zz/tags/list", "NOT_FOUND"),
    ])
    func refusesTheRest(target: String, code: String) {
        let problem = #expect(throws: RegistryProblem.self) { try RegistryRoute(target) }
        #expect(problem?.code == code)
    }

    @Test func cutsRanges() {
        let cases: [(String, Range<Int64>?)] = [
            ("bytes=0-", 0..<10), ("bytes=3-5", 3..<6), ("bytes=3-99", 3..<10), ("bytes=-4", 6..<10),
            ("bytes=-99", 0..<10), ("bytes=10-", 10..<10), ("bytes=99-", 10..<10), ("bytes=5-3", nil),
            ("bytes=x-", nil), ("bytes=1-2,4-5", nil), ("lines=1-2", nil),
            ("bytes=0-9223372036854775807", 0..<10),
        ]
        for (text, range) in cases { #expect(RegistryServer.range(text, of: 10) == range, "\(text)") }
    }

    @Test func pagesNames() {
        let names = ["a", "b", "c"]
        let first = RegistryServer.cut(names, .init(count: 2))
        #expect(first.shown == ["a", "b"] && first.next == "b")
        let second = RegistryServer.cut(names, .init(count: 2, last: "b"))
        #expect(second.shown == ["c"] && second.next == nil)
        #expect(RegistryServer.cut(names, .init(count: 0)).shown.isEmpty)
    }
}

/// The registry over a loopback connection, and what its pushes do to the store.
@Suite struct RegistryServerTests {
    let scratch: Scratch

    init() throws { scratch = try Scratch() }

    struct Bench: Sendable {
        let store: ImageStore
        let world: World
        let host: String
        let transport: HTTPTransport

        func send(
            _ method: String, _ target: String, _ body: [UInt8] = [], _ headers: [(String, String)] = []
        ) async throws -> (status: Int, headers: Headers, body: [UInt8]) {
            let response = try await transport.send(Request(method, target, headers: Headers(headers), body: body))
            return (response.status, response.headers, try await response.collect())
        }

        func code(_ body: [UInt8]) -> String {
            (try? Document(json: body))?.list("errors").first?.text("code") ?? String(decoding: body, as: UTF8.self)
        }

        /// In one piece; gives the digest.
        func push(_ bytes: [UInt8], to name: String = "app") async throws -> ImageDigest {
            let digest = ImageDigest.of(bytes)
            let answer = try await send("POST", "/v2/\(name)/blobs/uploads/?digest=\(digest)", bytes)
            #expect(answer.status == 201, "\(code(answer.body))")
            return digest
        }
    }

    private func run(_ body: @escaping @Sendable (Bench) async throws -> Void) async throws {
        let store = try scratch.store()
        try await EventLoop.runOnThread { loop in
            let world = World.live(loop)
            let listener = try await world.network.listen(on: .ip(.loopback, port: 0))
            guard case .ip(_, let port) = listener.local else { return }
            let server = try RegistryServer(store: store, world: world, blocking: BlockingPool())
            let transport = HTTPTransport(
                listener.local, host: "localhost:\(port)", network: world.network, clock: world.clock)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await server.run(on: listener) }
                defer { group.cancelAll() }
                try await body(
                    Bench(store: store, world: world, host: "localhost:\(port)", transport: transport))
            }
        }
    }

    private func noise(_ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 7) }
    }

    @Test func takesABlobInPieces() async throws {
        let bytes = noise(3_000_000)
        try await run { bench in
            let begun = try await bench.send("POST", "/v2/app/blobs/uploads/")
            #expect(begun.status == 202)
            let place = try #require(begun.headers["Location"])
            let first = try await bench.send(
                "PATCH", place, Array(bytes[..<1_000_000]), [("Content-Range", "0-999999")])
            #expect(first.status == 202 && first.headers["Range"] == "0-999999")
            let wrong = try await bench.send("PATCH", place, [1, 2], [("Content-Range", "5-6")])
            #expect(wrong.status == 416)
            let asked = try await bench.send("GET", place)
            #expect(asked.status == 204 && asked.headers["Range"] == "0-999999")
            let second = try await bench.send("PATCH", place, Array(bytes[1_000_000..<2_000_000]))
            #expect(second.headers["Range"] == "0-1999999")
            let digest = ImageDigest.of(bytes)
            let done = try await bench.send("PUT", "\(place)?digest=\(digest)", Array(bytes[2_000_000...]))
            #expect(done.status == 201 && done.headers["Docker-Content-Digest"] == digest.description)
            let whole = try await bench.send("GET", "/v2/app/blobs/\(digest)")
            #expect(whole.status == 200 && whole.body == bytes)
            let part = try await bench.send("GET", "/v2/app/blobs/\(digest)", [], [("Range", "bytes=2999990-")])
            #expect(part.status == 206 && part.body == Array(bytes.suffix(10)))
            #expect(part.headers["Content-Range"] == "bytes 2999990-2999999/3000000")
            let head = try await bench.send("HEAD", "/v2/other/blobs/\(digest)")
            #expect(head.status == 200 && head.headers["Content-Length"] == "3000000")
            #expect(try await bench.send("GET", place).status == 404)
        }
    }

    @Test func keepsNothingOfWhatIsWrong() async throws {
        try await run { bench in
            let other = ImageDigest.of([9])
            let lie = try await bench.send("POST", "/v2/app/blobs/uploads/?digest=\(other)", [1, 2, 3])
            #expect(lie.status == 400 && bench.code(lie.body) == "DIGEST_INVALID")
            let cancelled = try #require(
                try await bench.send("POST", "/v2/app/blobs/uploads/").headers["Location"])
            #expect(try await bench.send("DELETE", cancelled).status == 204)
            #expect(try await bench.send("PATCH", cancelled, [1]).status == 404)
            #expect(try Files.list(bench.store.layout.uploads).isEmpty)
            #expect(try Files.list(bench.store.layout.blobs).isEmpty)
            let cases: [(String, String, String, Int, String)] = [
                ("PUT", "/v2/app/manifests/v1", "no json", 400, "MANIFEST_INVALID"),
                ("PUT", "/v2/app/manifests/v1", "{}", 400, "MANIFEST_INVALID"),
                ("PUT", "/v2/app/manifests/v1", #"{"schemaVersion":2}"#, 400, "MANIFEST_INVALID"),
                (
                    "PUT", "/v2/app/manifests/v1",
                    #"{"schemaVersion":2,"config":{"digest":"\#(other)","size":1},"layers":[]}"#, 404,
                    "MANIFEST_BLOB_UNKNOWN"
                ),
                ("PUT", "/v2/app/manifests/\(other)", #"{"schemaVersion":2,"manifests":[]}"#, 400, "DIGEST_INVALID"),
                ("GET", "/v2/app/manifests/v1", "", 404, "NAME_UNKNOWN"),
                ("GET", "/v2/app/tags/list", "", 404, "NAME_UNKNOWN"),
                ("GET", "/v2/app/blobs/\(other)", "", 404, "BLOB_UNKNOWN"),
                ("DELETE", "/v2/app/blobs/\(other)", "", 405, "UNSUPPORTED"),
                ("DELETE", "/v2/app/manifests/v1", "", 404, "NAME_UNKNOWN"),
            ]
            for (method, target, body, status, code) in cases {
                let answer = try await bench.send(method, target, Array(body.utf8))
                #expect(answer.status == status && bench.code(answer.body) == code, "\(method) \(target): \(answer)")
            }
            #expect(!Files.exists(bench.store.layout.repositories))
        }
    }

    /// An image that is pushed, pulled into another store, found in lists, and deleted.
    @Test func anImageGoesInAndOut() async throws {
        let layer = try Files.read(try scratch.tar("l.tar", [file("hello", "from the registry")]))
        let path = scratch.path
        try await run { bench in
            var sample = SampleLayout()
            let entry = try sample.image([layer], compression: .gzip)
            let digest = try #require(entry.text("digest").flatMap { ImageDigest($0) })
            for (name, bytes) in sample.blobs where name != digest { _ = try await bench.push(bytes) }
            let manifest = try #require(sample.blobs.first { $0.0 == digest }).1
            let type = "application/vnd.oci.image.manifest.v1+json"
            for tag in ["v1", "v2"] {
                let put = try await bench.send("PUT", "/v2/app/manifests/\(tag)", manifest, [("Content-Type", type)])
                #expect(put.status == 201, "\(bench.code(put.body))")
            }
            let got = try await bench.send("GET", "/v2/app/manifests/v1")
            #expect(got.body == manifest && got.headers["Content-Type"] == type)
            let head = try await bench.send("HEAD", "/v2/app/manifests/\(digest)")
            #expect(head.headers["Docker-Content-Digest"] == digest.description)
            let list = try await bench.send("GET", "/v2/app/tags/list?n=1")
            #expect(try Document(json: list.body).list("tags").compactMap(\.string) == ["v1"])
            #expect(list.headers["Link"] == "</v2/app/tags/list?n=1&last=v1>; rel=\"next\"")
            let repositories = try Document(json: try await bench.send("GET", "/v2/_catalog").body)
            #expect(repositories.list("repositories").compactMap(\.string) == ["app"])

            // The unused layer outlives a removal of what no image needs, and what is pulled is the same.
            _ = try bench.store.prune(all: true)
            let fresh = try ImageStore(root: "\(path)/fresh")
            let client = RegistryClient(settings: RegistrySettings(), world: bench.world)
            let image = try await ImagePuller(store: fresh, client: client, blocking: BlockingPool())
                .pull("\(bench.host)/app:v2").image
            #expect(image.digest == digest.description)
            #expect(try Files.text("\(image.layerDirectories[0])/hello") == "from the registry")
            // The same store needs nothing but to unpack.
            let own = try await ImagePuller(store: bench.store, client: client, blocking: BlockingPool())
                .pull("\(bench.host)/app:v1").image
            #expect(own.digest == digest.description)

            #expect(try await bench.send("DELETE", "/v2/app/manifests/v1").status == 202)
            #expect(try await bench.send("GET", "/v2/app/manifests/v1").status == 404)
            #expect(try await bench.send("GET", "/v2/app/manifests/v2").status == 200)
            #expect(try await bench.send("DELETE", "/v2/app/manifests/\(digest)").status == 202)
            #expect(try await bench.send("GET", "/v2/app/tags/list").status == 404)
        }
    }

    @Test func indexesAndArtifactsAreKeptWhole() async throws {
        try await run { bench in
            let config = try await bench.push(Array("{}".utf8))
            let blob = try await bench.push(Array("a chart".utf8))
            let artifact: Document = [
                "schemaVersion": 2, "artifactType": "application/vnd.test",
                "config": ["mediaType": "application/vnd.empty", "digest": Document(config.description), "size": 2],
                "layers": [["mediaType": "text/plain", "digest": Document(blob.description), "size": 7]],
            ]
            let first = try await bench.send("PUT", "/v2/app/manifests/chart", artifact.json)
            let digest = try #require(first.headers["Docker-Content-Digest"])
            let index: Document = [
                "schemaVersion": 2, "manifests": [["digest": Document(digest), "size": 1, "mediaType": "x"]],
            ]
            #expect(try await bench.send("PUT", "/v2/app/manifests/all", index.json).status == 201)
            var signature = artifact
            signature["subject"] = ["digest": Document(digest), "size": 1, "mediaType": "x"]
            let put = try await bench.send("PUT", "/v2/app/manifests/sig", signature.json)
            #expect(put.headers["OCI-Subject"] == digest)
            let referrers = try Document(json: try await bench.send("GET", "/v2/app/referrers/\(digest)").body)
            #expect(referrers.list("manifests").compactMap { $0.text("artifactType") } == ["application/vnd.test"])

            // Notes of what is pending do not keep what is reachable: the manifests do.
            for name in try Files.list(bench.store.layout.pending) {
                try Files.removeTree("\(bench.store.layout.pending)/\(name)")
            }
            _ = try bench.store.prune(all: true)
            #expect(try await bench.send("GET", "/v2/app/blobs/\(blob)").body == Array("a chart".utf8))
            for tag in ["all", "sig", "chart"] {
                let digest = try await bench.send("HEAD", "/v2/app/manifests/\(tag)").headers["Docker-Content-Digest"]
                #expect(try await bench.send("DELETE", "/v2/app/manifests/\(digest ?? "")").status == 202)
            }
            for name in try Files.list(bench.store.layout.pending) {
                try Files.removeTree("\(bench.store.layout.pending)/\(name)")
            }
            _ = try bench.store.prune(all: true)
            #expect(try await bench.send("GET", "/v2/app/blobs/\(blob)").status == 404)
        }
    }

    @Test(.enabled(if: hasSkopeo, "needs skopeo")) func skopeoPushesAndPulls() async throws {
        let layers = try (0..<3).map { number in
            try Files.read(
                try scratch.tar("s\(number).tar", [file("f\(number)", String(repeating: "\(number)", count: 700_000))]))
        }
        let source = try scratch.store()
        var sample = SampleLayout()
        let entry = try sample.image(layers, compression: .gzip)
        let archive = try scratch.tar("image.tar", sample.entries(index: [named(entry, "test/all:v1")]))
        _ = try source.load(archive: archive)
        try source.save(["test/all:v1"], asLayout: "\(scratch.path)/layout")
        let path = scratch.path
        try await run { bench in
            let blocking = BlockingPool()
            for (format, tag) in [("oci", "v1"), ("v2s2", "docker")] {
                let pushed = try await blocking.run {
                    Command.run([
                        "skopeo", "copy", "--dest-tls-verify=false", "--format", format, "oci:\(path)/layout",
                        "docker://\(bench.host)/team/all:\(tag)",
                    ])
                }
                #expect(pushed.code == 0, "\(pushed)")
                let pulled = try await blocking.run {
                    Command.run([
                        "skopeo", "copy", "--src-tls-verify=false", "docker://\(bench.host)/team/all:\(tag)",
                        "oci:\(path)/back-\(tag):\(tag)",
                    ])
                }
                #expect(pulled.code == 0, "\(pulled)")
                let back = try ImageStore(root: "\(path)/back-\(tag)-store").load(archive: "\(path)/back-\(tag)")
                #expect(back.first?.layerDirectories.count == 3)
            }
            let tags = try await blocking.run {
                Command.run(["skopeo", "list-tags", "--tls-verify=false", "docker://\(bench.host)/team/all"])
            }
            #expect(try Document(json: Array(tags.out.utf8)).list("Tags").compactMap(\.string) == ["docker", "v1"])
            let deleted = try await blocking.run {
                Command.run(["skopeo", "delete", "--tls-verify=false", "docker://\(bench.host)/team/all:v1"])
            }
            #expect(deleted.code == 0, "\(deleted)")
        }
    }
}
