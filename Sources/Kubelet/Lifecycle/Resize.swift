import Basics
import Document

/// What the node says to a change of a running pod's resources.
enum ResizeVerdict: Sendable, Equatable {
    case granted
    /// There would be room if others gave some back.
    case deferred(String)
    /// This node never has so much.
    case infeasible(String)
}

/// Where a pod's resources stand: asked for in its specification, granted by the node, in force in the kernel.
struct ResizeState: Sendable, Equatable {
    struct Pending: Sendable, Equatable {
        var reason: String
        var message: String
        var generation: Int
    }

    struct Progress: Sendable, Equatable {
        var generation: Int
        var problem: String?
    }

    /// By container; those that may be resized, once they were told of.
    var granted: [String: Document] = [:]
    var applied: [String: Document] = [:]
    /// The generation that the node is being asked about.
    var asked: Int?
    /// The node has said no, and nothing has changed since.
    var isDeferred = false
    var pending: Pending?
    var progress: Progress?
    var isApplying = false
    /// Containers that end because a resource's policy asks for a new start: this is no crash.
    var restarting: Set<String> = []
    var retryAt: Timestamp?

    init() {}

    /// What was granted before is in the pod's status; a pod that is new has what it asks for.
    init(_ pod: Document) {
        for container in Self.resizable(pod) {
            let name = container.text("name") ?? ""
            granted[name] = container["resources"] ?? .emptyObject
            let status = (pod.list("status", "containerStatuses") + pod.list("status", "initContainerStatuses"))
                .first { $0.text("name") == name }
            // Only what runs has resources in its status.
            if let known = status?["resources"], known.isObject { granted[name] = known }
            applied[name] = granted[name]
        }
    }

    /// Main containers and sidecars.
    static func resizable(_ pod: Document) -> [Document] {
        pod.list("spec", "containers")
            + pod.list("spec", "initContainers").filter { $0.text("restartPolicy") == "Always" }
    }

    /// Whether two declarations mean the same amounts.
    static func same(_ one: Document?, _ other: Document?) -> Bool {
        for side in ["requests", "limits"] {
            let first = one?.at(side), second = other?.at(side)
            let names = Set((first?.members ?? []).map(\.key)).union((second?.members ?? []).map(\.key))
            for name in names where Quantity.milli(first?.at(name)) != Quantity.milli(second?.at(name)) {
                return false
            }
        }
        return true
    }

    /// The resources whose amounts differ.
    static func changed(_ one: Document?, _ other: Document?) -> Set<String> {
        Set(
            ["cpu", "memory"].filter { name in
                ["requests", "limits"].contains { side in
                    Quantity.milli(one?.at(side, name)) != Quantity.milli(other?.at(side, name))
                }
            })
    }
}

extension PodLifecycle {
    /// The pod with the resources that it was granted: what containers are made from.
    var grantedPod: Document {
        var pod = self.pod
        for list in ["containers", "initContainers"] {
            let old = pod.list("spec", list)
            let new = old.map { container -> Document in
                guard let granted = resizing.granted[container.text("name") ?? ""],
                    !ResizeState.same(granted, container["resources"])
                else { return container }
                var changed = container
                changed["resources"] = granted
                return changed
            }
            if new != old { pod.set(Document(new), at: "spec", list) }
        }
        return pod
    }

    private var generation: Int { pod.number("metadata", "generation") ?? 0 }

    private var isResizeWanted: Bool {
        ResizeState.resizable(pod).contains { container in
            guard let granted = resizing.granted[container.text("name") ?? ""] else { return false }
            return !ResizeState.same(granted, container["resources"])
        }
    }

    mutating func decideResize(now: Timestamp) {
        if !isResizeWanted {
            resizing.pending = nil
            resizing.isDeferred = false
        } else if resizing.asked == nil, !resizing.isDeferred || resizing.pending?.generation != generation {
            resizing.asked = generation
            pending.append(.askForResize(generation: generation))
        }
        restartForResize(now: now)
        finishResize(now: now)
    }

