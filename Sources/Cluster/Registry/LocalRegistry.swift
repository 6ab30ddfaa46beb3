import Basics
import Document
import Glibc
import Images
import Linux
import Runtime

/// `lab registry`: a registry of this machine, served from the content store that all nodes share. What is pushed to it
/// is there for every node at once.
///
/// A supervisor of its own keeps it running, below `LAB_HOME/registry`; clusters come and go beside it. It listens on
/// the loopback alone, where the process that pulls for the nodes finds it under the name that people push to.
public struct LocalRegistry: Sendable {
    public static let usualPort: UInt16 = 5_001
    private static let patience = Duration.seconds(10)

    public struct Status: Sendable, Equatable {
        public var port: UInt16
        public var isRunning: Bool
        public var contents: RegistryContents

        public var address: String { "localhost:\(port)" }
    }

    private let host: Host

    public init(host: Host) { self.host = host }

    private var directory: String { "\(host.layout.home)/registry" }
    private var state: String { "\(directory)/s" }
    private var settings: String { "\(directory)/registry.json" }
    private var binary: String { "\(directory)/lab" }
    private var logFile: String { "\(directory)/registry.log" }

    /// Nil where there never was one.
    private func rememberedPort() -> UInt16? {
        guard let bytes = try? Files.read(settings, limit: 4_096), let document = try? Document(json: bytes) else {
            return nil
        }
        return document.number("port").flatMap { UInt16(exactly: $0) }
    }

    public func status() async throws -> Status? {
        guard let port = rememberedPort() else { return nil }
        let isRunning = try await host.runtime.attach(stateDirectory: state) != nil
        let images = host.layout.images
        let contents = try await host.blocking.run { try RegistryContents(store: ImageStore(root: images)) }
        return Status(port: port, isRunning: isRunning, contents: contents)
    }

    /// Returns once it answers. `port` 0 takes a free one; nil the one that it had.
    public func start(port asked: UInt16?) async throws -> Status {
        try Files.makeDirectories(directory)
        let lock = try lock()
        defer { withExtendedLifetime(lock) {} }
        if let status = try await status(), status.isRunning {
            guard asked == nil || asked == status.port else {
                throw Failure(
                    "the registry runs already, on \(status.address)", remedy: "stop it first: lab registry stop")
            }
            return status
        }
        let port = try await free(asked ?? rememberedPort() ?? Self.usualPort)
        try Files.makeDirectories(host.layout.images)
        try Files.copy("/proc/self/exe", to: binary, mode: 0o755)
        try Files.write((["port": Document(Int(port))] as Document).json, to: settings)
        let sandbox = try await LinuxSupervisor(selfPath: binary).launch(specification(port))
        do {
            _ = try await sandbox.start(process(port))
            try await waitForAnswer(port)
        } catch {
            try? await sandbox.destroy()
            throw error
        }
        guard let status = try await status() else { throw Failure("the registry is gone right after its start") }
        return status
    }

    /// What was pushed stays. False where none ran.
    public func stop() async throws -> Bool {
        guard Files.exists(directory) else { return false }
        let lock = try lock()
        defer { withExtendedLifetime(lock) {} }
        guard let sandbox = try await host.runtime.attach(stateDirectory: state) else { return false }
        try await sandbox.destroy()
        return true
    }

    private func lock() throws -> FileLock {
        guard let lock = try FileLock(path: "\(directory)/lock") else {
            throw Failure("another command starts or stops the registry", remedy: "try again in a moment")
        }
        return lock
    }

    /// Tried here, where the reason can still be told.
    private func free(_ port: UInt16) async throws -> UInt16 {
        do {
            let listener = try await host.world.network.listen(on: .ip(.loopback, port: port))
            defer { listener.close() }
            if case .ip(_, let chosen) = listener.local { return chosen }
            return port
        } catch {
            throw Failure(
                "cannot listen on 127.0.0.1:\(port): \(error)",
                remedy: "name another port with --port, or --port 0 for a free one")
        }
    }

    private func group(_ port: UInt16) -> String { "lab-registry-\(port)" }

    private func specification(_ port: UInt16) -> SandboxSpecification {
        var specification = SandboxSpecification(id: "registry", stateDirectory: state)
        specification.namespaces = [.pid: .new, .mount: .new]
        specification.mounts = [
            Mount(source: "proc", target: "/proc", type: "proc", options: ["nosuid", "noexec", "nodev"])
        ]
        specification.cgroup = group(port)
        specification.privileges.capabilities = nil
        specification.privileges.allDevices = true
        return specification
    }

    private func process(_ port: UInt16) -> ProcessSpecification {
        var process = ProcessSpecification(
            id: "registry",
            arguments: [binary, "role", "registry", "--port", "\(port)", "--store", host.layout.images])
        process.environment = ["PATH=/bin", "SWIFT_ROOT=/"]
        process.privileges.capabilities = nil
        process.privileges.allDevices = true
        process.cgroup = "\(group(port))/server"
        process.output = .file(path: logFile)
        process.restart = .always(maximumBackoffSeconds: 5)
        return process
    }

    private func answers(_ port: UInt16) async -> Bool {
        guard let connection = try? await host.world.network.connect(to: .ip(.loopback, port: port)) else {
            return false
        }
        connection.close()
        return true
    }

    /// Nil where there never was a registry, or only root can tell how it is.
    func finding() async -> Finding? {
        guard let port = rememberedPort(), geteuid() == 0 else { return nil }
        let subject = "registry localhost:\(port)"
        do {
            guard try await host.runtime.attach(stateDirectory: state) != nil else {
                return Finding(subject, .ok, "stopped")
            }
        } catch {
            return Finding(subject, .warning, "\(error)", remedy: "lab registry stop, and start it again")
        }
        return await answers(port)
            ? Finding(subject, .ok, "running")
            : Finding(
                subject, .warning, "runs and does not answer",
                remedy: "look into \(logFile); lab registry stop, and start it again")
    }

    private func waitForAnswer(_ port: UInt16) async throws {
        let clock = host.world.clock
        let deadline = clock.uptime + Self.patience
        while await !answers(port) {
            guard clock.uptime < deadline else {
                let log = (try? Files.text(logFile)) ?? ""
                throw Failure(
                    "the registry does not answer on 127.0.0.1:\(port)",
                    remedy: log.isEmpty ? "" : "it says: \(log.split(separator: "\n").last ?? "")")
            }
            try await clock.sleep(for: .milliseconds(5))
        }
    }
}
