import Basics
import CLinux
import Glibc
import Synchronization
import Testing

@testable import Linux

private final class Shared<Value>: Sendable {
    let value: Mutex<Value>
    init(_ value: sending Value) { self.value = Mutex(value) }
    func withLock<R>(_ body: (inout sending Value) -> sending R) -> sending R { value.withLock(body) }
}

private actor Counter {
    var value = 0
    func add() -> Bool {
        value += 1
        return lab_loop_current() != nil
    }
}

@Suite struct EventLoopTests {
    @Test func runsTheRootTaskAndReturnsItsValue() throws {
        let value = try EventLoop.run { loop in
            try await loop.sleep(for: .milliseconds(1))
            return loop.isCurrent ? 42 : 0
        }
        #expect(value == 42)
        #expect(throws: SystemError.self) {
            try EventLoop.run { _ in throw SystemError("try", errno: EPERM) }
        }
    }

    @Test func childTasksAndActorsStayOnTheLoopsThread() async throws {
        let counter = Counter()
        let strays = try await EventLoop.runOnThread { loop in
            await withTaskGroup(of: Int.self) { group in
                for _ in 0..<100 {
                    group.addTask {
                        var strays = loop.isCurrent ? 0 : 1
                        for _ in 0..<10 {
                            if await !counter.add() { strays += 1 }
                            try? await loop.sleep(for: .microseconds(10))
                            if !loop.isCurrent { strays += 1 }
                        }
                        return strays
                    }
                }
                return await group.reduce(0, +)
            }
        }
        #expect(strays == 0)
        #expect(await counter.value == 1000)
    }

    @Test func thousandsSleepAndNoneWakesEarly() async throws {
        try await EventLoop.runOnThread { loop in
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for index in 0..<5000 {
                    group.addTask {
                        let span = Int64(index * 7 % 100) * 1_000_000
                        let start = loop.monotonic
                        try await loop.sleep(for: .nanoseconds(span))
                        return loop.monotonic - start >= span
                    }
                }
                for try await patient in group { #expect(patient) }
            }
            #expect(loop.timers.count == 0)
        }
    }

    @Test func aCancelledSleepEndsAtOnceAndLeavesNothing() async throws {
        try await EventLoop.runOnThread { loop in
            await withTaskGroup(of: Bool.self) { group in
                for _ in 0..<1000 {
                    group.addTask {
                        do {
                            try await loop.sleep(for: .seconds(3600))
                            return false
                        } catch { return error is CancellationError }
                    }
                }
                try? await loop.sleep(for: .milliseconds(5))
                group.cancelAll()
                for await cancelled in group { #expect(cancelled) }
            }
            #expect(loop.timers.count == 0)
        }
    }

    @Test func sleepsFromAForeignExecutorWork() async throws {
        try await EventLoop.runOnThread { loop in
            #expect(loop.isCurrent)
            try await withTaskExecutorPreference(globalConcurrentExecutor) {
                #expect(!loop.isCurrent)
                try await loop.sleep(for: .milliseconds(1))
            }
        }
    }

    @Test func signalsArriveAsValues() async throws {
        let signal = try await EventLoop.runOnThread { loop in
            let source = try await SignalSource([SIGUSR2], loop: loop)
            pthread_kill(pthread_self(), SIGUSR2)
            return try await source.next()
        }
        #expect(signal == SIGUSR2)
    }

    @Test func blockingCallsRunElsewhereAndAreBounded() async throws {
        let pool = BlockingPool(threads: 3)
        let running = Shared((now: 0, most: 0))
        let sum = try await EventLoop.runOnThread { loop in
            try await withThrowingTaskGroup(of: Int.self) { group in
                for index in 0..<60 {
                    group.addTask {
                        let value = try await pool.run {
                            #expect(lab_loop_current() == nil)
                            running.withLock {
                                $0.now += 1
                                $0.most = max($0.most, $0.now)
                            }
                            usleep(500)
                            running.withLock { $0.now -= 1 }
                            return index
                        }
                        #expect(loop.isCurrent)
                        return value
                    }
                }
                return try await group.reduce(0, +)
            }
        }
        #expect(sum == 60 * 59 / 2)
        #expect(running.withLock { $0.most } <= 3)
        await #expect(throws: SystemError.self) {
            try await pool.run { throw SystemError("try", errno: EIO) }
        }
    }

    @Test func aFullPoolRefuses() async throws {
        let pool = BlockingPool(threads: 1, queued: 0)
        await #expect(throws: BlockingPool.Full.self) { try await pool.run {} }
    }

    @Test func timerHeapKeepsOrderUnderRandomRemoval() {
        var seed: UInt64 = 42
        func random() -> Int {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(seed >> 33)
        }
        var heap = TimerHeap()
        var live: [LoopTimer] = []
        for _ in 0..<2000 {
            if random() % 3 == 0, !live.isEmpty {
                heap.remove(live.remove(at: random() % live.count))
            } else {
                let timer = LoopTimer()
                timer.deadline = Int64(random() % 500)
                heap.insert(timer)
                live.append(timer)
            }
        }
        for now in Int64(0)..<500 {
            live.removeAll { $0.deadline <= now }
            heap.fire(now: now)
            #expect(heap.count == live.count)
        }
    }
}
