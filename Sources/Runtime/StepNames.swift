/// What people read about a step that failed.
extension Step {
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
        case .rootInherit, .rootPlain: "root"
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
        case .user: "user-namespace"
        case .fork: "fork"
        case .sync: "hooks"
        case .hook(let call): call.kind
        case .openGate, .gate: "gate"
        case .scheduler: "scheduler"
        case .ioPriority: "io-priority"
        case .personality: "personality"
        case .umask: "umask"
        case .domainName: "setdomainname"
        case .keyring: "keyring"
        case .join: "setns"
        case .find: "exec"
        case .idMap: "idmap"
        case .remount: "remount"
        case .hide: "hide"
        case .ownStreams: "own-streams"
        case .rootPropagation: "mount-propagation"
        case .loopback: "loopback"
        }
    }

    public var object: String {
        switch self {
        case .write(_, let path, _, _), .tree(let path, _), .symlink(_, let path): path
        case .device(let node): node.path
        case .hold(_, let path), .rootDirectory(let path), .mask(let path), .readOnly(let path): path
        case .directory(let path, _), .workingDirectory(let path, _), .remount(let path, _): path
        case .enterNamespaces(let entries): entries.map(\.path).joined(separator: " ")
        case .unshare(let kinds): kinds.map(\.rawValue).joined(separator: " ")
        case .hostname(let name): name
        case .rootOverlay(_, _, let target): target
        case .mount(let type, _, let target, _, _, _, _): "\(type) on \(target)"
        case .bind(_, let target, _, _): target
        case .resourceLimit(let name, _, _, _): name
        case .identity(let user, _): "\(user.uid):\(user.gid)"
        case .inherit(let numbers): numbers.values.sorted().joined(separator: " ")
        case .exec(let arguments, _): arguments.first ?? ""
        case .allDevices: "/dev"
        case .terminal: "/dev/pts"
        case .propagation, .rootInherit, .pivot, .rootPropagation: "/"
        case .hook(let call): call.path
        case .openGate(let directory), .rootPlain(let directory): directory
        case .domainName(let name), .keyring(let name): name
        case .loopback: "lo"
        case .join(let pid, _, let kinds): "\(pid) (\(kinds.map(\.rawValue).joined(separator: " ")))"
        case .find(let program, _): program
        case .idMap(_, _, let namespace, _): namespace
        case .noNewPrivileges, .seccomp, .user, .fork, .sync, .gate, .scheduler, .ioPriority, .personality, .umask,
            .hide, .ownStreams:
            ""
        }
    }
}
