import CLinux
import Glibc
import Linux

/// Turns specifications into plans. Pure, but for the seccomp filter, which libseccomp compiles.
struct PlanCompiler {
    /// The control groups as the supervisor sees them; for a sandbox, as its creator does.
    var layout: CgroupLayout
    private var steps: [Step] = []

    init(layout: CgroupLayout) { self.layout = layout }

    /// The plan that ends in the process's program.
    static func process(_ specification: ProcessSpecification, layout: CgroupLayout) throws -> Plan {
        var compiler = PlanCompiler(layout: layout)
        let subject = specification.id
        guard !specification.arguments.isEmpty else { throw invalid(subject, "no program") }
        try compiler.placement(
            cgroup: specification.cgroup, outOfMemoryScore: specification.oomScoreAdjust,
            namespaces: specification.namespaces, isSupervisor: specification.isSupervisor, subject: subject)
        try compiler.identityOfMachine(
            hostname: specification.hostname, sysctls: specification.sysctls, subject: subject)
        try compiler.fileSystem(
            root: specification.root, mounts: specification.mounts, namespaces: specification.namespaces,
            privileges: specification.privileges, subject: subject)
        if let size = specification.terminal {
            compiler.steps.append(.terminal(size, owner: specification.privileges.user.uid))
        }
        try compiler.program(specification)
        return try compiler.finish(subject: subject)
    }

    /// The plan after which the supervisor listens. Users, capabilities and seccomp are its processes' affair:
    /// it needs its own to set them up.
    static func sandbox(_ specification: SandboxSpecification, layout: CgroupLayout) throws -> Plan {
        var compiler = PlanCompiler(layout: layout)
        let subject = specification.id
        for (name, path) in specification.heldNamespaces.sorted(by: { $0.key < $1.key }) {
            compiler.steps.append(.hold(name: name, path: path))
        }
        try compiler.placement(
            cgroup: specification.cgroup, outOfMemoryScore: specification.oomScoreAdjust,
            namespaces: specification.namespaces, isSupervisor: true, subject: subject)
        try compiler.identityOfMachine(
            hostname: specification.hostname, sysctls: specification.sysctls, subject: subject)
        try compiler.fileSystem(
            root: specification.root, mounts: specification.mounts, namespaces: specification.namespaces,
            privileges: specification.privileges, subject: subject)
        return try compiler.finish(subject: subject)
    }

    static func invalid(_ object: String, _ why: String) -> StageError {
        StageError(step: "plan", object: object, errno: EINVAL, detail: why)
    }

    /// Texts travel NUL-terminated; one with a NUL inside would be cut short silently.
    private func finish(subject: String) throws -> Plan {
        for step in steps where step.texts.contains(where: { $0.utf8.contains(0) }) {
            throw Self.invalid(subject, "\(step.name) has a NUL character in its text")
        }
        return Plan(steps)
    }

    // MARK: Where the process lives

    private mutating func placement(
        cgroup: String?, outOfMemoryScore: Int?, namespaces: [NamespaceKind: NamespaceMode], isSupervisor: Bool,
        subject: String
    ) throws {
        if let outOfMemoryScore {
            // Lowering the score needs CAP_SYS_RESOURCE, which even root may lack.
            steps.append(
                .write(
                    .outOfMemoryScore, path: "/proc/self/oom_score_adj", content: "\(outOfMemoryScore)",
                    tolerating: .denied))
        }
        let group = try cgroup.map { try Cgroup($0, layout: layout) }
        // On v2 a group with processes cannot have children with limits: a supervisor leaves room. But if it gets
        // a cgroup namespace, that takes the group it is in as its root: then it moves only afterwards.
        let leaf = isSupervisor && layout.isV2 ? try group?.child(Self.supervisorLeaf) : nil
        let isRooted = namespaces[.cgroup] == .new
        if let first = isRooted ? group : leaf ?? group { join(first) }
        if namespaces[.user] == .new {
            throw Self.invalid(
                subject, "a new user namespace needs id mappings, which this specification does not have")
        }
        // The mount namespace comes last: entering it changes what the other paths mean.
        let order: [NamespaceKind] = [.user, .cgroup, .ipc, .uts, .network, .time, .mount]
        let entered = order.compactMap { kind -> Step.NamespaceEntry? in
            guard case .path(let path)? = namespaces[kind] else { return nil }
            return Step.NamespaceEntry(path: path, kind: kind)
        }
        if !entered.isEmpty { steps.append(.enterNamespaces(entered)) }
        let new = order.filter { namespaces[$0] == .new }
        if !new.isEmpty { steps.append(.unshare(new)) }
        if let leaf, isRooted { join(leaf) }
    }

    private mutating func join(_ group: Cgroup) {
        for file in group.joinFiles {
            steps.append(.write(.joinCgroup, path: file, content: "0", tolerating: []))
        }
    }

    static let supervisorLeaf = "supervisor"

