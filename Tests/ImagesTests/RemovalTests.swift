import Basics
import Document
import Glibc
import Linux
import Testing

@testable import Images

@Suite(.enabled(if: isRoot, "unpacking layers takes root")) struct RemovalTests {
    let scratch: Scratch
    let store: ImageStore

    init() throws {
        scratch = try Scratch()
        store = try scratch.store()
    }

    private func add(_ name: String, _ text: String) throws -> Image {
        var sample = SampleLayout()
        let layer = try Files.read(
            try scratch.tar("layer.tar", [file("text", text), file("size", String(repeating: text, count: 100))]))
        let entry = try sample.image([layer])
        let archive = try scratch.tar("image.tar", sample.entries(index: [named(entry, name)]))
        return try #require(try store.load(archive: archive).first)
    }

    private func setLastUse(_ image: Image, _ seconds: Int) throws {
        let digest = try #require(Digest(image.digest))
        try store.touch(digest)
        var times = (timespec(tv_sec: seconds, tv_nsec: 0), timespec(tv_sec: seconds, tv_nsec: 0))
        let path = "\(store.layout.stamps)/\(digest.hex)"
        let code = withUnsafePointer(to: &times) {
            $0.withMemoryRebound(to: timespec.self, capacity: 2) { utimensat(AT_FDCWD, path, $0, 0) }
        }
        #expect(code == 0)
    }

    @Test func whatAPodRunsFromStays() throws {
        let one = try add("test/one:v1", "1")
        try store.use(one, owner: "blue.blue-worker", user: "pod-1")
        try store.use(one, owner: "blue.blue-worker", user: "pod-1")
        try store.use(one, owner: "red.red-worker", user: "pod-2")
        let error = #expect(throws: ImageError.self) { try store.remove("test/one:v1") }
        #expect(error?.description == "test/one:v1: is in use by 2 pods: blue.blue-worker/pod-1, red.red-worker/pod-2")
        #expect(try store.prune(all: true).removed == [])
        #expect(try store.collect(.max, unusedSince: Timestamp(seconds: 1 << 40)).removed == [])
        #expect(try store.usage().first?.users == ["blue.blue-worker/pod-1", "red.red-worker/pod-2"])
        try store.release(owner: "blue.blue-worker", user: "pod-1")
        try store.forget { $0.hasPrefix("red.") }
        try store.remove("test/one:v1")
        #expect(try store.list().isEmpty)
        #expect(try Files.list(store.layout.blobs).isEmpty && Files.list(store.layout.layers).isEmpty)
        #expect(try Files.list(store.layout.stamps).isEmpty && Files.list(store.layout.temporary).isEmpty)
        #expect(throws: ImageError("docker.io/test/one:v1", "no such image")) {
            try store.use(one, owner: "blue.blue-worker", user: "pod-3")
        }
    }

    @Test func podsThatWentWhileNobodyLookedUseNothing() throws {
        let one = try add("test/one:v1", "1")
        for pod in ["a", "b", "c"] { try store.use(one, owner: "c.n", user: pod) }
        try store.retain(owner: "c.n", users: ["b", "new"])
        #expect(try store.usage().first?.users == ["c.n/b"])
        for name in ["../x", "", ".hidden", "a/b"] {
            #expect(throws: ImageError.self) { try store.use(one, owner: "c.n", user: name) }
            #expect(throws: ImageError.self) { try store.use(one, owner: name, user: "x") }
        }
    }

    @Test func theLongestUnusedGoesFirst() throws {
        for (index, name) in ["c", "a", "b"].enumerated() {
            try setLastUse(try add("test/\(name):v1", name), 1_000 + [30, 10, 20][index])
        }
        #expect(try store.usage().map { $0.image.names[0] }.map { $0.suffix(4) } == ["a:v1", "b:v1", "c:v1"])
        #expect(try store.usage().allSatisfy { $0.bytes > 0 })
        let young = try store.collect(.max, unusedSince: Timestamp(seconds: 1_020))
        #expect(young.removed.map { $0.suffix(4) } == ["a:v1", "b:v1"])
        #expect(try store.list().map { $0.names[0].suffix(4) } == ["c:v1"])
        #expect(try store.collect(0, unusedSince: Timestamp(seconds: 1 << 40)).removed == [])
    }

    @Test func pruneTakesTheNamelessUnlessToldOtherwise() throws {
        _ = try add("test/one:v1", "1")
        _ = try add("test/one:v1", "2")
        _ = try add("test/keep:v1", "3")
        #expect(try store.prune(all: false).removed.count == 1)
        #expect(try store.list().count == 2)
        #expect(try store.prune(all: true, unusedSince: Timestamp(seconds: 0)).removed == [])
        #expect(try store.prune(all: true).removed.count == 2)
    }

    @Test func aPullWhoseContentVanishedIsToldSo() throws {
        let one = try add("test/one:v1", "1")
        let digest = try #require(Digest(one.digest))
        try Files.removeTree(one.layerDirectories[0])
        #expect(throws: ImageStore.Vanished.self) {
            try store.commit(manifest: digest, names: ["docker.io/test/two:v1"], repoDigests: [String]())
        }
        #expect(try store.resolve("test/two:v1") == nil)
    }

    @Test func removalLeavesTheWorkOfOthersAlone() throws {
        let workspace = try Workspace(in: store.layout)
        let digest = Digest.of([1])
        let partial = try #require(try PartialBlob(digest, in: store.layout))
        try partial.append([1])
        _ = try add("test/one:v1", "1")
        try store.remove("test/one:v1")
        _ = try scratch.store()
        #expect(Files.exists(workspace.path))
        #expect(Files.exists(partial.path))
        #expect(try PartialBlob(digest, in: store.layout) == nil)
    }

    @Test func filesThatAreNotThereAreToldAndNothingIsFreedTwice() throws {
        for path in ["\(scratch.path)/absent.tar", "/dev/null"] {
            #expect(throws: (any Error).self) { try store.load(archive: path) }
        }
        #expect(throws: SystemError.self) { _ = try FileSource(scratch.path) }
        #expect(throws: SystemError.self) { try StoreLock(existing: "\(scratch.path)/absent", .exclusive) }
        let lock = try StoreLock(store.layout.indexLock, .exclusive)
        // A second holder's failure must not close a descriptor that is another's by then.
        for _ in 0..<8 { #expect(try StoreLock(exclusiveNow: store.layout.indexLock) == nil) }
        withExtendedLifetime(lock) {}
    }

    @Test func anInterruptedDownloadGoesWithTheNextRemoval() throws {
        let digest = Digest.of([1])
        try Files.write([0], to: "\(store.layout.partials)/\(digest.hex)")
        _ = try store.prune(all: false)
        #expect(try Files.list(store.layout.partials).isEmpty)
    }
}
