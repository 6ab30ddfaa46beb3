import Basics
import Client
import Document
import Glibc
import Images
import Linux
import Runtime
import Synchronization
import Wire

@testable import Kubelet

/// A runtime whose processes are entries in a table.
final class FakeRuntime: SandboxRuntime {
    private let sandboxes = Mutex<[String: FakeSandbox]>([:])
    let launched = Mutex<[SandboxSpecification]>([])

    func launch(_ specification: SandboxSpecification) async throws -> any Sandbox {
        let sandbox = FakeSandbox()
        launched.withLock { $0.append(specification) }
        sandboxes.withLock { $0[specification.stateDirectory] = sandbox }
        try Files.makeDirectories(specification.stateDirectory)
        return sandbox
    }

    func attach(stateDirectory: String) async throws -> (any Sandbox)? {
        sandboxes.withLock { $0[stateDirectory] }.flatMap { $0.isAlive ? $0 : nil }
    }

    func cleanUp(stateDirectory: String) async throws { try Files.removeTree(stateDirectory) }

    var living: [FakeSandbox] { sandboxes.withLock { $0.values.filter(\.isAlive) } }
}

final class FakeSandbox: Sandbox {
    private struct State {
        var isAlive = true
        var processes: [String: ProcessStatus] = [:]
        var specifications: [String: ProcessSpecification] = [:]
        var nextPID: Int32 = 1000
        /// Processes that do not heed SIGTERM.
        var stubborn: Set<String> = []
    }

    private let state = Mutex(State())
    private let change = Wakeup()

    var pid: Int32 { 4711 }
    var isAlive: Bool { state.withLock { $0.isAlive } }
    func specification(_ id: String) -> ProcessSpecification? { state.withLock { $0.specifications[id] } }

    func start(_ process: ProcessSpecification) async throws -> Int32 {
        if process.arguments.first == "/missing" {
            throw StageError(
                step: "exec", object: "/missing", errno: ENOENT, description: "exec /missing: No such file or directory"
            )
        }
        let pid = state.withLock { state in
            state.nextPID += 1
            state.specifications[process.id] = process
            state.processes[process.id] = ProcessStatus(
                id: process.id, state: .running(pid: state.nextPID), startedAtNanoseconds: epoch.nanoseconds,
                restarts: 0)
            if case .file(let path) = process.output {
                try? Files.write(Array("unwell".utf8), to: path)
                // A program beside a container ends at once; its last argument says how.
                let code = process.arguments.last.flatMap { Int32($0) } ?? 0
                state.processes[process.id]?.state = .exited(
                    code: code, signal: nil, atNanoseconds: epoch.nanoseconds, outOfMemory: false)
            }
            return state.nextPID
        }
        change.wake()
        return pid
    }

    /// What goes in comes out; `exit CODE` is over at once.
    func start(_ process: ProcessSpecification, with streams: StreamSet) async throws -> ProcessStreams {
        let pid = try await start(process)
        if process.arguments.first == "exit" {
            end(process.id, code: process.arguments.last.flatMap { Int32($0) } ?? 0)
            return ProcessStreams(pid: pid)
        }
        return try Self.echo(pid, streams)
    }

    func attach(_ id: String, to streams: StreamSet) async throws -> ProcessStreams { try Self.echo(1, streams) }

    func closeInput(_ id: String) async throws { end(id, code: 0) }

    private static func echo(_ pid: Int32, _ streams: StreamSet) throws -> ProcessStreams {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw SystemError("pipe", errno: errno) }
        let (reader, writer) = (Descriptor(ends[0]), Descriptor(ends[1]))
        return ProcessStreams(
            pid: pid, input: streams.contains(.input) ? writer : nil, output: streams.contains(.output) ? reader : nil)
    }

    func end(_ id: String, code: Int32, signal: Int32? = nil) {
        state.withLock { state in
            state.processes[id]?.state = .exited(
                code: code, signal: signal, atNanoseconds: epoch.nanoseconds, outOfMemory: false)
        }
        change.wake()
    }

    func die() {
        state.withLock { $0.isAlive = false }
        change.wake()
    }

    func signal(_ id: String, _ signal: Int32) async throws {
        let obeys = state.withLock { state in
            guard case .running = state.processes[id]?.state else { return false }
            return signal == 9 || !state.stubborn.contains(id)
        }
        if obeys { end(id, code: 0, signal: signal) }
    }

    func remove(_ id: String) async throws { state.withLock { _ = $0.processes.removeValue(forKey: id) } }
    func processes() async throws -> [ProcessStatus] { state.withLock { Array($0.processes.values) } }

    func follow(_ changed: @Sendable ([ProcessStatus]) async -> Void) async throws {
        var told: [String: ProcessStatus] = [:]
        while true {
            let ticket = change.ticket
            let (isAlive, current) = state.withLock { ($0.isAlive, $0.processes) }
            guard isAlive else { return }
            let new = current.values.filter { told[$0.id] != $0 }
            told = current
            if !new.isEmpty { await changed(new) }
            try await change.wait(since: ticket)
        }
    }

    func destroy() async throws { die() }
}

