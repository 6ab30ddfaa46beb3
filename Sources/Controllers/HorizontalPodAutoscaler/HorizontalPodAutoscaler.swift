import Client
import Document
import Kinds
import Synchronization

/// Scales what it is told to by what its pods use.
struct HorizontalPodAutoscaler: Controller {
    let name = "horizontal-pod-autoscaler-controller"
    let eventSource = "horizontal-pod-autoscaler"
    let workers = 5
    private let autoscalers: Informer
    private let pods: Informer
    private let memory = Memory()

    private final class Memory: Sendable {
        struct Entry: Sendable {
            var uid: String
            var plan = AutoscalerMemory()
            /// Of the target's pods, as it was last seen.
            var selector: LabelSelector?
        }
        let entries = Mutex<[String: Entry]>([:])
    }

    init(_ informers: Informers) {
        autoscalers = informers(.horizontalPodAutoscalers)
        pods = informers(.pods)
        pods.addIndex(PodIndex.namespace, PodIndex.byNamespace)
    }

    var sources: [Source] {
        [
            // What it writes into the status itself is no reason to look again.
            Source(autoscalers) { $0.old?["spec"] == $0.new?["spec"] && $0.new != nil ? [] : [$0.key] },
            // Looks come often enough.
            Source(onlyRead: pods),
        ]
    }

    private static func target(_ autoscaler: Document, _ answers: Answers) -> ScaleLookup.Finding {
        let reference = autoscaler.at("spec", "scaleTargetRef") ?? .emptyObject
        let version = reference.text("apiVersion") ?? ""
        return ScaleLookup.find(
            apiVersion: version.isEmpty ? "v1" : version, kind: reference.text("kind") ?? "",
            namespace: autoscaler.namespace, name: reference.text("name") ?? "", answers)
    }

    func questions(_ key: String, _ answers: Answers) -> [String] {
        guard let autoscaler = autoscalers.get(key: key) else { return [] }
        switch Self.target(autoscaler, answers) {
        case .question(let path): return [path]
        case .scale(let scale, _):
            let selector = scale.text("status", "selector") ?? ""
            guard !selector.isEmpty,
                AutoscalerPlan.needsMetrics(autoscaler, current: scale.number("spec", "replicas") ?? 0)
            else { return [] }
            return AutoscalerPlan.sources(autoscaler, selector: selector).compactMap(\.path)
        default: return []
        }
    }

    func plan(_ key: String, _ situation: Situation) -> Plan {
        guard let autoscaler = autoscalers.get(key: key) else {
            memory.entries.withLock { $0[key] = nil }
            return .nothing
        }
        let scale = Self.target(autoscaler, situation.answers)
        var entry = memory.entries.withLock { $0[key] } ?? Memory.Entry(uid: autoscaler.uid)
        if entry.uid != autoscaler.uid { entry = Memory.Entry(uid: autoscaler.uid) }
        if case .scale(let found, _) = scale {
            entry.selector = found.text("status", "selector").flatMap { text in
                text.isEmpty ? Optional.none : try? LabelSelector(parsing: text)
            }
        }
        let selected =
            entry.selector.map { selector in
                pods.indexed(PodIndex.namespace, autoscaler.namespace ?? "").filter { selector.matches($0.labels) }
            } ?? []
        let rivals = rivals(key, autoscaler.namespace, selected)
        let plan = AutoscalerPlan.plan(
            autoscaler, scale: scale, pods: selected, rivals: rivals, memory: &entry.plan, situation)
        memory.entries.withLock { $0[key] = entry }
        return plan
    }

    /// All autoscalers that would scale one of these pods, this one included.
    private func rivals(_ key: String, _ namespace: String?, _ pods: [Document]) -> [String] {
        let others = memory.entries.withLock { entries in
            entries.filter { $0.key != key && ObjectKey.split($0.key).namespace == namespace }
        }
        if others.isEmpty { return [key] }
        let labels = pods.map(\.labels)
        let meeting = others.filter { other in
            other.value.selector.map { selector in labels.contains { selector.matches($0) } } ?? false
        }
        return ([key] + meeting.keys).sorted()
    }
}
