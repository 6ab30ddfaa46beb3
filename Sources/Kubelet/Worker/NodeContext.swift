import Basics
import Client
import Document
import Images
import Linux
import Runtime
import Synchronization

/// What all pods of a node share.
struct NodeContext: Sendable {
    let configuration: KubeletConfiguration
    let client: APIClient
    let runtime: any SandboxRuntime
    let images: any ImageSource
    let network: any PodNetworking
    let world: World
    let log: Log
    let events: EventQueue
    let services: Informer
    let objects: ReferencedObjects
    let tokens: TokenSource
    let volumes: VolumeManager
    let pool: BlockingPool
    let machine: Machine
    let ledger: NodeLedger
    let health: NodeHealth
    let pullGate: Gate
    /// Open once the pod network is ready and addresses of pods that are gone have been taken back:
    /// from then on pods may get theirs.
    let networkIsReady: Latch

    func fields(_ pod: Document, podIPs: [IPAddress]) -> DownwardFields {
        DownwardFields(
            pod: pod, podIPs: pod.flag("spec", "hostNetwork") == true ? configuration.nodeIPs : podIPs,
            hostIPs: configuration.nodeIPs, allocatableCPUMillis: ledger.limits["cpu"],
            allocatableMemory: ledger.limits["memory"] / 1000)
    }

    /// Removes the pod's sandboxes, alive or dead, but for the one called `kept`.
    func removeSandboxes(_ uid: String, but kept: String? = nil) async throws {
        let directory = sandboxDirectory(uid)
        for number in (try? Files.list(directory)) ?? [] where number != kept {
            let path = "\(directory)/\(number)"
            if let sandbox = try await runtime.attach(stateDirectory: path) { try await sandbox.destroy() }
            try await runtime.cleanUp(stateDirectory: path)
        }
        guard kept == nil else { return }
        let groups = Resources.possibleCgroups(ofPod: uid, root: configuration.cgroupRoot)
        try await pool.run {
            // A process whose start was cut off may have made the pod's group once more, and nobody has noted that.
            let layout = try CgroupLayout.ofProcess()
            for group in groups { try Cgroup(group, layout: layout).remove() }
            try Files.removeTree(directory)
        }
    }

    func sandboxDirectory(_ uid: String) -> String { "\(configuration.rootDirectory)/sandboxes/\(uid)" }
}

/// Lets a bounded number of tasks through at a time, in the order in which they came.
actor Gate {
    private var free: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(_ places: Int) { free = max(1, places) }

    func run<T: Sendable>(_ body: @Sendable () async throws -> T) async rethrows -> T {
        if free > 0 {
            free -= 1
        } else {
            await withCheckedContinuation { waiting.append($0) }
        }
        defer {
            if waiting.isEmpty { free += 1 } else { waiting.removeFirst().resume() }
        }
        return try await body()
    }
}

/// Shut at first, open for ever after.
final class Latch: Sendable {
    private let isOpen = Mutex(false)
    private let change = Wakeup()

    func open() {
        isOpen.withLock { $0 = true }
        change.wake()
    }

    func wait() async throws {
        while true {
            let ticket = change.ticket
            if isOpen.withLock({ $0 }) { return }
            try await change.wait(since: ticket)
        }
    }

    var isShut: Bool { isOpen.withLock { !$0 } }
}
