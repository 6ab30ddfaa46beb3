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
    }

    private let client: APIClient
    private let world: World
    private let log: Log
    private let namespace: String
    private let name: String
    private let uid: String
    private let state = Mutex(State())
    private let change = Wakeup()
    /// Touched by the one task that runs `run` alone.
    private let written: Mutex<Document>

    init(pod: Document, client: APIClient, world: World, log: Log) {
        self.client = client
        self.world = world
        self.log = log
        namespace = pod.text("metadata", "namespace") ?? "default"
        name = pod.text("metadata", "name") ?? ""
        uid = pod.text("metadata", "uid") ?? ""
        written = Mutex(pod["status"] ?? .emptyObject)
    }

    func offer(_ status: Document) {
        state.withLock { $0.wanted = status }
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
            if state.withLock({ $0.wanted != nil }) { return }
            try await change.wait(since: ticket)
        }
    }

    private func write(_ status: Document) async throws {
        let old = written.withLock { $0 }
        guard let patch = StatusPatch.make(from: old, to: status, uid: uid) else { return }
        _ = try await client.patch(
            .pods, namespace: namespace, name: name, patch, type: .strategic, subresource: "status")
        written.withLock { $0 = status }
    }
}
