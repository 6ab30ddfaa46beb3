import Document
import Kinds
import Schema
import Store
import Synchronization

/// The store as one version of a custom resource sees it: records of the resource come in that version, whatever
/// version they are stored in, and go to the store in the version that the definition stores. Everything else passes.
///
/// A stored object of a custom resource begins with its version, `{"apiVersion":"…","metadata":…`. What was written
/// in the wanted version, under the schema as it is now, is handed on without being parsed.
final class CustomResourceStore: Store {
    private let base: any Store
    private let definition: ServedDefinition
    private let resource: ResourceInfo
    private let converter: ObjectConverter
    private let prefix: String
    /// Keys that were read in another form than they would be written in.
    private let outdated = Mutex<Set<String>>([])

    init(base: any Store, definition: ServedDefinition, resource: ResourceInfo, converter: ObjectConverter) {
        self.base = base
        self.definition = definition
        self.resource = resource
        self.converter = converter
        prefix = ObjectCodec.prefix(resource)
    }

    /// Whether writing the object again would change what is stored, although it is the same object.
    func isOutdated(_ key: String) -> Bool { outdated.withLock { $0.contains(key) } }

    /// Another version of the resource; nil where it has none of that name.
    func version(_ apiVersion: String) -> ResourceInfo? {
        definition.versions.values.first { $0.apiVersion == apiVersion }
    }

    /// An object of one version in another: for those who judge what is written as one of that version.
    func converted(_ object: Document, from: ResourceInfo, to: ResourceInfo) async throws -> Document {
        var object = object
        object["apiVersion"] = Document(from.apiVersion)
        object["kind"] = Document(from.kind)
        guard definition.spec.text("conversion", "strategy") == "Webhook" else {
            // Versions that differ in nothing but their name: what only one of them knows must not get lost between.
            object["apiVersion"] = Document(to.apiVersion)
            return object
        }
        guard var result = try await converter.convert([object], definition, to: to.version).first else {
            return object
        }
        Kinds.registry.applyDefaults(to: &result, type: to.type)
        return result
    }

    // MARK: Reading

    private static func mark(_ apiVersion: String) -> [UInt8] { Array("{\"apiVersion\":\"\(apiVersion)\",".utf8) }

    private func apiVersion(_ version: String) -> String { "\(resource.group)/\(version)" }

    /// The records in the wanted version, in the same order.
    private func shown(_ records: [Record]) async throws -> [Record] {
        let mark = Self.mark(resource.apiVersion)
        var result = records
        var pending: [(index: Int, object: Document)] = []
        for (index, record) in records.enumerated() {
            if record.value.starts(with: mark), record.revision > definition.since {
                result[index].value = [UInt8(ascii: "{")] + record.value.dropFirst(mark.count)
                if definition.storageVersion != resource.version { outdated.withLock { _ = $0.insert(record.key) } }
            } else {
                pending.append((index, try decoded(record)))
            }
        }
        guard !pending.isEmpty else { return result }
        let converted = try await converter.convert(pending.map(\.object), definition, to: resource.version)
        for (entry, object) in zip(pending, converted) {
            let record = records[entry.index]
            if !record.value.starts(with: Self.mark(apiVersion(definition.storageVersion))) {
                outdated.withLock { _ = $0.insert(record.key) }
            }
            result[entry.index].value = ObjectCodec.encoding(object)(record.revision)
        }
        return result
    }

    private func shown(_ record: Record) async throws -> Record {
        guard record.key.hasPrefix(prefix) else { return record }
        return try await shown([record])[0]
    }

    /// A stored object in the form that its own version has now.
    private func decoded(_ record: Record) throws -> Document {
        var object = try Document(json: record.value)
        let version = object.text("apiVersion")?.split(separator: "/").last.map(String.init) ?? ""
        guard let stored = definition.versions[version] else {
            throw APIStatus.internalError(
                "\(resource.qualifiedName) is stored in version \(version), which its definition no longer has")
        }
        object["kind"] = Document(resource.kind)
        Kinds.registry.prune(&object, type: stored.type)
        Kinds.registry.applyDefaults(to: &object, type: stored.type)
        return object
    }

    func get(_ key: String) async throws -> Record? {
        guard let record = try await base.get(key) else { return nil }
        return try await shown(record)
    }

    func list(prefix: String, after: String?, limit: Int?, at revision: Revision?) async throws -> Page {
        var page = try await base.list(prefix: prefix, after: after, limit: limit, at: revision)
        guard prefix.hasPrefix(self.prefix) else { return page }
        page.records = try await shown(page.records)
        return page
    }

    func watch(prefix: String, after revision: Revision) async throws -> any Watch {
        let watch = try await base.watch(prefix: prefix, after: revision)
        guard prefix.hasPrefix(self.prefix) else { return watch }
        let view = CustomWatch(watch, definition) { [self] in try await shown($0) }
        guard definition.add(view) else {
            watch.cancel()
            throw ResourceWithdrawn()
        }
        return view
    }

