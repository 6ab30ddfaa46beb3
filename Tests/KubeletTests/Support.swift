import Basics
import Document
import Images
import Runtime

@testable import Kubelet

let start = Timestamp(seconds: 1_800_000_000)

func at(_ seconds: Int) -> Timestamp { start + .seconds(seconds) }

let busybox = Image(
    id: "sha256:aa", digest: "sha256:bb", names: ["docker.io/library/busybox:1.36"], size: 1000,
    layerDirectories: ["/nowhere/layer"], config: ["Cmd": ["sh"], "Env": ["PATH=/bin", "FROM_IMAGE=yes"]])

/// A pod of one container `main` unless the specification says otherwise.
func pod(_ specification: Document = .emptyObject, metadata: Document = .emptyObject, status: Document? = nil)
    -> Document
{
    var pod: Document = [
        "apiVersion": "v1", "kind": "Pod",
        "metadata": [
            "name": "web", "namespace": "shop", "uid": "11111111-2222-3333-4444-555555555555", "generation": 1,
        ],
        "spec": [
            "nodeName": "n1", "restartPolicy": "Always", "terminationGracePeriodSeconds": 30,
            "containers": [["name": "main", "image": "busybox:1.36", "imagePullPolicy": "IfNotPresent"]],
        ],
    ]
    for member in metadata.members { pod.set(member.value, at: "metadata", member.key) }
    for member in specification.members { pod.set(member.value, at: "spec", member.key) }
    if let status { pod["status"] = status }
    return pod
}

func container(_ name: String, _ more: Document = .emptyObject) -> Document {
    var container: Document = ["name": Document(name), "image": "busybox:1.36"]
    for member in more.members { container[member.key] = member.value }
    return container
}

func exited(_ id: String, code: Int32 = 0, signal: Int32? = nil, at time: Timestamp, outOfMemory: Bool = false)
    -> PodInput
{
    .processes([
        ObservedProcess(
            status: ProcessStatus(
                id: id,
                state: .exited(code: code, signal: signal, atNanoseconds: time.nanoseconds, outOfMemory: outOfMemory),
                startedAtNanoseconds: start.nanoseconds, restarts: 0))
    ])
}

/// Drives a lifecycle by hand: every call says what happened when, and collects what is to be done.
struct Script {
    var lifecycle: PodLifecycle
    var previous: Document
    private var nextPID: Int32 = 100

    init(_ pod: Document, found: FoundSandbox? = nil, at time: Timestamp = start) {
        lifecycle = PodLifecycle(pod: pod, found: found, now: time)
        previous = pod["status"] ?? .emptyObject
    }

    mutating func after(_ inputs: PodInput..., at time: Timestamp = start) -> [PodAction] {
        for input in inputs { lifecycle.apply(input, now: time) }
        return lifecycle.decide(now: time)
    }

    /// Answers everything that a healthy node would, until nothing is left to do; returns what was done.
    mutating func settle(at time: Timestamp = start, failing: Set<String> = []) -> [PodAction] {
        var done: [PodAction] = []
        for _ in 0..<50 {
            let actions = lifecycle.decide(now: time)
            if actions.isEmpty { return done }
            done += actions
            for action in actions { answer(action, at: time) }
        }
        return done
    }

    private mutating func answer(_ action: PodAction, at time: Timestamp) {
        switch action {
        case .prepareVolumes: lifecycle.apply(.volumesReady, now: time)
        case .createSandbox:
            lifecycle.apply(.sandboxReady(addresses: [IPAddress(v4: 0x0AF4_0105)]), now: time)
        case .resolveImage(let container, _, _):
            lifecycle.apply(.image(container: container, .success(busybox)), now: time)
        case .start(let container, let attempt):
            nextPID += 1
            lifecycle.apply(.started(container: container, attempt: attempt, pid: nextPID), now: time)
        case .cleanUp: lifecycle.apply(.cleanedUp, now: time)
        case .confirmDeletion: lifecycle.apply(.deletionConfirmed, now: time)
        case .askForResize(let generation):
            lifecycle.apply(.resizeAnswered(generation: generation, .granted), now: time)
        case .applyResources(let generation):
            lifecycle.apply(.resourcesApplied(generation: generation, problem: nil), now: time)
        case .runHook, .signal, .terminate, .forget, .probe, .event: break
        }
    }

    mutating func status(at time: Timestamp = start) -> Document {
        previous = PodStatusBuilder(
            lifecycle: lifecycle, hostIPs: [IPAddress(v4: 0x0A59_0003)], now: time, previous: previous
        ).build()
        return previous
    }
}

extension [PodAction] {
    /// The names of what is to be done, without events.
    var names: [String] {
        compactMap { action in
            switch action {
            case .prepareVolumes: "volumes"
            case .createSandbox: "sandbox"
            case .resolveImage(let container, _, _): "image \(container)"
            case .start(let container, let attempt): "start \(container).\(attempt)"
            case .runHook(let container, _, let kind): "\(kind.rawValue) \(container)"
            case .signal(let process, let signal): "signal \(signal) \(process)"
            case .terminate(let container, let attempt): "terminate \(container).\(attempt)"
            case .forget(let process): "forget \(process)"
            case .probe(let container, _, let kind): "\(kind.rawValue) \(container)"
            case .cleanUp: "clean"
            case .confirmDeletion: "confirm"
            case .askForResize(let generation): "ask \(generation)"
            case .applyResources(let generation): "apply \(generation)"
            case .event: nil
            }
        }
    }

    var events: [String] {
        compactMap { if case .event(_, let reason, _, _) = $0 { reason } else { nil } }
    }
}

extension Document {
    func condition(_ type: String) -> Document? { list("conditions").first { $0.text("type") == type } }
    func container(_ name: String, _ list: String = "containerStatuses") -> Document? {
        self.list(list).first { $0.text("name") == name }
    }
}
