import Basics
import Document
import Glibc
import Images
import Linux
import Runtime

/// A volume as containers see it: the directory, or for block-less host paths any file, behind its name.
struct VolumePath: Sendable, Equatable {
    var path: String
    var readOnly = false
    /// Set where the path is a block device.
    var device: BlockDevice?
}

struct BlockDevice: Sendable, Equatable {
    var major: UInt32
    var minor: UInt32

    init?(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFBLK else { return nil }
        // The kernel's layout: 12 bits of the major and 8 of the minor number are where they were when both were short.
        let number = UInt64(status.st_rdev)
        major = UInt32(truncatingIfNeeded: number >> 8 & 0xFFF | number >> 32 & ~0xFFF)
        minor = UInt32(truncatingIfNeeded: number & 0xFF | number >> 12 & ~0xFF)
    }
}

/// Everything that a container is made of, gathered by the shell and turned into a process here.
struct ContainerPlan: Sendable {
    var pod: Document
    var container: Document
    var role: ContainerRole
    var attempt: Int
    var image: Image
    var volumes: [String: VolumePath]
    var sources: EnvironmentSources
    var podIPs: [IPAddress]
    var hostname: String
    /// Pid of the process whose pid namespace an ephemeral container joins.
    var targetPID: Int32?
    var memoryCapacity: Int64
    var allocatableCPUMillis: Int64
    var allocatableMemory: Int64
}

struct ProcessBuilder {
    let plan: ContainerPlan
    let configuration: KubeletConfiguration

    private var pod: Document { plan.pod }
    private var container: Document { plan.container }
    private var name: String { container.text("name") ?? "" }
    private var directory: String {
        "\(configuration.podDirectory(pod.text("metadata", "uid") ?? ""))/containers/\(name)"
    }
    /// The writable layer and the overlay's scratch space of this attempt.
    var layerDirectory: String { "\(directory)/\(plan.attempt)" }
    var terminationFile: String { "\(directory)/\(plan.attempt)-termination" }

    func build() throws -> ProcessSpecification {
        let fields = DownwardFields(
            pod: pod, podIPs: plan.podIPs, hostIPs: configuration.nodeIPs,
            allocatableCPUMillis: plan.allocatableCPUMillis, allocatableMemory: plan.allocatableMemory)
        var environment = try Environment.build(
            container: container, pod: pod, imageVariables: plan.image.config.list("Env").compactMap(\.string),
            hostname: plan.hostname, sources: plan.sources, fields: fields)
        let arguments = try self.arguments(environment)
        let user = try ImageUser.resolve(container: container, pod: pod, image: plan.image)
        let hasTerminal = container.flag("tty") == true
        if hasTerminal, environment["TERM"] == nil { environment["TERM"] = "xterm" }
        if environment["HOME"] == nil { environment["HOME"] = ImageUser.home(of: user, image: plan.image) }
        var process = ProcessSpecification(
            id: ProcessName(container: name, attempt: plan.attempt).text, arguments: arguments)
        process.environment = environment.list
        let ownDirectory = container.text("workingDir") ?? ""
        let imageDirectory = plan.image.config.text("WorkingDir") ?? ""
        process.workingDirectory = !ownDirectory.isEmpty ? ownDirectory : imageDirectory.isEmpty ? "/" : imageDirectory
        process.root = .overlay(
            lower: plan.image.layerDirectories, upper: "\(layerDirectory)/upper", work: "\(layerDirectory)/work",
            readOnly: container.flag("securityContext", "readOnlyRootFilesystem") == true)
        process.mounts = try mounts(environment)
        process.namespaces = namespaces
        let cgroup = Resources.podCgroup(pod, root: configuration.cgroupRoot)
        process.cgroup = "\(cgroup)/\(process.id)"
        process.limits = Resources.limits(container["resources"])
        process.privileges = try Security.privileges(
            container: container, pod: pod, user: user, profileDirectory: "\(configuration.rootDirectory)/seccomp")
        process.privileges.devices = try blockDevices().map {
            "b \($0.device.major):\($0.device.minor) \($0.readOnly ? "r" : "rwm")"
        }
        process.oomScoreAdjust = Resources.oomScoreAdjust(
            container: container, pod: pod, memoryCapacity: plan.memoryCapacity)
        if container.flag("stdin") == true { process.input = .open(once: container.flag("stdinOnce") == true) }
        if hasTerminal { process.terminal = TerminalSize() }
        process.output = .criLog(
            path: configuration.logFile(pod, container: name, attempt: plan.attempt),
            maximumBytes: configuration.maximumLogBytes, keep: configuration.keptLogs)
        return process
    }

    /// `command` replaces the image's Entrypoint and with it its Cmd; `args` replaces only Cmd.
    private func arguments(_ environment: Environment) throws -> [String] {
        func expanded(_ member: String) -> [String] {
            container.list(member).compactMap(\.string).map { Expansion.expand($0) { environment[$0] } }
        }
        func image(_ member: String) -> [String] { plan.image.config.list(member).compactMap(\.string) }
        let command = expanded("command")
        let args = expanded("args")
        let result =
            command.isEmpty
            ? image("Entrypoint") + (args.isEmpty ? image("Cmd") : args)
            : command + args
        guard !result.isEmpty else {
            throw StartProblem(reason: "CreateContainerError", message: "no command specified")
        }
        return result
    }

    private var namespaces: [NamespaceKind: NamespaceMode] {
        var result: [NamespaceKind: NamespaceMode] = [.mount: .new, .cgroup: .new]
        if Security.isPrivileged(container) { result[.cgroup] = nil }
        if let target = plan.targetPID {
            result[.pid] = .path("/proc/\(target)/ns/pid")
        } else if pod.flag("spec", "hostPID") != true, pod.flag("spec", "shareProcessNamespace") != true {
            result[.pid] = .new
        }
        return result
    }

