import Basics
import Document

/// The scheduler's decisions without a server: what would go where. For measurements and for questions.
public struct SchedulingTrial {
    public enum Answer: Sendable, Equatable {
        case node(String)
        case none(why: String)
    }

    private var core: Core
    private let random: any Randomness

    public init(configuration: SchedulerConfiguration = SchedulerConfiguration(), random: any Randomness) {
        core = Core(configuration.profiles, queue: configuration.queue)
        self.random = random
    }

    /// A node, or nil where it is no more.
    public mutating func setNode(_ name: String, _ document: Document?) { core.takeNode(name, document) }
    public mutating func setNamespace(_ name: String, labels: [String: String]) {
        core.takeNamespace(name, labels: labels)
    }

    /// A pod that is on a node already, or nil where it is no more.
    public mutating func setPod(_ key: String, _ document: Document?) {
        core.takePod(key, core.cluster.placed(key)?.document, document, now: .zero)
    }

    /// Where the pod goes; from then on it counts there.
    public mutating func decide(_ pod: Document) -> Answer {
        switch core.place(PodInfo(pod), random: random) {
        case .bind(let node): .node(node)
        case .report(let message, _, _), .fail(let message): .none(why: message)
        }
    }
}
