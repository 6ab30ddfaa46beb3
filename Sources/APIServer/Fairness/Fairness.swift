import Basics
import Document
import Kinds
import Schema
import Synchronization
import Wire

/// API priority and fairness: every request belongs to a flow of a priority level, and a level that has no seats left
/// lets its requests wait or turns them away.
///
/// The configuration is a snapshot that a write of its objects marks as stale; the next request reads it anew. Apart from
/// that a request costs two short critical sections and no reads.
final class Fairness: Sendable {
    /// The schemas in the order in which they are asked, with their places in the statistics.
    final class Configuration: Sendable {
        let schemas: [(schema: FlowSchema, place: Int)]
        let levelUIDs: [String: String]
        let catchAll: (schema: FlowSchema, place: Int)?

        init(schemas: [(schema: FlowSchema, place: Int)], levelUIDs: [String: String]) {
            self.schemas = schemas
            self.levelUIDs = levelUIDs
            catchAll = schemas.last { $0.schema.name == "catch-all" }
        }

        func classify(_ user: UserInfo, _ info: RequestInfo) -> (schema: FlowSchema, place: Int)? {
            schemas.first { $0.schema.matches(user, info) } ?? catchAll
        }
    }

    /// How a request was placed. Its seats have to be given back with `finish`.
    struct Slot: Sendable {
        var schema: String
        var place: Int
        var ticket: FairDispatcher.Ticket
        var headers: [(String, String)]
    }

    enum Admission: Sendable {
        case admitted(Slot)
        /// Long-running requests are not counted.
        case unlimited
        case refused(retryAfter: Int, headers: [(String, String)])
    }

    enum Turn: Sendable {
        case ticket(FairDispatcher.Ticket)
        case gone
    }

    struct State {
        var dispatcher: FairDispatcher
        var configuration: Configuration
        /// Requests that wait, by their numbers in the dispatcher.
        var waiters: [UInt64: CheckedContinuation<Turn, Never>] = [:]
        /// What became of requests before they came to wait for it.
        var early: [UInt64: Turn] = [:]
        var details: [UInt64: WaitingRequest] = [:]
        var statistics = FairnessStatistics()
        var retryAfter: [String: RetryAfter] = [:]
        var objects: [String: ObjectStatistics] = [:]
        var watchers: [WatcherKey: Int] = [:]
        /// Objects have changed since the configuration was read.
        var isStale = true
        /// Counts changes, so that a configuration that was being read meanwhile is not taken for the newest.
        var generation = 0
    }

    /// What is shown of a request that waits.
    struct WaitingRequest: Sendable {
        var schema: String
        var flow: String
        var user: String
        var info: RequestInfo
        var arrived: Timestamp
    }

    let clock: any WorldClock
    let log: Log
    let state: Mutex<State>
    /// How long a request may wait for its turn: a quarter of the time that it has in all.
    static let longestWait = Duration.seconds(15)
    /// Statistics by resource beyond this many are not kept: clients choose the names.
    private static let mostResources = 4_096
    private let wakeUps: AsyncStream<Void>
    private let wakeUp: AsyncStream<Void>.Continuation