    private mutating func identityOfMachine(hostname: String?, sysctls: [String: String], subject: String) throws {
        if let hostname { steps.append(.hostname(hostname)) }
        for (name, value) in sysctls.sorted(by: { $0.key < $1.key }) {
            // As sysctl(8): dots separate, slashes are dots in names such as `net.ipv4.conf.eth0/1.forwarding`.
            let path = name.split(separator: ".", omittingEmptySubsequences: false)
                .map { $0.split(separator: "/", omittingEmptySubsequences: false).joined(separator: ".") }
            guard !path.contains(where: { $0.isEmpty || $0 == ".." || $0 == "." }) else {
                throw Self.invalid(subject, "sysctl \(name)")
            }
            steps.append(
                .write(.sysctl, path: "/proc/sys/" + path.joined(separator: "/"), content: value, tolerating: []))
        }
    }

    // MARK: What it sees

    private mutating func fileSystem(
        root: RootFileSystem, mounts: [Mount], namespaces: [NamespaceKind: NamespaceMode], privileges: Privileges,
        subject: String
    ) throws {
        let masks = privileges.maskedPaths, readOnly = privileges.readOnlyPaths
        if namespaces[.mount] != .new {
            guard root == .inherit, mounts.isEmpty, masks.isEmpty, readOnly.isEmpty else {
                throw Self.invalid(
                    subject, "a root, mounts, masked or read-only paths need a mount namespace of its own")
            }
            return
        }
        // Copies of the sources are taken while they still have their propagation, and in the creator's root.
        var trees: [Int: Int] = [:]
        for (index, mount) in mounts.enumerated() where mount.isBind {
            trees[index] = trees.count
            steps.append(.tree(path: mount.source, recursive: MountOptions(mount.options).recursive))
        }
        steps.append(.propagation(MountOptions.slaveAll))
        try rootSteps(root)
        for (index, mount) in mounts.enumerated() {
            if let tree = trees[index] {
                try bind(mount, tree: tree, subject: subject)
            } else {
                try fresh(mount, subject: subject)
            }
        }
        if root != .inherit { devices(all: privileges.allDevices) }
        for path in readOnly { steps.append(.readOnly(path)) }
        for path in masks { steps.append(.mask(path)) }
        switch root {
        case .inherit: break
        case .directory(_, let readOnly), .overlay(_, _, _, let readOnly): steps.append(.pivot(readOnly: readOnly))
        }
    }

    private mutating func rootSteps(_ root: RootFileSystem) throws {
        switch root {
        case .inherit: steps.append(.rootInherit)
        case .directory(let path, _): steps.append(.rootDirectory(path))
        case .overlay(let lower, let upper, let work, _):
            steps.append(try OverlayOptions(lower: lower, upper: upper, work: work).step)
        }
    }

    private mutating func bind(_ mount: Mount, tree: Int, subject: String) throws {
        let options = MountOptions(mount.options)
        if let unknown = options.rest.first {
            throw Self.invalid(subject, "option \(unknown.key) of the bind mount on \(mount.target)")
        }
        steps.append(
            .bind(
                tree: tree, target: mount.target, change: options.change,
                propagation: options.propagation == 0 ? MountOptions(["private"]).propagation : options.propagation))
    }

