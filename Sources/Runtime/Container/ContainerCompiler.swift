import Glibc
import Linux

/// Turns a container's configuration into the plan that `contain.c` carries out. Pure but for what `Surroundings` tells.
struct ContainerCompiler {
    /// What the plan depends on besides the configuration.
    struct Surroundings {
        var id: String
        var bundle: String
        /// Where the fifos lie.
        var stateDirectory: String
        var layout: CgroupLayout
        var cgroup: Cgroup
        var usesPivot = true
        var makesKeyring = true
        /// For hooks that run inside: the state as JSON up to and after the pid, while creating and when created.
        var creating = ("", "")
        var created = ("", "")
        var environment: [String] = []
    }

    /// What the creator does for a SYNC.
    static let hooksOutside: UInt64 = 1

    private let configuration: ContainerConfiguration
    private let around: Surroundings
    private var steps: [Step] = []
    private var trees: [Int: Int] = [:]
    private var treeCount = 0

    private init(_ configuration: ContainerConfiguration, _ around: Surroundings) {
        self.configuration = configuration
        self.around = around
    }

    static func create(_ configuration: ContainerConfiguration, _ around: Surroundings) throws -> Plan {
        guard let process = configuration.process else { throw ConfigurationError("process", "is missing") }
        var compiler = ContainerCompiler(configuration, around)
        compiler.placement(process)
        // A user without privileges may copy mounts only where it is root: in a namespace of its own, whose mounts are
        // the same until they are changed.
        let isUnprivileged = geteuid() != 0 && configuration.namespaces[.user] == .new
        if !isUnprivileged { compiler.sources() }
        try compiler.enterNamespaces()
        if isUnprivileged { compiler.sources() }
        compiler.steps.append(.fork)
        compiler.machine()
        if configuration.hasOwnMounts { try compiler.fileSystems() }
        compiler.hooksAndRoot(process)
        compiler.program(process)
        return try ContainerCompiler.checked(compiler.steps)
    }

    static func checked(_ steps: [Step]) throws -> Plan {
        for step in steps where step.texts.contains(where: { $0.utf8.contains(0) }) {
            throw StageError(step: step.name, object: step.object, errno: EINVAL, detail: "a NUL character")
        }
        return Plan(steps)
    }

    // MARK: The first process, outside

    private mutating func placement(_ process: ContainerProcess) {
        if configuration.namespaces[.user] == nil { steps.append(.hide) }
        steps += Self.join(around.cgroup)
        if let score = process.outOfMemoryScore {
            steps.append(
                .write(.outOfMemoryScore, path: "/proc/self/oom_score_adj", content: "\(score)", tolerating: .denied))
        }
        steps.append(.openGate(directory: around.stateDirectory))
    }

    static func join(_ group: Cgroup) -> [Step] {
        group.joinFiles.map { .write(.joinCgroup, path: $0, content: "0", tolerating: []) }
    }

    /// Copies of the mounts' sources are taken by the creator's user, in its mount namespace.
    private mutating func sources() {
        for (index, mount) in configuration.mounts.enumerated() where mount.isBind {
            let options = MountOptions(mount.options)
            trees[index] = take(mount.source, recursive: options.recursive)
            guard let maps = mount.idMaps, let tree = trees[index] else { continue }
            var namespace = ""
            if maps == IDMaps(), case .path(let path)? = configuration.namespaces[.user] { namespace = path }
            steps.append(
                .idMap(
                    tree: tree, recursive: options.idMap == .recursive, namespace: namespace,
                    maps: maps == IDMaps() ? configuration.idMaps : maps))
        }
        guard configuration.mounts.contains(where: { $0.type == "cgroup" }), configuration.namespaces[.cgroup] == nil
        else { return }
        // Without a cgroup namespace a fresh mount would show the machine's groups: the container gets its own alone.
        for (index, hierarchy) in around.layout.hierarchies.enumerated() {
            trees[Self.cgroupTree + index] = take(around.cgroup.directory(in: hierarchy), recursive: false)
        }
    }

    private static let cgroupTree = 1 << 20

    private mutating func take(_ path: String, recursive: Bool) -> Int {
        steps.append(.tree(path: path, recursive: recursive))
        defer { treeCount += 1 }
        return treeCount
    }

