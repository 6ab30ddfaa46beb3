import Basics
import Document
import Glibc
import Linux
import Testing

@testable import Images

/// Full disks and killed processes: the store stays whole, and what was there can go on.
@Suite(.enabled(if: isRoot, "mounting takes root"), .serialized) struct DisasterTests {
    let scratch: Scratch

    init() throws { scratch = try Scratch() }

    /// A store on a file system of its own, of `size` bytes.
    private func withSmallStore(_ size: Int, _ body: (String) async throws -> Void) async throws {
        let path = "\(scratch.path)/small"
        try Files.makeDirectories(path)
        guard mount("tmpfs", path, "tmpfs", 0, "size=\(size)") == 0 else {
            throw SystemError("mount tmpfs", path, errno: errno)
        }
        defer { umount2(path, Int32(MNT_DETACH)) }
        try await body(path)
    }

    private func layer(_ megabytes: Int) throws -> [UInt8] {
        let text = String(repeating: "0123456789abcdef", count: megabytes << 16)
        return try Files.read(try scratch.tar("layer.tar", [file("big", text)]))
    }

    @Test func aFullDiskStopsAPullAndKeepsNothingOfIt() async throws {
        let layer = try layer(3)
        try await withSmallStore(5 << 20) { path in
            let scratch = self.scratch
            try await RegistryBench.run(scratch, store: try ImageStore(root: path)) { bench in
                try bench.registry.add("a:v1", layers: [layer])
                let error = await #expect(throws: (any Error).self) { try await bench.pull("a:v1") }
                #expect("\(error.map { "\($0)" } ?? "")".contains("No space left on device"))
                let isClean = try bench.isClean()
                #expect(isClean)
            }
        }
        try await withSmallStore(2 << 20) { path in
            try await RegistryBench.run(scratch, store: try ImageStore(root: path)) { bench in
                try bench.registry.add("a:v1", layers: [layer])
                let error = await #expect(throws: (any Error).self) { try await bench.pull("a:v1") }
                #expect("\(error.map { "\($0)" } ?? "")".contains("are free in"))
            }
        }
    }

    @Test func aFullDiskStopsALoadAndKeepsNothingOfIt() async throws {
        var sample = SampleLayout()
        let entry = try sample.image([try layer(3)], compression: .gzip)
        let archive = try scratch.tar("image.tar", sample.entries(index: [named(entry, "test/big:v1")]))
        try await withSmallStore(2 << 20) { path in
            let store = try ImageStore(root: path)
            #expect(throws: SystemError.self) { try store.load(archive: archive) }
            #expect(try store.list().isEmpty)
            #expect(try Files.list(store.layout.layers).isEmpty && Files.list(store.layout.temporary).isEmpty)
        }
    }

    /// What a process that was killed in a pull leaves at each of its steps; the next pull completes. That a killed
    /// process leaves nothing else is for the system tests, which kill one.
    @Test func whatKilledPullsLeaveIsGoneOnWith() async throws {
        let layers = try (0..<4).map { number in
            try Files.read(
                try scratch.tar("l\(number).tar", [file("f\(number)", String(repeating: "\(number)", count: 400_000))]))
        }
        try await RegistryBench.run(scratch) { bench in
            try bench.registry.add("a:v1", layers: layers)
            // What a killed process leaves at each of its steps: half a download, a whole one, a workspace.
            let digests = layers.map { ImageDigest.of($0) }
            let layout = bench.store.layout
            try Files.write(Array(layers[0].prefix(100_000)), to: "\(layout.partials)/\(digests[0].hex)")
            try Files.write(layers[1], to: "\(layout.partials)/\(digests[1].hex)")
            try Files.write(Array("garbage".utf8) + layers[2], to: "\(layout.partials)/\(digests[2].hex)")
            try Files.makeDirectories("\(layout.temporary)/work.dead/layer.x")
            try Files.write([1], to: "\(layout.temporary)/file.dead")
            _ = try ImageStore(root: layout.root)
            #expect(try Files.list(layout.temporary).isEmpty)
            let image = try await bench.pull("a:v1").image
            for number in 0..<4 {
                #expect(try status("\(image.layerDirectories[3 - number])/f\(number)").st_size == 400_000)
            }
            #expect(try Files.list(layout.partials).isEmpty)
        }
    }
}
