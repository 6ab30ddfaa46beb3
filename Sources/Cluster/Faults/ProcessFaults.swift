import Basics
import Client
import Document
import Glibc
import Kinds
import Linux
import Runtime

/// The faults of processes and disks of one cluster: each is a file and, as long as it lasts, a keeper.
struct ProcessFaults: Sendable {
    static let kinds = ["kill", "stop", "freeze", "disk-full"]

    let cluster: String
    let host: Host

    private static let patience: Duration = .seconds(20)
    private static let pause: Duration = .milliseconds(10)

    private var layout: ClusterLayout { host.layout.cluster(cluster) }
    private var directory: String { "\(layout.directory)/faults" }
    /// As the node sees its own directory `configuration`.
    private func insideDirectory(_ node: String) -> String { "\(layout.node(node).configuration)/faults" }

    private func file(_ fault: ProcessFault) -> String {
        "\(fault.isInside ? insideDirectory(fault.node) : directory)/\(fault.name).json"
    }

    // MARK: Commands

    func add(_ request: FaultRequest, name: String, until: Timestamp?) async throws {
        if request.to != nil || request.isOneWay || request.percent != nil || request.delay != nil {
            throw UsageError("'\(request.kind)' has a place and a time, nothing else", remedy: "leave out the rest")
        }
        guard let verb = ProcessFault.Verb(rawValue: request.kind) else { return }
        guard let place = request.at else {
            throw UsageError(
                "'\(request.kind)' needs a place", remedy: "component/NAME[@NODE], node/NAME or pod/NAMESPACE/NAME")
        }
        let fault = ProcessFault(name: name, verb: verb, victim: try await victim(place, verb), until: until)
        if verb == .kill {
            guard until == nil else { throw UsageError("'kill' is over at once", remedy: "leave out the time") }
            return try await instantly(fault)
        }
        let path = file(fault)
        try Files.makeDirectories(String(path.prefix(upTo: path.lastIndex(of: "/") ?? path.endIndex)), mode: 0o700)
        try Files.write(fault.document.json, to: path)
        do {
            try await startKeeper(of: fault)
            try await waitUntilActive(path)
        } catch {
            try? await dismiss(fault)
            unlink(path)
            throw error
        }
    }

    /// What is over at once needs nobody who keeps it.
    private func instantly(_ fault: ProcessFault) async throws {
        try Files.makeDirectories(directory, mode: 0o700)
        let path = file(fault)
        try Files.write(fault.document.json, to: path)
        defer { unlink(path) }
        _ = try await FaultKeeper(file: path, cluster: cluster, host: host).begin()
    }

    /// Those in force. What a keeper left that died is mended on the way.
    func list() async throws -> [FaultEntry] {
        var entries: [FaultEntry] = []
        for fault in faults() {
            // What cannot be mended is still in force, and its removal says why.
            if try await keeper(of: fault) == nil, (try? await mend(fault)) != nil { continue }
            entries.append(
                FaultEntry(name: fault.name, kind: fault.verb.rawValue, at: fault.place, until: fault.until))
        }
        return entries
    }

    /// Answers whether there was such a fault.
    func remove(_ name: String) async throws -> Bool {
        guard let fault = faults().first(where: { $0.name == name }) else { return false }
        try await dismiss(fault)
        if Files.exists(file(fault)) { try await mend(fault) }
        return true
    }

    // MARK: Keepers

    private func faults() -> [ProcessFault] {
        let nodes = host.index.record(of: cluster)?.nodeNames ?? []
        return ([directory] + nodes.map(insideDirectory)).flatMap { directory in
            ((try? Files.list(directory)) ?? []).filter { $0.hasSuffix(".json") }.compactMap { name in
                (try? Files.read("\(directory)/\(name)")).flatMap { try? Document(json: $0) }.flatMap {
                    ProcessFault($0)
                }
            }
        }
    }

    private func keeperID(_ fault: ProcessFault) -> String { "fault-\(fault.name)" }

    private func supervisor(of fault: ProcessFault) async throws -> (any Sandbox)? {
        try await host.runtime.attach(
            stateDirectory: fault.isInside ? layout.node(fault.node).state : layout.state)
    }

    private func keeper(of fault: ProcessFault) async throws -> (any Sandbox)? {
        guard let sandbox = try await supervisor(of: fault) else { return nil }
        let known = try await sandbox.processes().first { $0.id == keeperID(fault) }
        guard case .running? = known?.state else { return nil }
        return sandbox
    }

    private func startKeeper(of fault: ProcessFault) async throws {
        guard let sandbox = try await supervisor(of: fault) else {
            throw Failure("cluster '\(cluster)' does not run", remedy: "start it with 'lab start \(cluster)'")
        }
        var arguments = [fault.isInside ? NodeBlueprint.Inside.binary : layout.binary, "role", "fault"]
        if fault.isInside {
            arguments += ["--config", "\(NodeBlueprint.Inside.configuration)/faults/\(fault.name).json"]
        } else {
            arguments += ["--config", file(fault), "--home", host.layout.home, "--cluster", cluster]
        }
        var process = ProcessSpecification(id: keeperID(fault), arguments: arguments)
        process.environment = ["PATH=/usr/local/bin:/usr/bin:/bin", "SWIFT_ROOT=/"]
        process.privileges.capabilities = nil
        process.privileges.allDevices = true
        // Not in the node's group: who is frozen cannot thaw himself.
        process.cgroup = fault.isInside ? "services/fault" : "\(layout.cgroup)/faults"
        process.output = .file(
            path: fault.isInside ? "\(NodeBlueprint.Inside.logs)/fault.log" : "\(layout.logs)/fault.log")
        // One of the same name may have ended.
        try? await sandbox.remove(process.id)
        _ = try await sandbox.start(process)
    }

