import Document
import Linux

/// An OCI bundle's `config.json`, read and found to be sound (see `ConfigurationReader`).
public struct ContainerConfiguration: Sendable {
    public var version = ""
    public var process: ContainerProcess?
    public var rootPath = ""
    public var isRootReadOnly = false
    public var hostname: String?
    public var domainName: String?
    public var mounts: [ContainerMount] = []
    public var hooks: [Hook.Kind: [Hook]] = [:]
    public var annotations: [String: String] = [:]
    public var namespaces: [NamespaceKind: NamespaceMode] = [:]
    public var idMaps = IDMaps()
    public var timeOffsets: [TimeOffset] = []
    public var devices: [DeviceNode] = []
    public var deviceRules: [DeviceRule] = []
    public var resources = CgroupResources()
    public var cgroupsPath = ""
    public var sysctls: [String: String] = [:]
    public var seccomp: SeccompProgram?
    public var rootPropagation: UInt64?
    public var maskedPaths: [String] = []
    public var readOnlyPaths: [String] = []
    public var mountLabel: String?
    public var personality: UInt64?
    /// What was ignored, as other runtimes ignore it too: worth a line in the log.
    public var warnings: [String] = []

    public init() {}

    /// Whether the container has its mounts to itself; without that only a change of root is left.
    var hasOwnMounts: Bool { namespaces[.mount] != nil }

    public struct TimeOffset: Sendable, Equatable {
        public var clock: String
        public var seconds: Int64
        public var nanoseconds: Int64
    }
}

/// OCI's `process`: of the container itself, or of a further one inside.
public struct ContainerProcess: Sendable, Equatable {
    public var hasTerminal = false
    public var terminalSize = TerminalSize()
    public var user = User()
    public var umask: UInt32?
    public var arguments: [String] = []
    public var environment: [String] = []
    public var workingDirectory = "/"
    public var capabilities = CapabilityMasks()
    public var limits: [ResourceLimit] = []
    public var noNewPrivileges = false
    public var outOfMemoryScore: Int?
    public var scheduler: SchedulerSetting?
    public var ioPriority: UInt64?
    public var appArmorProfile = ""
    public var selinuxLabel = ""

    public init() {}
}

public struct ContainerMount: Sendable, Equatable {
    public var destination: String
    public var type = ""
    public var source = ""
    public var options: [String] = []
    public var idMaps: IDMaps?

    public init(destination: String) { self.destination = destination }

    var isBind: Bool { type == "bind" || MountOptions(options).isBind }
}

public struct Hook: Sendable, Equatable {
    public enum Kind: String, Sendable, CaseIterable {
        case prestart, createRuntime, createContainer, startContainer, poststart, poststop
    }

    public var path: String
    public var arguments: [String]
    public var environment: [String]
    public var timeoutSeconds: UInt64

    /// As a configuration has it.
    var document: Document {
        [
            "path": Document(path), "args": Document(arguments), "env": Document(environment),
            "timeout": Document(Int64(clamping: timeoutSeconds)),
        ]
    }

    init(path: String, arguments: [String], environment: [String], timeoutSeconds: UInt64) {
        self.path = path
        self.arguments = arguments
        self.environment = environment
        self.timeoutSeconds = timeoutSeconds
    }

    /// From such a document, whose rules have been checked before.
    init?(_ document: Document) {
        guard let path = document.text("path") else { return nil }
        self.init(
            path: path, arguments: document.list("args").compactMap(\.string),
            environment: document.list("env").compactMap(\.string),
            timeoutSeconds: UInt64(clamping: document.number("timeout") ?? 0))
    }
}

/// A filter ready to be installed.
public struct SeccompProgram: Sendable, Equatable {
    public var instructions: [UInt8]
    /// SECCOMP_FILTER_FLAG_*.
    public var flags: UInt64
    public var listenerPath: String
    public var listenerMetadata: String
}