    init(seats: Int, clock: any WorldClock, log: Log) {
        self.clock = clock
        self.log = log
        var statistics = FairnessStatistics()
        let schemas = FlowSchema.mandatory.sorted(by: FlowSchema.comesBefore)
            .map { ($0, statistics.place(schema: $0.name, level: $0.level)) }
        state = Mutex(
            State(
                dispatcher: FairDispatcher(total: seats, now: clock.uptime.inSeconds),
                configuration: Configuration(schemas: schemas, levelUIDs: [:]), statistics: statistics))
        (wakeUps, wakeUp) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Subresources whose requests last as long as the client likes.
    private static let longRunning: Set = ["attach", "exec", "proxy", "log", "portforward"]

    private static func isLongRunning(_ info: RequestInfo) -> Bool {
        info.isResource && info.verb != "watch" && (longRunning.contains(info.subresource) || info.verb == "proxy")
    }

    // MARK: Admission

    /// Waits until the request may be carried out, or says that it may not.
    func admit(_ user: UserInfo, _ info: RequestInfo, _ resources: Resources) async -> Admission {
        if Self.isLongRunning(info) { return .unlimited }
        let configuration = await current(resources)
        guard let (schema, place) = configuration.classify(user, info) else { return .unlimited }
        let headers = [
            ("X-Kubernetes-PF-FlowSchema-UID", schema.uid),
            ("X-Kubernetes-PF-PriorityLevel-UID", configuration.levelUIDs[schema.level] ?? ""),
        ]
        let flow = schema.flow(user, info)
        let hash = ShuffleSharding.hash(schema: schema.name, flow: flow)
        let now = clock.uptime.inSeconds
        let (decision, ready) = state.withLock { state in
            let work = Self.estimate(info, schema.level, &state)
            state.statistics.estimated(work, place)
            let decision = state.dispatcher.arrive(
                level: schema.level, schema: place, hash: hash, work: work, now: now)
            if case .wait(let id) = decision {
                state.details[id] = WaitingRequest(
                    schema: schema.name, flow: flow, user: user.name, info: info, arrived: clock.now)
            }
            return (decision, Self.takeReady(&state))
        }
        resume(ready)
        switch decision {
        case .run(let ticket):
            return .admitted(Slot(schema: schema.name, place: place, ticket: ticket, headers: headers))
        case .reject(let why): return refuse(schema, place, why, waited: nil, headers)
        case .wait(let id):
            let began = clock.uptime
            if let ticket = await turn(id) {
                return .admitted(Slot(schema: schema.name, place: place, ticket: ticket, headers: headers))
            }
            let why = Task.isCancelled ? FairQueues.Rejection.cancelled : .timeOut
            return refuse(schema, place, why, waited: (clock.uptime - began).inSeconds, headers)
        }
    }

    private func refuse(
        _ schema: FlowSchema, _ place: Int, _ why: FairQueues.Rejection, waited: Double?,
        _ headers: [(String, String)]
    ) -> Admission {
        let second = Int(clock.uptime.wholeSeconds)
        let seconds = state.withLock { state in
            state.statistics.rejected(place, why, waited: waited)
            state.retryAfter[schema.level, default: RetryAfter()].note(second: second)
            return state.retryAfter[schema.level]?.seconds ?? 1
        }
        return .refused(retryAfter: seconds, headers: headers)
    }

    /// Waits for the request's turn, as long as its client does and no longer than the limit.
    private func turn(_ id: UInt64) async -> FairDispatcher.Ticket? {
        wakeUp.yield()
        return await withTaskGroup(of: FairDispatcher.Ticket?.self) { group in
            group.addTask { await self.wait(for: id) }
            group.addTask {
                // Cancellation means that the turn came, or that the client has gone.
                try? await self.clock.sleep(for: Self.longestWait)
                self.abandon(id)
                return nil
            }
            // The turn decides; the time only ends it.
            var ticket: FairDispatcher.Ticket?
            for await result in group {
                if let result { ticket = result }
                group.cancelAll()
            }
            return ticket
        }
    }

    private func wait(for id: UInt64) async -> FairDispatcher.Ticket? {
        let turn = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let early = self.state.withLock { state -> Turn? in
                    if let turn = state.early.removeValue(forKey: id) { return turn }
                    state.waiters[id] = continuation
                    return nil
                }
                if let early { continuation.resume(returning: early) }
            }
        } onCancel: {
            self.abandon(id)
        }
        guard case .ticket(let ticket) = turn else { return nil }
        return ticket
    }

    /// Ends the waiting, unless the turn has come already.
    private func abandon(_ id: UInt64) {
        let now = clock.uptime.inSeconds
        let (waiter, ready) = state.withLock { state -> (CheckedContinuation<Turn, Never>?, [Resumption]) in
            guard state.details[id] != nil, state.dispatcher.abandon(id, now: now) else {
                return (nil, Self.takeReady(&state))
            }
            state.details[id] = nil
            let waiter = state.waiters.removeValue(forKey: id)
            if waiter == nil { state.early[id] = .gone }
            return (waiter, Self.takeReady(&state))
        }
        waiter?.resume(returning: .gone)
        resume(ready)
    }

    /// Gives the seats back.
    func finish(_ slot: Slot) {
        let now = clock.uptime.inSeconds
        let ready = state.withLock { state in
            state.statistics.finished(slot.place, slot.ticket.running, now: now)
            state.dispatcher.finish(slot.ticket, now: now)
            return Self.takeReady(&state)
        }
        resume(ready)
    }

    // MARK: Those whose turn has come

    typealias Resumption = (waiter: CheckedContinuation<Turn, Never>, ticket: FairDispatcher.Ticket)

    private static func takeReady(_ state: inout State) -> [Resumption] {
        let tickets = state.dispatcher.takeReady()
        if tickets.isEmpty { return [] }
        var resumptions: [Resumption] = []
        for ticket in tickets {
            let id = ticket.running.id
            state.details[id] = nil
            if let waiter = state.waiters.removeValue(forKey: id) {
                resumptions.append((waiter, ticket))
            } else {
                // It has not come to rest yet and finds its turn when it does.
                state.early[id] = .ticket(ticket)
            }
        }
        return resumptions
    }

    private func resume(_ ready: [Resumption]) {
        for (waiter, ticket) in ready { waiter.resume(returning: .ticket(ticket)) }
    }

    /// While requests wait, seats that outlive their requests are freed in time. Runs until cancelled.
    func keepTime() async throws {
        for await _ in wakeUps {
            while true {
                let now = clock.uptime.inSeconds
                let (next, ready, waits) = state.withLock { state in
                    state.dispatcher.tick(now: now)
                    let ready = Self.takeReady(&state)
                    return (state.dispatcher.nextRelease, ready, state.dispatcher.waiting > 0)
                }
                resume(ready)
                guard waits else { break }
                // Seats are moved between levels while requests wait, whether or not others come and go.
                let pause = max(0.001, min(10, (next ?? now + 10) - now))
                try await clock.sleep(for: .milliseconds(Int64((pause * 1_000).rounded(.up))))
            }
        }
        try Task.checkCancellation()
    }

    // MARK: What the width of requests depends on

    private static func estimate(_ info: RequestInfo, _ level: String, _ state: inout State) -> WorkEstimate {
        guard info.isResource else { return .one }
        switch info.verb {
        case "list", "watch":
            if info.verb == "watch", !info.query.flag("sendInitialEvents") { return .one }
            let key = "\(info.group)/\(info.resource)"
            guard let objects = state.objects[key] else { return .one }
            return WorkEstimator.list(
                info.query, objects, single: !info.name.isEmpty || !info.selectedName.isEmpty,
                mostSeats: state.dispatcher.mostSeats(level: level))
        case "create", "update", "patch", "delete":
            if state.watchers.isEmpty { return .one }
            let counts = state.watchers
            let watchers = WatcherKey.covering(info).reduce(0) { $0 + (counts[$1] ?? 0) }
            return WorkEstimator.write(
                watchers: watchers, mostSeats: state.dispatcher.mostSeats(level: level))
        default: return .one
        }
    }

    /// Remembers how many objects of a resource there are, as a list of all of them has shown.
    func note(_ info: RequestInfo, items: [[UInt8]]) {
        guard info.namespace.isEmpty, info.query["limit"] == nil, info.query["continue"] == nil,
            (info.query["labelSelector"] ?? "").isEmpty, (info.query["fieldSelector"] ?? "").isEmpty
        else { return }
        let bytes = items.reduce(0) { $0 + $1.count }
        let key = "\(info.group)/\(info.resource)"
        state.withLock { state in
            if state.objects[key] == nil, state.objects.count >= Self.mostResources { return }
            state.objects[key] = ObjectStatistics(count: items.count, bytes: bytes)
        }
    }

    /// Counts a watch until `unwatch`.
    func watch(_ key: WatcherKey) { state.withLock { $0.watchers[key, default: 0] += 1 } }

    func unwatch(_ key: WatcherKey) {
        state.withLock { state in
            let left = (state.watchers[key] ?? 1) - 1
            state.watchers[key] = left > 0 ? left : nil
        }
    }
}

/// What a watch is about: all objects of a resource, those of a namespace, or one.
struct WatcherKey: Sendable, Hashable {
    var group: String
    var resource: String
    var namespace: String
    var name: String

    init(group: String, resource: String, namespace: String = "", name: String = "") {
        self.group = group
        self.resource = resource
        self.namespace = namespace
        self.name = name
    }

    init(watch info: RequestInfo) {
        self.init(
            group: info.group, resource: info.resource, namespace: info.namespace,
            name: info.name.isEmpty ? info.selectedName : info.name)
    }

    /// The watches that hear of a write.
    static func covering(_ info: RequestInfo) -> [WatcherKey] {
        var keys = [WatcherKey(group: info.group, resource: info.resource)]
        if !info.namespace.isEmpty {
            keys.append(WatcherKey(group: info.group, resource: info.resource, namespace: info.namespace))
        }
        if !info.name.isEmpty {
            keys.append(
                WatcherKey(
                    group: info.group, resource: info.resource, namespace: info.namespace, name: info.name))
            if !info.namespace.isEmpty {
                keys.append(WatcherKey(group: info.group, resource: info.resource, name: info.name))
            }
        }
        return keys
    }
}
