import Basics
import Client
import Document
import Glibc
import Images
import Kinds
import Linux
import Runtime

/// How a worker carries out what its lifecycle decides.
extension PodWorker {
    func perform(_ action: PodAction, in group: inout DiscardingTaskGroup) {
        group.addTask { await self.perform(action) }
    }

    private func perform(_ action: PodAction) async {
        switch action {
        case .prepareVolumes: await prepareVolumes()
        case .createSandbox: await createSandbox()
        case .resolveImage(let container, let reference, let policy):
            let result = await resolveImage(container, reference, policy)
            if case .success(let image) = result { state.withLock { $0.images[container] = image } }
            inbox.answer(.image(container: container, result))
        case .start(let container, let attempt): await start(container, attempt)
        case .runHook(let container, let attempt, let kind): await runHook(container, attempt, kind)
        case .signal(let process, let signal):
            await attempt("signal \(signal) to \(process)") { try await $0.signal(process, signal) }
        case .terminate(let container, let attempt):
            let process = ProcessName(container: container, attempt: attempt).text
            let signal = stopSignal(container)
            await self.attempt("signal \(signal) to \(process)") { try await $0.signal(process, signal) }
        case .forget(let process): await forget(process)
        case .probe(let container, let attempt, let kind): await probe(container, attempt, kind)
        case .cleanUp: await cleanUp()
        case .confirmDeletion: await confirmDeletion()
        case .askForResize(let generation): askForResize(generation)
        case .applyResources(let generation): await applyResources(generation)
        case .event(let type, let reason, let message, let container):
            record(type, reason, message, container: container)
        }
    }

    func record(_ type: String, _ reason: String, _ message: String, container: String?) {
        var pod = self.pod
        pod["kind"] = "Pod"
        pod["apiVersion"] = "v1"
        let list = ["containers", "initContainers", "ephemeralContainers"].first { list in
            pod.list("spec", list).contains { $0.text("name") == container }
        }
        let path = container.flatMap { name in list.map { "spec.\($0){\(name)}" } }
        node.events.add(pod, type: type, reason: reason, message: message, fieldPath: path)
    }

    /// Something that may fail because the process or its sandbox is gone, which is noticed elsewhere.
    private func attempt(_ what: String, _ body: (any Sandbox) async throws -> Void) async {
        guard let sandbox = state.withLock({ $0.sandbox }) else { return }
        do { try await body(sandbox) } catch { node.log.debug("pod \(uid): \(what): \(error)") }
    }

    // MARK: Volumes, sandbox

    private func prepareVolumes() async {
        let pod = self.pod
        do {
            let images = try await volumeImages(pod)
            let prepared = try await node.volumes.prepare(pod, fields: node.fields(pod, podIPs: []), images: images)
            state.withLock { state in
                state.volumes = prepared.paths
                state.refreshAt = prepared.refreshAt
            }
            inbox.answer(.volumesReady)
        } catch {
            inbox.answer(.volumesFailed("\(error)"))
        }
    }

    /// The images that the pod has as volumes, pulled like those of containers.
    private func volumeImages(_ pod: Document) async throws -> [String: Image] {
        var images: [String: Image] = [:]
        for volume in pod.list("spec", "volumes") {
            guard let source = volume["image"], let name = volume.text("name") else { continue }
            let reference = source.text("reference") ?? ""
            let policy = source.text("pullPolicy") ?? "IfNotPresent"
            images[name] = try await resolveImage(name, reference, policy).get()
        }
        return images
    }

