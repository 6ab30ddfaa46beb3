import Basics
import Client
import Document
import Kinds
import Synchronization

/// Writes a pod's status, one patch at a time and always the newest; what was overtaken is never sent.
final class StatusWriter: Sendable {
    private struct State {
        var wanted: Document?
        var isWriting = false
        var isObsolete = false
        /// The uid of the object to write to; nil while a static pod's image is not there yet.
        var target: String?
        /// The newest that was offered, for an image that comes later, and for what others write over it.
        var last: Document?
        /// As the API server shows it since somebody else wrote.
        var seen: Document?
        /// The version of the object that our last write made.
        var version: Int64 = 0
    }

    private let client: APIClient
    private let world: World
    private let log: Log
    private let namespace: String
    private let name: String
    private let state: Mutex<State>
    private let change = Wakeup()
    /// Touched by the one task that runs `run` alone.
    private let written: Mutex<Document>
    /// Two who write over each other shall not keep the server busy.
    private static let shortestBetweenRestorations = Duration.seconds(1)

    init(pod: Document, client: APIClient, world: World, log: Log) {
        self.client = client
        self.world = world
        self.log = log
        namespace = pod.text("metadata", "namespace") ?? "default"
        name = pod.text("metadata", "name") ?? ""
        let uid: String? = PodIdentity.isStatic(pod) ? nil : pod.text("metadata", "uid") ?? ""
        state = Mutex(State(target: uid))
        written = Mutex(pod["status"] ?? .emptyObject)
    }

    func offer(_ status: Document) {
        state.withLock { state in
            state.wanted = status
            state.last = status
        }
        change.wake()
    }

    /// The pod as the API server has it now. What others wrote into the node's part of the status is put right.
    func compare(_ pod: Document) {
        guard let version = pod.text("metadata", "resourceVersion").flatMap({ Int64($0) }) else { return }
        let uid = pod.text("metadata", "uid") ?? ""
        let isForeign = state.withLock { state in
            // Before our last write; or the echo of it.
            guard state.target == uid, state.last != nil, version > state.version else { return false }
            state.seen = pod["status"] ?? .emptyObject
            state.version = version
            return true
        }
        if isForeign { change.wake() }
    }

    /// A static pod has another image in the API now.
    func aim(at mirror: Document) {
        let uid = mirror.text("metadata", "uid") ?? ""
        compare(mirror)
        let isNew = state.withLock { state in
            guard state.target != uid else { return false }
            state.target = uid
            state.wanted = state.last
            state.seen = nil
            state.version = 0
            state.isObsolete = false
            return true
        }
        guard isNew else { return }
        written.withLock { $0 = mirror["status"] ?? .emptyObject }
        change.wake()
    }

    /// Returns once everything offered so far was written, or cannot be because the pod is gone.
    func flush() async throws {
        while true {
            let ticket = change.ticket
            if state.withLock({ ($0.wanted == nil && !$0.isWriting) || $0.isObsolete }) { return }
            try await change.wait(since: ticket)
        }
    }

    func run() async throws {
        var pause = Duration.milliseconds(100)
        var restored: Duration?
        while true {
            let (next, seen) = state.withLock { state -> (Document?, Document?) in
                guard state.target != nil else { return (nil, nil) }
                defer { state.seen = nil }
                let next = state.wanted
                state.wanted = nil
                state.isWriting = next != nil
                return (next, state.seen)
            }
            if let seen, let last = state.withLock({ $0.last }), StatusPatch.isOverwritten(last, by: seen) {
                let now = world.clock.uptime
                let due = restored.map { $0 + Self.shortestBetweenRestorations } ?? now
                if next == nil, due > now { try await world.clock.sleep(for: due - now) }
                restored = max(now, due)
                written.withLock { $0 = StatusPatch.ownPart(of: seen) }
                state.withLock { if $0.wanted == nil { $0.wanted = next ?? $0.last } }
                continue
            }
            guard let next else {
                try await waitForOffer()
                continue
            }
            do {
                try await write(next)
                pause = .milliseconds(100)
            } catch let status as APIStatus where status.isNotFound || status.isConflict {
                state.withLock { $0.isObsolete = true }
            } catch is CancellationError {
                throw CancellationError()
            } catch {
                log.warning("status of \(namespace)/\(name): \(error)")
                state.withLock { if $0.wanted == nil { $0.wanted = next } }
                try await world.clock.sleep(for: pause)
                pause = min(pause * 2, .seconds(5))
            }
            state.withLock { $0.isWriting = false }
            change.wake()
        }
    }

    private func waitForOffer() async throws {
        while true {
            let ticket = change.ticket
            let isDue = state.withLock { state in
                state.target != nil && (state.wanted != nil || state.seen != nil)
            }
            if isDue { return }
            try await change.wait(since: ticket)
        }
    }

    private func write(_ status: Document) async throws {
        let old = written.withLock { $0 }
        guard let uid = state.withLock({ $0.target }) else { return }
        guard let patch = StatusPatch.make(from: old, to: status, uid: uid) else { return }
        let answer = try await client.patch(
            .pods, namespace: namespace, name: name, patch, type: .strategic, subresource: "status")
        written.withLock { $0 = status }
        let version = answer.text("metadata", "resourceVersion").flatMap { Int64($0) } ?? 0
        state.withLock { state in
            guard version > state.version else { return }
            state.version = version
            // Another's write between our last one and this one shows in the answer alone.
            state.seen = StatusPatch.differsInConditions(status, answer["status"]) ? answer["status"] : nil
        }
    }
}
