/// What a process tree shall look like, in the runtime's own words.
///
/// One mechanism serves three cases, told apart by these values alone:
///  - a *pod*: a sandbox whose supervisor owns the pod's namespaces, and containers started in it;
///  - a *node*: a sandbox with a root of its own, whose processes are restarted when they die;
///  - a *cluster*: a sandbox on the host that owns the fabric's network namespace and the nodes.
/// Everything here is compiled by `Plan` into a flat list of steps that the C stage carries out;
/// a step that fails is reported with its name, its object and the errno.

public enum NamespaceKind: String, Sendable, CaseIterable {
    case mount, network, pid, ipc, uts, cgroup, user, time
}

public enum NamespaceMode: Sendable, Equatable {
    /// The creator's (for a container: its sandbox's).
    case inherit
    case new
    /// The one behind a path such as `/proc/12/ns/net`.
    case path(String)
}

public struct Mount: Sendable, Equatable {
    public var source: String
    /// Below the new root; links in it are resolved inside that root, never outside.
    public var target: String
    /// `bind`, `proc`, `sysfs`, `tmpfs`, `devpts`, `mqueue`, `cgroup` (v1, v2 or hybrid, as the host has it), `overlay`.
    public var type: String
    /// Options as in an OCI configuration: `ro`, `nosuid`, `rbind`, `rslave`, `mode=755`, `size=64m`…
    public var options: [String]

    public init(source: String, target: String, type: String, options: [String] = []) {
        self.source = source
        self.target = target
        self.type = type
        self.options = options
    }
}

public enum RootFileSystem: Sendable, Equatable {
    /// The creator's root, unchanged.
    case inherit
    /// A directory, made the root by pivot_root.
    case directory(String, readOnly: Bool)
    /// Directories stacked by overlayfs, the topmost first; `upper` and `work` lie on a real file system.
    case overlay(lower: [String], upper: String, work: String, readOnly: Bool)
}

/// Limits of a control group; nil leaves the kernel's default.
public struct ResourceLimits: Sendable, Equatable {
    public var memoryBytes: Int64?
    /// Quota in microseconds per `cpuPeriod`.
    public var cpuQuota: Int64?
    public var cpuPeriod: Int64 = 100_000
    /// Kubernetes's and cgroup v1's scale (2…262144); converted to weights on v2.
    public var cpuShares: Int64?
    public var cpusetCpus: String?
    public var pids: Int64?

    public init() {}
}

public struct User: Sendable, Equatable {
    public var uid: UInt32
    public var gid: UInt32
    public var additionalGroups: [UInt32]

    public init(uid: UInt32 = 0, gid: UInt32 = 0, additionalGroups: [UInt32] = []) {
        self.uid = uid
        self.gid = gid
        self.additionalGroups = additionalGroups
    }
}

public struct ResourceLimit: Sendable, Equatable {
    public var name: String  // "RLIMIT_NOFILE" …
    public var soft: UInt64
    public var hard: UInt64

    public init(name: String, soft: UInt64, hard: UInt64) {
        self.name = name
        self.soft = soft
        self.hard = hard
    }
}

public enum SeccompProfile: Sendable, Equatable {
    case unconfined
    /// The profile that Docker and containerd apply by default, in our own table.
    case runtimeDefault
    /// An OCI `linux.seccomp` object as JSON.
    case custom(json: [UInt8])
}

/// What a process may do and as whom.
public struct Privileges: Sendable, Equatable {
    public var user = User()
    /// Names such as `CAP_NET_BIND_SERVICE`; nil keeps all (a privileged container).
    public var capabilities: [String]? = Privileges.defaultCapabilities
    public var noNewPrivileges = false
    public var seccomp = SeccompProfile.unconfined
    public var maskedPaths: [String] = []
    public var readOnlyPaths: [String] = []
    /// All devices allowed and visible, as for privileged containers and nodes.
    public var allDevices = false
    /// Further devices that may be used, as `devices.allow` takes them: `b 7:0 rwm`.
    public var devices: [String] = []

    public init() {}

    /// Docker's and containerd's default set.
    public static let defaultCapabilities = [
        "CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD",
        "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID",
        "CAP_SYS_CHROOT",
    ]
}

public enum RestartPolicy: Sendable, Equatable {
    case never
    /// Started again whenever it ends, at once the first time, then with growing pauses up to `maximum` seconds.
    case always(maximumBackoffSeconds: Int)
}

/// Where a process's output goes.
public enum Output: Sendable, Equatable {
    case discard
    /// The CRI log format (`TIME stdout F line`), rotated at `maximumBytes` into `keep` older files.
    case criLog(path: String, maximumBytes: Int64, keep: Int)
    /// The bytes as they come, appended to one file: for the supervisor's own services.
    case file(path: String)
}

/// Where a process's standard input comes from.
public enum Input: Sendable, Equatable {
    /// It is at its end from the beginning.
    case none
    /// From whoever attaches; it stays open when they leave, unless `once` the first who had it has left.
    case open(once: Bool)
}

public struct TerminalSize: Sendable, Equatable {
    public var columns: UInt16
    public var rows: UInt16

    /// Zeros leave the size unknown.
    public init(columns: UInt16 = 0, rows: UInt16 = 0) {
        self.columns = columns
        self.rows = rows
    }
}

