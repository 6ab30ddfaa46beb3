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
        /// The newest that was offered, for an image that comes later.
        var last: Document?
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

    /// A static pod has another image in the API now.
    func aim(at mirror: Document) {
        let uid = mirror.text("metadata", "uid") ?? ""
        let isNew = state.withLock { state in
            guard state.target != uid else { return false }
            state.target = uid
            state.wanted = state.last
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
        while true {
            let next = state.withLock { state -> Document? in
                guard state.target != nil else { return nil }
                let next = state.wanted
                state.wanted = nil
                state.isWriting = next != nil
                return next
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
            if state.withLock({ $0.wanted != nil && $0.target != nil }) { return }
            try await change.wait(since: ticket)
        }
    }

    private func write(_ status: Document) async throws {
        let old = written.withLock { $0 }
        guard let uid = state.withLock({ $0.target }) else { return }
        guard let patch = StatusPatch.make(from: old, to: status, uid: uid) else { return }
        _ = try await client.patch(
            .pods, namespace: namespace, name: name, patch, type: .strategic, subresource: "status")
        written.withLock { $0 = status }
    }
}
