/// A scheduler by name: which plug-ins it asks, and how much each counts.
struct Profile: Sendable {
    enum Point: String, Sendable, CaseIterable {
        case preEnqueue, queueSort, preFilter, filter, postFilter, preScore, score, reserve, permit, preBind, bind
        case postBind
    }

    var name = "default-scheduler"
    var plugins: [any Plugin] = []
    var rescuer: (any Rescuer)?
    /// Weights of scores where they are not the plug-in's own.
    var weights: [String: Int] = [:]
    /// Plug-ins that are switched off at single points.
    var disabled: [Point: Set<String>] = [:]
    /// Share of nodes that is enough to choose from; nil leaves it to the size of the cluster.
    var percentageOfNodes: Int?

    func isEnabled(_ plugin: String, at point: Point) -> Bool { disabled[point]?.contains(plugin) != true }

    func weight(of plugin: any Plugin) -> Int {
        isEnabled(plugin.name, at: .score) && isEnabled(plugin.name, at: .preScore)
            ? weights[plugin.name] ?? plugin.defaultWeight : 0
    }

    func filters(_ plugin: any Plugin) -> Bool { isEnabled(plugin.name, at: .filter) }

    /// Why the pod may not enter the queue yet.
    func gate(_ pod: PodInfo) -> (plugin: String, reason: String)? {
        for plugin in plugins where isEnabled(plugin.name, at: .preEnqueue) {
            if let reason = plugin.preEnqueue(pod) { return (plugin.name, reason) }
        }
        return nil
    }

    /// The plug-ins and weights of Kubernetes' own default.
    static func standard(name: String = "default-scheduler", _ arguments: PluginArguments = PluginArguments())
        -> Profile
    {
        var profile = Profile()
        profile.name = name
        profile.plugins = [
            SchedulingGates(), NodeUnschedulable(), NodeName(), TaintToleration(),
            NodeAffinity(added: arguments.addedAffinity), NodePorts(),
            NodeResourcesFit(arguments.fit), VolumeRestrictions(), NodeVolumeLimits(),
            VolumeBinding(timeout: arguments.volumeTimeout), VolumeZone(),
            PodTopologySpread(arguments.spread), InterPodAffinity(arguments.affinity),
            BalancedAllocation(resources: arguments.balancedResources), ImageLocality(),
        ]
        profile.rescuer = DefaultPreemption(arguments.preemption)
        return profile
    }
}

/// What the plug-ins' arguments can say.
struct PluginArguments: Sendable {
    var addedAffinity: NodeAffinity.Added?
    var fit = NodeResourcesFit.Arguments()
    var spread = PodTopologySpread.Arguments()
    var affinity = InterPodAffinity.Arguments()
    var balancedResources = ["cpu": 1, "memory": 1]
    var preemption = DefaultPreemption.Arguments()
    /// How long a pod waits for its volumes to be bound.
    var volumeTimeout = Duration.seconds(600)
}

/// By priority, then by the time of arrival.
struct PrioritySort: QueueOrder {
    static let name = "PrioritySort"

    func precedes(_ a: QueuedPod, _ b: QueuedPod) -> Bool {
        a.pod.priority != b.pod.priority ? a.pod.priority > b.pod.priority : a.arrived < b.arrived
    }
}
