import Basics
import Glibc
import Linux

/// One thing that was looked at, and what to do where it is not as it should be.
public struct Finding: Sendable, Equatable {
    public enum Verdict: String, Sendable { case ok, warning, problem }

    public var subject: String
    public var verdict: Verdict
    public var detail: String
    public var remedy: String

    public init(_ subject: String, _ verdict: Verdict, _ detail: String, remedy: String = "") {
        self.subject = subject
        self.verdict = verdict
        self.detail = detail
        self.remedy = remedy
    }
}

/// `lab doctor`: looks at this machine with the calls that a cluster will make, and changes nothing that stays.
public struct Doctor: Sendable {
    let host: Host

    public init(host: Host) { self.host = host }

    public func examine() async -> [Finding] {
        var findings = [privilege(), kernel(), cgroups()]
        findings += geteuid() == 0 ? delegation() + (await network()) : []
        findings += fileSystems() + limits()
        findings += [space(), HostResolver.ofThisMachine().finding(services: Addresses.services)]
        if let registry = await LocalRegistry(host: host).finding() { findings.append(registry) }
        return findings + (await leftovers())
    }

    private func privilege() -> Finding {
        geteuid() == 0
            ? Finding("root", .ok, "running as root")
            : Finding("root", .problem, "not running as root", remedy: "run lab with sudo")
    }

    private func kernel() -> Finding {
        var name = utsname()
        uname(&name)
        let release = withUnsafeBytes(of: &name.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        let numbers = release.split(whereSeparator: { !$0.isNumber }).prefix(2).compactMap { Int($0) }
        // openat2 came with 5.6, clone into cgroups and pidfd polling before it.
        if numbers.count == 2, (numbers[0], numbers[1]) >= (5, 6) { return Finding("kernel", .ok, "Linux \(release)") }
        return Finding("kernel", .problem, "Linux \(release) is too old", remedy: "use a kernel from 5.6 on")
    }

    private func cgroups() -> Finding {
        let remedy = "mount cgroup2 on /sys/fs/cgroup, as systemd does at boot"
        guard let layout = try? CgroupLayout.ofProcess(), !layout.hierarchies.isEmpty else {
            return Finding("cgroups", .problem, "no cgroup hierarchy is mounted", remedy: remedy)
        }
        let controllers = Set(layout.hierarchies.flatMap(\.controllers))
        let missing = layout.isV2 ? [] : ["cpu", "memory", "pids"].filter { !controllers.contains($0) }
        guard missing.isEmpty else {
            return Finding(
                "cgroups", .problem, "no \(missing.joined(separator: ", ")) controller", remedy: remedy)
        }
        let mode = layout.isV2 ? "v2" : layout.unified == nil ? "v1" : "hybrid: v1, and v2 for what is left"
        return Finding("cgroups", .ok, mode)
    }

    /// Makes each kind of link, and an nftables table, in a network namespace that nothing else sees.
    private func network() async -> [Finding] {
        let namespace: NetworkNamespace
        do { namespace = try NetworkNamespace.make() } catch {
            return [
                Finding(
                    "network namespaces", .problem, "\(error)", remedy: "this kernel or container forbids unshare(2)")
            ]
        }
        var findings: [Finding] = []
        func probe(_ subject: String, module: String, _ body: () throws -> Void) {
            do {
                try body()
                findings.append(Finding(subject, .ok, "works"))
            } catch {
                findings.append(
                    Finding(subject, .problem, "\(error)", remedy: "load the module: modprobe \(module)"))
            }
        }
        probe("bridge", module: "bridge") { try RouteSocket(in: namespace).create(NewLink("br", .bridge)) }
        probe("veth", module: "veth") {
            try RouteSocket(in: namespace).create(
                NewLink("va", .veth(peerName: "vb", peerMAC: nil, peerNamespace: nil)))
        }
        probe("vxlan", module: "vxlan") {
            let vxlan = VXLAN(id: 1, local: Addresses.gateway, port: 8472, learning: false)
            try RouteSocket(in: namespace).create(NewLink("vx", .vxlan(vxlan)))
        }
        probe("nftables", module: "nf_tables") {
            var batch = NftBatch(table: "lab-probe")
            batch.addTable()
            batch.addChain("probe", NftHook(.nat, .prerouting, priority: -100))
            try Nftables(in: namespace).commit(batch)
        }
        return findings
    }

    private func fileSystems() -> [Finding] {
        let known = (try? Files.text("/proc/filesystems")) ?? ""
        let names = Set(known.split(separator: "\n").compactMap { $0.split(separator: "\t").last })
        guard names.contains("overlay") else {
            return [Finding("overlayfs", .problem, "not in this kernel", remedy: "modprobe overlay")]
        }
        return [Finding("overlayfs", .ok, "works"), loopDevices()]
    }

    /// Most clusters do without, so that their absence is no problem.
    private func loopDevices() -> Finding {
        guard Files.exists("/dev/loop-control") else {
            return Finding(
                "loop devices", .warning, "none here: pods with volumes of volumeMode Block will not start",
                remedy: "load the module: modprobe loop")
        }
        return Finding("loop devices", .ok, "can be made")
    }

    private func limits() -> [Finding] {
        func number(_ path: String) -> Int? {
            (try? Files.text(path)).flatMap { Int($0.split(whereSeparator: \.isWhitespace).first ?? "") }
        }
        var findings: [Finding] = []
        for (name, wanted) in [("max_user_instances", 128), ("max_user_watches", 8_192)] {
            guard let value = number("/proc/sys/fs/inotify/\(name)") else { continue }
            findings.append(
                value >= wanted
                    ? Finding("inotify \(name)", .ok, "\(value)")
                    : Finding(
                        "inotify \(name)", .warning, "\(value) is little: 'kubectl logs -f' may fail",
                        remedy: "sysctl fs.inotify.\(name)=\(wanted * 4)"))
        }
        var files = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files) == 0 {
            findings.append(
                files.rlim_max >= 4_096
                    ? Finding("open files", .ok, "\(files.rlim_max)")
                    : Finding(
                        "open files", .warning, "the hard limit is \(files.rlim_max)",
                        remedy: "raise it: ulimit -Hn 65536"))
        }
        return findings
    }