    private mutating func fresh(_ mount: Mount, subject: String) throws {
        let known = ["proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "overlay"]
        guard known.contains(mount.type) else { throw Self.invalid(subject, "mount type \(mount.type)") }
        let options = MountOptions(mount.options)
        if mount.type == "cgroup" {
            try cgroups(mount.target, options: options, subject: subject)
            return
        }
        steps.append(
            .mount(
                type: mount.type, source: mount.source, target: mount.target, attributes: options.attributes,
                propagation: options.propagation, options: options.rest))
    }

    /// The hierarchies as the host has them, below a tmpfs unless the host is v2. The kernel shows each from the root
    /// of the process's cgroup namespace.
    private mutating func cgroups(_ target: String, options: MountOptions, subject: String) throws {
        if let unknown = options.rest.first { throw Self.invalid(subject, "option \(unknown.key) of the cgroup mount") }
        guard !layout.hierarchies.isEmpty else {
            throw Self.invalid(subject, "the host has no cgroup hierarchy mounted")
        }
        func mount(_ type: String, _ target: String, _ fileSystem: [Step.Option], attributes: UInt64) -> Step {
            .mount(
                type: type, source: type, target: target, attributes: attributes, propagation: options.propagation,
                options: fileSystem)
        }
        if layout.isV2 {
            steps.append(mount("cgroup2", target, [], attributes: options.attributes))
            return
        }
        steps.append(mount("tmpfs", target, [.init(key: "mode", value: "755")], attributes: options.attributes & ~1))
        for hierarchy in layout.hierarchies {
            let name = hierarchy.mountPoint.split(separator: "/").last.map(String.init) ?? "unified"
            let fileSystem = hierarchy.controllers.map { controller -> Step.Option in
                let parts = controller.split(separator: "=", maxSplits: 1)
                return Step.Option(key: String(parts[0]), value: parts.count > 1 ? String(parts[1]) : "")
            }
            steps.append(
                mount(
                    hierarchy.isUnified ? "cgroup2" : "cgroup", "\(target)/\(name)", fileSystem,
                    attributes: options.attributes))
            // `cpu,cpuacct` is also found under each of its names.
            if hierarchy.controllers.count > 1 {
                for controller in hierarchy.controllers where controller != name {
                    steps.append(.symlink(content: name, path: "\(target)/\(controller)"))
                }
            }
        }
        // Only now that the directories are made, the tmpfs that holds them may become read-only.
        if options.attributes & 1 != 0 { steps.append(.readOnly(target)) }
    }

    private mutating func devices(all: Bool) {
        // Links first: what is there already stays, and a copied /dev has a node of the host's at /dev/ptmx.
        for (path, content) in [
            ("/dev/fd", "/proc/self/fd"), ("/dev/stdin", "/proc/self/fd/0"), ("/dev/stdout", "/proc/self/fd/1"),
            ("/dev/stderr", "/proc/self/fd/2"), ("/dev/ptmx", "pts/ptmx"),
        ] {
            steps.append(.symlink(content: content, path: path))
        }
        let character: UInt32 = 0o020000
        for (name, major, minor) in [
            ("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0),
        ] as [(String, UInt32, UInt32)] {
            steps.append(
                .device(DeviceNode(path: "/dev/\(name)", mode: character | 0o666, major: major, minor: minor)))
        }
        if all { steps.append(.allDevices) }
    }

    // MARK: Who it is

    private mutating func program(_ specification: ProcessSpecification) throws {
        let privileges = specification.privileges
        steps.append(.workingDirectory(specification.workingDirectory))
        for limit in specification.rlimits {
            guard let number = ResourceLimit.numbers[limit.name] else {
                throw Self.invalid(specification.id, "resource limit \(limit.name)")
            }
            steps.append(.resourceLimit(name: limit.name, number: number, soft: limit.soft, hard: limit.hard))
        }
        let filter = try SeccompFilter.compile(privileges.seccomp, capabilities: privileges.capabilities)
        let identity = Step.identity(
            privileges.user,
            capabilities: try Capability.mask(privileges.capabilities, subject: specification.id)
                .map { CapabilityMasks($0) })
        // Without no_new_privs a filter can only be installed while CAP_SYS_ADMIN is still there.
        if let filter, !privileges.noNewPrivileges { steps.append(.seccomp(filter)) }
        steps.append(identity)
        if privileges.noNewPrivileges { steps.append(.noNewPrivileges) }
        if let filter, privileges.noNewPrivileges { steps.append(.seccomp(filter)) }
        if !specification.heldDescriptors.isEmpty { steps.append(.inherit(specification.heldDescriptors)) }
        steps.append(.exec(arguments: specification.arguments, environment: specification.environment))
    }
}

extension ProcessSpecification {
    /// See `LinuxSupervisor.supervisorProcess`.
    var isSupervisor: Bool { arguments.dropFirst().first == LAB_SUPERVISE_MARKER }
}

extension Mount {
    var isBind: Bool { type == "bind" || (type != "cgroup" && MountOptions(options).isBind) }
}

extension ResourceLimit {
    static let numbers: [String: Int32] = [
        "RLIMIT_CPU": 0, "RLIMIT_FSIZE": 1, "RLIMIT_DATA": 2, "RLIMIT_STACK": 3, "RLIMIT_CORE": 4, "RLIMIT_RSS": 5,
        "RLIMIT_NPROC": 6, "RLIMIT_NOFILE": 7, "RLIMIT_MEMLOCK": 8, "RLIMIT_AS": 9, "RLIMIT_LOCKS": 10,
        "RLIMIT_SIGPENDING": 11, "RLIMIT_MSGQUEUE": 12, "RLIMIT_NICE": 13, "RLIMIT_RTPRIO": 14, "RLIMIT_RTTIME": 15,
    ]
}

extension Step {
    /// Every text of the step that the stage reads up to a NUL.
    var texts: [String] {
        switch self {
        case .write(_, let path, _, _): [path]
        case .hold(let name, let path): [name, path]
        case .enterNamespaces(let entries): entries.map(\.path)
        case .rootOverlay(let directory, let options, let target): [directory, options, target]
        case .mount(let type, let source, let target, _, _, _, let options):
            [type, source, target] + options.flatMap { [$0.key, $0.value] }
        case .symlink(let content, let path): [content, path]
        case .inherit(let numbers): Array(numbers.values)
        case .exec(let arguments, let environment): arguments + environment
        case .hook(let call):
            [call.path, call.stateBefore, call.stateAfter] + call.arguments + call.environment
        case .find(let program, let path): [program, path]
        default: [object]
        }
    }
}
