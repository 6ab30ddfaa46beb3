import Basics

/// Why a node is no place for a pod, or why the pod has none at all. An object, since thousands of nodes may share one.
final class Rejection: Sendable, Equatable {
    let plugin: String
    /// As Kubernetes words it; one node may have several.
    let reasons: [String]
    /// Whether the pod would still not fit if others left.
    let isUnresolvable: Bool

    convenience init(_ plugin: String, _ reasons: String..., isUnresolvable: Bool = false) {
        self.init(plugin, reasons: reasons, isUnresolvable: isUnresolvable)
    }

    init(_ plugin: String, reasons: [String], isUnresolvable: Bool = false) {
        self.plugin = plugin
        self.reasons = reasons
        self.isUnresolvable = isUnresolvable
    }

    static func == (a: Rejection, b: Rejection) -> Bool {
        a === b || (a.plugin == b.plugin && a.reasons == b.reasons && a.isUnresolvable == b.isUnresolvable)
    }
}

/// Asks of a node only how many pods there are where it is: so cheap that thousands of nodes can be asked for each pod.
struct CountBound {
    let counts: [Int32]
    /// Which of the counts is a node's, by slot; -1 where it has none.
    let ofNode: [Int32]
    var least = Int32.min
    var most = Int32.max
    var admitsUncounted = false

    func admits(_ slot: Int) -> Bool {
        let place = Int(ofNode[slot])
        if place < 0 { return admitsUncounted }
        let count = counts[place]
        return count >= least && count <= most
    }
}

/// What a plug-in has worked out for one pod, and asks of one node after the other.
protocol Check {
    func filter(_ node: NodeInfo) -> Rejection?
    /// Where these say all that `filter` does, except for the reason: a node passes if all of them admit it.
    var bounds: [CountBound]? { get }
    /// Whether the plug-in has a preference for this pod.
    var scores: Bool { get }
    /// Sees the nodes that passed every filter, before they are scored.
    mutating func begin(_ feasible: [NodeInfo])
    /// Any number; `normalize` turns all nodes' numbers into 0...100.
    func score(_ node: NodeInfo) -> Int
    func normalize(_ scores: inout [Int])
}

extension Check {
    func filter(_ node: NodeInfo) -> Rejection? { nil }
    var bounds: [CountBound]? { nil }
    var scores: Bool { false }
    mutating func begin(_ feasible: [NodeInfo]) {}
    func score(_ node: NodeInfo) -> Int { 0 }
    func normalize(_ scores: inout [Int]) {}
}

/// What a look at the pod and the cluster as a whole says, before any node is looked at.
enum Preparation {
    /// The pod does not concern the plug-in.
    case skip
    /// No node can take the pod.
    case refuse(Rejection)
    /// Nodes are to be checked; only these, where names are given.
    case check(any Check, only: Set<String>? = nil)
}

/// What a plug-in's answers depend on.
enum PluginScope: Sendable {
    /// On the pod's `nodeSignature` and the one node with its pods. Answers are kept until the node changes.
    case node
    /// On anything.
    case cluster
}

/// What may be said about a pod that has a node but is not bound to it yet.
enum Permission: Sendable, Equatable {
    case allow
    case deny(String)
    /// Someone else decides, within this time.
    case wait(atMost: Duration)
}

/// One concern of scheduling. Each function is one of the framework's extension points, in the order in which a pod
/// comes by; a plug-in implements those that concern it.
protocol Plugin: Sendable {
    var name: String { get }
    var scope: PluginScope { get }
    /// Whether `normalize` of its checks does anything.
    var normalizes: Bool { get }
    /// How much its score counts unless a profile says otherwise.
    var defaultWeight: Int { get }

    /// PreEnqueue: why the pod may not even wait for a node yet.
    func preEnqueue(_ pod: PodInfo) -> String?
    /// PreFilter and PreScore; filter and score are the check's.
    func prepare(_ pod: PodInfo, _ cluster: inout Cluster) -> Preparation
    /// Whether a node-scoped plug-in's `prepare` says something of this pod that is not about single nodes.
    func namesNodes(_ pod: PodInfo) -> Bool
    /// Whether an event could change this plug-in's mind about a pod that it refused.
    func mayHelp(_ event: ClusterEvent, _ pod: PodInfo, _ cluster: Cluster) -> Bool
    /// Reserve: takes what the pod will need on the node; answers why it cannot. Undone by `unreserve`.
    func reserve(_ pod: PodInfo, _ node: String, _ cluster: inout Cluster) -> String?
    func unreserve(_ pod: PodInfo, _ node: String, _ cluster: inout Cluster)
    /// Permit: the last word before the pod is bound.
    func permit(_ pod: PodInfo, _ node: String) -> Permission
    /// PreBind: what must be done in the API before the pod is bound.
    func preBind(_ pod: PodInfo, _ node: String, _ work: any BindingWork) async throws
    /// PostBind: the pod is bound.
    func postBind(_ pod: PodInfo, _ node: String)
}

extension Plugin {
    var scope: PluginScope { .cluster }
    var normalizes: Bool { false }
    var defaultWeight: Int { 1 }
    func preEnqueue(_ pod: PodInfo) -> String? { nil }
    func prepare(_ pod: PodInfo, _ cluster: inout Cluster) -> Preparation { .skip }
    func namesNodes(_ pod: PodInfo) -> Bool { false }
    func mayHelp(_ event: ClusterEvent, _ pod: PodInfo, _ cluster: Cluster) -> Bool { true }
    func reserve(_ pod: PodInfo, _ node: String, _ cluster: inout Cluster) -> String? { nil }
    func unreserve(_ pod: PodInfo, _ node: String, _ cluster: inout Cluster) {}
    func permit(_ pod: PodInfo, _ node: String) -> Permission { .allow }
    func preBind(_ pod: PodInfo, _ node: String, _ work: any BindingWork) async throws {}
    func postBind(_ pod: PodInfo, _ node: String) {}
}

/// QueueSort: which of two waiting pods comes first. Pods of all profiles wait in one queue, so there is one order.
protocol QueueOrder: Sendable {
    func precedes(_ a: QueuedPod, _ b: QueuedPod) -> Bool
}

/// PostFilter: what can be done for a pod that no node takes.
protocol Rescuer: Sendable {
    var name: String { get }
    func rescue(
        _ pod: PodInfo, _ diagnosis: Diagnosis, _ framework: inout Framework, _ cluster: inout Cluster,
        random: any Randomness
    ) -> Rescue
}

enum Rescue {
    /// Once these pods have left the node, the pod may go there.
    case preempt(node: String, victims: [PodInfo])
    /// Nothing helps; said to the user. `forgetsNomination` gives up a node that the pod was waiting for.
    case nothing(String, forgetsNomination: Bool)
}

/// Scales so that the largest becomes 100, or, reversed, 0.
func scaleToHundred(_ scores: inout [Int], reversed: Bool = false) {
    let largest = scores.max() ?? 0
    for index in scores.indices {
        let share = largest == 0 ? 0 : 100 * scores[index] / largest
        scores[index] = reversed ? 100 - share : share
    }
}