    private func space() -> Finding {
        var status = statvfs()
        var path = host.layout.home
        while statvfs(path, &status) != 0, path.contains("/"), path != "/" {
            path = path.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 }
            if path.isEmpty { path = "/" }
        }
        let free = (UInt64(status.f_bavail) * UInt64(status.f_frsize)) >> 20
        return free >= 512
            ? Finding("disk space", .ok, "\(free) MiB free below \(host.layout.home)")
            : Finding(
                "disk space", .warning, "only \(free) MiB free below \(host.layout.home)",
                remedy: "make room there, or choose another place with LAB_HOME")
    }

    /// Makes a group with limits as each node and pod gets one, and removes it.
    private func delegation() -> [Finding] {
        guard let layout = try? CgroupLayout.ofProcess(), !layout.hierarchies.isEmpty else { return [] }
        do {
            let group = try Cgroup("lab-probe-\(getpid())", layout: layout)
            defer { try? group.remove() }
            try group.create()
            var limits = CgroupLimits()
            limits.memoryBytes = 64 << 20
            limits.cpuQuota = 50_000
            limits.pids = 64
            try group.apply(limits)
            return [Finding("cgroup delegation", .ok, "groups with limits can be made")]
        } catch {
            return [
                Finding(
                    "cgroup delegation", .problem, "no group with limits can be made: \(error)",
                    remedy:
                        "run lab where cgroups are writable: on the host, in a systemd unit with Delegate=yes, or in "
                        + "a container with --privileged --cgroupns=host")
            ]
        }
    }

    private func leftovers() async -> [Finding] {
        var findings: [Finding] = []
        let entries = await host.index.all()
        for entry in entries {
            switch entry.state {
            case .running:
                let name = entry.record.name
                findings.append(
                    entry.down.isEmpty
                        ? Finding("cluster \(name)", .ok, "running")
                        : Finding(
                            "cluster \(name)", .warning, "running without \(entry.down.joined(separator: ", "))",
                            remedy: "lab node start --cluster \(name) \(entry.down.joined(separator: " "))"))
            case .unknown:
                findings.append(
                    Finding(
                        "cluster \(entry.record.name)", .ok, "only root can tell how it is", remedy: "run lab with sudo"
                    ))
            case .busy:
                findings.append(Finding("cluster \(entry.record.name)", .ok, "being created or deleted"))
            case .stopped, .paused:
                findings.append(Finding("cluster \(entry.record.name)", .ok, entry.state.rawValue))
            case .incomplete:
                findings.append(
                    Finding(
                        "cluster \(entry.record.name)", .warning, "its creation was cut off",
                        remedy: "lab delete \(entry.record.name)"))
            case .dead:
                findings.append(
                    Finding(
                        "cluster \(entry.record.name)", .warning, "its processes are gone",
                        remedy: "lab start \(entry.record.name), or lab delete \(entry.record.name)"))
            }
        }
        if geteuid() == 0 { findings += hostTables() + hostForwarding() }
        let copies = (try? Files.list(host.layout.clusters)) ?? []
        for name in copies where name.hasPrefix(".") {
            findings.append(
                Finding(
                    "copy \(name)", .warning, "a fork or a restoration was cut off, or goes on now",
                    remedy: "if none goes on: rm -r \(host.layout.clusters)/\(name)"))
        }
        let known = Set(host.index.names)
        for name in cgroupsOfClusters() where !known.contains(name) {
            findings.append(
                Finding(
                    "cgroup lab/\(name)", .warning, "belongs to no cluster below \(host.layout.home)",
                    remedy: "lab delete \(name), with the LAB_HOME it was created with"))
        }
        return findings
    }

    /// What clusters whose processes were killed leave in the host's network. Those that are known are named above.
    private func hostTables() -> [Finding] {
        let known = Set(host.index.names.compactMap { HostLink.read(host.layout.cluster($0))?.number })
        return ((try? HostLink.leftovers()) ?? []).filter { !known.contains($0.number) }.map { link in
            Finding(
                "nftables table \(link.tableName)", .warning, "belongs to no cluster below \(host.layout.home)",
                remedy: "nft delete table ip \(link.tableName)")
        }
    }

    private func cgroupsOfClusters() -> [String] {
        guard let layout = try? CgroupLayout.ofProcess(), let cgroup = try? Cgroup("lab", layout: layout) else {
            return []
        }
        var names: Set<String> = []
        for hierarchy in layout.hierarchies {
            let directory = cgroup.directory(in: hierarchy)
            for name in (try? Files.list(directory)) ?? [] where Files.exists("\(directory)/\(name)/cgroup.procs") {
                names.insert(name)
            }
        }
        return names.sorted()
    }
}