    private mutating func enterNamespaces() throws {
        // Entering a mount namespace changes what the other paths mean, so it comes last.
        let order: [NamespaceKind] = [.user, .cgroup, .ipc, .uts, .network, .time, .pid, .mount]
        let entered = order.compactMap { kind -> Step.NamespaceEntry? in
            guard case .path(let path)? = configuration.namespaces[kind] else { return nil }
            return Step.NamespaceEntry(path: path, kind: kind)
        }
        if !entered.isEmpty { steps.append(.enterNamespaces(entered)) }
        if configuration.namespaces[.user] == .new {
            // Who has no privilege outside may map itself alone, and give up changing groups.
            steps.append(.user(configuration.idMaps, setgroups: geteuid() == 0))
        }
        let new = order.filter { configuration.namespaces[$0] == .new && $0 != .user }
        if !new.isEmpty { steps.append(.unshare(new)) }
        for offset in configuration.timeOffsets {
            steps.append(
                .write(
                    .timeOffsets, path: "/proc/self/timens_offsets",
                    content: "\(offset.clock) \(offset.seconds) \(offset.nanoseconds)\n", tolerating: []))
        }
    }

    // MARK: The container's first process

    private mutating func machine() {
        if around.makesKeyring { steps.append(.keyring("_ses.\(around.id)")) }
        if configuration.namespaces[.network] == .new { steps.append(.loopback) }
        if let name = configuration.hostname { steps.append(.hostname(name)) }
        if let name = configuration.domainName { steps.append(.domainName(name)) }
        for (name, value) in configuration.sysctls.sorted(by: { $0.key < $1.key }) {
            steps.append(
                .write(.sysctl, path: "/proc/sys/\(Self.sysctlPath(name))", content: value, tolerating: []))
        }
    }

    /// Dots separate, and slashes stand for dots in names; unless there are slashes only, as in a path.
    static func sysctlPath(_ name: String) -> String {
        guard name.contains(".") else { return name }
        return name.split(separator: ".").map { $0.split(separator: "/").joined(separator: ".") }
            .joined(separator: "/")
    }

    private mutating func fileSystems() throws {
        let wanted = configuration.rootPropagation ?? MountOptions.slaveAll
        // Whatever the root becomes in the end: while it is being built nothing of it may show outside.
        let outside = wanted & (1 << 18 | 1 << 17) != 0 ? 1 << 18 | MountOptions.recursiveFlag : MountOptions.slaveAll
        steps.append(.propagation(outside))
        steps.append(.rootDirectory(configuration.rootPath))
        for (index, mount) in configuration.mounts.enumerated() { try add(mount, index: index) }
        devices()
        for path in configuration.readOnlyPaths { steps.append(.readOnly(path)) }
        for path in configuration.maskedPaths { steps.append(.mask(path)) }
    }

    private mutating func add(_ mount: ContainerMount, index: Int) throws {
        var options = MountOptions(mount.options)
        if let tree = trees[index] {
            steps.append(
                .bind(
                    tree: tree, target: mount.destination, change: options.change,
                    propagation: options.propagation == 0 ? MountOptions(["private"]).propagation : options.propagation)
            )
        } else if mount.type == "cgroup" || (mount.type == "cgroup2" && configuration.namespaces[.cgroup] == nil) {
            try cgroups(mount.destination, options)
        } else if options.isRemount {
            steps.append(.remount(path: mount.destination, change: options.change))
        } else {
            var handling: MountHandling = []
            if mount.type == "proc" || mount.type == "sysfs" { handling.insert(.ordinary) }
            if options.copiesUp { handling.insert(.copyUp) }
            if mount.type == "tmpfs", !options.rest.contains(where: { $0.key == "mode" }) { handling.insert(.keepMode) }
            if let label = configuration.mountLabel, mount.type != "proc", mount.type != "sysfs" {
                options.rest.append(.init(key: "context", value: label))
            }
            steps.append(
                .mount(
                    type: mount.type, source: mount.source, target: mount.destination, attributes: options.attributes,
                    propagation: options.propagation, handling: handling, options: options.rest))
        }
    }

