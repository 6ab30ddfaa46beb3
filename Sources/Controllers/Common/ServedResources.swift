import Basics
import Client
import Document
import Synchronization

/// What the server serves, kept current: it is asked again whenever a definition of a custom resource or an
/// aggregated group changes, and, while some group does not answer, after a growing pause.
final class ServedResources: Sendable {
    private static let shortestPause = Duration.seconds(1)
    private static let longestPause = Duration.seconds(60)
    /// What defines resources changes several times in a row until it is served.
    private static let settling = Duration.milliseconds(100)

    private struct State {
        var resources: [Discovery.Resource]?
        /// Groups that did not answer the last time.
        var failures: [String] = []
    }

    private let client: APIClient
    private let informers: Informers
    private let world: World
    private let log: Log
    private let state = Mutex(State())
    private let change = Wakeup()

    init(client: APIClient, informers: Informers, world: World, log: Log) {
        self.client = client
        self.informers = informers
        self.world = world
        self.log = log
    }

    var ticket: UInt64 { change.ticket }
    func wait(since ticket: UInt64) async throws { try await change.wait(since: ticket) }

    /// Nil before the server has answered.
    var all: [Discovery.Resource]? { state.withLock { $0.resources } }
    var hasFailures: Bool { state.withLock { !$0.failures.isEmpty } }

    func run() async throws {
        let dirty = Wakeup()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for type in [ResourceType.customResourceDefinitions, .apiServices] {
                let changes = informers.metadata(type).changes()
                group.addTask { for await _ in changes { dirty.wake() } }
            }
            group.addTask { try await self.keepCurrent(dirty) }
            try await group.waitForAll()
        }
    }

    private func keepCurrent(_ dirty: Wakeup) async throws {
        var pause = Self.shortestPause
        while true {
            let ticket = dirty.ticket
            let isComplete = await read()
            if isComplete { pause = Self.shortestPause }
            try await dirty.wait(since: ticket, atMost: isComplete ? nil : pause, clock: world.clock)
            if !isComplete { pause = min(pause * 2, Self.longestPause) }
            try await world.clock.sleep(for: Self.settling)
        }
    }

    private func read() async -> Bool {
        do {
            let found = try await Discovery(client)
            let isNews = state.withLock { state in
                // A group that does not answer now keeps what it had.
                let silent = Set(found.failedGroups)
                let kept = (state.resources ?? []).filter { silent.contains($0.type.group) }
                let resources = found.resources + kept
                defer { state = State(resources: resources, failures: found.failures) }
                return state.resources != resources || state.failures != found.failures
            }
            if isNews { change.wake() }
            return found.failures.isEmpty
        } catch {
            log.debug("discovery: \(error)")
            return false
        }
    }
}
