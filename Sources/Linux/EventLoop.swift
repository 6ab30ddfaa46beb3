import CLinux
import Glibc
import Synchronization

/// One thread, one epoll: runs tasks, timers and I/O readiness in turn.
///
/// It is a task executor, so a task that prefers it, and every child of that task, runs on the
/// loop's thread; so do actors with the default executor while such a task is inside them.
/// That costs half of the default executor with a reactor beside it, since nothing changes thread.
///
/// Invariant: everything below `// MARK: Loop thread only` is touched by the loop's thread alone,
/// which is what makes the unchecked conformance true. Other threads go through `inbox`.
public final class EventLoop: TaskExecutor, @unchecked Sendable {
    private struct Inbox {
        var jobs: [UnownedJob] = []
        var closures: [@Sendable () -> Void] = []
        /// The eventfd has been written and not yet drained.
        var signalled = false
        var stopping = false
        var finished = false
    }

    private let epoll: Int32
    private let waker: Int32
    private let inbox = Mutex(Inbox())

    // MARK: Loop thread only

    private var jobs: [UnownedJob] = []
    private var nextJob = 0
    var timers = TimerHeap()
    private var watches: [Watch?] = []
    private var freeSlots: [Int] = []
    private var generation: UInt32 = 0
    private var events = [lab_event](repeating: lab_event(), count: 256)
    /// One buffer for every read; what arrived is copied out, so idle connections hold no memory.
    let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)

    /// Jobs run in a row before I/O gets its turn again.
    private static let batch = 256
    private static let wakeToken = UInt64.max

    public init() throws(SystemError) {
        lab_ignore_sigpipe()
        epoll = lab_epoll_create()
        guard epoll >= 0 else { throw SystemError("epoll_create1", errno: errno) }
        waker = lab_eventfd()
        guard waker >= 0 else {
            let code = errno
            close(epoll)
            throw SystemError("eventfd", errno: code)
        }
        guard lab_epoll_add(epoll, waker, Self.wakeToken) == 0 else {
            let code = errno
            close(epoll)
            close(waker)
            throw SystemError("epoll_ctl", "eventfd", errno: code)
        }
    }

    deinit {
        close(epoll)
        close(waker)
        scratch.deallocate()
    }

    // MARK: Any thread

    /// Whether the caller is on this loop's thread.
    public var isCurrent: Bool { lab_loop_current() == Unmanaged.passUnretained(self).toOpaque() }

    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        if isCurrent {
            jobs.append(job)
            return
        }
        let wake = inbox.withLock { inbox in
            inbox.jobs.append(job)
            defer { inbox.signalled = true }
            return !inbox.signalled
        }
        if wake { lab_eventfd_signal(waker) }
    }

    /// Runs `body` on the loop's thread: at once when already there, soon otherwise.
    /// After the loop's end it runs in the caller's thread, so that descriptors still get closed.
    func perform(_ body: @escaping @Sendable () -> Void) {
        if isCurrent { return body() }
        enum Next { case wake, wait, here }
        let next: Next = inbox.withLock { inbox in
            if inbox.finished { return .here }
            inbox.closures.append(body)
            defer { inbox.signalled = true }
            return inbox.signalled ? .wait : .wake
        }
        switch next {
        case .wake: lab_eventfd_signal(waker)
        case .wait: break
        case .here: body()
        }
    }

    /// Ends `spin` after the jobs that are ready now.
    func stop() {
        inbox.withLock { inbox in
            inbox.stopping = true
            inbox.signalled = true
        }
        lab_eventfd_signal(waker)
    }

    // MARK: The loop

    /// Runs until `stop`; the calling thread is the loop's thread meanwhile.
    func spin() {
        let outer = lab_loop_current()
        lab_loop_set_current(Unmanaged.passUnretained(self).toOpaque())
        defer { lab_loop_set_current(outer) }
        while true {
            runJobs()
            poll(wait: nextJob < jobs.count ? .zero : timers.untilNext(now: monotonic))
            timers.fire(now: monotonic)
            if takeInbox() { break }
        }
        while nextJob < jobs.count { runJobs() }
        let late = inbox.withLock { inbox in
            inbox.finished = true
            defer { inbox.closures = [] }
            return inbox.closures
        }
        for body in late { body() }
    }

    /// Nanoseconds of the monotonic clock, which timers count in.
    var monotonic: Int64 { lab_monotonic_nanoseconds() }

    private func runJobs() {
        let executor = asUnownedTaskExecutor()
        var budget = Self.batch
        while nextJob < jobs.count, budget > 0 {
            let job = jobs[nextJob]
            nextJob += 1
            budget -= 1
            job.runSynchronously(on: executor)
        }
        if nextJob == jobs.count {
            jobs.removeAll(keepingCapacity: jobs.capacity <= 4096)
            nextJob = 0
        } else if nextJob > 4096 {
            jobs.removeFirst(nextJob)
            nextJob = 0
        }
    }

    private func poll(wait: TimerHeap.Wait) {
        let timeout: Int64 =
            switch wait {
            case .zero: 0
            case .forever: -1
            case .nanoseconds(let span): span
            }
        let count = lab_epoll_wait(epoll, &events, Int32(events.count), timeout)
        guard count > 0 else { return }
        for event in events[0..<Int(count)] {
            if event.token == Self.wakeToken {
                lab_eventfd_drain(waker)
                continue
            }
            let slot = Int(event.token & 0xFFFF_FFFF)
            // A closed descriptor's last events may still be in this batch.
            guard let watch = watches[slot], watch.token == event.token else { continue }
            watch.ready(event.flags)
        }
    }

    /// Moves what other threads left; true when the loop shall end.
    private func takeInbox() -> Bool {
        var closures: [@Sendable () -> Void] = []
        let stopping = inbox.withLock { inbox in
            guard inbox.signalled else { return inbox.stopping }
            inbox.signalled = false
            jobs.append(contentsOf: inbox.jobs)
            inbox.jobs.removeAll(keepingCapacity: true)
            swap(&closures, &inbox.closures)
            return inbox.stopping
        }
        for body in closures { body() }
        return stopping
    }

    // MARK: Descriptors

    func add(_ watch: Watch) throws(SystemError) {
        generation &+= 1
        let slot = freeSlots.popLast() ?? watches.count
        if slot == watches.count { watches.append(nil) }
        watch.token = UInt64(generation & 0x7FFF_FFFF) << 32 | UInt64(slot)
        guard lab_epoll_add(epoll, watch.fd, watch.token) == 0 else {
            let code = errno
            freeSlots.append(slot)
            throw SystemError("epoll_ctl", "descriptor \(watch.fd)", errno: code)
        }
        watches[slot] = watch
    }

    func remove(_ watch: Watch) {
        let slot = Int(watch.token & 0xFFFF_FFFF)
        guard slot < watches.count, watches[slot] === watch else { return }
        _ = lab_epoll_remove(epoll, watch.fd)
        watches[slot] = nil
        freeSlots.append(slot)
    }
}