    /// The hierarchies as the host has them, below a tmpfs unless the host is v2; each from the container's group on.
    private mutating func cgroups(_ target: String, _ options: MountOptions) throws {
        let layout = around.layout
        guard !layout.hierarchies.isEmpty else {
            throw ConfigurationError("mounts", "a cgroup mount is asked for, and this machine has no cgroups")
        }
        if layout.isV2 { return hierarchy(layout.hierarchies[0], index: 0, at: target, options) }
        steps.append(
            .mount(
                type: "tmpfs", source: "tmpfs", target: target, attributes: options.attributes & ~1,
                propagation: options.propagation, options: [.init(key: "mode", value: "755")]))
        for (index, each) in layout.hierarchies.enumerated() {
            let name = each.mountPoint.split(separator: "/").last.map(String.init) ?? "unified"
            hierarchy(each, index: index, at: "\(target)/\(name)", options)
            for controller in each.controllers where each.controllers.count > 1 && controller != name {
                steps.append(.symlink(content: name, path: "\(target)/\(controller)"))
            }
        }
        if options.attributes & 1 != 0 { steps.append(.readOnly(target)) }
    }

    private mutating func hierarchy(
        _ hierarchy: CgroupLayout.Hierarchy, index: Int, at target: String, _ options: MountOptions
    ) {
        if let tree = trees[Self.cgroupTree + index] {
            steps.append(
                .bind(
                    tree: tree, target: target, change: options.change,
                    propagation: MountOptions(["private"]).propagation))
            return
        }
        let controllers = hierarchy.controllers.map { controller -> Step.Option in
            let parts = controller.split(separator: "=", maxSplits: 1)
            return Step.Option(key: String(parts[0]), value: parts.count > 1 ? String(parts[1]) : "")
        }
        let type = hierarchy.isUnified ? "cgroup2" : "cgroup"
        steps.append(
            .mount(
                type: type, source: type, target: target, attributes: options.attributes,
                propagation: options.propagation, options: controllers))
    }

    private mutating func devices() {
        // A /dev of the host's is left as it is.
        let isForeign = configuration.mounts.contains { $0.destination == "/dev" && $0.isBind }
        guard !isForeign else { return }
        for node in configuration.devices { steps.append(.device(node)) }
        let given = Set(configuration.devices.map(\.path))
        for node in Self.usualDevices where !given.contains(node.path) { steps.append(.device(node)) }
        for (path, content) in [
            ("/dev/fd", "/proc/self/fd"), ("/dev/stdin", "/proc/self/fd/0"), ("/dev/stdout", "/proc/self/fd/1"),
            ("/dev/stderr", "/proc/self/fd/2"), ("/dev/ptmx", "pts/ptmx"),
        ] {
            steps.append(.symlink(content: content, path: path))
        }
    }

    static let usualDevices: [DeviceNode] =
        [
            ("null", 3), ("zero", 5), ("full", 7), ("random", 8), ("urandom", 9),
        ].map { DeviceNode(path: "/dev/\($0.0)", mode: 0o020666, major: 1, minor: $0.1) } + [
            DeviceNode(path: "/dev/tty", mode: 0o020666, major: 5, minor: 0)
        ]

    private mutating func hooksAndRoot(_ process: ContainerProcess) {
        // The creator notes the pid before anybody else learns of the container.
        steps.append(.sync(reason: Self.hooksOutside))
        steps += hooks(.createContainer, around.creating)
        steps += Self.labels(process)
        if configuration.hasOwnMounts {
            steps.append(
                .pivot(readOnly: configuration.isRootReadOnly, how: around.usesPivot ? .root : .move))
            if let propagation = configuration.rootPropagation { steps.append(.rootPropagation(propagation)) }
        } else {
            steps += [.rootPlain(configuration.rootPath), .pivot(readOnly: false, how: .chroot)]
        }
        if configuration.namespaces[.user] != nil { steps.append(.hide) }
    }

    private func hooks(_ kind: Hook.Kind, _ state: (String, String)) -> [Step] {
        (configuration.hooks[kind] ?? []).map { hook in
            .hook(
                HookCall(
                    kind: "\(kind.rawValue) hook", path: hook.path, timeoutSeconds: hook.timeoutSeconds,
                    arguments: hook.arguments, environment: hook.environment, stateBefore: state.0,
                    stateAfter: state.1))
        }
    }

