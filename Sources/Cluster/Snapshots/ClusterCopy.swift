import Basics
import Document
import Glibc
import Linux
import Store

/// Copies a cluster's directory: the store through its own backup, so that the copy is one moment of it; the binary,
/// which never changes, as a second name of the same file; all else as it is.
struct ClusterCopy: Sendable {
    let source: String
    let target: String
    /// The directory of the node that has the store, below the cluster's.
    let controlPlane: String

    private static let store = "var/lib/store"

    /// Whatever fails leaves nothing at `target`.
    func run() throws -> Int64 {
        do {
            let bytes = try TreeCopy.copy(source, to: target, skips: skips)
            let store = try copyStore()
            try shareBinary()
            return bytes + store
        } catch {
            try? Files.removeTree(target)
            throw error
        }
    }

    /// Control sockets and records of running processes belong to the original alone.
    private func skips(_ path: String) -> Bool {
        let words = path.split(separator: "/")
        switch words.first {
        case "lab", "host-link.json": return true
        case "s", "host": return words.count > 1
        case "nodes":
            if words.count > 3, words[2] == "s" { return true }
            return path.hasPrefix("\(controlPlane)/\(Self.store)/")
        default: return path.hasSuffix(".tmp")
        }
    }

    private func copyStore() throws -> Int64 {
        let database = "\(controlPlane)/\(Self.store)/lab.db"
        guard Files.exists("\(source)/\(database)") else { return 0 }
        do { try SQLiteStore.copy("\(source)/\(database)", to: "\(target)/\(database)") } catch {
            guard case .failed(let reason) = error else { throw error }
            throw Failure("cannot copy the cluster's objects: \(reason)", remedy: "make room, or try again")
        }
        var status = stat()
        return stat("\(target)/\(database)", &status) == 0 ? Int64(status.st_size) : 0
    }

    private func shareBinary() throws {
        if link("\(source)/lab", "\(target)/lab") == 0 { return }
        try Files.copy("\(source)/lab", to: "\(target)/lab", mode: 0o755)
    }
}
