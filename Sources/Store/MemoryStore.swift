/// A store that forgets everything when it goes: for tests, for simulations, and for clusters that need no disk.
public final class MemoryStore: Store {
    private let shared: SharedCore

    public init(limits: StoreLimits = StoreLimits()) { shared = SharedCore(StoreCore(limits: limits)) }

    public func create(_ key: String, _ encode: @escaping Encoding) async throws -> Record {
        try shared.commit(Write(kind: .create, key: key, encode: encode))
    }

    public func update(_ key: String, expected: Revision, _ encode: @escaping Encoding) async throws -> Record {
        try shared.commit(Write(kind: .update(expected: expected), key: key, encode: encode))
    }

    public func delete(_ key: String, expected: Revision, _ encode: @escaping Encoding) async throws -> Record {
        try shared.commit(Write(kind: .delete(expected: expected), key: key, encode: encode))
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

    public func compact(before revision: Revision) async throws { _ = shared.compact(before: revision) }

    /// Writes the same file as a `SQLiteStore` with these records, without history.
    public func backup(to path: String) async throws {
        let page = try shared.read { core throws(StoreError) in
            try core.list(prefix: "", after: nil, limit: nil, at: nil)
        }
        try EventLog.write(page, to: path)
    }

    public func close() async { shared.close() }
}