    /// Through the creator's /proc: the container's could be anything.
    static func labels(_ process: ContainerProcess) -> [Step] {
        var steps: [Step] = []
        if !process.selinuxLabel.isEmpty {
            steps.append(
                .write(.label, path: "/proc/self/attr/exec", content: process.selinuxLabel, tolerating: []))
        }
        if !process.appArmorProfile.isEmpty {
            let file = access("/proc/self/attr/apparmor/exec", F_OK) == 0 ? "apparmor/exec" : "exec"
            steps.append(
                .write(
                    .label, path: "/proc/self/attr/\(file)", content: "exec \(process.appArmorProfile)", tolerating: [])
            )
        }
        return steps
    }

    private mutating func program(_ process: ContainerProcess) {
        if process.hasTerminal {
            steps.append(
                .terminal(process.terminalSize, owner: process.user.uid, console: configuration.hasOwnMounts))
        }
        steps += Self.identity(
            process, configuration, makesDirectory: true,
            beforeExec: [.gate] + hooks(.startContainer, around.created))
        steps.append(.exec(arguments: process.arguments, environment: process.environment + around.environment))
    }

    /// What the process is, up to its program; `beforeExec` is what has to wait until nothing else can fail.
    static func identity(
        _ process: ContainerProcess, _ configuration: ContainerConfiguration, makesDirectory: Bool, beforeExec: [Step]
    ) -> [Step] {
        var steps: [Step] = []
        for limit in process.limits {
            let number = ResourceLimit.numbers[limit.name] ?? 0
            steps.append(.resourceLimit(name: limit.name, number: number, soft: limit.soft, hard: limit.hard))
        }
        if let scheduler = process.scheduler { steps.append(.scheduler(scheduler)) }
        if let priority = process.ioPriority { steps.append(.ioPriority(priority)) }
        if let persona = configuration.personality { steps.append(.personality(persona)) }
        steps.append(.umask(process.umask ?? 0o022))
        if !process.hasTerminal { steps.append(.ownStreams(process.user.uid)) }
        steps.append(.workingDirectory(process.workingDirectory, made: makesDirectory))
        // Without no_new_privs a filter can only be installed while CAP_SYS_ADMIN is still there; with it, as late as
        // possible, so that it need not allow what the start takes. But somebody who listens is told by the creator,
        // which does not wait for the start.
        let program = configuration.seccomp
        let filter = program.map { [Step.seccomp($0.instructions, flags: $0.flags)] } ?? []
        let isLast = process.noNewPrivileges && (program?.listenerPath ?? "").isEmpty
        if !process.noNewPrivileges { steps += filter }
        steps.append(.identity(process.user, capabilities: process.capabilities))
        if process.noNewPrivileges { steps.append(.noNewPrivileges) }
        let path = process.environment.last { $0.hasPrefix("PATH=") }.map { String($0.dropFirst(5)) } ?? ""
        steps.append(.find(program: process.arguments[0], path: path))
        if process.noNewPrivileges, !isLast { steps += filter }
        steps += beforeExec
        if isLast { steps += filter }
        return steps
    }
}

/// The plan of a further process in a container.
struct ExecCompiler {
    var container: ContainerConfiguration
    var process: ContainerProcess
    var cgroup: [Step]
    /// Whose namespaces are entered.
    var pid: Int32
    var startTime: UInt64
    var kinds: [NamespaceKind]
    var makesKeyring: String?
    var environment: [String] = []

    func plan() throws -> Plan {
        var steps = cgroup
        if let score = process.outOfMemoryScore {
            steps.append(
                .write(.outOfMemoryScore, path: "/proc/self/oom_score_adj", content: "\(score)", tolerating: .denied))
        }
        // Written while /proc is still the creator's; they outlast the fork.
        steps += ContainerCompiler.labels(process)
        // Processes of the container see this one as soon as it is in their pid namespace.
        steps += [.hide, .join(pid: pid, startTime: startTime, kinds: kinds), .fork]
        if let name = makesKeyring { steps.append(.keyring(name)) }
        if process.hasTerminal {
            steps.append(.terminal(process.terminalSize, owner: process.user.uid, console: false))
        }
        steps += ContainerCompiler.identity(process, container, makesDirectory: false, beforeExec: [])
        steps.append(.exec(arguments: process.arguments, environment: process.environment + environment))
        return try ContainerCompiler.checked(steps)
    }
}
