import CSQLite

/// The few calls of SQLite that the event log needs. Used by one thread at a time.
final class Database {
    private var handle: OpaquePointer?

    init(path: String, create: Bool = true) throws(StoreError) {
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (create ? SQLITE_OPEN_CREATE : 0)
        let code = sqlite3_open_v2(path, &handle, flags, nil)
        guard code == SQLITE_OK else { throw failure("open \(path)") }
    }

    deinit { sqlite3_close_v2(handle) }

    private func failure(_ what: String) -> StoreError {
        .failed("\(what): \(handle.map { String(cString: sqlite3_errmsg($0)) } ?? "out of memory")")
    }

    func run(_ sql: String) throws(StoreError) {
        guard sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK else { throw failure(sql) }
    }

    func prepare(_ sql: String) throws(StoreError) -> Statement {
        var statement: OpaquePointer?
        guard sqlite3_prepare_v2(handle, sql, -1, &statement, nil) == SQLITE_OK, let statement else {
            throw failure(sql)
        }
        return Statement(statement, database: self)
    }

    /// A prepared statement: bind, step, read columns, reset.
    final class Statement {
        private let statement: OpaquePointer
        private let database: Database
        // SQLite copies what is bound with this marker instead of keeping our pointer.
        private static let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)

        fileprivate init(_ statement: OpaquePointer, database: Database) {
            self.statement = statement
            self.database = database
        }

        deinit { sqlite3_finalize(statement) }

        func bind(_ index: Int32, _ value: Int64) { sqlite3_bind_int64(statement, index, value) }
        func bind(_ index: Int32, _ text: String) {
            sqlite3_bind_text(statement, index, text, Int32(text.utf8.count), Self.transient)
        }
        func bind(_ index: Int32, _ bytes: [UInt8]) {
            sqlite3_bind_blob(statement, index, bytes, Int32(bytes.count), Self.transient)
        }

        /// True while there is a row to read.
        func step() throws(StoreError) -> Bool {
            switch sqlite3_step(statement) {
            case SQLITE_ROW: return true
            case SQLITE_DONE: return false
            default: throw database.failure("step")
            }
        }

        /// Runs a statement that answers no rows, and makes it ready for the next values.
        func execute() throws(StoreError) {
            defer { sqlite3_reset(statement) }
            _ = try step()
        }

        func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(statement, column) }
        func text(_ column: Int32) -> String {
            sqlite3_column_text(statement, column).map { String(cString: $0) } ?? ""
        }
        func bytes(_ column: Int32) -> [UInt8] {
            guard let start = sqlite3_column_blob(statement, column) else { return [] }
            return Array(UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(statement, column))))
        }
    }
}
