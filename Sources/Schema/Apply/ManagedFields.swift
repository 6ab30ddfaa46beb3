import Document

/// One entry of `metadata.managedFields`: the fields that somebody owns.
public struct ManagedEntry: Sendable {
    /// Who owns, and how they write. Appliers are the same whatever version they apply.
    public struct Identity: Sendable, Hashable {
        public var manager: String
        public var isApply: Bool
        public var subresource: String
        /// Empty for appliers.
        public var apiVersion: String

        public init(manager: String, isApply: Bool, apiVersion: String, subresource: String) {
            self.manager = manager
            self.isApply = isApply
            self.subresource = subresource
            self.apiVersion = isApply ? "" : apiVersion
        }

        /// How messages about conflicts name it.
        var text: String {
            var text = Document(manager).jsonText
            if !subresource.isEmpty { text += " with subresource \(Document(subresource).jsonText)" }
            return isApply ? text : text + " using \(apiVersion)"
        }

        var operation: String { isApply ? "Apply" : "Update" }
    }

    public private(set) var identity: Identity
    /// The version of the kind that the fields are of.
    public internal(set) var apiVersion: String
    /// Not there for who owns without having changed anything.
    public internal(set) var time: String?
    private var content: Content

    /// Most writes touch the fields of few entries; the others stay as they were read.
    private enum Content: Sendable {
        case wire(Document)
        case set(FieldSet)
    }

    public init(_ identity: Identity, apiVersion: String, time: String?, fields: FieldSet) {
        self.identity = identity
        self.apiVersion = apiVersion
        self.time = time
        content = .set(fields)
    }

    /// Reads an entry; nil where it is none.
    init?(_ entry: Document) {
        let version = entry.text("apiVersion") ?? ""
        let operation = entry.text("operation")
        guard operation == "Apply" || operation == "Update", !version.isEmpty, entry.text("fieldsType") == "FieldsV1"
        else { return nil }
        identity = Identity(
            manager: entry.text("manager") ?? "", isApply: operation == "Apply", apiVersion: version,
            subresource: entry.text("subresource") ?? "")
        apiVersion = version
        time = entry.text("time")
        let fields = entry["fieldsV1"] ?? .null
        guard fields.isObject || fields.isNull else { return nil }
        content = .wire(fields.isNull ? .emptyObject : fields)
    }

    public var fields: FieldSet {
        get {
            switch content {
            case .wire(let fields): FieldSet(fields) ?? FieldSet()
            case .set(let fields): fields
            }
        }
        set { content = .set(newValue) }
    }

    var isEmpty: Bool {
        switch content {
        case .wire(let fields): fields.count == 0
        case .set(let fields): fields.isEmpty
        }
    }

    func touches(_ changes: FieldSet) -> Bool {
        switch content {
        case .wire(let fields): FieldSet.touches(fields, changes)
        case .set(let fields): !fields.intersection(changes, having: .all).isEmpty
        }
    }

    func write(to out: inout [UInt8]) {
        out += "{\"manager\":".utf8
        JSONText.write(identity.manager, to: &out)
        out += ",\"operation\":\"\(identity.operation)\",\"apiVersion\":".utf8
        JSONText.write(apiVersion, to: &out)
        if let time {
            out += ",\"time\":".utf8
            JSONText.write(time, to: &out)
        }
        out += ",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":".utf8
        switch content {
        case .wire(let fields): fields.write(to: &out)
        case .set(let fields): fields.write(to: &out)
        }
        if !identity.subresource.isEmpty {
            out += ",\"subresource\":".utf8
            JSONText.write(identity.subresource, to: &out)
        }
        out.append(UInt8(ascii: "}"))
    }
}

/// All entries of an object.
public struct ManagedFields: Sendable {
    public internal(set) var entries: [ManagedEntry] = []

    /// Entries of writers that do not apply, beyond which the oldest are put together.
    static let mostUpdaters = 10
    /// Who owns what the oldest of them wrote.
    static let ancient = "ancient-changes"

    public init() {}

    /// Reads `metadata.managedFields`; nil where one entry is none.
    public init?(_ list: Document?) {
        for item in list?.elements ?? [] {
            guard let entry = ManagedEntry(item) else { return nil }
            // What comes twice counts once.
            if let index = index(of: entry.identity) { entries[index] = entry } else { entries.append(entry) }
        }
    }

    public var isEmpty: Bool { entries.isEmpty }

    public func index(of identity: ManagedEntry.Identity) -> Int? { entries.firstIndex { $0.identity == identity } }

    public subscript(identity: ManagedEntry.Identity) -> ManagedEntry? {
        get { index(of: identity).map { entries[$0] } }
        set {
            let index = index(of: identity)
            if let newValue {
                if let index { entries[index] = newValue } else { entries.append(newValue) }
            } else if let index {
                entries.remove(at: index)
            }
        }
    }

    /// The list as it stands in the object: appliers first, then by time and name. Null when there is none.
    public var document: Document {
        if entries.isEmpty { return .null }
        let sorted = entries.sorted { a, b in
            if a.identity.isApply != b.identity.isApply { return a.identity.isApply }
            if a.time != b.time { return (a.time ?? "") < (b.time ?? "") }
            if a.identity.manager != b.identity.manager { return a.identity.manager < b.identity.manager }
            if a.apiVersion != b.apiVersion { return a.apiVersion < b.apiVersion }
            return a.identity.subresource < b.identity.subresource
        }
        var out: [UInt8] = [UInt8(ascii: "[")]
        for (index, entry) in sorted.enumerated() {
            if index > 0 { out.append(UInt8(ascii: ",")) }
            entry.write(to: &out)
        }
        out.append(UInt8(ascii: "]"))
        return (try? Document(json: out)) ?? .null
    }

    /// Puts the oldest updaters together, one bucket for each version, until there are few enough.
    mutating func cap() {
        var updaters = entries.filter { !$0.identity.isApply }
        guard updaters.count > Self.mostUpdaters else { return }
        updaters.sort { a, b in
            a.time != b.time ? (a.time ?? "") < (b.time ?? "") : a.identity.manager < b.identity.manager
        }
        var count = updaters.count
        var firsts: [String: ManagedEntry.Identity] = [:]
        for updater in updaters where count > Self.mostUpdaters {
            let version = updater.apiVersion
            let bucket = ManagedEntry.Identity(
                manager: Self.ancient, isApply: false, apiVersion: version, subresource: "")
            guard let first = firsts[version] else {
                firsts[version] = updater.identity
                continue
            }
            if self[bucket] == nil, let oldest = self[first] {
                self[first] = nil
                self[bucket] = ManagedEntry(bucket, apiVersion: version, time: oldest.time, fields: oldest.fields)
            }
            guard var entry = self[bucket], updater.identity != bucket else { continue }
            entry.fields = entry.fields.union(updater.fields)
            // The later of the two.
            entry.time = updater.time
            self[bucket] = entry
            self[updater.identity] = nil
            count -= 1
        }
    }
}
