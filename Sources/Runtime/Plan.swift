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
    case mount(type: String, source: String, target: String, attributes: UInt64, propagation: UInt64, options: [Option])
    case bind(tree: Int, target: String, attributes: UInt64, recursive: Bool, propagation: UInt64)
    case mask(String)
    case readOnly(String)
    case device(path: String, mode: UInt32, major: UInt32, minor: UInt32)
    case allDevices
    case symlink(content: String, path: String)
    case directory(String, mode: UInt32)
    case pivot(readOnly: Bool)
    case resourceLimit(name: String, number: Int32, soft: UInt64, hard: UInt64)
    case workingDirectory(String)
    case identity(User, capabilities: UInt64?)
    case noNewPrivileges
    case seccomp([UInt8])
    case inherit([Int32: String])
    case exec(arguments: [String], environment: [String])
    case terminal(TerminalSize, owner: UInt32)

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
        }
    }

    public var name: String {
        switch self {
        case .write(let kind, _, _, _): kind.rawValue
        case .hold: "hold-namespace"
        case .enterNamespaces: "setns"
        case .unshare: "unshare"
        case .hostname: "sethostname"
        case .tree: "bind-source"
        case .propagation: "mount-propagation"
        case .rootDirectory: "root"
        case .rootOverlay: "overlay"
        case .rootInherit: "root"
        case .mount: "mount"
        case .bind: "bind"
        case .mask: "mask"
        case .readOnly: "read-only"
        case .device, .allDevices: "device"
        case .symlink: "symlink"
        case .directory: "mkdir"
        case .pivot: "pivot_root"
        case .resourceLimit: "rlimit"
        case .workingDirectory: "chdir"
        case .identity: "identity"
        case .noNewPrivileges: "no-new-privileges"
        case .seccomp: "seccomp"
        case .inherit: "inherit-descriptors"
        case .exec: "exec"
        case .terminal: "terminal"
        }
    }

    public var object: String {
        switch self {
        case .write(_, let path, _, _), .tree(let path, _), .device(let path, _, _, _), .symlink(_, let path): path
        case .hold(_, let path), .rootDirectory(let path), .mask(let path), .readOnly(let path): path
        case .directory(let path, _), .workingDirectory(let path): path
        case .enterNamespaces(let entries): entries.map(\.path).joined(separator: " ")
        case .unshare(let kinds): kinds.map(\.rawValue).joined(separator: " ")
        case .hostname(let name): name
        case .rootOverlay(_, _, let target): target
        case .mount(let type, _, let target, _, _, _): "\(type) on \(target)"
        case .bind(_, let target, _, _, _): target
        case .resourceLimit(let name, _, _, _): name
        case .identity(let user, _): "\(user.uid):\(user.gid)"
        case .inherit(let numbers): numbers.values.sorted().joined(separator: " ")
        case .exec(let arguments, _): arguments.first ?? ""
        case .allDevices: "/dev"
        case .terminal: "/dev/pts"
        case .propagation, .rootInherit, .pivot: "/"
        case .noNewPrivileges, .seccomp: ""
        }
    }
}

extension StageError {
    init(step: String, object: String, errno: Int32, detail: String) {
        let what = object.isEmpty ? step : "\(step) \(object)"
        let how = detail.isEmpty ? "" : " (\(detail))"
        let text = "\(what): \(ErrorText.of(errno))\(how)"
        self.init(step: step, object: object, errno: errno, description: text)
    }
}
