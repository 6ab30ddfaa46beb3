import Basics
import Linux

/// Keeps one node's kernel equal to what the planner says.
public struct PolicyKernel {
    private let tables: Nftables

    public init(namespace: NetworkNamespace?) throws { tables = try Nftables(in: namespace) }

    public func isInPlace() throws -> Bool { try tables.hasTable(PolicyRules.table) }

    public func rebuild(_ whole: PolicyChange) throws { try tables.commit(PolicyRules.initial(whole)) }

    public func apply(_ change: PolicyChange) throws {
        if change.isEmpty { return }
        try tables.commit(PolicyRules.update(change))
    }

    /// Takes the table away where it is.
    public func remove() throws {
        guard try isInPlace() else { return }
        var batch = NftBatch(table: PolicyRules.table)
        batch.deleteTable()
        try tables.commit(batch)
    }
}
