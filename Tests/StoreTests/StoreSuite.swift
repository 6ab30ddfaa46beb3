import Glibc
import Store
import Testing

/// The behaviour that every store shares, run against each of them.
@Suite struct StoreSuite {
    enum Kind: String, CaseIterable, Sendable { case memory, sqlite }

    /// Runs `body` on a fresh store and removes what it left.
    private func with(
        _ kind: Kind, limits: StoreLimits = StoreLimits(), _ body: (any Store) async throws -> Void
    ) async throws {
        switch kind {
        case .memory: try await body(MemoryStore(limits: limits))
        case .sqlite:
            let folder = try Folder()
            defer { folder.remove() }
            let store = try SQLiteStore(path: folder.path + "/store.db", limits: limits)
            do {
                try await body(store)
            } catch {
                await store.close()
                throw error
            }
            await store.close()
        }
    }

    @Test(arguments: Kind.allCases) func writesMoveTheRevisionByOne(_ kind: Kind) async throws {
        try await with(kind) { store in
            let start = await store.revision
            let created = try await store.create("/pods/a/x") { Array("one@\($0)".utf8) }
            #expect(created.revision == start + 1)
            #expect(created.value == Array("one@\(start + 1)".utf8))
            let updated = try await store.update("/pods/a/x", expected: created.revision) { Array("two@\($0)".utf8) }
            #expect(updated.revision == start + 2)
            #expect(updated.created == created.revision)
            #expect(try await store.get("/pods/a/x") == updated)
            let deleted = try await store.delete("/pods/a/x", expected: updated.revision) { _ in [1] }
            #expect(deleted.revision == start + 3)
            #expect(try await store.get("/pods/a/x") == nil)
            #expect(await store.revision == start + 3)
        }
    }

