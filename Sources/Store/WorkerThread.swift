import Glibc

/// A thread that takes jobs in batches: for work that blocks, such as waiting for the disk, which must not hold up
/// the threads that run tasks. The queue is bounded; a job that finds it full is refused.
final class WorkerThread<Job: Sendable>: @unchecked Sendable {
    // Invariant: `jobs`, `stopping` are touched only with `mutex` held.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var jobs: [Job] = []
    private var stopping = false
    private let capacity: Int
    private let batch: Int
    private let process: @Sendable ([Job]) -> Void

    /// Starts the thread. It lives until `stop`, and finishes what was queued before.
    init(name: String, capacity: Int, batch: Int, process: @escaping @Sendable ([Job]) -> Void) throws(StoreError) {
        self.capacity = capacity
        self.batch = batch
        self.process = process
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
        try start(name)
    }

    private func start(_ name: String) throws(StoreError) {
        var thread = pthread_t()
        let entry = Unmanaged.passRetained(Entry(run: loop))
        let code = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Entry>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, entry.toOpaque())
        guard code == 0 else {
            entry.release()
            throw .failed("start the thread \(name): errno \(code)")
        }
        pthread_detach(thread)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        pthread_cond_destroy(condition)
        mutex.deallocate()
        condition.deallocate()
    }

    /// False when the queue is full or the thread has been stopped.
    func submit(_ job: Job) -> Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        guard !stopping, jobs.count < capacity else { return false }
        jobs.append(job)
        if jobs.count == 1 { pthread_cond_signal(condition) }
        return true
    }

    /// Takes one last job, whatever the queue's length, and ends the thread after it. False when it had ended before.
    func stop(after job: Job?) -> Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        guard !stopping else { return false }
        stopping = true
        if let job { jobs.append(job) }
        pthread_cond_signal(condition)
        return true
    }

    private func loop() {
        while true {
            pthread_mutex_lock(mutex)
            while jobs.isEmpty, !stopping { pthread_cond_wait(condition, mutex) }
            let taken: [Job]
            if jobs.count <= batch {
                taken = jobs
                jobs = []
            } else {
                taken = Array(jobs.prefix(batch))
                jobs.removeFirst(batch)
            }
            let ended = taken.isEmpty && stopping
            pthread_mutex_unlock(mutex)
            if ended { return }
            process(taken)
        }
    }
}

/// What a C function pointer cannot carry by itself: the code of one generic instance.
private final class Entry {
    let run: () -> Void
    init(run: @escaping () -> Void) { self.run = run }
}
