import Basics

/// A sleeping task. It knows its place in the heap, so that a cancelled sleep leaves at once
/// and a thousand abandoned timeouts cost nothing.
final class LoopTimer: @unchecked Sendable {
    // Touched by the loop's thread alone.
    var deadline: Int64 = 0
    var sequence: UInt64 = 0
    var index = -1
    var continuation: UnsafeContinuation<Void, any Error>?
    var cancelled = false
}

/// A binary heap of timers; equal deadlines fire in the order in which they were set.
struct TimerHeap {
    enum Wait { case zero, forever, nanoseconds(Int64) }

    private var heap: [LoopTimer] = []
    private var sequence: UInt64 = 0

    var count: Int { heap.count }

    func untilNext(now: @autoclosure () -> Int64) -> Wait {
        guard let first = heap.first else { return .forever }
        let span = first.deadline - now()
        return span <= 0 ? .zero : .nanoseconds(span)
    }

    mutating func insert(_ timer: LoopTimer) {
        sequence += 1
        timer.sequence = sequence
        timer.index = heap.count
        heap.append(timer)
        siftUp(timer.index)
    }

    mutating func remove(_ timer: LoopTimer) {
        let index = timer.index
        guard index >= 0 else { return }
        timer.index = -1
        let last = heap.removeLast()
        guard last !== timer else { return }
        heap[index] = last
        last.index = index
        siftUp(index)
        siftDown(last.index)
    }

    mutating func fire(now: @autoclosure () -> Int64) {
        guard !heap.isEmpty else { return }
        let now = now()
        while let first = heap.first, first.deadline <= now {
            remove(first)
            first.continuation?.resume()
            first.continuation = nil
        }
    }

    private static func before(_ a: LoopTimer, _ b: LoopTimer) -> Bool {
        a.deadline != b.deadline ? a.deadline < b.deadline : a.sequence < b.sequence
    }

    private mutating func siftUp(_ start: Int) {
        var index = start
        while index > 0 {
            let parent = (index - 1) / 2
            guard Self.before(heap[index], heap[parent]) else { return }
            exchange(index, parent)
            index = parent
        }
    }

    private mutating func siftDown(_ start: Int) {
        var index = start
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2] where child < heap.count {
                if Self.before(heap[child], heap[least]) { least = child }
            }
            guard least != index else { return }
            exchange(index, least)
            index = least
        }
    }

    private mutating func exchange(_ a: Int, _ b: Int) {
        heap.swapAt(a, b)
        heap[a].index = a
        heap[b].index = b
    }
}

extension EventLoop {
    /// Returns after `duration`, or throws `CancellationError` as soon as the task is cancelled.
    public func sleep(for duration: Duration) async throws {
        try Task.checkCancellation()
        let timer = LoopTimer()
        // A century is as good as forever, and does not overflow.
        let span = max(0, min(duration, .seconds(3_200_000_000)).wholeNanoseconds)
        try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { (continuation: UnsafeContinuation<Void, any Error>) in
                perform { [self] in
                    if timer.cancelled { return continuation.resume(throwing: CancellationError()) }
                    let (deadline, overflow) = monotonic.addingReportingOverflow(span)
                    timer.deadline = overflow ? .max : deadline
                    timer.continuation = continuation
                    timers.insert(timer)
                }
            }
        } onCancel: {
            perform { [self] in
                timer.cancelled = true
                guard let continuation = timer.continuation else { return }
                timer.continuation = nil
                timers.remove(timer)
                continuation.resume(throwing: CancellationError())
            }
        }
    }
}
