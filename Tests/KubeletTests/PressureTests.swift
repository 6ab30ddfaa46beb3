import Basics
import Document
import Glibc
import Images
import Linux
import Synchronization
import Testing

@testable import Kubelet

/// A store whose unused images are as large as is asked for, or not there at all.
private final class FullStore: ImageSource {
    let collected = Mutex<[Int64]>([])
    private let whenAsked: @Sendable () -> Void

    init(_ whenAsked: @escaping @Sendable () -> Void) { self.whenAsked = whenAsked }

    func resolve(_ reference: String) async throws -> Image? { try await FakeImages().resolve(reference) }
    func list() async throws -> [Image] { [] }
    func pull(_ reference: String, credentials: CredentialSet) async throws -> Image {
        try await FakeImages().pull(reference, credentials: credentials)
    }
    func collect(bytes: Int64, unusedSince limit: Timestamp) async throws -> PruneOutcome {
        collected.withLock { $0.append(bytes) }
        whenAsked()
        return PruneOutcome()
    }
}

@Suite(.enabled(if: geteuid() == 0, "mounting tmpfs needs root"))
struct PressureTests {
    /// A disk that is full as long as the file in it stays, and a node on it.
    private func onSmallDisk(_ body: (TestNode<FakeRuntime>, String) async throws -> Void) async throws {
        var template = Array("/tmp/kubelet-disk-XXXXXX".utf8CString)
        let disk = String(cString: try #require(mkdtemp(&template)))
        try #require(mount("tmpfs", disk, "tmpfs", 0, "size=4m") == 0)
        defer {
            umount2(disk, Int32(MNT_DETACH))
            rmdir(disk)
        }
        let node = try TestNode(base: disk)
        defer { node.remove() }
        try await body(node, "\(disk)/ballast")
    }

    private func configure(_ configuration: inout KubeletConfiguration) {
        configuration.eviction.hard = [EvictionThreshold(.nodeAvailable, .share(50_000))]
    }

    @Test func imagesGoBeforePods() async throws {
        try await onSmallDisk { node, ballast in
            try Files.write([UInt8](repeating: 1, count: 3 << 20), to: ballast)
            let store = FullStore { unlink(ballast) }
            node.api.put(webPath, pod())
            try await node.withKubelet(images: store, configure: configure) { _ in
                try await node.api.waitForEvent("EvictionThresholdMet")
                try await node.api.wait(webPath) { $0?.text("status", "phase") == "Running" }
            }
            let asked = store.collected.withLock { $0 }
            #expect(asked.count == 1 && asked.allSatisfy { $0 > 0 && $0 < 4 << 20 }, "\(asked)")
            #expect(node.api[webPath]?.text("status", "reason") == nil)
        }
    }

    @Test func podsGoWhereImagesAreNotEnough() async throws {
        try await onSmallDisk { node, ballast in
            try Files.write([UInt8](repeating: 1, count: 3 << 20), to: ballast)
            let store = FullStore {}
            node.api.put(webPath, pod())
            try await node.withKubelet(images: store, configure: configure) { _ in
                try await node.api.wait(webPath) { $0?.text("status", "reason") == "Evicted" }
            }
            #expect(!store.collected.withLock { $0 }.isEmpty)
        }
    }

    @Test func aStatusThatOthersWroteOverIsPutRight() async throws {
        let node = try TestNode()
        defer { node.remove() }
        node.api.put(webPath, pod())
        try await node.withKubelet { _ in
            try await node.api.wait(webPath) { $0?["status"]?.condition("Ready")?.text("status") == "True" }
            for round in 0..<2 {
                var changed = node.api[webPath] ?? .null
                changed.set(
                    [
                        "phase": "Running", "message": "from elsewhere", "resourceClaimStatuses": [["name": "claim"]],
                        "conditions": [
                            ["type": "Ready", "status": "False"],
                            ["type": "example.com/gate", "status": Document(round == 0 ? "True" : "False")],
                        ],
                    ], at: "status")
                node.api.put(webPath, changed)
                try await node.api.wait(webPath) { object in
                    let status = object?["status"]
                    return status?.condition("Ready")?.text("status") == "True" && status?.text("podIP") != nil
                        && status?["message"].map { $0.isNull } ?? true
                }
                let status = node.api[webPath]?["status"] ?? .null
                #expect(status.container("main")?.flag("ready") == true)
                // What belongs to others stays theirs.
                #expect(status.condition("example.com/gate")?.text("status") == (round == 0 ? "True" : "False"))
                #expect(status.list("resourceClaimStatuses").count == 1)
            }
        }
    }
}
