import Basics
import Synchronization

/// One thread, one job at a time, the next one drawn by seed: the same seed runs the same program the same way.
///
/// When no job is left, virtual time jumps to the next sleeper. Everything that the program does must run here:
/// child tasks inherit the executor, unstructured tasks do not.
final class SeededExecutor: TaskExecutor {
    private let jobs = Mutex<[UnownedJob]>([])
    private let random: SeededRandom

    init(seed: UInt64) { random = SeededRandom(seed: seed) }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        jobs.withLock { $0.append(job) }
    }

    /// Runs one job; false where there is none.
    func step() -> Bool {
        let job = jobs.withLock { jobs -> UnownedJob? in
            if jobs.isEmpty { return nil }
            return jobs.remove(at: random.below(jobs.count))
        }
        guard let job else { return false }
        job.runSynchronously(on: asUnownedTaskExecutor())
        return true
    }
}

/// SplitMix64.
public final class SeededRandom: Randomness {
    private let state: Mutex<UInt64>

    public init(seed: UInt64) { state = Mutex(seed) }

    public func next() -> UInt64 {
        state.withLock { state in
            state &+= 0x9E37_79B9_7F4A_7C15
            var word = state
            word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
            word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
            return word ^ (word >> 31)
        }
    }
}

/// Time that stands still while anything can run.
public final class VirtualClock: WorldClock {
    private struct Sleeper {
        var due: Duration
        var id: UInt64
        var continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var uptime = Duration.zero
        var nextID: UInt64 = 0
        var sleepers: [Sleeper] = []
        var cancelledEarly: Set<UInt64> = []
    }

    private static let beginning = Timestamp(seconds: 1_700_000_000)
    private let state = Mutex(State())

    public init() {}

    public var uptime: Duration { state.withLock { $0.uptime } }
    public var now: Timestamp { Self.beginning + uptime }

    public func sleep(for duration: Duration) async throws {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        defer { state.withLock { _ = $0.cancelledEarly.remove(id) } }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let isCancelled = state.withLock { state in
                    if state.cancelledEarly.contains(id) { return true }
                    let due = state.uptime + max(.zero, duration)
                    // Sorted by time, then by order of arrival.
                    let index = state.sleepers.firstIndex { $0.due > due } ?? state.sleepers.endIndex
                    state.sleepers.insert(Sleeper(due: due, id: id, continuation: continuation), at: index)
                    return false
                }
                if isCancelled { continuation.resume(throwing: CancellationError()) }
            }
        } onCancel: {
            let sleeper = state.withLock { state -> Sleeper? in
                if let index = state.sleepers.firstIndex(where: { $0.id == id }) {
                    return state.sleepers.remove(at: index)
                }
                state.cancelledEarly.insert(id)
                return nil
            }
            sleeper?.continuation.resume(throwing: CancellationError())
        }
    }

    /// Moves on to the next sleeper and wakes everyone due then; false where nobody sleeps.
    func advance() -> Bool {
        let due = state.withLock { state -> [Sleeper] in
            guard let first = state.sleepers.first else { return [] }
            state.uptime = first.due
            let count = state.sleepers.prefix { $0.due <= first.due }.count
            defer { state.sleepers.removeFirst(count) }
            return Array(state.sleepers.prefix(count))
        }
        for sleeper in due { sleeper.continuation.resume() }
        return !due.isEmpty
    }
}

public enum SimulationError: Error, Sendable, CustomStringConvertible {
    /// Nothing can run and nobody sleeps: the program waits for itself.
    case stuck(seed: UInt64)
    case tooLong(seed: UInt64, limit: Duration)

    public var description: String {
        switch self {
        case .stuck(let seed): "seed \(seed): everything waits for something that cannot happen"
        case .tooLong(let seed, let limit): "seed \(seed): not done after \(limit) of virtual time"
        }
    }
}

/// A program in a world of its own.
public enum Simulation {
    private final class Outcome<Value: Sendable>: Sendable {
        let result = Mutex<Result<Value, any Error>?>(nil)
    }

    /// Runs `program` to its end on the calling thread.
    ///
    /// - Parameter limit: virtual time after which the program counts as hanging.
    public static func run<Value: Sendable>(
        seed: UInt64, limit: Duration = .seconds(86_400),
        _ program: @escaping @Sendable (World) async throws -> Value
    ) throws -> Value {
        let executor = SeededExecutor(seed: seed)
        let clock = VirtualClock()
        let world = World(
            clock: clock, random: SeededRandom(seed: seed &+ 1), network: MemoryNetwork(clock: clock))
        let outcome = Outcome<Value>()
        // The one task that no other task is the parent of: the way from this thread into the program.
        let root = Task(executorPreference: executor) {
            let result: Result<Value, any Error>
            do { result = .success(try await program(world)) } catch { result = .failure(error) }
            outcome.result.withLock { $0 = result }
        }
        var failure: SimulationError?
        while outcome.result.withLock({ $0 == nil }) {
            if executor.step() { continue }
            if clock.uptime > limit, failure == nil {
                failure = .tooLong(seed: seed, limit: limit)
                root.cancel()
            } else if !clock.advance() {
                if failure != nil { break }
                failure = .stuck(seed: seed)
                root.cancel()
            }
        }
        if let failure { throw failure }
        guard let result = outcome.result.withLock({ $0 }) else { throw SimulationError.stuck(seed: seed) }
        return try result.get()
    }
}