    /// A container that its resource's policy has restarted takes its new resources with its new start.
    private mutating func finishResize(now: Timestamp) {
        guard let progress = resizing.progress, !resizing.isApplying else { return }
        let open = containers.filter { record in
            guard record.isRunning, let granted = resizing.granted[record.name] else { return false }
            return !ResizeState.same(granted, resizing.applied[record.name])
        }
        if open.isEmpty {
            resizing.progress = nil
            resizing.retryAt = nil
            tell("Normal", "ResizeCompleted", "Pod resize completed", progress.generation)
        } else if open.contains(where: { $0.stop == nil }), isDue(resizing.retryAt, now: now) {
            resizing.isApplying = true
            resizing.retryAt = now + .seconds(10)
            pending.append(.applyResources(generation: progress.generation))
        }
    }

    mutating func resizeAnswered(_ asked: Int, _ verdict: ResizeVerdict) {
        resizing.asked = nil
        // A newer version of the pod may ask for something else: then it is asked about anew.
        guard asked == generation else { return }
        switch verdict {
        case .granted:
            resizing.pending = nil
            resizing.isDeferred = false
            grant()
        case .deferred(let message): refuse("Deferred", message)
        case .infeasible(let message): refuse("Infeasible", message)
        }
    }

    private mutating func refuse(_ reason: String, _ message: String) {
        resizing.isDeferred = true
        let new = ResizeState.Pending(reason: reason, message: message, generation: generation)
        guard new != resizing.pending else { return }
        resizing.pending = new
        tell("Warning", "Resize\(reason)", "Pod resize \(reason)", generation, problem: message)
    }

    private mutating func grant() {
        for container in ResizeState.resizable(pod) {
            let name = container.text("name") ?? ""
            resizing.granted[name] = container["resources"] ?? .emptyObject
            guard let index = index(of: name) else { continue }
            if !containers[index].isRunning { resizing.applied[name] = resizing.granted[name] }
        }
        resizing.progress = .init(generation: generation, problem: nil)
        resizing.retryAt = nil
        tell("Normal", "ResizeStarted", "Pod resize started", generation)
    }

    /// Running containers that have to be started anew for what has changed.
    mutating func restartForResize(now: Timestamp) {
        guard resizing.progress != nil else { return }
        for index in containers.indices where containers[index].isRunning && containers[index].stop == nil {
            let name = containers[index].name
            let changed = ResizeState.changed(resizing.granted[name], resizing.applied[name])
            guard !changed.isEmpty, let container = specification(of: name) else { continue }
            let needsRestart = container.list("resizePolicy").contains { policy in
                policy.text("restartPolicy") == "RestartContainer"
                    && changed.contains(policy.text("resourceName") ?? "")
            }
            guard needsRestart else { continue }
            beginStop(index, grace: gracePeriod, now: now, why: "Container \(name) resize requires restart")
            resizing.restarting.insert(name)
        }
    }

    mutating func resourcesApplied(_ generation: Int, _ problem: String?) {
        resizing.isApplying = false
        guard resizing.progress?.generation == generation else { return }
        if let problem {
            if resizing.progress?.problem != problem {
                tell("Warning", "ResizeError", "Pod resize error", generation, problem: problem)
            }
            resizing.progress?.problem = problem
            return
        }
        resizing.progress?.problem = nil
        for record in containers where record.stop == nil && record.isRunning {
            if let granted = resizing.granted[record.name] { resizing.applied[record.name] = granted }
        }
    }

    private mutating func tell(
        _ type: String, _ reason: String, _ prefix: String, _ generation: Int, problem: String? = nil
    ) {
        func summary(_ list: String) -> [Document] {
            pod.list("spec", list).filter { resizing.granted[$0.text("name") ?? ""] != nil }.map { container in
                [
                    "name": container["name"] ?? "", "resources": container["resources"] ?? .emptyObject,
                ]
            }
        }
        var text: Document = .emptyObject
        let initials = summary("initContainers")
        if !initials.isEmpty { text["initContainers"] = Document(initials) }
        text["containers"] = Document(summary("containers"))
        text["generation"] = Document(generation)
        if let problem { text["error"] = Document(problem) }
        pending.append(.event(type: type, reason: reason, message: "\(prefix): \(text.jsonText)", container: nil))
    }
}
