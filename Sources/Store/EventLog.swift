import Glibc

/// The store's file: one table with a row for each write, which is the history and the current state in one.
///
///     log(revision PRIMARY KEY, kind, key, created, previous, value)
///     mark(name PRIMARY KEY, value)      compacted, revision
///
/// A row goes when it was superseded (or is a deletion) and the write that superseded it has left the history.
/// Rows after `compacted` are therefore complete, and older ones are the current records, or left-overs of a crash
/// that the next opening removes. `revision` keeps the count from going back where the newest rows are gone.
struct EventLog {
    private static let format = 1

    private let database: Database
    private let insert: Database.Statement
    private let remove: Database.Statement
    private let mark: Database.Statement

    init(path: String) throws(StoreError) {
        database = try Database(path: path)
        try database.run("PRAGMA journal_mode=WAL")
        // Each commit reaches the disk before its caller hears of it; group commit makes that cheap.
        try database.run("PRAGMA synchronous=FULL")
        // Current values live in our memory, so that the page cache serves only the tail of the log.
        try database.run("PRAGMA cache_size=-1024")
        try database.run("PRAGMA busy_timeout=5000")
        try database.run(
            """
            CREATE TABLE IF NOT EXISTS log(revision INTEGER PRIMARY KEY, kind INTEGER NOT NULL, key TEXT NOT NULL,
              created INTEGER NOT NULL, previous INTEGER NOT NULL, value BLOB NOT NULL);
            CREATE TABLE IF NOT EXISTS mark(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
            """)
        let version = try database.prepare("SELECT value FROM mark WHERE name = 'format'")
        if try version.step(), version.integer(0) != Self.format {
            throw .failed("\(path) has format \(version.integer(0)), this program reads format \(Self.format)")
        }
        insert = try database.prepare(
            "INSERT INTO log(revision, kind, key, created, previous, value) VALUES(?, ?, ?, ?, ?, ?)")
        remove = try database.prepare("DELETE FROM log WHERE revision = ?")
        mark = try database.prepare("INSERT OR REPLACE INTO mark(name, value) VALUES(?, ?)")
        try set("format", Int64(Self.format))
    }

    private func set(_ name: String, _ value: Int64) throws(StoreError) {
        mark.bind(1, name)
        mark.bind(2, value)
        try mark.execute()
    }

    private func value(of name: String) throws(StoreError) -> Int64? {
        let query = try database.prepare("SELECT value FROM mark WHERE name = ?")
        query.bind(1, name)
        return try query.step() ? query.integer(0) : nil
    }

    /// Runs `body` as one transaction: all of it is on disk when this returns, or none.
    func transaction(_ body: () throws(StoreError) -> Void) throws(StoreError) {
        try database.run("BEGIN IMMEDIATE")
        do {
            try body()
            try database.run("COMMIT")
        } catch {
            // A failed commit may have rolled back by itself; then this has nothing to do.
            try? database.run("ROLLBACK")
            throw error
        }
    }

    func append(_ happening: Happening) throws(StoreError) {
        insert.bind(1, happening.record.revision)
        insert.bind(2, Int64(happening.kind.rawValue))
        insert.bind(3, happening.record.key)
        insert.bind(4, happening.record.created)
        insert.bind(5, happening.previous?.revision ?? 0)
        insert.bind(6, happening.record.value)
        try insert.execute()
    }

    /// Removes what left the history, and notes how far the history now goes back.
    func forget(_ happenings: [Happening], compacted: Revision, revision: Revision) throws(StoreError) {
        for superseded in happenings.flatMap(\.superseded) {
            remove.bind(1, superseded)
            try remove.execute()
        }
        try set("compacted", compacted)
        try set("revision", revision)
    }

    /// Reads the whole log.
    func recover(limits: StoreLimits) throws(StoreError) -> StoreCore {
        let compacted = try value(of: "compacted") ?? 1
        let revision = max(try value(of: "revision") ?? 1, compacted)
        var core = StoreCore(limits: limits, revision: revision, compacted: compacted)
        var dropped: [Happening] = []
        var leftOver: [Happening] = []
        let rows = try database.prepare("SELECT revision, kind, key, created, value FROM log ORDER BY revision")
        while try rows.step() {
            guard let kind = StoreEvent.Kind(rawValue: Int(rows.integer(1))) else {
                throw .failed("the log's row \(rows.integer(0)) is of an unknown kind")
            }
            let record = Record(
                key: rows.text(2), value: rows.bytes(4), revision: rows.integer(0), created: rows.integer(3))
            let happening = Happening(kind: kind, record: record, previous: core.table[record.key])
            if record.revision > compacted {
                dropped += core.apply(happening)
            } else {
                core.restore(happening)
                leftOver.append(
                    Happening(
                        kind: kind,
                        record: Record(
                            key: "", value: [], revision: record.revision,
                            created: 0), previous: happening.previous))
            }
        }
        try transaction { () throws(StoreError) in
            try forget(leftOver + dropped, compacted: core.compacted, revision: core.revision)
        }
        return core
    }

    /// Writes a new file that holds `page` and nothing of the past.
    static func write(_ page: Page, to path: String) throws(StoreError) {
        guard access(path, F_OK) != 0 else { throw .failed("\(path) exists already") }
        let log = try EventLog(path: path)
        try log.transaction { () throws(StoreError) in
            for record in page.records.sorted(by: { $0.revision < $1.revision }) {
                try log.append(Happening(kind: .created, record: record, previous: nil))
            }
            try log.set("compacted", page.revision)
            try log.set("revision", page.revision)
        }
        try log.database.run("PRAGMA journal_mode=DELETE")
    }

    /// Copies the database at `path` as it is at this moment, while others write to it.
    static func copy(_ path: String, to target: String) throws(StoreError) {
        guard access(target, F_OK) != 0 else { throw .failed("\(target) exists already") }
        let database = try Database(path: path, create: false)
        try database.run("PRAGMA busy_timeout=5000")
        let statement = try database.prepare("VACUUM INTO ?")
        statement.bind(1, target)
        try statement.execute()
    }
}