    /// Launches a sandbox, gives it addresses and writes the files that depend on them; then stays with it.
    private func createSandbox() async {
        let pod = self.pod
        let hostname = self.hostname
        let number = state.withLock { state in
            state.sandboxNumber += 1
            return state.sandboxNumber
        }
        let directory = node.sandboxDirectory(uid)
        do {
            try await checkRuntime(pod)
            let shown = try SandboxBuilder.kernelHostname(of: pod, configuration: node.configuration)
            let specification = SandboxBuilder.build(
                pod: pod, hostname: shown, stateDirectory: "\(directory)/\(number)", configuration: node.configuration)
            if number > 1 { try await node.removeSandboxes(uid, but: String(number)) }
            try await node.pool.run { [podDirectory] in
                try Files.makeDirectories(podDirectory)
                try Files.makeDirectories(directory)
                if pod.flag("spec", "hostIPC") != true {
                    try EmptyDirectory.make("\(podDirectory)/shm", medium: "Memory", limit: 64 << 20, group: nil)
                }
            }
            let sandbox = try await node.runtime.launch(specification)
            await weighGroups()
            let addresses: [IPAddress]
            do {
                addresses = try await joinNetwork(sandbox, hostname: hostname, isSecond: number > 1)
            } catch {
                try? await sandbox.destroy()
                throw error
            }
            let files = PodFiles(
                pod: pod, configuration: node.configuration, addresses: addresses, hostname: hostname,
                kernelHostname: shown)
            for problem in files.resolverProblems { record("Warning", "DNSConfigForming", problem, container: nil) }
            let record = SandboxRecord(number: number, addresses: addresses)
            try await node.pool.run { [podDirectory] in
                try files.write()
                try record.write("\(podDirectory)/sandbox.json")
            }
            state.withLock { state in
                state.sandbox = sandbox
                state.addresses = addresses
            }
            inbox.answer(.sandboxReady(addresses: addresses))
            await follow(sandbox, number: number)
        } catch {
            inbox.answer(.sandboxFailed("\(error)"))
        }
    }

    private func joinNetwork(_ sandbox: any Sandbox, hostname: String, isSecond: Bool) async throws -> [IPAddress] {
        if isHostNetwork { return node.configuration.nodeIPs }
        if node.networkIsReady.isShut {
            if let missing = await node.network.readiness() {
                record("Warning", "NetworkNotReady", "network is not ready: \(missing)", container: nil)
            }
            try await node.networkIsReady.wait()
        }
        if isSecond { try await node.network.detach(podKey: uid) }
        let network = try await node.network.attach(
            podKey: uid, namespacePath: "/proc/\(sandbox.pid)/ns/net", hostname: hostname)
        let ports = PodHostPort.all(of: pod)
        if !ports.isEmpty { try await node.network.publish(podKey: uid, ports: ports) }
        return network.addresses
    }

    private func cleanUp() async {
        do {
            let sandbox = state.withLock { state in
                defer { state.sandbox = nil }
                return state.sandbox
            }
            if let sandbox {
                do { try await sandbox.destroy() } catch {
                    state.withLock { if $0.sandbox == nil { $0.sandbox = sandbox } }
                    throw error
                }
            }
            if !isHostNetwork { try await node.network.detach(podKey: uid) }
            try await node.volumes.remove(uid: uid)
            try await node.removeSandboxes(uid)
            inbox.answer(.cleanedUp)
        } catch {
            inbox.answer(.cleanUpFailed("error killing pod: \(error)"))
        }
    }

    private func confirmDeletion() async {
        let pod = self.pod
        do {
            try await writer.flush()
            _ = try await node.client.delete(
                .pods, namespace: pod.text("metadata", "namespace") ?? "default",
                name: pod.text("metadata", "name") ?? "",
                options: [
                    "apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0,
                    "preconditions": ["uid": Document(uid)],
                ])
            inbox.answer(.deletionConfirmed)
        } catch let status as APIStatus where status.isNotFound || status.isConflict {
            inbox.answer(.deletionConfirmed)
        } catch {
            node.log.warning("pod \(uid): confirming its deletion: \(error)")
            inbox.answer(.deletionFailed)
        }
    }

    // MARK: Containers

    private func start(_ container: String, _ attempt: Int) async {
        do {
            guard let sandbox = state.withLock({ $0.sandbox }) else {
                throw StartProblem(reason: "RunContainerError", message: "the pod's sandbox is gone")
            }
            let process = try await prepareProcess(container, attempt)
            record("Normal", "Created", "Container created", container: container)
            let pid: Int32
            do { pid = try await sandbox.start(process) } catch let error as StageError {
                try? await sandbox.remove(process.id)
                throw StartProblem(
                    reason: "RunContainerError", message: "failed to start container \"\(container)\": \(error)",
                    exitCode: 128)
            }
            state.withLock { state in
                state.processes[container] = process
                state.pids[container] = pid
            }
            inbox.answer(
                .started(container: container, attempt: attempt, pid: pid, user: process.privileges.user))
        } catch let problem as StartProblem {
            inbox.answer(.startFailed(container: container, attempt: attempt, problem))
        } catch {
            let problem = StartProblem(reason: "RunContainerError", message: "\(error)")
            inbox.answer(.startFailed(container: container, attempt: attempt, problem))
        }
    }