    /// An event in the wanted version; made once for all who watch that version.
    private func shown(_ event: StoreEvent) async throws -> StoreEvent {
        let name = "version \(resource.version) \(definition.since)"
        var records = [event.record]
        if let previous = event.previous { records.append(previous) }
        let mark = Self.mark(resource.apiVersion)
        if records.allSatisfy({ $0.value.starts(with: mark) && $0.revision > definition.since }) {
            return event.derived.value(name) { [records] in
                let bare = records.map { record in
                    var record = record
                    record.value = [UInt8(ascii: "{")] + record.value.dropFirst(mark.count)
                    return record
                }
                return StoreEvent(kind: event.kind, record: bare[0], previous: bare.count > 1 ? bare[1] : nil)
            }
        }
        let converted = try await shown(records)
        return event.derived.value(name) {
            StoreEvent(
                kind: event.kind, record: converted[0], previous: converted.count > 1 ? converted[1] : nil)
        }
    }

    // MARK: Writing

    static func isTerminating(_ resource: ResourceInfo) -> APIStatus {
        var status = APIStatus.failure(
            405, "MethodNotAllowed", "create not allowed while custom resource definition is terminating")
        status.group = resource.group
        status.kind = resource.plural
        return status
    }

    /// What goes to the store for what the caller would write.
    private func stored(_ encode: @escaping Encoding) async throws -> Encoding {
        if resource.version == definition.storageVersion {
            let mark = Self.mark(resource.apiVersion)
            return { mark + encode($0).dropFirst() }
        }
        var object = try Document(json: encode(0))
        object["apiVersion"] = Document(resource.apiVersion)
        object["kind"] = Document(resource.kind)
        let version = definition.storageVersion
        let converted = try await converter.convert([object], definition, to: version)
        guard var result = converted.first, let storage = definition.versions[version] else {
            throw APIStatus.internalError("\(resource.qualifiedName) has no storage version")
        }
        Kinds.registry.applyDefaults(to: &result, type: storage.type)
        let bare = ObjectCodec.encoding(result)
        let mark = Self.mark(apiVersion(version))
        return { mark + bare($0).dropFirst() }
    }

    func create(_ key: String, _ encode: @escaping Encoding) async throws -> Record {
        guard key.hasPrefix(prefix) else { return try await base.create(key, encode) }
        guard definition.gate.enter() else { throw Self.isTerminating(resource) }
        defer { definition.gate.leave() }
        return try await shown(try await base.create(key, try await stored(encode)))
    }

    func update(_ key: String, expected: Revision, _ encode: @escaping Encoding) async throws -> Record {
        guard key.hasPrefix(prefix) else { return try await base.update(key, expected: expected, encode) }
        return try await shown(try await base.update(key, expected: expected, try await stored(encode)))
    }

    func delete(_ key: String, expected: Revision, _ encode: @escaping Encoding) async throws -> Record {
        guard key.hasPrefix(prefix) else { return try await base.delete(key, expected: expected, encode) }
        return try await shown(try await base.delete(key, expected: expected, try await stored(encode)))
    }

    // MARK: The rest passes

    var revision: Revision { get async { await base.revision } }
    func compact(before revision: Revision) async throws { try await base.compact(before: revision) }
    func backup(to path: String) async throws { try await base.backup(to: path) }
    func close() async { await base.close() }
}

/// The resource is no longer what it was when the watch began, or no longer there: the watch ends, and whoever wants
/// to go on asks anew.
struct ResourceWithdrawn: Error {}

/// A watch of a custom resource, in one version.
final class CustomWatch: Watch {
    private let base: any Watch
    private let definition: ServedDefinition
    private let convert: @Sendable (StoreEvent) async throws -> StoreEvent
    private let isOver = Mutex(false)

    init(
        _ base: any Watch, _ definition: ServedDefinition,
        _ convert: @escaping @Sendable (StoreEvent) async throws -> StoreEvent
    ) {
        self.base = base
        self.definition = definition
        self.convert = convert
    }

    func next() async throws -> (events: [StoreEvent], revision: Revision) {
        if isOver.withLock({ $0 }) { throw ResourceWithdrawn() }
        let batch = try await base.next()
        var events: [StoreEvent] = []
        events.reserveCapacity(batch.events.count)
        for event in batch.events { events.append(try await convert(event)) }
        // What happened before the end is still told.
        if events.isEmpty, isOver.withLock({ $0 }) { throw ResourceWithdrawn() }
        return (events, batch.revision)
    }

    func requestProgress() { base.requestProgress() }

    func cancel() {
        definition.remove(self)
        base.cancel()
    }

    func end() {
        isOver.withLock { $0 = true }
        base.requestProgress()
    }
}
