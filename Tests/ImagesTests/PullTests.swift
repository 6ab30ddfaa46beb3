import Basics
import Document
import Glibc
import Linux
import Testing
import Wire

@testable import Images

@Suite(.enabled(if: isRoot, "unpacking layers takes root")) struct PullTests {
    let scratch: Scratch

    init() throws { scratch = try Scratch() }

    private func layer(_ name: String, _ text: String) throws -> [UInt8] {
        try Files.read(try scratch.tar("\(name).tar", [file(name, text)]))
    }

    @Test func pullsOnceAndThenAsksOnlyForTheManifest() async throws {
        let (one, two) = (try layer("one", "1"), try layer("two", "2"))
        try await RegistryBench.run(scratch) { bench in
            let digest = try bench.registry.add("a/b:v1", layers: [one, two])
            let first = try await bench.pull("a/b:v1")
            #expect(!first.wasCurrent)
            #expect(first.image.digest == digest.description)
            #expect(first.image.names == ["\(bench.host)/a/b:v1"])
            #expect(try Files.text("\(first.image.layerDirectories[0])/two") == "2")
            let asked = bench.registry.requests.count
            #expect(asked == 4)
            let again = try await bench.pull("a/b:v1")
            #expect(again.wasCurrent)
            #expect(bench.registry.requests.count == asked + 1)
            // The digest is another way to say it.
            #expect(try bench.store.resolve("\(bench.host)/a/b@\(digest)")?.digest == digest.description)
        }
    }

    @Test func anIndexLeadsToThisMachinesImage() async throws {
        let (here, there) = (try layer("here", ""), try layer("there", ""))
        try await RegistryBench.run(scratch) { bench in
            let mine = try bench.registry.add("a:here", layers: [here])
            let other = try bench.registry.add("a:there", layers: [there], architecture: "s390x")
            let index: Document = [
                "schemaVersion": 2,
                "manifests": Document(
                    [(other, "s390x"), (mine, "amd64")].map { digest, architecture in
                        var entry = Descriptor(
                            digest: digest,
                            size: Int64(bench.registry.state.withLock { $0.blobs[digest.description]?.count ?? 0 }),
                            mediaType: Manifest.mediaType
                        ).document
                        entry["platform"] = ["os": "linux", "architecture": Document(architecture)]
                        return entry
                    }),
            ]
            bench.registry.set("a:all", manifest: index.json)
            let image = try await bench.pull("a:all").image
            #expect(image.digest == mine.description)
            let name = "\(bench.host)/a@\(ImageDigest.of(index.json))"
            #expect(image.repoDigests.contains(name))
            #expect(try bench.store.resolve(name)?.id == image.id)
            await #expect(throws: (any Error).self) { try await bench.pull("a:there") }
        }
    }

    @Test func goesOnWhereTheConnectionBroke() async throws {
        let big = try layer("big", String(repeating: "lab", count: 700_000))
        try await RegistryBench.run(scratch) { bench in
            try bench.registry.add("a:v1", layers: [big])
            let target = "/v2/a/blobs/\(ImageDigest.of(big))"
            bench.registry.script { request, _ in
                guard request.target == target, request.headers["Range"] == nil else { return nil }
                return FakeRegistry.cutOff(big, after: 1_500_000)
            }
            let image = try await bench.pull("a:v1").image
            #expect(try status("\(image.layerDirectories[0])/big").st_size == 2_100_000)
            let ranges = bench.registry.headers(of: "GET \(target)").map { $0["Range"] ?? "" }
            #expect(ranges.count == 2)
            // What is still in the gathering buffer when the connection breaks comes again.
            #expect(ranges.last?.hasPrefix("bytes=1") == true, "\(ranges)")
        }
    }

    @Test func anInterruptedPullIsGoneOnWithByTheNext() async throws {
        let big = try layer("big", String(repeating: "lab", count: 700_000))
        try await RegistryBench.run(scratch) { bench in
            try bench.registry.add("a:v1", layers: [big])
            let digest = ImageDigest.of(big)
            try Files.write(Array(big.prefix(1_000_000)), to: "\(bench.store.layout.partials)/\(digest.hex)")
            _ = try await bench.pull("a:v1")
            let ranges = bench.registry.headers(of: "GET /v2/a/blobs/\(digest)").map { $0["Range"] }
            #expect(ranges == ["bytes=1000000-"])
            #expect(try Files.list(bench.store.layout.partials).isEmpty)
        }
    }

    @Test func wrongBytesNeverEnterTheStore() async throws {
        let good = try layer("good", "content")
        var bad = good
        bad[0] ^= 1
        let wrong = bad
        try await RegistryBench.run(scratch) { bench in
            try bench.registry.add("a:v1", layers: [good])
            let digest = ImageDigest.of(good)
            for (body, words) in [
                (wrong, "wrong content"), (good + [0], "longer than its"), (Array(good.dropLast()), "ended after"),
            ] {
                bench.registry.script { request, _ in
                    request.target.hasSuffix("\(digest)") ? Response(status: 200, body: .bytes(body)) : nil
                }
                let error = await #expect(throws: (any Error).self) { try await bench.pull("a:v1") }
                #expect("\(error.map { "\($0)" } ?? "")".contains(words), "\(error.map { "\($0)" } ?? "")")
                #expect(try bench.isClean())
                #expect(!bench.store.content.has(digest))
            }
            bench.registry.script { _, _ in nil }
            _ = try await bench.pull("a:v1")
        }
    }

    @Test(arguments: [
        ("{", "no JSON"), ("[]", "names no configuration"), ("{\"schemaVersion\":1,\"fsLayers\":[]}", "first schema"),
        (String(repeating: "[", count: 5_000), "no JSON"),
        ("{\"manifests\":[]}", "no match for platform"),
        ("{\"config\":{\"digest\":\"sha256:xyz\",\"size\":1},\"layers\":[]}", "is no sha256 digest"),
        (
            "{\"config\":{\"digest\":\"sha256:\(String(repeating: "a", count: 64))\",\"size\":-1},\"layers\":[]}",
            "has no size"
        ),
        (
            "{\"config\":{\"digest\":\"sha256:\(String(repeating: "a", count: 64))\",\"size\":99999999999},\"layers\":[]}",
            "its configuration has"
        ),
        (String(repeating: " ", count: 9 << 20) + "{}", "longer than"),
    ])
    func hostileManifestsAreRefused(text: String, words: String) async throws {
        try await RegistryBench.run(scratch) { bench in
            bench.registry.set("a:v1", manifest: Array(text.utf8))
            let error = await #expect(throws: (any Error).self) { try await bench.pull("a:v1") }
            #expect("\(error.map { "\($0)" } ?? "")".contains(words), "\(error.map { "\($0)" } ?? "")")
            let isClean = try bench.isClean()
            #expect(isClean)
        }
    }

    @Test func aManifestMustHaveTheDigestItIsAskedFor() async throws {
        let one = try layer("one", "")
        try await RegistryBench.run(scratch) { bench in
            let digest = try bench.registry.add("a:v1", layers: [one])
            bench.registry.set("a:\(digest)", manifest: Array("{}".utf8))
            let error = await #expect(throws: (any Error).self) { try await bench.pull("a@\(digest)") }
            #expect("\(error.map { "\($0)" } ?? "")".contains("has the digest"))
        }
    }

    @Test func aSilentRegistryIsLeft() async throws {
        let one = try layer("one", String(repeating: "x", count: 100_000))
        try await RegistryBench.run(scratch) { bench in
            var bench = bench
            bench.stall = .milliseconds(50)
            try bench.registry.add("a:v1", layers: [one])
            let clock = bench.world.clock
            bench.registry.script { request, _ in
                request.target.hasSuffix("\(ImageDigest.of(one))") ? FakeRegistry.hang(one, clock: clock) : nil
            }
            let patient = bench
            let error = await #expect(throws: (any Error).self) { try await patient.pull("a:v1") }
            #expect("\(error.map { "\($0)" } ?? "")".contains("no byte of the blob"))
        }
    }

    @Test func momentaryRefusalsAreOvercome() async throws {
        let one = try layer("one", "")
        try await RegistryBench.run(scratch) { bench in
            try bench.registry.add("a:v1", layers: [one])
            bench.registry.script { _, count in
                count % 2 == 1 ? FakeRegistry.refusal(503, "UNAVAILABLE", "later") : nil
            }
            _ = try await bench.pull("a:v1")
            bench.registry.script { _, _ in FakeRegistry.refusal(503, "UNAVAILABLE", "later") }
            let before = bench.registry.requests.count
            let error = await #expect(throws: (any Error).self) { try await bench.pull("a:v2") }
            #expect("\(error.map { "\($0)" } ?? "")".contains("UNAVAILABLE: later"))
            #expect(bench.registry.requests.count >= before + 3)
        }
    }

    @Test func manyPullsOfOneImageMeet() async throws {
        let layers = try (0..<6).map { try layer("l\($0)", String(repeating: "\($0)", count: 50_000)) }
        try await RegistryBench.run(scratch) { bench in
            try bench.registry.add("a:v1", layers: layers)
            try await withThrowingTaskGroup(of: String.self) { group in
                for _ in 0..<6 { group.addTask { try await bench.pull("a:v1").image.id } }
                var ids: Set<String> = []
                for try await id in group { ids.insert(id) }
                #expect(ids.count == 1)
            }
            // Every blob was fetched once.
            let blobs = bench.registry.requests.filter { $0.contains("/blobs/") }
            #expect(Set(blobs).count == blobs.count)
            #expect(try Files.list(bench.store.layout.temporary).isEmpty)
        }
    }
}
