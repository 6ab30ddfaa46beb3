import Basics
import Client
import Document
import Kinds
import Synchronization

/// What must hold after every single write, watched event by event.
public final class PodInvariants: Sendable {
    /// Bounds on the pods of one selector; nil where anything goes.
    public struct Bounds: Sendable {
        public var selector: LabelSelector
        public var most: Int?
        public var fewestReady: Int?

        public init(selector: LabelSelector, most: Int? = nil, fewestReady: Int? = nil) {
            self.selector = selector
            self.most = most
            self.fewestReady = fewestReady
        }
    }

    private struct State {
        var pods: [String: PodView] = [:]
        var bounds: [Bounds] = []
        var violations: [String] = []
    }

    private let state = Mutex(State())

    public init() {}

    public var violations: [String] { state.withLock { $0.violations } }
    public func setBounds(_ bounds: [Bounds]) { state.withLock { $0.bounds = bounds } }

    /// Watches until cancelled.
    public func run(_ client: APIClient) async throws {
        let stream = try await client.watch(.pods, resourceVersion: "1")
        defer { stream.cancel() }
        while let event = try await stream.next() { take(event) }
    }

    func take(_ event: WatchEvent) {
        state.withLock { state in
            let pod = PodView(event.object)
            if case .bookmark = event { return }
            if let before = state.pods[pod.uid], !before.nodeName.isEmpty, before.nodeName != pod.nodeName {
                state.violations.append("\(pod.key) moved from \(before.nodeName) to \(pod.nodeName)")
            }
            if case .deleted = event { state.pods[pod.uid] = nil } else { state.pods[pod.uid] = pod }
            for bounds in state.bounds {
                let mine = state.pods.values.filter {
                    bounds.selector.matches($0.metadata.labels) && !$0.isFinished && !$0.metadata.isDeleting
                }
                let ready = mine.count(where: \.isReady)
                if let most = bounds.most, mine.count > most {
                    state.violations.append("\(mine.count) pods of \(bounds.selector), at most \(most) allowed")
                }
                if let fewest = bounds.fewestReady, ready < fewest {
                    state.violations.append("\(ready) ready pods of \(bounds.selector), at least \(fewest) promised")
                }
            }
        }
    }
}
