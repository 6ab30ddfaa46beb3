import Basics
import Client
import Document
import Kinds
import Synchronization
import Wire

/// The one loop that all controllers share: changes become keys, workers plan and execute.
///
/// A key is planned again only once the caches show what its last round wrote; otherwise a controller that
/// reads its own past would create things twice.
struct ControllerLoop: Sendable {
    let controller: any Controller
    let client: APIClient
    let recorder: EventRecorder
    let world: World
    let log: Log
    let metrics: ControllerMetrics

    /// Caches that do not show a write for so long are taken as they are.
    private static let longestCatchUp = Duration.seconds(30)

    func run() async throws {
        let queue = WorkQueue(clock: world.clock)
        metrics.follow(queue, of: controller.name)
        let writes = PendingWrites(controller.sources.map(\.informer))
        let failures = LastFailures()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for source in controller.sources {
                guard let keys = source.keys else { continue }
                let changes = source.informer.changes()
                group.addTask {
                    for await change in changes { for key in keys(change) { queue.add(key) } }
                }
            }
            group.addTask { try await controller.accompany { queue.add($0) } }
            for source in controller.sources { try await source.informer.waitForSync() }
            for key in controller.initialKeys { queue.add(key) }
            for _ in 0..<controller.workers {
                group.addTask {
                    while let key = await queue.next() {
                        let failure = await work(on: key, queue, writes, lastFailure: failures[key])
                        failures[key] = failure
                        queue.done(key)
                        try Task.checkCancellation()
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    /// One round for one key. Answers why it failed, where it did.
    private func work(
        on key: String, _ queue: WorkQueue, _ writes: PendingWrites, lastFailure: String?
    ) async -> String? {
        do {
            try await writes.waitUntilSeen(key, atMost: Self.longestCatchUp)
            let answers = try await ask(about: key)
            var situation = Situation(now: world.clock.now, uptime: world.clock.uptime, lastFailure: lastFailure)
            situation.answers = answers
            situation.answer = try await controller.inquire(key, client)
            let plan = try controller.plan(key, situation)
            var executor = PlanExecutor(client: client, recorder: recorder, log: log)
            defer { for write in executor.writes { writes.add(write, for: key) } }
            let failure = await executor.execute(plan)
            if let failure { throw failure }
            queue.forget(key)
            if let delay = plan.lookAgain { queue.addAfter(key, delay) }
            return nil
        } catch {
            if Task.isCancelled { return nil }
            // Two writers met: normal, and over with the next look.
            let isConflict = (error as? APIStatus)?.isConflict == true
            if !isConflict {
                metrics.countError(of: controller.name)
                log.warning("\(controller.name) \(key): \(error)")
            }
            queue.addRateLimited(key)
            return isConflict ? nil : "\(error)"
        }
    }
}

extension ControllerLoop {
    /// Asks until the controller has no more questions. What the server refuses is an answer too; only where it cannot
    /// be reached has the round failed.
    private func ask(about key: String) async throws -> Answers {
        var answers = Answers()
        for _ in 0..<Answers.limit {
            guard let path = controller.questions(key, answers).first(where: { answers[$0] == nil }) else { break }
            let response = try await client.raw(Request("GET", path))
            let bytes = try await response.collect(limit: 64 << 20)
            let document = (try? Document(json: bytes)) ?? .null
            if (200..<300).contains(response.status) {
                answers[path] = .success(document)
            } else {
                let unreadable = APIStatus(
                    code: response.status, reason: "Unknown",
                    message: String(decoding: bytes.prefix(500), as: UTF8.self))
                answers[path] = .failure(APIStatus(document) ?? unreadable)
            }
        }
        return answers
    }
}

/// A write that the caches must show before its key is planned again.
struct Write: Sendable {
    let resource: ResourceType
    let key: String
    let uid: String
    /// Nil for a deletion.
    let version: String?
}

private final class LastFailures: Sendable {
    private let failures = Mutex<[String: String]>([:])

    subscript(key: String) -> String? {
        get { failures.withLock { $0[key] } }
        set { failures.withLock { $0[key] = newValue } }
    }
}

/// For each key, the writes of its last round that the caches have not shown yet.
private final class PendingWrites: Sendable {
    private let informers: [ResourceType: Informer]
    private let pending = Mutex<[String: [Write]]>([:])

    init(_ informers: [Informer]) {
        self.informers = Dictionary(informers.map { ($0.resource, $0) }, uniquingKeysWith: { first, _ in first })
    }

    func add(_ write: Write, for key: String) {
        guard informers[write.resource] != nil else { return }
        pending.withLock { $0[key, default: []].append(write) }
    }

    func waitUntilSeen(_ key: String, atMost limit: Duration) async throws {
        for write in pending.withLock({ $0.removeValue(forKey: key) }) ?? [] {
            guard let informer = informers[write.resource] else { continue }
            _ = try await informer.wait(atMost: limit) { Self.shows(informer, write) }
        }
    }

    private static func shows(_ informer: Informer, _ write: Write) -> Bool {
        if let version = write.version { return informer.hasReached(version) }
        guard let object = informer.get(key: write.key), object.uid == write.uid else { return true }
        return object.isTerminating
    }
}