/// One supervised process: a container of a pod, or a service of a node.
public struct ProcessSpecification: Sendable, Equatable {
    /// Unique within its sandbox; letters, digits, `-`, `_`, `.`.
    public var id: String
    public var arguments: [String]
    public var environment: [String] = []
    public var workingDirectory = "/"
    public var root = RootFileSystem.inherit
    public var mounts: [Mount] = []
    /// Namespaces of its own within the sandbox: a container has at least `mount` and, unless shared, `pid`.
    public var namespaces: [NamespaceKind: NamespaceMode] = [:]
    public var hostname: String?
    public var sysctls: [String: String] = [:]
    /// Cgroup path below each hierarchy's root as the supervisor sees it; created if absent. Nil: the supervisor's.
    public var cgroup: String?
    public var limits = ResourceLimits()
    public var privileges = Privileges()
    public var rlimits: [ResourceLimit] = []
    public var oomScoreAdjust: Int?
    public var output = Output.discard
    public var input = Input.none
    /// A terminal in place of the three standard streams; what it shows goes to `output` as standard output.
    public var terminal: TerminalSize?
    public var restart = RestartPolicy.never
    /// Descriptors of the supervisor's that the process gets, as "number in the process" → "name of a held descriptor".
    public var heldDescriptors: [Int32: String] = [:]

    public init(id: String, arguments: [String]) {
        self.id = id
        self.arguments = arguments
    }
}

/// A supervisor and the namespaces that live as long as it does.
public struct SandboxSpecification: Sendable, Equatable {
    public var id: String
    /// Holds the control socket `control.sock` and the durable exit records; created if absent, on a real file system.
    public var stateDirectory: String
    public var namespaces: [NamespaceKind: NamespaceMode] = [:]
    public var root = RootFileSystem.inherit
    public var mounts: [Mount] = []
    public var hostname: String?
    public var sysctls: [String: String] = [:]
    public var cgroup: String?
    public var limits = ResourceLimits()
    public var privileges = Privileges()
    public var oomScoreAdjust: Int?
    /// Namespaces of the creator that the supervisor keeps a descriptor to, by name, to hand to processes:
    /// `["host-net": "/proc/self/ns/net"]`.
    public var heldNamespaces: [String: String] = [:]

    public init(id: String, stateDirectory: String) {
        self.id = id
        self.stateDirectory = stateDirectory
    }
}

/// How one supervised process stands.
public struct ProcessStatus: Sendable, Equatable {
    public enum State: Sendable, Equatable {
        case running(pid: Int32)
        /// Ended; `signal` where a signal ended it. `outOfMemory` as the cgroup's own counter tells.
        case exited(code: Int32, signal: Int32?, atNanoseconds: Int64, outOfMemory: Bool)
        /// Waiting to be started again.
        case backingOff(untilNanoseconds: Int64)
    }

    public var id: String
    public var state: State
    public var startedAtNanoseconds: Int64
    public var restarts: Int

    public init(id: String, state: State, startedAtNanoseconds: Int64, restarts: Int) {
        self.id = id
        self.state = state
        self.startedAtNanoseconds = startedAtNanoseconds
        self.restarts = restarts
    }
}

/// A step of the start-up that failed, in the child, before the program ran.
public struct StageError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Such as `mount`, `pivot_root`, `exec`.
    public var step: String
    public var object: String
    public var errno: Int32
    public var description: String

    public init(step: String, object: String, errno: Int32, description: String) {
        self.step = step
        self.object = object
        self.errno = errno
        self.description = description
    }
}

/// The runtime as the node agent and the cluster use it; `LinuxSupervisor` is the real one,
/// tests of the kubelet bring their own.
public protocol SandboxRuntime: Sendable {
    /// Starts a supervisor and returns once its namespaces exist and its control socket answers.
    func launch(_ sandbox: SandboxSpecification) async throws -> any Sandbox
    /// Finds a living supervisor by its state directory; nil when it is gone.
    func attach(stateDirectory: String) async throws -> (any Sandbox)?
    /// Removes what a supervisor that died has left: control groups and the state directory.
    func cleanUp(stateDirectory: String) async throws
}

public protocol Sandbox: AnyObject, Sendable {
    /// The supervisor's pid, as the caller's pid namespace sees it: the way to `/proc/PID/ns/net`.
    var pid: Int32 { get }
    /// Starts a process; returns its pid once its program runs, throws `StageError` when a step failed.
    func start(_ process: ProcessSpecification) async throws -> Int32
    /// Starts a process whose standard streams are the caller's alone: nothing of them is logged. With a terminal it is
    /// the terminal that the caller gets. A stream that is not asked for is at its end, or goes nowhere.
    func start(_ process: ProcessSpecification, with streams: StreamSet) async throws -> ProcessStreams
    /// Joins a running process: a copy of what it says from now on, and the way to its input where it has one.
    /// Output that is not read holds the process back, up to a minute; then the reader is dropped.
    func attach(_ id: String, to streams: StreamSet) async throws -> ProcessStreams
    /// Ends a process's open input, once all who are attached have closed theirs.
    func closeInput(_ id: String) async throws
    func signal(_ id: String, _ signal: Int32) async throws
    /// Forgets an ended process and its exit record; a running one is killed first.
    func remove(_ id: String) async throws
    func processes() async throws -> [ProcessStatus]
    /// Runs until the task is cancelled or the supervisor dies (then it returns);
    /// calls back for every process that changed, at first once for all.
    func follow(_ changed: @Sendable ([ProcessStatus]) async -> Void) async throws
    /// Ends the supervisor and with it every process and namespace of the sandbox, and removes its cgroups
    /// and its state directory. Succeeds when it is gone already.
    func destroy() async throws
}