    @Test(arguments: Kind.allCases) func refusesWhatDoesNotFit(_ kind: Kind) async throws {
        try await with(kind) { store in
            let first = try await store.create("/a/k") { _ in [1] }
            await #expect(throws: StoreError.exists(key: "/a/k")) { try await store.create("/a/k") { _ in [2] } }
            await #expect(throws: StoreError.conflict(key: "/a/k", current: first.revision)) {
                try await store.update("/a/k", expected: 99) { _ in [2] }
            }
            await #expect(throws: StoreError.conflict(key: "/a/k", current: first.revision)) {
                try await store.delete("/a/k", expected: 99) { _ in [2] }
            }
            await #expect(throws: StoreError.notFound(key: "/a/none")) {
                try await store.update("/a/none", expected: 1) { _ in [2] }
            }
            #expect(await store.revision == first.revision)
        }
    }

    @Test(arguments: Kind.allCases) func listsPagesInOrderAndAtThePast(_ kind: Kind) async throws {
        try await with(kind) { store in
            for number in [5, 3, 9, 1, 7] { _ = try await store.create("/pods/n/\(number)") { _ in [UInt8(number)] } }
            _ = try await store.create("/podsets/n/0") { _ in [] }
            let page = try await store.list(prefix: "/pods/", after: nil, limit: 2, at: nil)
            #expect(page.records.map(\.key) == ["/pods/n/1", "/pods/n/3"])
            #expect(page.remaining == 3)
            _ = try await store.create("/pods/n/4") { _ in [] }
            let five = try #require(try await store.get("/pods/n/5"))
            _ = try await store.delete("/pods/n/5", expected: five.revision) { _ in [] }
            let nine = try #require(try await store.get("/pods/n/9"))
            _ = try await store.update("/pods/n/9", expected: nine.revision) { _ in [99] }
            let rest = try await store.list(prefix: "/pods/", after: "/pods/n/3", limit: nil, at: page.revision)
            #expect(rest.records.map(\.key) == ["/pods/n/5", "/pods/n/7", "/pods/n/9"])
            #expect(rest.records.last?.value == [9])
            #expect(rest.revision == page.revision)
            let now = try await store.list(prefix: "/pods/", after: "/pods/n/3", limit: nil, at: nil)
            #expect(now.records.map(\.key) == ["/pods/n/4", "/pods/n/7", "/pods/n/9"])
            await #expect(throws: StoreError.future(current: now.revision)) {
                try await store.list(prefix: "/pods/", after: nil, limit: nil, at: now.revision + 1)
            }
        }
    }

    @Test(arguments: Kind.allCases) func watchesReplayAndFollow(_ kind: Kind) async throws {
        try await with(kind) { store in
            let first = try await store.create("/pods/a/1") { _ in [1] }
            _ = try await store.create("/pods/b/1") { _ in [2] }
            let watch = try await store.watch(prefix: "/pods/a/", after: first.revision - 1)
            let second = try await store.update("/pods/a/1", expected: first.revision) { _ in [3] }
            var seen: [StoreEvent] = []
            while seen.count < 2 { seen += try await watch.next().events }
            #expect(seen.map(\.kind) == [.created, .updated])
            #expect(seen[1].previous == first)
            async let pending = watch.next()
            _ = try await store.delete("/pods/a/1", expected: second.revision) { Array("gone@\($0)".utf8) }
            let last = try await pending
            #expect(last.events.map(\.kind) == [.deleted])
            #expect(last.events[0].record.value == Array("gone@\(last.revision)".utf8))
            #expect(last.events[0].previous == second)
            watch.cancel()
            await #expect(throws: CancellationError.self) { try await watch.next() }
        }
    }

    @Test(arguments: Kind.allCases) func progressMarksNameTheNewestRevision(_ kind: Kind) async throws {
        try await with(kind) { store in
            let watch = try await store.watch(prefix: "/pods/", after: await store.revision)
            let other = try await store.create("/nodes/n") { _ in [] }
            watch.requestProgress()
            let mark = try await watch.next()
            #expect(mark.events.isEmpty)
            #expect(mark.revision == other.revision)
            watch.cancel()
        }
    }

    /// A reader that is cancelled at the moment in which its event comes gets one or the other; nobody waits for ever.
    @Test(arguments: Kind.allCases) func readersAreCancelledWhileEventsCome(_ kind: Kind) async throws {
        try await with(kind) { store in
            for round in 0..<400 {
                let first = await store.revision
                var readers: [Task<Bool, any Error>] = []
                for _ in 0..<32 {
                    let watch = try await store.watch(prefix: "/k/", after: first)
                    readers.append(
                        Task {
                            defer { watch.cancel() }
                            return try await watch.next().events.count == 1
                        })
                }
                // All wait by then, more or less; when the event comes to them, and when the end, differs each time.
                try await Task.sleep(for: .milliseconds(1))
                let cancelled = readers
                let cancelling = Task.detached {
                    usleep(UInt32(round % 20) * 20)
                    for reader in cancelled.reversed() { reader.cancel() }
                }
                _ = try await store.create("/k/\(round)") { _ in [] }
                await cancelling.value
                for reader in readers {
                    switch await reader.result {
                    case .success(let isWhole): #expect(isWhole)
                    case .failure(let error): #expect(error is CancellationError)
                    }
                }
            }
        }
    }

    @Test(arguments: Kind.allCases) func slowWatchersAreCutOff(_ kind: Kind) async throws {
        var limits = StoreLimits()
        limits.watchBuffer = 3
        try await with(kind, limits: limits) { store in
            let watch = try await store.watch(prefix: "/k/", after: await store.revision)
            for number in 0..<4 { _ = try await store.create("/k/\(number)") { _ in [] } }
            await #expect(throws: StoreError.overrun) { try await watch.next() }
            watch.cancel()
        }
    }

    /// A few large events fill a watcher's buffer as many small ones do.
    @Test(arguments: Kind.allCases) func slowWatchersAreCutOffByBytes(_ kind: Kind) async throws {
        var limits = StoreLimits()
        limits.watchBytes = 10_000
        try await with(kind, limits: limits) { store in
            let start = await store.revision
            let watch = try await store.watch(prefix: "/k/", after: start)
            // One event may be larger than the bound: it has to come somehow.
            _ = try await store.create("/k/large") { _ in [UInt8](repeating: 1, count: 20_000) }
            #expect(try await watch.next().events.count == 1)
            for number in 0..<3 {
                _ = try await store.create("/k/\(number)") { _ in [UInt8](repeating: 1, count: 4_000) }
            }
            await #expect(throws: StoreError.overrun) { try await watch.next() }
            watch.cancel()
            // What the history replays is not held against the watcher.
            let again = try await store.watch(prefix: "/k/", after: start)
            #expect(try await again.next().events.count == 4)
            again.cancel()
        }
    }

    @Test(arguments: Kind.allCases) func compactionForgetsThePastOnly(_ kind: Kind) async throws {
        try await with(kind) { store in
            var record = try await store.create("/k/x") { _ in [0] }
            for value in 1..<10 {
                record = try await store.update("/k/x", expected: record.revision) { _ in [UInt8(value)] }
            }
            let middle = record.revision - 4
            try await store.compact(before: middle)
            await #expect(throws: StoreError.compacted(oldest: middle - 1)) {
                try await store.watch(prefix: "/k/", after: middle - 2)
            }
            await #expect(throws: StoreError.compacted(oldest: middle - 1)) {
                try await store.list(prefix: "/k/", after: nil, limit: nil, at: middle - 2)
            }
            let watch = try await store.watch(prefix: "/k/", after: middle - 1)
            #expect(try await watch.next().events.count == 5)
            watch.cancel()
            let old = try await store.list(prefix: "/k/", after: nil, limit: nil, at: middle)
            #expect(old.records.map(\.revision) == [middle])
            #expect(try await store.get("/k/x") == record)
        }
    }

    @Test(arguments: Kind.allCases) func historyIsBounded(_ kind: Kind) async throws {
        var limits = StoreLimits()
        limits.historyEvents = 4
        try await with(kind, limits: limits) { store in
            let start = await store.revision
            for number in 0..<10 { _ = try await store.create("/k/\(number)") { _ in [] } }
            await #expect(throws: StoreError.compacted(oldest: start + 6)) {
                try await store.watch(prefix: "/k/", after: start)
            }
            #expect(try await store.list(prefix: "/k/", after: nil, limit: nil, at: nil).records.count == 10)
        }
    }

    /// Every revision is given out once and each writer's counter ends where the writes say.
    @Test(arguments: Kind.allCases) func concurrentWritersLoseNothing(_ kind: Kind) async throws {
        try await with(kind) { store in
            _ = try await store.create("/counter") { _ in [0] }
            let revisions = try await withThrowingTaskGroup(of: [Revision].self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        var mine: [Revision] = []
                        while mine.count < 10 {
                            guard let now = try await store.get("/counter") else { throw StoreError.notFound(key: "") }
                            do {
                                let next = now.value[0] + 1
                                mine.append(
                                    try await store.update("/counter", expected: now.revision) { _ in [next] }.revision)
                            } catch StoreError.conflict { continue }
                        }
                        return mine
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(Set(revisions).count == 80)
            #expect(try await store.get("/counter")?.value == [80])
        }
    }

    @Test(arguments: Kind.allCases) func backupsAreStores(_ kind: Kind) async throws {
        let folder = try Folder()
        defer { folder.remove() }
        let target = folder.path + "/copy.db"
        var newest: Revision = 0
        try await with(kind) { store in
            for number in 0..<20 { _ = try await store.create("/k/\(number)") { _ in [UInt8(number)] } }
            let doomed = try #require(try await store.get("/k/3"))
            newest = try await store.delete("/k/3", expected: doomed.revision) { _ in [] }.revision
            try await store.backup(to: target)
            _ = try await store.create("/k/late") { _ in [] }
        }
        let copy = try SQLiteStore(path: target)
        let page = try await copy.list(prefix: "/k/", after: nil, limit: nil, at: nil)
        #expect(page.records.count == 19)
        #expect(page.revision == newest)
        await copy.close()
    }
}