    /// Gathers everything, makes the directories and answers the process to start.
    private func prepareProcess(_ container: String, _ attempt: Int) async throws -> ProcessSpecification {
        let builder = try await processBuilder(container, attempt)
        let log = node.configuration.logFile(builder.plan.pod, container: container, attempt: attempt)
        return try await node.pool.run {
            let process = try builder.build()
            // A layer left over from an attempt that failed half-way.
            try Files.removeTree(builder.layerDirectory)
            try Files.makeDirectories("\(builder.layerDirectory)/upper")
            try Files.makeDirectories("\(builder.layerDirectory)/work")
            try PlainFile.write([], to: builder.terminationFile, mode: 0o666)
            if let slash = log.lastIndex(of: "/") { try Files.makeDirectories(String(log[..<slash])) }
            return process
        }
    }

    private func processBuilder(_ container: String, _ attempt: Int) async throws -> ProcessBuilder {
        let known = state.withLock { $0 }
        guard let specification = containerSpecification(container), let image = known.images[container] else {
            throw StartProblem(reason: "CreateContainerError", message: "container \(container) is not known")
        }
        var sources = try await environmentSources(specification, known.pod)
        sources.volumes = known.volumes.mapValues(\.path)
        let isEphemeral = known.pod.list("spec", "ephemeralContainers").contains { $0.text("name") == container }
        let target = specification.text("targetContainerName").flatMap { known.pids[$0] }
        let plan = ContainerPlan(
            pod: known.pod, container: specification, role: isEphemeral ? .ephemeral : .main, attempt: attempt,
            image: image, volumes: known.volumes, sources: sources, podIPs: known.addresses, hostname: hostname,
            targetPID: target, memoryCapacity: node.machine.memoryBytes,
            allocatableCPUMillis: node.ledger.limits["cpu"], allocatableMemory: node.ledger.limits["memory"] / 1000)
        return ProcessBuilder(plan: plan, configuration: node.configuration)
    }

    private func environmentSources(_ container: Document, _ pod: Document) async throws -> EnvironmentSources {
        let namespace = pod.text("metadata", "namespace") ?? "default"
        var sources = EnvironmentSources()
        var wanted: Set<ReferencedObjects.Key> = []
        func want(_ resource: ResourceType, _ name: String?) {
            guard let name else { return }
            wanted.insert(ReferencedObjects.Key(resource: resource, namespace: namespace, name: name))
        }
        for source in container.list("envFrom") {
            want(.configMaps, source.text("configMapRef", "name"))
            want(.secrets, source.text("secretRef", "name"))
        }
        for entry in container.list("env") {
            want(.configMaps, entry.text("valueFrom", "configMapKeyRef", "name"))
            want(.secrets, entry.text("valueFrom", "secretKeyRef", "name"))
        }
        for key in wanted {
            guard let object = try await node.objects.get(key, user: uid) else { continue }
            if key.resource == .secrets {
                sources.secrets[key.name] = object
            } else {
                sources.configMaps[key.name] = object
            }
        }
        try await node.services.waitForSync()
        sources.services = node.services.all
        return sources
    }

    private func forget(_ process: String) async {
        await attempt("remove \(process)") { try await $0.remove(process) }
        guard let name = ProcessName(process) else { return }
        let directory = "\(podDirectory)/containers/\(name.container)"
        let logs = "\(node.configuration.logDirectory(of: pod))/\(name.container)"
        try? await node.pool.run {
            try Files.removeTree("\(directory)/\(name.attempt)")
            try Files.removeTree("\(directory)/\(name.attempt)-termination")
            // The log goes with its process, and so do those that it was rotated into.
            for file in (try? Files.list(logs)) ?? [] where file.hasPrefix("\(name.attempt).log") {
                try Files.removeTree("\(logs)/\(file)")
            }
        }
    }

    /// `lifecycle.stopSignal`, else the image's, else SIGTERM.
    private func stopSignal(_ container: String) -> Int32 {
        let own = containerSpecification(container)?.text("lifecycle", "stopSignal")
        let image = state.withLock { $0.images[container] }?.config.text("StopSignal")
        return (own ?? image).flatMap(Signals.number) ?? SIGTERM
    }

    // MARK: Probes and hooks

