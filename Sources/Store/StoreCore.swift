/// One write as its caller asked for it; what it means is decided when its turn comes.
struct Write: Sendable {
    enum Kind: Sendable {
        case create
        case update(expected: Revision)
        case delete(expected: Revision)
    }

    var kind: Kind
    var key: String
    var encode: Encoding

    /// The event that this write is at `revision`, given the record that the key has now.
    func plan(current: Record?, revision: Revision) throws(StoreError) -> Happening {
        switch (kind, current) {
        case (.create, .some): throw .exists(key: key)
        case (.create, nil):
            let record = Record(key: key, value: encode(revision), revision: revision, created: revision)
            return Happening(kind: .created, record: record, previous: nil)
        case (.update, nil), (.delete, nil): throw .notFound(key: key)
        case (.update(let expected), .some(let current)), (.delete(let expected), .some(let current)):
            guard current.revision == expected else { throw .conflict(key: key, current: current.revision) }
            let record = Record(key: key, value: encode(revision), revision: revision, created: current.created)
            if case .update = kind { return Happening(kind: .updated, record: record, previous: current) }
            return Happening(kind: .deleted, record: record, previous: current)
        }
    }
}

/// A write that took effect, as the history keeps it.
struct Happening: Sendable {
    var kind: StoreEvent.Kind
    var record: Record
    var previous: Record?

    /// Bytes that nothing but the history holds once this has happened.
    var historicBytes: Int { (previous?.value.count ?? 0) + (kind == .deleted ? record.value.count : 0) }

    /// Revisions whose bytes nobody can ask for any more once this has left the history.
    var superseded: [Revision] {
        var revisions: [Revision] = []
        if let previous { revisions.append(previous.revision) }
        if kind == .deleted { revisions.append(record.revision) }
        return revisions
    }

    var event: StoreEvent { StoreEvent(kind: kind, record: record, previous: previous) }
}

/// The state of a store as a plain value: current records, and what happened since the compaction.
///
/// Invariant: `history` holds every happening after `compacted`, in order, without gaps; so the state at any
/// revision from `compacted` on is the current one with the later happenings undone.
struct StoreCore: Sendable {
    private(set) var table = SortedTable()
    private var history = Ring<Happening>()
    private var historicBytes = 0
    private(set) var revision: Revision
    private(set) var compacted: Revision
    let limits: StoreLimits

    init(limits: StoreLimits, revision: Revision = 1, compacted: Revision = 1) {
        self.limits = limits
        self.revision = revision
        self.compacted = compacted
    }

    /// Takes a happening in; its revision is the next one. Returns what the bounds pushed out of the history.
    mutating func apply(_ happening: Happening) -> [Happening] {
        change(happening)
        history.append(happening)
        historicBytes += happening.historicBytes
        var dropped: [Happening] = []
        while history.count > limits.historyEvents || historicBytes > limits.historyBytes,
            let oldest = history.removeFirst()
        {
            forget(oldest)
            dropped.append(oldest)
        }
        return dropped
    }

    /// Takes in what happened before the compaction: the history does not keep it.
    mutating func restore(_ happening: Happening) { change(happening) }

    private mutating func change(_ happening: Happening) {
        revision = max(revision, happening.record.revision)
        if happening.kind == .deleted {
            table.remove(happening.record.key)
        } else {
            table.set(happening.record)
        }
    }

    private mutating func forget(_ happening: Happening) {
        historicBytes -= happening.historicBytes
        compacted = max(compacted, happening.record.revision)
    }

    mutating func compact(before wanted: Revision) -> [Happening] {
        var dropped: [Happening] = []
        while let oldest = history.first, oldest.record.revision < wanted {
            _ = history.removeFirst()
            forget(oldest)
            dropped.append(oldest)
        }
        return dropped
    }

    func check(_ asked: Revision) throws(StoreError) {
        if asked > revision { throw .future(current: revision) }
        if asked < compacted { throw .compacted(oldest: compacted) }
    }

    func list(prefix: String, after: String?, limit: Int?, at asked: Revision?) throws(StoreError) -> Page {
        guard let asked, asked != revision else {
            let (records, remaining) = table.records(prefix: prefix, after: after, limit: limit)
            return Page(records: records, revision: revision, remaining: remaining)
        }
        try check(asked)
        // What each changed key was at `asked`: the first happening after it says what it was before.
        var past: [String: Record?] = [:]
        for index in history.indices(where: { $0.record.revision > asked }) {
            let happening = history[index]
            let key = happening.record.key
            guard key.utf8.starts(with: prefix.utf8), past[key] == nil else { continue }
            past[key] = .some(happening.previous)
        }
        var old = table
        for (key, record) in past {
            if let record { old.set(record) } else { old.remove(key) }
        }
        let (records, remaining) = old.records(prefix: prefix, after: after, limit: limit)
        return Page(records: records, revision: asked, remaining: remaining)
    }

    /// The events of a prefix after a revision.
    func events(prefix: String, after asked: Revision) throws(StoreError) -> [StoreEvent] {
        try check(asked)
        return history.indices(where: { $0.record.revision > asked }).lazy.map { history[$0] }
            .filter { $0.record.key.utf8.starts(with: prefix.utf8) }.map(\.event)
    }
}

/// A queue in one array: taken elements leave a gap at the front that is closed when it has grown large.
struct Ring<Element: Sendable>: Sendable {
    private var slots: [Element?] = []
    private var head = 0

    init() {}

    var count: Int { slots.count - head }
    var first: Element? { head < slots.count ? slots[head] : nil }

    /// The element at a position counted from the oldest; a programming error past the end.
    subscript(index: Int) -> Element {
        guard let element = slots[head + index] else { preconditionFailure("slots from the head on are filled") }
        return element
    }

    mutating func append(_ element: Element) { slots.append(element) }

    mutating func removeFirst() -> Element? {
        guard head < slots.count else { return nil }
        let element = slots[head]
        slots[head] = nil
        head += 1
        if head > 1_024, head * 2 > slots.count {
            slots.removeFirst(head)
            head = 0
        }
        return element
    }

    /// The positions from the first element on that satisfies `later`, which must hold for all that follow it.
    func indices(where later: (Element) -> Bool) -> Range<Int> {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if later(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low..<count
    }
}
