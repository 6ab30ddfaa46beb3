import Basics
import Client
import Document
import Kinds
import Synchronization

/// What the pods of this node were promised, and what can still be promised.
///
/// Pods are admitted one after the other, so that two do not get the same room.
final class NodeLedger: Sendable {
    private struct State {
        var promised: [String: Amounts] = [:]
        var burstable: Set<String> = []
        /// Of those pods alone that have some.
        var ports: [String: [PodHostPort]] = [:]

        mutating func promise(_ pod: Document, _ uid: String, _ wanted: Amounts) {
            promised[uid] = wanted
            let own = PodHostPort.all(of: pod)
            if !own.isEmpty { ports[uid] = own }
            if QualityOfService(pod) == .burstable { burstable.insert(uid) }
        }

        /// Whoever waits for room, by uid.
        var waiting: [String: @Sendable () -> Void] = [:]
        var labels: [String: String]?
        var uid: String?
        var extended: [String: Int64] = [:]
        var pressure: Set<NodePressure> = []
    }

    let limits: Amounts
    let sysctls: SysctlPolicy
    private let state = Mutex(State())

    init(_ machine: Machine, _ configuration: KubeletConfiguration) {
        limits = configuration.allocatable(machine)
        sysctls = SysctlPolicy(configuration.allowedUnsafeSysctls)
    }

    /// What the API server says of this node: labels that others gave it, and resources that others brought.
    func learn(_ node: Document) {
        state.withLock { state in
            state.labels = node.map("metadata", "labels")
            state.uid = node.text("metadata", "uid")
            state.extended = [:]
            for member in node.at("status", "allocatable")?.members ?? [] where member.key.contains("/") {
                state.extended[member.key] = Quantity.milli(member.value)
            }
        }
    }

    var nodeUID: String? { state.withLock { $0.uid } }

    func set(pressure: Set<NodePressure>) { state.withLock { $0.pressure = pressure } }

    /// Takes the pod in, unless this node cannot have it: then why.
    func admit(_ pod: Document, nodeName: String) -> PodFailure? {
        let uid = PodIdentity.uid(pod)
        let wanted = Amounts(pod: pod)
        return state.withLock { state in
            let others = state.promised.filter { $0.key != uid }.values
            let check = PodAdmission(
                nodeName: nodeName, labels: state.labels, limits: limits.adding(state.extended),
                used: others.reduce(Amounts()) { $0.plus($1) }, podCount: others.count, pressure: state.pressure,
                sysctls: sysctls, takenPorts: state.ports.filter { $0.key != uid }.values.flatMap { $0 })
            if let failure = check.refusal(pod, wanted) { return failure }
            state.promise(pod, uid, wanted)
            return nil
        }
    }

    /// A pod that runs here already keeps its place.
    func keep(_ pod: Document) {
        let uid = pod.text("metadata", "uid") ?? ""
        state.withLock { $0.promise(pod, uid, Amounts(pod: pod)) }
    }

    /// `retry` is called when it may be worth asking again.
    func resize(_ pod: Document, retry: @escaping @Sendable () -> Void) -> ResizeVerdict {
        let uid = pod.text("metadata", "uid") ?? ""
        let wanted = Amounts(pod: pod)
        let verdict = state.withLock { state -> ResizeVerdict in
            let others = state.promised.filter { $0.key != uid }.values.reduce(Amounts()) { $0.plus($1) }
            let verdict = PodAdmission.resize(wanted, limits: limits, used: others)
            if verdict == .granted { state.promised[uid] = wanted } else { state.waiting[uid] = retry }
            return verdict
        }
        // It may have given something back.
        if verdict == .granted { tellWaiting(but: uid) }
        return verdict
    }

    func release(_ uid: String) {
        state.withLock { state in
            state.promised[uid] = nil
            state.burstable.remove(uid)
            state.ports[uid] = nil
            state.waiting[uid] = nil
        }
        tellWaiting(but: uid)
    }

    private func tellWaiting(but uid: String) {
        let waiting = state.withLock { state in
            defer { state.waiting = [:] }
            return state.waiting.filter { $0.key != uid }.sorted { $0.key < $1.key }
        }
        for entry in waiting { entry.value() }
    }

    /// CPU promised to burstable pods, for the weight of the group that they share.
    var burstableCPU: Int64 {
        state.withLock { state in
            state.burstable.reduce(0) { $0 + (state.promised[$1]?["cpu"] ?? 0) }
        }
    }
}

/// Amounts of resources in thousandths.
struct Amounts: Sendable, Equatable {
    private(set) var values: [String: Int64] = [:]

    init(_ values: [String: Int64] = [:]) { self.values = values }

    subscript(name: String) -> Int64 {
        get { values[name] ?? 0 }
        set { values[name] = newValue }
    }

    /// What a pod is promised: the sum of its containers and sidecars, or what its initialization takes, where that is
    /// more; what it says as a whole goes before that; and what its runtime costs by itself.
    init(pod: Document) {
        func requests(_ container: Document) -> Amounts {
            var amounts = Amounts()
            for side in ["limits", "requests"] {
                for member in container.at("resources", side)?.members ?? [] {
                    amounts[member.key] = Quantity.milli(member.value) ?? 0
                }
            }
            return amounts
        }
        var running = Amounts()
        for container in pod.list("spec", "containers") { running = running.plus(requests(container)) }
        var sidecars = Amounts()
        var starting = Amounts()
        for container in pod.list("spec", "initContainers") {
            let own = requests(container)
            if container.text("restartPolicy") == "Always" {
                sidecars = sidecars.plus(own)
                starting = starting.raised(to: sidecars)
            } else {
                starting = starting.raised(to: own.plus(sidecars))
            }
        }
        self = running.plus(sidecars).raised(to: starting)
        for member in pod.at("spec", "resources", "requests")?.members ?? [] {
            self[member.key] = Quantity.milli(member.value) ?? 0
        }
        for member in pod.at("spec", "overhead")?.members ?? [] {
            self[member.key] = Self.sum(self[member.key], Quantity.milli(member.value) ?? 0)
        }
    }

    private static func sum(_ one: Int64, _ other: Int64) -> Int64 {
        let (sum, overflow) = one.addingReportingOverflow(other)
        return overflow ? .max : sum
    }

    func plus(_ other: Amounts) -> Amounts { Amounts(values.merging(other.values, uniquingKeysWith: Self.sum)) }
    func raised(to other: Amounts) -> Amounts { Amounts(values.merging(other.values, uniquingKeysWith: max)) }
    func adding(_ more: [String: Int64]) -> Amounts { Amounts(values.merging(more) { $1 }) }
}