    // MARK: Mounts

    private func mounts(_ environment: Environment) throws -> [Mount] {
        let isPrivileged = Security.isPrivileged(container)
        let system = ["nosuid", "noexec", "nodev"]
        var mounts = [
            Mount(source: "proc", target: "/proc", type: "proc", options: system),
            Mount(
                source: "tmpfs", target: "/dev", type: "tmpfs",
                options: ["nosuid", "strictatime", "mode=755", "size=65536k"]),
            Mount(
                source: "devpts", target: "/dev/pts", type: "devpts",
                options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            Mount(source: "mqueue", target: "/dev/mqueue", type: "mqueue", options: system),
            Mount(source: "sysfs", target: "/sys", type: "sysfs", options: system + [isPrivileged ? "rw" : "ro"]),
            Mount(
                source: "cgroup", target: "/sys/fs/cgroup", type: "cgroup",
                options: system + [isPrivileged ? "rw" : "ro"]),
        ]
        let claimed = Set(container.list("volumeMounts").compactMap { $0.text("mountPath") }.map(Self.cleaned))
        let podFiles = configuration.podDirectory(pod.text("metadata", "uid") ?? "")
        let ownNamespace = pod.flag("spec", "hostIPC") != true
        if !claimed.contains("/dev/shm") {
            mounts.append(
                ownNamespace
                    ? bind("\(podFiles)/shm", "/dev/shm", readOnly: false)
                    : bind("/dev/shm", "/dev/shm", readOnly: false))
        }
        for (file, target) in [
            ("hosts", "/etc/hosts"), ("hostname", "/etc/hostname"), ("resolv.conf", "/etc/resolv.conf"),
        ]
        where !claimed.contains(target) {
            mounts.append(bind("\(podFiles)/files/\(file)", target, readOnly: false))
        }
        let messagePath = container.text("terminationMessagePath") ?? "/dev/termination-log"
        if !messagePath.isEmpty { mounts.append(bind(terminationFile, messagePath, readOnly: false)) }
        // Shallow targets first, so that a mount below another one is not hidden by it.
        let volumes = try container.list("volumeMounts").map { try volumeMount($0, environment) }
        mounts += try blockDevices().map { bind($0.path, Self.cleaned($0.target), readOnly: $0.readOnly) }
        return mounts + volumes.sorted { Self.depth($0.target) < Self.depth($1.target) }
    }

    private func bind(_ source: String, _ target: String, readOnly: Bool) -> Mount {
        Mount(source: source, target: target, type: "bind", options: ["rbind", "rprivate", readOnly ? "ro" : "rw"])
    }

    /// The block devices that the container asks for: what is on the node, and where it shall be.
    private func blockDevices() throws -> [(path: String, target: String, device: BlockDevice, readOnly: Bool)] {
        try container.list("volumeDevices").map { entry in
            let name = entry.text("name") ?? ""
            guard let volume = plan.volumes[name], let device = volume.device else {
                throw StartProblem(
                    reason: "CreateContainerConfigError", message: "volume \"\(name)\" is no block device")
            }
            return (volume.path, entry.text("devicePath") ?? "", device, volume.readOnly)
        }
    }

    private func volumeMount(_ mount: Document, _ environment: Environment) throws -> Mount {
        let volumeName = mount.text("name") ?? ""
        guard let volume = plan.volumes[volumeName] else {
            throw StartProblem(
                reason: "CreateContainerConfigError", message: "volume \"\(volumeName)\" is not mounted")
        }
        var source = volume.path
        var part = mount.text("subPath") ?? ""
        if let expression = mount.text("subPathExpr"), !expression.isEmpty {
            part = try expandedPart(expression, environment)
        }
        if !part.isEmpty {
            do { source = try SubPath.prepare(part, below: volume.path) } catch {
                throw StartProblem(
                    reason: "CreateContainerConfigError",
                    message:
                        "failed to prepare subPath for volumeMount \"\(volumeName)\" of container \"\(name)\": \(error)"
                )
            }
        }
        var options = ["rbind"]
        switch mount.text("mountPropagation") {
        case "HostToContainer": options.append("rslave")
        case "Bidirectional": options.append("rshared")
        default: options.append("rprivate")
        }
        let isReadOnly = volume.readOnly || mount.flag("readOnly") == true
        // The kernels that lab runs on (5.12 and later, like mount_setattr itself) can do it for mounts below, too.
        let isRecursive = isReadOnly && ["Enabled", "IfPossible"].contains(mount.text("recursiveReadOnly"))
        options.append(isRecursive ? "rro" : isReadOnly ? "ro" : "rw")
        return Mount(
            source: source, target: Self.cleaned(mount.text("mountPath") ?? ""), type: "bind", options: options)
    }

    /// A part of a volume must have a name that is known as a whole, and stay inside.
    private func expandedPart(_ expression: String, _ environment: Environment) throws -> String {
        var missing: Set<String> = []
        let part = Expansion.expand(expression) { name in
            let value = environment[name] ?? ""
            if value.isEmpty { missing.insert(name) }
            return value
        }
        var problem: String?
        if !missing.isEmpty {
            problem = "missing value for \(missing.sorted().joined(separator: ", "))"
        } else if part.hasPrefix("/") {
            problem = "error SubPath `\(part)` must not be an absolute path"
        } else if part.split(separator: "/").contains("..") {
            problem = "unable to provision SubPath `\(part)`: must not contain '..'"
        }
        if let problem { throw StartProblem(reason: "CreateContainerConfigError", message: problem) }
        return part
    }

    private static func depth(_ path: String) -> Int { path.split(separator: "/").count }

    private static func cleaned(_ path: String) -> String {
        "/" + path.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
    }
}