/// What only a store on disk can do.
@Suite struct DiskTests {
    /// The room of what compaction forgot is used again: the file grows with what is kept, not with what was written.
    @Test func compactionMakesRoom() async throws {
        let folder = try Folder()
        defer { folder.remove() }
        let path = folder.path + "/store.db"
        let store = try SQLiteStore(path: path)
        func size() -> Int {
            [path, path + "-wal"].reduce(0) { sum, name in
                var status = stat()
                return sum + (stat(name, &status) == 0 ? Int(status.st_size) : 0)
            }
        }
        var record = try await store.create("/k/x") { _ in [] }
        var sizes: [Int] = []
        for _ in 0..<12 {
            for _ in 0..<50 {
                record = try await store.update("/k/x", expected: record.revision) { _ in
                    [UInt8](repeating: 7, count: 20_000)
                }
            }
            try await store.compact(before: record.revision)
            sizes.append(size())
        }
        // 12 MB were written, of which 20 KB are left.
        #expect(sizes[11] <= sizes[3] + 100_000, "\(sizes)")
        #expect(sizes[11] < 8_000_000, "\(sizes)")
        await #expect(throws: StoreError.compacted(oldest: record.revision - 1)) {
            try await store.watch(prefix: "/k/", after: record.revision - 2)
        }
        await store.close()
        let again = try SQLiteStore(path: path)
        #expect(try await again.get("/k/x") == record)
        #expect(try await again.list(prefix: "/k/", after: nil, limit: nil, at: nil).revision == record.revision)
        await again.close()
    }

    /// A copy taken amid writes holds all of them up to one revision, and none after it.
    @Test func aBackupIsOneMoment() async throws {
        let folder = try Folder()
        defer { folder.remove() }
        let store = try SQLiteStore(path: folder.path + "/store.db")
        let target = folder.path + "/copy.db"
        let first = try await store.create("/first") { _ in [1] }
        try await withThrowingTaskGroup { group in
            for writer in 0..<4 {
                group.addTask {
                    for number in 0..<40 {
                        _ = try await store.create("/k/\(writer)/\(number)") { _ in [UInt8(number)] }
                    }
                }
            }
            group.addTask { try await store.backup(to: target) }
            try await group.waitForAll()
        }
        let copy = try SQLiteStore(path: target)
        let page = try await copy.list(prefix: "/", after: nil, limit: nil, at: nil)
        let original = try await store.list(prefix: "/", after: nil, limit: nil, at: page.revision)
        #expect(page.records == original.records)
        #expect(page.records.contains(first))
        // Its history came along: whoever watched the original can go on with the copy.
        let watch = try await copy.watch(prefix: "/", after: first.revision - 1)
        #expect(try await watch.next().events.map(\.record.revision) == Array(first.revision...page.revision))
        watch.cancel()
        await copy.close()
        await store.close()
        await #expect(throws: StoreError.self) { try await store.backup(to: target) }
    }
}

/// A folder of a test's own under /tmp.
struct Folder {
    let path: String

    init() throws {
        var template = Array("/tmp/lab-store-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw StoreError.failed("mkdtemp: errno \(errno)") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    func remove() {
        for suffix in ["store.db", "store.db-wal", "store.db-shm", "copy.db", "copy.db-wal", "copy.db-shm", "acks"] {
            unlink(path + "/" + suffix)
        }
        rmdir(path)
    }
}