    /// The container's process as it was started, rebuilt where an earlier life of this agent started it.
    func model(_ container: String, _ attempt: Int) async throws -> ProcessSpecification {
        if let known = state.withLock({ $0.processes[container] }) { return known }
        if state.withLock({ $0.images[container] }) == nil,
            let reference = containerSpecification(container)?.text("image"),
            let image = try await node.images.resolve(reference)
        {
            state.withLock { $0.images[container] = image }
        }
        let process = try await processBuilder(container, attempt).build()
        state.withLock { $0.processes[container] = process }
        return process
    }

    func execute(_ command: [String], _ container: String, _ attempt: Int, timeout: Duration) async throws
        -> ExecRunner.Outcome
    {
        let (sandbox, pid) = state.withLock { ($0.sandbox, $0.pids[container] ?? 0) }
        guard let sandbox, pid > 0 else {
            throw StartProblem(reason: "NotRunning", message: "container \(container) is not running")
        }
        let model = try await model(container, attempt)
        return try await exec.run(
            command, like: model, pid: pid, in: sandbox, outputFile: "\(podDirectory)/exec", timeout: timeout)
    }

    private func probe(_ container: String, _ attempt: Int, _ kind: ProbeKind) async {
        guard let specification = containerSpecification(container), let probe = specification[kind.member] else {
            return
        }
        let timeout = Duration.seconds(max(1, probe.number("timeoutSeconds") ?? 1))
        let result = await ask(probe, specification, attempt, timeout: timeout)
        if Task.isCancelled { return }
        inbox.answer(.probe(container: container, attempt: attempt, kind, result))
    }

    private func ask(_ probe: Document, _ container: Document, _ attempt: Int, timeout: Duration) async -> ProbeResult {
        let prober = Prober(network: node.world.network, clock: node.world.clock)
        let name = container.text("name") ?? ""
        let address = state.withLock { $0.addresses.first } ?? .loopback
        if let action = probe["httpGet"] {
            return await prober.http(action, host: address, container: container, timeout: timeout)
        }
        if let action = probe["tcpSocket"] {
            guard let port = Prober.port(action["port"], container) else { return .failure("port is not known") }
            let host = action.text("host").flatMap { IPAddress($0) } ?? address
            return await prober.tcp(.ip(host, port: port), timeout: timeout)
        }
        if let action = probe["exec"] {
            do {
                let command = action.list("command").compactMap(\.string)
                let outcome = try await execute(command, name, attempt, timeout: timeout)
                return outcome.exitCode == 0 ? .success : .failure(outcome.output)
            } catch { return .failure("\(error)") }
        }
        if let action = probe["grpc"] {
            guard let port = action.number("port").flatMap({ UInt16(exactly: $0) }) else {
                return .failure("port is not known")
            }
            return await prober.grpc(.ip(address, port: port), service: action.text("service") ?? "", timeout: timeout)
        }
        return .failure("missing probe handler for \(name)")
    }

    private func runHook(_ container: String, _ attempt: Int, _ kind: HookKind) async {
        let member = kind == .postStart ? "postStart" : "preStop"
        let hook = containerSpecification(container)?.at("lifecycle", member) ?? .emptyObject
        let problem = await hookProblem(hook, container, attempt)
        if Task.isCancelled { return }
        inbox.answer(.hook(container: container, attempt: attempt, kind, problem: problem))
    }

    private func hookProblem(_ hook: Document, _ container: String, _ attempt: Int) async -> String? {
        let limit = Duration.seconds(max(1, pod.number("spec", "terminationGracePeriodSeconds") ?? 30))
        do {
            if let action = hook["exec"] {
                let command = action.list("command").compactMap(\.string)
                let outcome = try await execute(command, container, attempt, timeout: limit)
                return outcome.exitCode == 0
                    ? nil : "command \(command) exited with \(outcome.exitCode): \(outcome.output)"
            }
            if let seconds = hook.number("sleep", "seconds") {
                try await node.world.clock.sleep(for: .seconds(seconds))
                return nil
            }
            if hook["httpGet"] != nil || hook["tcpSocket"] != nil {
                let specification = containerSpecification(container) ?? .emptyObject
                // Somebody who answers at all has heard.
                if case .failure(let why) = await ask(hook, specification, attempt, timeout: limit),
                    !why.hasPrefix(Prober.statusFailure)
                {
                    return why
                }
                return nil
            }
            return "the hook has no action that this node agent knows"
        } catch { return "\(error)" }
    }
}
