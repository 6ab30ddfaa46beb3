import Synchronization

/// What only the machine can do that a cluster runs on.
public protocol Machinery: Sendable {
    /// Answers the fault's name.
    func add(_ fault: FaultDeed) async throws -> String
    func remove(fault name: String) async throws
    func takeSnapshot(_ name: String) async throws
    func dropSnapshot(_ name: String) async throws
    func restore(_ name: String) async throws
    /// Answers the nodes' names.
    func change(_ deed: NodeDeed) async throws -> [String]
}

/// What a scenario did to its cluster's machine and has not undone yet.
final class MachineryJournal: Sendable {
    private struct State {
        var faults: [String] = []
        var snapshots: [String] = []
        var stopped: [String] = []
        var added: [String] = []
    }

    private let state = Mutex(State())

    func perform(_ deed: FaultDeed, on machinery: any Machinery) async throws -> String {
        switch deed.verb {
        case .add:
            let name = try await machinery.add(deed)
            state.withLock { $0.faults.append(name) }
            return name
        case .remove:
            try await machinery.remove(fault: deed.what)
            state.withLock { $0.faults.removeAll { $0 == deed.what } }
            return deed.what
        }
    }

    func snapshot(_ name: String, on machinery: any Machinery) async throws {
        try await machinery.takeSnapshot(name)
        state.withLock { $0.snapshots.append(name) }
    }

    func perform(_ deed: NodeDeed, on machinery: any Machinery) async throws -> [String] {
        let names = try await machinery.change(deed)
        state.withLock { state in
            switch deed.verb {
            case .stop: state.stopped += names
            case .start: state.stopped.removeAll { names.contains($0) }
            case .add: state.added += names
            case .remove:
                state.added.removeAll { names.contains($0) }
                state.stopped.removeAll { names.contains($0) }
            }
        }
        return names
    }

    /// Puts the machine back. Answers what could not be.
    func undo(on machinery: any Machinery) async -> [String] {
        let left = state.withLock { state in
            defer { state = State() }
            return state
        }
        var notes: [String] = []
        func attempt(_ what: String, _ body: () async throws -> Void) async {
            do { try await body() } catch { notes.append("\(what): \(error)") }
        }
        for fault in left.faults {
            await attempt("the fault \(fault) stays") { try await machinery.remove(fault: fault) }
        }
        for node in left.stopped {
            await attempt("the node \(node) stays stopped") {
                _ = try await machinery.change(NodeDeed(verb: .start, what: node))
            }
        }
        for node in left.added {
            await attempt("the node \(node) stays") {
                _ = try await machinery.change(NodeDeed(verb: .remove, what: node))
            }
        }
        for snapshot in left.snapshots {
            await attempt("the snapshot \(snapshot) stays") { try await machinery.dropSnapshot(snapshot) }
        }
        return notes
    }
}