    private func waitUntilActive(_ path: String) async throws {
        let end = host.world.clock.uptime + Self.patience
        while host.world.clock.uptime < end {
            let state = (try? Files.read(path)).flatMap { try? Document(json: $0) }
            if let problem = state?.text("problem") { throw Failure(problem) }
            if state == nil || state?.text("state") == "active" { return }
            try await host.world.clock.sleep(for: Self.pause)
        }
        throw Failure("the fault is not in force after \(Self.patience)", remedy: "see \(layout.logs)/fault.log")
    }

    /// Asks the keeper to mend and waits for its end.
    private func dismiss(_ fault: ProcessFault) async throws {
        guard let sandbox = try await keeper(of: fault) else { return }
        try await sandbox.signal(keeperID(fault), SIGTERM)
        let end = host.world.clock.uptime + Self.patience
        while try await keeper(of: fault) != nil {
            guard host.world.clock.uptime < end else { break }
            try await host.world.clock.sleep(for: Self.pause)
        }
        try? await sandbox.remove(keeperID(fault))
    }

    /// Without its keeper: from here, or, for a disk, by a keeper that begins nothing. With its node a full disk went.
    private func mend(_ fault: ProcessFault) async throws {
        if !fault.isInside {
            try await FaultKeeper(file: file(fault), cluster: cluster, host: host).end()
        } else if let sandbox = try await supervisor(of: fault) {
            var process = ProcessSpecification(
                id: keeperID(fault),
                arguments: [
                    NodeBlueprint.Inside.binary, "role", "fault", "--mend", "--config",
                    "\(NodeBlueprint.Inside.configuration)/faults/\(fault.name).json",
                ])
            process.environment = NodeBlueprint.environment
            process.privileges.capabilities = nil
            process.privileges.allDevices = true
            try? await sandbox.remove(process.id)
            _ = try await sandbox.start(process)
            let end = host.world.clock.uptime + Self.patience
            while Files.exists(file(fault)), host.world.clock.uptime < end {
                try await host.world.clock.sleep(for: Self.pause)
            }
            try? await sandbox.remove(process.id)
            // The mender takes the record away last.
            guard !Files.exists(file(fault)) else {
                throw Failure(
                    "the fault '\(fault.name)' could not be undone on \(fault.place)",
                    remedy: "see \(NodeBlueprint.Inside.logs)/fault.log of the node, and try again")
            }
        }
        unlink(file(fault))
    }

    // MARK: Places

    private func victim(_ text: String, _ verb: ProcessFault.Verb) async throws -> ProcessFault.Victim {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        switch (parts.first, parts.count) {
        case ("component", 2) where verb != .disk: return try component(parts[1])
        case ("node", 2): return .node(try node(parts[1]))
        case ("pod", 3) where verb == .kill || verb == .freeze: return try await pod(parts[1], parts[2])
        case ("pod", 3) where verb == .stop:
            throw UsageError("a pod cannot be stopped: its node starts it again", remedy: "kill or freeze it")
        default:
            throw UsageError(
                "'\(verb.rawValue)' knows no place '\(text)'",
                remedy: verb == .disk
                    ? "write node/NAME" : "write component/NAME[@NODE], node/NAME or pod/NAMESPACE/NAME")
        }
    }

    private func component(_ text: String) throws -> ProcessFault.Victim {
        let parts = text.split(separator: "@", maxSplits: 1).map(String.init)
        guard let name = parts.first, ProcessFault.components.contains(name) else {
            throw UsageError(
                "there is no component '\(text)'",
                remedy: "apiserver, manager (controllers and scheduler), or agent@NODE (kubelet, proxy, DNS)")
        }
        guard parts.count == 2 else {
            guard name != "agent" else {
                throw UsageError("every node has an agent", remedy: "write component/agent@NODE")
            }
            return .component(name, node: try controlPlane())
        }
        let node = try node(parts[1])
        let control = try controlPlane()
        guard name == "agent" || node == control else {
            throw UsageError("\(node) has no \(name)", remedy: "it runs on \(control)")
        }
        return .component(name, node: node)
    }

    private func controlPlane() throws -> String {
        guard let node = host.index.record(of: cluster)?.nodes.first(where: \.isControlPlane) else {
            throw Failure("cluster '\(cluster)' has no control plane")
        }
        return node.name
    }

    private func node(_ name: String) throws -> String {
        let names = host.index.record(of: cluster)?.nodeNames ?? []
        guard let found = names.first(where: { $0 == name }) ?? names.first(where: { $0.hasSuffix("-\(name)") }) else {
            throw Failure("there is no node '\(name)'", remedy: "nodes are \(names.joined(separator: ", "))")
        }
        return found
    }

    /// The control group as the kubelet lays it out, below its node's own.
    private func pod(_ namespace: String, _ name: String) async throws -> ProcessFault.Victim {
        let pod = try await host.client(of: cluster).get(.pods, namespace: namespace, name: name)
        guard let node = pod.text("spec", "nodeName"), let uid = pod.text("metadata", "uid") else {
            throw Failure("the pod \(namespace)/\(name) is on no node yet", remedy: "wait until it runs")
        }
        let quality =
            switch pod.text("status", "qosClass") {
            case "Guaranteed": ""
            case "Burstable": "burstable/"
            default: "besteffort/"
            }
        return .pod(
            namespace: namespace, name: name, node: node,
            cgroup: "\(layout.node(node).cgroup)/kubepods/\(quality)pod\(uid)")
    }
}
