import CLinux

/// What a child does before its program runs: a flat list of steps, carried out in order by the C stage.
/// The encoding is described in `stage.h`.
public struct Plan: Sendable, Equatable {
    public var steps: [Step] = []

    public init(_ steps: [Step] = []) { self.steps = steps }

    public func encode() -> [UInt8] {
        var out = Array(LAB_PLAN_MAGIC.utf8)
        for step in steps {
            let payload = step.payload.bytes
            Self.append(step.opcode.rawValue, to: &out)
            Self.append(UInt32(payload.count), to: &out)
            out += payload
        }
        return out
    }

    private static func append(_ value: UInt32, to out: inout [UInt8]) {
        withUnsafeBytes(of: value.littleEndian) { out.append(contentsOf: $0) }
    }

    /// The error for the stage's report about step `index`.
    func error(step index: UInt32, errno: Int32, detail: String) -> StageError {
        guard index < steps.count else {
            return StageError(step: detail.isEmpty ? "stage" : detail, object: "", errno: errno, detail: "")
        }
        let step = steps[Int(index)]
        return StageError(step: step.name, object: step.object, errno: errno, detail: detail)
    }
}

/// One step. The name and the object are for people who read why a container did not start.
public enum Step: Sendable, Equatable {
    public enum Write: String, Sendable {
        case joinCgroup = "join-cgroup"
        case sysctl
        case outOfMemoryScore = "oom-score"
        case timeOffsets = "time-offsets"
        case label = "security-label"
    }

    public struct Tolerance: OptionSet, Sendable, Equatable {
        public let rawValue: UInt64
        public init(rawValue: UInt64) { self.rawValue = rawValue }
        public static let missing = Tolerance(rawValue: UInt64(LAB_TOLERATE_MISSING))
        public static let denied = Tolerance(rawValue: UInt64(LAB_TOLERATE_DENIED))
    }

    public struct Option: Sendable, Equatable {
        public var key: String
        public var value: String
    }

    public struct NamespaceEntry: Sendable, Equatable {
        public var path: String
        public var kind: NamespaceKind
    }

    case write(Write, path: String, content: String, tolerating: Tolerance)
    case hold(name: String, path: String)
    case enterNamespaces([NamespaceEntry])
    case unshare([NamespaceKind])
    case hostname(String)
    case tree(path: String, recursive: Bool)
    case propagation(UInt64)
    case rootDirectory(String)
    case rootOverlay(directory: String, options: String, target: String)
    case rootInherit
    case mount(
        type: String, source: String, target: String, attributes: UInt64, propagation: UInt64,
        handling: MountHandling = [], options: [Option])
    case bind(tree: Int, target: String, change: AttributeChange, propagation: UInt64)
    case mask(String)
    case readOnly(String)
    case device(DeviceNode)
    case allDevices
    case symlink(content: String, path: String)
    case directory(String, mode: UInt32)
    case pivot(readOnly: Bool, how: Pivot = .root)
    case resourceLimit(name: String, number: Int32, soft: UInt64, hard: UInt64)
    case workingDirectory(String, made: Bool = true)
    case identity(User, capabilities: CapabilityMasks?)
    case noNewPrivileges
    case seccomp([UInt8], flags: UInt64 = 0)
    case inherit([Int32: String])
    case exec(arguments: [String], environment: [String])
    case terminal(TerminalSize, owner: UInt32, console: Bool = false)
    case user(IDMaps, setgroups: Bool)
    case fork
    case sync(reason: UInt64)
    case hook(HookCall)
    case openGate(directory: String)
    case gate
    case scheduler(SchedulerSetting)
    case ioPriority(UInt64)
    case personality(UInt64)
    case umask(UInt32)
    case domainName(String)
    case keyring(String)
    case join(pid: Int32, startTime: UInt64, kinds: [NamespaceKind])
    case find(program: String, path: String)
    case idMap(tree: Int, recursive: Bool, namespace: String, maps: IDMaps)
    case remount(path: String, change: AttributeChange)
    case hide
    case ownStreams(UInt32)
    case rootPropagation(UInt64)
    case rootPlain(String)
    case loopback

    var opcode: lab_step {
        switch self {
        case .write: LAB_STEP_WRITE
        case .hold: LAB_STEP_HOLD
        case .enterNamespaces: LAB_STEP_SETNS
        case .unshare: LAB_STEP_UNSHARE
        case .hostname: LAB_STEP_HOSTNAME
        case .tree: LAB_STEP_TREE
        case .propagation: LAB_STEP_PROPAGATION
        case .rootDirectory: LAB_STEP_ROOT_DIRECTORY
        case .rootOverlay: LAB_STEP_ROOT_OVERLAY
        case .rootInherit: LAB_STEP_ROOT_INHERIT
        case .mount: LAB_STEP_MOUNT
        case .bind: LAB_STEP_BIND
        case .mask: LAB_STEP_MASK
        case .readOnly: LAB_STEP_READ_ONLY
        case .device: LAB_STEP_DEVICE
        case .allDevices: LAB_STEP_ALL_DEVICES
        case .symlink: LAB_STEP_SYMLINK
        case .directory: LAB_STEP_DIRECTORY
        case .pivot: LAB_STEP_PIVOT
        case .resourceLimit: LAB_STEP_RLIMIT
        case .workingDirectory: LAB_STEP_CHDIR
        case .identity: LAB_STEP_IDENTITY
        case .noNewPrivileges: LAB_STEP_NO_NEW_PRIVS
        case .seccomp: LAB_STEP_SECCOMP
        case .inherit: LAB_STEP_INHERIT
        case .exec: LAB_STEP_EXEC
        case .terminal: LAB_STEP_TERMINAL
        case .user: LAB_STEP_USER
        case .fork: LAB_STEP_FORK
        case .sync: LAB_STEP_SYNC
        case .hook: LAB_STEP_HOOK
        case .openGate: LAB_STEP_GATE_OPEN
        case .gate: LAB_STEP_GATE
        case .scheduler: LAB_STEP_SCHEDULER
        case .ioPriority: LAB_STEP_IO_PRIORITY
        case .personality: LAB_STEP_PERSONALITY
        case .umask: LAB_STEP_UMASK
        case .domainName: LAB_STEP_DOMAIN_NAME
        case .keyring: LAB_STEP_KEYRING
        case .join: LAB_STEP_JOIN
        case .find: LAB_STEP_FIND
        case .idMap: LAB_STEP_ID_MAP
        case .remount: LAB_STEP_REMOUNT
        case .hide: LAB_STEP_HIDE
        case .ownStreams: LAB_STEP_OWN_STREAMS
        case .rootPropagation: LAB_STEP_ROOT_PROPAGATION
        case .rootPlain: LAB_STEP_ROOT_PLAIN
        case .loopback: LAB_STEP_LOOPBACK
        }
    }
}

extension StageError {
    init(step: String, object: String, errno: Int32, detail: String) {
        let what = object.isEmpty ? step : "\(step) \(object)"
        let how = detail.isEmpty ? "" : " (\(detail))"
        // A program that was run and failed leaves no errno, only its own verdict.
        let text = errno == 0 ? "\(what): \(detail)" : "\(what): \(ErrorText.of(errno))\(how)"
        self.init(step: step, object: object, errno: errno, description: text)
    }
}
