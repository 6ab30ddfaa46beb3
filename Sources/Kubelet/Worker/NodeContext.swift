import Basics
import Client
import Document
import Images
import Linux
import Runtime

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
    let pullGate: Gate

    func fields(_ pod: Document, podIPs: [IPAddress]) -> DownwardFields {
        DownwardFields(
            pod: pod, podIPs: pod.flag("spec", "hostNetwork") == true ? configuration.nodeIPs : podIPs,
            hostIPs: configuration.nodeIPs, allocatableCPUMillis: machine.cpuMillis,
            allocatableMemory: machine.memoryBytes)
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