private let epoch = Timestamp(seconds: 1_800_000_000)

struct FakeImages: ImageSource {
    func resolve(_ reference: String) async throws -> Image? { reference.hasPrefix("busybox") ? busybox : nil }
    func list() async throws -> [Image] { [busybox] }
    func pull(_ reference: String, credentials: CredentialSet) async throws -> Image {
        throw SystemError("connect", "registry", errno: ECONNREFUSED)
    }
}

final class FakeNetwork: PodNetworking {
    struct State {
        var attached: [String: Int] = [:]
        var retained: Set<String>?
        var isReady = true
    }

    let state = Mutex(State())
    let change = Wakeup()

    func attach(podKey: String, namespacePath: String, hostname: String) async throws -> PodAddresses {
        let number = state.withLock { state in
            state.attached[podKey, default: 0] += 1
            return state.attached.count
        }
        return PodAddresses(addresses: [IPAddress(v4: 0x0AF4_0100 + UInt32(number))], mtu: 1450)
    }

    func detach(podKey: String) async throws { state.withLock { $0.attached[podKey] = nil } }
    func retain(only: Set<String>) async throws { state.withLock { $0.retained = only } }
    func readiness() async -> String? { state.withLock { $0.isReady } ? nil : "container runtime network not ready" }

    func awaitReadiness() async throws {
        while true {
            let ticket = change.ticket
            if state.withLock({ $0.isReady }) { return }
            try await change.wait(since: ticket)
        }
    }

    func become(ready: Bool) {
        state.withLock { $0.isReady = ready }
        change.wake()
    }
}

let webPath = "/api/v1/namespaces/shop/pods/web"

/// A node agent with its surroundings, in a directory that goes with it.
struct TestNode<Runtime: SandboxRuntime> {
    let api = FakeAPI()
    let runtime: Runtime
    let network = FakeNetwork()
    let directory: String
    let cgroup: String
    var authorization = ServerAuthorization.anyCertificate

    init(base: String = "/tmp", runtime: Runtime = FakeRuntime(), cgroup: String = "") throws {
        self.runtime = runtime
        self.cgroup = cgroup
        var template = Array("\(base)/kubelet-test-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw SystemError("mkdtemp", base, errno: errno) }
        directory = String(cString: made)
    }

    var configuration: KubeletConfiguration {
        var configuration = KubeletConfiguration(
            nodeName: "n1", nodeIP: IPAddress(v4: 0x0A59_0003), rootDirectory: "\(directory)/lib",
            logDirectory: "\(directory)/log", clusterDNS: [IPAddress(v4: 0x0A60_000A)])
        configuration.staticPodPath = ""
        configuration.volumeDirectory = "\(directory)/volumes"
        configuration.cgroupRoot = cgroup
        configuration.authorization = authorization
        configuration.cpuMillis = 2000
        configuration.memoryBytes = 4 << 30
        return configuration
    }

    func remove() { try? VolumeManager.removePodDirectory(directory, volumes: "\(directory)/volumes") }

    /// Runs a node agent for as long as `body` takes; the pods outlive it, as they shall.
    func withKubelet(
        images: any ImageSource = FakeImages(), configure: (inout KubeletConfiguration) -> Void = { _ in },
        _ body: @escaping @Sendable (Kubelet) async throws -> Void
    ) async throws {
        var changed = self.configuration
        configure(&changed)
        let configuration = changed
        try await EventLoop.runOnThread { loop in
            let transport = InProcessTransport(handler: api.handler)
            let kubelet = Kubelet(
                configuration: configuration, client: APIClient(transport: transport, userAgent: "test"),
                runtime: runtime, images: images, network: network, world: .live(loop), log: .silent, loop: loop)
            try await withThrowingTaskGroup(of: Bool.self) { group in
                group.addTask {
                    try await transport.run()
                    return false
                }
                group.addTask {
                    try await kubelet.run()
                    return false
                }
                group.addTask {
                    // Far above what anything here takes: a test that hangs shall say so.
                    try await World.live(loop).clock.sleep(for: .seconds(30))
                    throw SystemError("test", "took too long", errno: ETIMEDOUT)
                }
                group.addTask {
                    try await body(kubelet)
                    return true
                }
                defer { group.cancelAll() }
                while let isDone = try await group.next() { if isDone { return } }
            }
        }
    }
}
