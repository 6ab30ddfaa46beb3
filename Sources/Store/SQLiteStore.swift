/// The store on disk: the shared core in memory, and every write in an SQLite log before anyone hears of it.
///
/// One thread writes. It takes the writes that have gathered, decides each against the state that the ones before it
/// leave, commits them together, and only then shows them to readers, watchers and callers. So nobody ever sees what
/// a crash could take back, and the cost of the disk's flush is shared by all writes that waited for it.
public final class SQLiteStore: Store {
    private typealias Answer<Value> = CheckedContinuation<Value, any Error>

    private enum Job: Sendable {
        case write(Write, Answer<Record>)
        case compact(before: Revision, Answer<Void>)
        case close(CheckedContinuation<Void, Never>)
    }

    private let path: String
    private let shared: SharedCore
    private let writer: WorkerThread<Job>

    /// Opens or makes the file at `path` and reads the log. `close` must be called in the end: it ends the thread.
    public init(path: String, limits: StoreLimits = StoreLimits()) throws(StoreError) {
        self.path = path
        let log = try EventLog(path: path)
        let shared = SharedCore(try log.recover(limits: limits))
        self.shared = shared
        let owner = Owner(log: log, shared: shared)
        writer = try WorkerThread(
            name: "store", capacity: limits.pendingWrites, batch: limits.batch, process: { owner.process($0) })
    }

    deinit { _ = writer.stop(after: nil) }

    /// The writer thread's own state. Only that thread calls `process`.
    private final class Owner: @unchecked Sendable {
        var log: EventLog?
        let shared: SharedCore

        init(log: EventLog, shared: SharedCore) {
            self.log = log
            self.shared = shared
        }

        func process(_ jobs: [Job]) {
            var writes: [(Write, Answer<Record>)] = []
            for job in jobs {
                switch job {
                case .write(let write, let answer): writes.append((write, answer))
                case .compact(let revision, let answer):
                    commit(writes)
                    writes = []
                    compact(before: revision, answer)
                case .close(let answer):
                    commit(writes)
                    writes = []
                    shared.close()
                    log = nil
                    answer.resume()
                }
            }
            commit(writes)
        }

        private func commit(_ writes: [(Write, Answer<Record>)]) {
            guard !writes.isEmpty else { return }
            var staged: [String: Record?] = [:]
            var happenings: [Happening] = []
            var answers: [(Answer<Record>, Result<Record, StoreError>)] = []
            var revision = shared.read { $0.revision }
            for (write, answer) in writes {
                do {
                    let current = staged[write.key] ?? shared.read { $0.table[write.key] }
                    let happening = try write.plan(current: current, revision: revision + 1)
                    revision += 1
                    staged[write.key] = .some(happening.kind == .deleted ? nil : happening.record)
                    happenings.append(happening)
                    answers.append((answer, .success(happening.record)))
                } catch {
                    answers.append((answer, .failure(error)))
                }
            }
            do {
                try persist(happenings)
                for (answer, result) in answers { answer.resume(with: result.mapError { $0 as any Error }) }
            } catch {
                // Nothing of the batch counts, not even its refusals: they may rest on its other writes.
                for (answer, _) in answers { answer.resume(throwing: error) }
            }
        }

        private func persist(_ happenings: [Happening]) throws(StoreError) {
            guard !happenings.isEmpty else { return }
            guard let log else { throw .failed("the store is closed") }
            try log.transaction { () throws(StoreError) in
                for happening in happenings { try log.append(happening) }
            }
            let dropped = shared.publish(happenings)
            // The log may forget later than the memory, so that a failure here only costs room.
            if !dropped.isEmpty { try? forget(dropped) }
        }

        private func forget(_ dropped: [Happening]) throws(StoreError) {
            guard let log else { throw .failed("the store is closed") }
            let (compacted, revision) = shared.read { ($0.compacted, $0.revision) }
            try log.transaction { () throws(StoreError) in
                try log.forget(dropped, compacted: compacted, revision: revision)
            }
        }

        private func compact(before revision: Revision, _ answer: Answer<Void>) {
            do {
                try forget(shared.compact(before: revision))
                answer.resume()
            } catch {
                answer.resume(throwing: error)
            }
        }
    }

    private func write(_ write: Write) async throws -> Record {
        try await withCheckedThrowingContinuation { answer in
            if !writer.submit(.write(write, answer)) {
                answer.resume(throwing: StoreError.failed("the store is closed, or too many writes wait for the disk"))
            }
        }
    }

    public func create(_ key: String, _ encode: @escaping Encoding) async throws -> Record {
        try await write(Write(kind: .create, key: key, encode: encode))
    }

    public func update(_ key: String, expected: Revision, _ encode: @escaping Encoding) async throws -> Record {
        try await write(Write(kind: .update(expected: expected), key: key, encode: encode))
    }

    public func delete(_ key: String, expected: Revision, _ encode: @escaping Encoding) async throws -> Record {
        try await write(Write(kind: .delete(expected: expected), key: key, encode: encode))
    }

    public func get(_ key: String) async throws -> Record? { shared.read { $0.table[key] } }

    public func list(prefix: String, after: String?, limit: Int?, at revision: Revision?) async throws -> Page {
        try shared.read { core throws(StoreError) in
            try core.list(prefix: prefix, after: after, limit: limit, at: revision)
        }
    }

    public func watch(prefix: String, after revision: Revision) async throws -> any Watch {
        try shared.watch(prefix: prefix, after: revision)
    }

    public var revision: Revision { get async { shared.read { $0.revision } } }

    public func compact(before revision: Revision) async throws {
        try await withCheckedThrowingContinuation { (answer: Answer<Void>) in
            if !writer.submit(.compact(before: revision, answer)) {
                answer.resume(throwing: StoreError.failed("the store is closed, or too many writes wait for the disk"))
            }
        }
    }

    /// Copies on a thread of its own and through a connection of its own: writers go on meanwhile.
    public func backup(to target: String) async throws {
        let path = path
        try await withCheckedThrowingContinuation { (answer: Answer<Void>) in
            do {
                let thread = try WorkerThread<Answer<Void>>(name: "backup", capacity: 1, batch: 1) { answers in
                    for answer in answers {
                        answer.resume(with: Result { try EventLog.copy(path, to: target) })
                    }
                }
                _ = thread.stop(after: answer)
            } catch {
                answer.resume(throwing: error)
            }
        }
    }

    /// The same for a file that another process may be writing to, or nobody. Blocks while it copies.
    public static func copy(_ path: String, to target: String) throws(StoreError) {
        try EventLog.copy(path, to: target)
    }

    public func close() async {
        await withCheckedContinuation { answer in
            if !writer.stop(after: .close(answer)) { answer.resume() }
        }
    }
}
