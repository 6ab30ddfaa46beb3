import Basics
import Document
import Linux

/// Removes what is left of pods that the API server no longer has: they were deleted while this agent was away.
struct OrphanSweep: Sendable {
    private let node: NodeContext
    /// Taken before any worker runs: what comes later belongs to a worker.
    private let known: Set<String>
    private let logs: [String]

    init(node: NodeContext) {
        self.node = node
        let root = node.configuration.rootDirectory
        known = Set((try? Files.list("\(root)/sandboxes")) ?? []).union((try? Files.list("\(root)/pods")) ?? [])
        logs = (try? Files.list(node.configuration.logDirectory)) ?? []
    }

    /// Before any pod asks for an address, or it might lose it again.
    func retainAddresses(_ living: Set<String>) async {
        do { try await node.network.retain(only: living) } catch {
            node.log.warning("addresses of pods that are gone: \(error)")
        }
    }

    func removeOrphans(_ living: Set<String>) async {
        // What comes from a URL may not have come yet; its pods go by hashes, those of the API by dashed uids.
        let mayCome = !node.configuration.staticPodURL.isEmpty
        for uid in known.subtracting(living).sorted() where !(mayCome && !uid.contains("-")) {
            do { try await remove(uid) } catch { node.log.warning("orphaned pod \(uid): \(error)") }
        }
        let root = node.configuration.logDirectory
        for name in logs {
            guard let uid = name.split(separator: "_").last, !living.contains(String(uid)) else { continue }
            try? await node.pool.run { try Files.removeTree("\(root)/\(name)") }
        }
    }

    /// Its address goes with `retainAddresses`, as soon as there is a network.
    private func remove(_ uid: String) async throws {
        try await node.removeSandboxes(uid)
        try await node.volumes.remove(uid: uid)
    }
}
