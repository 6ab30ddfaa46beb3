import Basics
import Document
import Kinds

/// The scheduler without its hands: changes of the cluster go in, decisions come out, nothing is ever waited for.
///
/// A decision counts at once: the pod is *assumed* to be on its node, so that the next decision sees it there, until
/// the API shows it (or its binding has failed).
struct Core {
    /// What is to be done about one pod.
    enum Work {
        case bind(node: String)
        /// No node took it. `nominated` is the node that others are driven from for its sake; empty text gives up
        /// such a node, nil leaves it as it is.
        case report(message: String, victims: [PodInfo], nominated: String?)
        case fail(message: String)
    }

    struct Assumed {
        var pod: PodInfo
        var node: String
        /// The binding was sent and nobody knows what became of it.
        var isUnclear = false
    }

    private(set) var queue: SchedulingQueue
    var cluster = Cluster()
    private var frameworks: [String: Framework] = [:]
    private var assumed: [String: Assumed] = [:]

    init(_ profiles: [Profile], order: any QueueOrder = PrioritySort(), queue settings: SchedulingQueue.Settings) {
        queue = SchedulingQueue(order: order, settings: settings)
        for profile in profiles { frameworks[profile.name] = Framework(profile) }
    }

    var assumedCount: Int { assumed.count }
    func profile(of pod: PodInfo) -> Profile? { frameworks[pod.schedulerName]?.profile }
    func isAssumed(_ pod: PodInfo) -> Bool { assumed[pod.key]?.pod.uid == pod.uid }

    // MARK: Changes

    mutating func takeNode(_ name: String, _ document: Document?) {
        let existed = cluster.node(name)?.exists ?? false
        let changes = cluster.setNode(name, document)
        if document == nil || changes.isEmpty { return }
        if !existed {
            happened(.nodeAdded(name))
        } else if !changes.isDisjoint(with: [.labels, .taints, .resources]) {
            happened(.nodeChanged(name, changes))
        }
    }

    mutating func takeNamespace(_ name: String, labels: [String: String]?) {
        if cluster.setNamespace(name, labels: labels) { happened(.namespaceChanged(name)) }
    }

    mutating func takePod(_ key: String, _ old: Document?, _ new: Document?, now: Duration) {
        // A pod under the same name but with another uid is another pod.
        if let old, new.map({ $0.text("metadata", "uid") != old.text("metadata", "uid") }) ?? true { forget(key) }
        guard let new else { return }
        let pod = PodInfo(new)
        if PodView(new).isFinished {
            forget(key)
        } else if !pod.nodeName.isEmpty {
            settle(pod)
        } else if !isAssumed(pod) {
            guard let profile = profile(of: pod), !pod.isTerminating else { return forget(key) }
            if queue.pod(key)?.uid != pod.uid, !pod.nominatedNode.isEmpty {
                cluster.nominate(pod, on: pod.nominatedNode)
            }
            let isNews = queue.pod(key).map { pod.differs(from: $0) } ?? true
            queue.put(pod, isNews: isNews, gate: profile.gate(pod)?.plugin, now: now)
        }
    }

    /// The API shows the pod on its node.
    private mutating func settle(_ pod: PodInfo) {
        let before = cluster.placed(pod.key)
        let was = cluster.place(of: pod.key)
        assumed[pod.key] = nil
        cluster.denominate(pod.key)
        queue.remove(pod.key)
        cluster.place(pod, on: pod.nodeName)
        if let before, was == pod.nodeName {
            let isNews =
                before.labels != pod.labels || before.requests != pod.requests
                || before.isTerminating != pod.isTerminating
            if isNews { happened(.podChanged(pod, was: before, node: pod.nodeName)) }
        } else {
            if let before, let was { happened(.podRemoved(before, node: was)) }
            happened(.podPlaced(pod, node: pod.nodeName))
        }
    }

    private mutating func forget(_ key: String) {
        let placed = cluster.placed(key)
        let node = cluster.place(of: key)
        if let assumed = assumed.removeValue(forKey: key) { unreserve(assumed.pod, assumed.node) }
        cluster.remove(key)
        cluster.denominate(key)
        queue.remove(key)
        if let placed, let node { happened(.podRemoved(placed, node: node)) }
    }

    mutating func happened(_ event: ClusterEvent) {
        let cluster = cluster
        let frameworks = frameworks
        queue.happened(event) { Self.mayHelp($0, $1, $2, frameworks, cluster) }
    }

    private static func mayHelp(
        _ event: ClusterEvent, _ plugin: String, _ pod: PodInfo, _ frameworks: [String: Framework], _ cluster: Cluster
    ) -> Bool {
        let plugins = frameworks[pod.schedulerName]?.profile.plugins ?? []
        return plugins.first { $0.name == plugin }?.mayHelp(event, pod, cluster) ?? true
    }

    // MARK: Decisions

