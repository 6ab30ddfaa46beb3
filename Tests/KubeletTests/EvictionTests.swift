import Basics
import Document
import Glibc
import Linux
import Synchronization
import Testing

@testable import Kubelet

final class Counter: Sendable {
    private let count = Mutex(0)
    var value: Int { count.withLock { $0 } }
    func add() { count.withLock { $0 += 1 } }
}

@Suite struct EvictionTests {
    private func sample(_ memory: Int64, disk: Int64 = 50, pids: Int64 = 1000) -> EvictionSample {
        EvictionSample(amounts: [
            .memoryAvailable: .init(available: memory << 20, capacity: 1000 << 20),
            .nodeAvailable: .init(available: disk, capacity: 100),
            .processesAvailable: .init(available: pids, capacity: 2000),
        ])
    }

    private var settings: EvictionSettings {
        get throws {
            var settings = EvictionSettings()
            settings.hard = [
                try .init("nodefs.available", "10%", grace: nil), try .init("memory.available", "100Mi", grace: nil),
            ]
            settings.soft = [try .init("memory.available", "300Mi", grace: .seconds(30))]
            settings.transition = .seconds(60)
            return settings
        }
    }

    @Test func hardThresholdsActAtOnceAndMemoryFirst() throws {
        var state = EvictionState(try settings)
        #expect(state.observe(sample(500), now: at(0)) == nil)
        #expect(state.pressure == [])
        #expect(state.observe(sample(50, disk: 5), now: at(10))?.signal == .memoryAvailable)
        #expect(state.pressure == [.memory, .disk])
        #expect(state.observe(sample(500, disk: 5), now: at(20))?.signal == .nodeAvailable)
        // The condition stays for a while, so that the node does not waver.
        #expect(state.observe(sample(500), now: at(30)) == nil)
        #expect(state.pressure == [.memory, .disk])
        #expect(state.observe(sample(500), now: at(75)) == nil)
        #expect(state.pressure == [.disk])
    }

    @Test func softThresholdsWaitForTheirGrace() throws {
        var state = EvictionState(try settings)
        #expect(state.observe(sample(200), now: at(0)) == nil)
        #expect(state.pressure == [.memory])
        #expect(state.observe(sample(200), now: at(20)) == nil)
        // A moment above it begins the count anew.
        #expect(state.observe(sample(400), now: at(25)) == nil)
        #expect(state.observe(sample(200), now: at(30)) == nil)
        #expect(state.observe(sample(200), now: at(60))?.grace == .seconds(30))
    }

    @Test func theOrderOfEviction() {
        let pods = [
            EvictionCandidate(uid: "promised", priority: 0, usage: 100, request: 200),
            EvictionCandidate(uid: "important", priority: 10, usage: 900, request: 0),
            EvictionCandidate(uid: "greedy", priority: 0, usage: 500, request: 100),
            EvictionCandidate(uid: "greedier", priority: 0, usage: 500, request: 0),
        ]
        #expect(
            EvictionCandidate.ranked(pods, for: .memoryAvailable).map(\.uid)
                == ["greedier", "greedy", "important", "promised"])
        #expect(EvictionCandidate.ranked(pods, for: .processesAvailable).first?.uid == "greedier")
    }

    @Test func theMessageSaysAll() throws {
        let candidate = EvictionCandidate(
            uid: "u", priority: 0, usage: 300 << 20, request: 0,
            containers: [.init(name: "main", usage: 300 << 20, request: 0), .init(name: "calm", usage: 1, request: 2)])
        #expect(
            candidate.message(try .init("memory.available", "100Mi", grace: nil), sample(50))
                == "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. "
                + "Container main was using 300Mi, request is 0, has larger consumption of memory. ")
    }

    @Test(arguments: [("memory.free", "1"), ("memory.available", "lots"), ("nodefs.available", "101%")])
    func wrongThresholdsAreRefused(signal: String, amount: String) {
        #expect(throws: KubeletSettingsFile.Problem.self) { try EvictionThreshold(signal, amount, grace: nil) }
    }

    @Test func anEvictedPodEndsAndSaysWhy() {
        var script = Script(pod())
        _ = script.settle()
        let failure = PodFailure(reason: "Evicted", message: "too much. ", grace: .seconds(1), isDisruption: true)
        let actions = script.after(.evict(failure), at: at(5))
        #expect(actions.names == ["terminate main.0"])
        #expect(actions.events == ["Evicted", "Killing"])
        #expect(script.lifecycle.nextWake == at(6))
        #expect(script.after(at: at(6)).names == ["signal 9 main.0"])
        #expect(script.after(exited("main.0", signal: 9, at: at(7)), at: at(7)).names == ["clean"])
        let status = script.status(at: at(8))
        #expect(status.text("phase") == "Failed" && status.text("reason") == "Evicted")
        #expect(status.text("message") == "too much. ")
        #expect(status.condition("DisruptionTarget")?.text("reason") == "TerminationByKubelet")
    }

    // MARK: Disk space of pods

    private let limited = pod([
        "containers": [container("main", ["resources": ["limits": ["ephemeral-storage": "10Mi"]]])],
        "volumes": [
            ["name": "disk", "emptyDir": ["sizeLimit": "5Mi"]], ["name": "ram", "emptyDir": ["medium": "Memory"]],
        ],
    ])

    @Test func limitsOfDiskSpace() {
        #expect(LocalStorage.isLimited(limited) && !LocalStorage.isLimited(pod()))
        #expect(LocalStorage.excess(limited, .init(containers: ["main": 1 << 20], volumes: ["disk": 5 << 20])) == nil)
        #expect(
            LocalStorage.excess(limited, .init(volumes: ["disk": 6 << 20]))
                == "Usage of EmptyDir volume \"disk\" exceeds the limit \"5Mi\". ")
        #expect(
            LocalStorage.excess(limited, .init(containers: ["main": 11 << 20]))
                == "Container main exceeded its local ephemeral storage limit \"10Mi\". ")
        #expect(
            LocalStorage.excess(limited, .init(containers: ["main": 9 << 20], volumes: ["disk": 4 << 20]))
                == "Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. ")
    }

    @Test func filesAreMeasuredOnceAndLinksNotFollowed() throws {
        var template = Array("/tmp/kubelet-disk-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw SystemError("mkdtemp", errno: errno) }
        let root = String(cString: made)
        defer { try? Files.removeTree(root) }
        try Files.makeDirectories("\(root)/a/b")
        try Files.write([UInt8](repeating: 7, count: 1 << 20), to: "\(root)/a/b/file")
        #expect(link("\(root)/a/b/file", "\(root)/a/again") == 0)
        #expect(symlink("/usr", "\(root)/a/usr") == 0)
        let amount = DiskUsage.below(root)
        #expect(amount.inodes == 5)
        #expect((1 << 20..<2 << 20).contains(amount.bytes))
        #expect(DiskUsage.below("\(root)/missing") == .init())
    }

    @Test(arguments: [
        (0, "0"), (1023, "1023"), (1024, "1Ki"), (100 << 20, "100Mi"), (3 << 29, "1536Mi"), (1 << 40, "1Ti"),
    ])
    func bytesAsKubernetesWritesThem(bytes: Int64, text: String) { #expect(Quantity.binary(bytes) == text) }
}
