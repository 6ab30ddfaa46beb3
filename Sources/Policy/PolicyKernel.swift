import Basics
import Linux

/// Keeps one node's kernel equal to what the planner says.
struct PolicyKernel {
    private let tables: Nftables

    init(namespace: NetworkNamespace?) throws { tables = try Nftables(in: namespace) }

    func isInPlace() throws -> Bool { try tables.hasTable(PolicyRules.table) }

    func rebuild(_ whole: PolicyChange) throws { try tables.commit(PolicyRules.initial(whole)) }

    func apply(_ change: PolicyChange) throws {
        if change.isEmpty { return }
        try tables.commit(PolicyRules.update(change))
    }

    /// Takes the table away where it is.
    func remove() throws {
        guard try isInPlace() else { return }
        var batch = NftBatch(table: PolicyRules.table)
        batch.deleteTable()
        try tables.commit(batch)
    }
}