    mutating func nextDue(now: Duration) -> Duration? { queue.nextDue(now: now) }

    /// The next pod and what is to be done about it, already counted.
    mutating func next(now: Duration, random: any Randomness) -> (queued: QueuedPod, work: Work)? {
        while let queued = queue.pop(now: now) {
            let pod = queued.pod
            guard frameworks[pod.schedulerName] != nil else {
                queue.remove(pod.key)
                continue
            }
            // What an earlier attempt left in the dark is decided anew.
            if let earlier = assumed.removeValue(forKey: pod.key) {
                unreserve(earlier.pod, earlier.node)
                cluster.remove(pod.key)
            }
            return (queued, decide(pod, random))
        }
        return nil
    }

    private mutating func decide(_ pod: PodInfo, _ random: any Randomness) -> Work {
        guard var framework = frameworks.removeValue(forKey: pod.schedulerName) else {
            return .fail(message: "there is no profile for scheduler name \"\(pod.schedulerName)\"")
        }
        let decision = framework.schedule(pod, &cluster, random: random)
        var rescue: Rescue?
        if case .unschedulable(let diagnosis) = decision, let rescuer = framework.profile.rescuer,
            framework.profile.isEnabled(rescuer.name, at: .postFilter), diagnosis.nodeCount > 0
        {
            rescue = rescuer.rescue(pod, diagnosis, &framework, &cluster, random: random)
        }
        frameworks[pod.schedulerName] = framework
        switch decision {
        case .bind(let node): return assume(pod, on: node)
        case .failed(let message):
            queue.failed(pod)
            return .fail(message: message)
        case .unschedulable(let diagnosis): return giveUp(pod, diagnosis, rescue)
        }
    }

    private mutating func assume(_ pod: PodInfo, on node: String) -> Work {
        cluster.place(pod, on: node)
        cluster.denominate(pod.key)
        assumed[pod.key] = Assumed(pod: pod, node: node)
        guard let profile = profile(of: pod) else { return .bind(node: node) }
        for plugin in profile.plugins where profile.isEnabled(plugin.name, at: .reserve) {
            guard let problem = plugin.reserve(pod, node, &cluster) else { continue }
            unreserve(pod, node)
            assumed[pod.key] = nil
            cluster.remove(pod.key)
            queue.failed(pod)
            return .fail(message: "running Reserve plugin \"\(plugin.name)\": \(problem)")
        }
        return .bind(node: node)
    }

    private mutating func unreserve(_ pod: PodInfo, _ node: String) {
        guard let profile = profile(of: pod) else { return }
        for plugin in profile.plugins.reversed() where profile.isEnabled(plugin.name, at: .reserve) {
            plugin.unreserve(pod, node, &cluster)
        }
    }

    private mutating func giveUp(_ pod: PodInfo, _ diagnosis: Diagnosis, _ rescue: Rescue?) -> Work {
        var diagnosis = diagnosis
        var victims: [PodInfo] = []
        var nominated: String?
        switch rescue {
        case .preempt(let node, let chosen):
            victims = chosen
            nominated = node
            // Less important pods that were promised the node look for another.
            if let slot = cluster.node(node)?.slot {
                for other in (cluster.nominated[slot] ?? [:]).values where other.priority < pod.priority {
                    cluster.denominate(other.key)
                }
            }
            cluster.nominate(pod, on: node)
        case .nothing(let text, let forgetsNomination):
            diagnosis.afterthought = text
            if forgetsNomination {
                cluster.denominate(pod.key)
                nominated = ""
            }
        case nil: break
        }
        let cluster = cluster
        let frameworks = frameworks
        queue.refused(pod, by: diagnosis.plugins) { Self.mayHelp($0, $1, $2, frameworks, cluster) }
        return .report(message: diagnosis.message, victims: victims, nominated: nominated)
    }

    // MARK: How it went

    mutating func bound(_ pod: PodInfo) {
        queue.bound(pod)
        if let plan = cluster.volumePlans.removeValue(forKey: pod.key) { cluster.storage.release(plan) }
    }

    enum BindingFailure { case refused, unclear, gone }

    /// The pod is not on its node, or nobody knows. What is not known keeps its room until the pod is tried again.
    mutating func bindingFailed(_ pod: PodInfo, _ node: String, _ failure: BindingFailure) {
        guard isAssumed(pod) else { return queue.failed(pod) }
        if failure == .unclear {
            assumed[pod.key]?.isUnclear = true
            return queue.failed(pod)
        }
        unreserve(pod, node)
        assumed[pod.key] = nil
        cluster.remove(pod.key)
        if failure == .gone { queue.remove(pod.key) } else { queue.failed(pod) }
        happened(.podRemoved(pod, node: node))
    }

    /// Decides the pod without being asked to by the queue, for measurements and questions.
    mutating func place(_ pod: PodInfo, random: any Randomness) -> Work { decide(pod, random) }
}
