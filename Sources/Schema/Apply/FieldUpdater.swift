import Document

/// An apply that would change what others own.
public struct ApplyConflict: Error, Sendable {
    /// The owner as messages name it, and the path of the field.
    public var conflicts: [(manager: String, path: String)]

    /// The whole failure in one text.
    public var message: String {
        if conflicts.count == 1 {
            return "Apply failed with 1 conflict: conflict with \(conflicts[0].manager): \(conflicts[0].path)"
        }
        var lines: [String] = []
        for manager in Set(conflicts.map(\.manager)).sorted() {
            lines.append("conflicts with \(manager):")
            lines += conflicts.filter { $0.manager == manager }.map { "- \($0.path)" }
        }
        return "Apply failed with \(conflicts.count) conflicts: " + lines.joined(separator: "\n")
    }
}

/// Why a configuration cannot be applied to any object.
public struct ApplyMistake: Error, Sendable {
    public var message: String
}

/// Keeps account of who owns which field of an object of one kind, as its writers come.
public struct FieldUpdater: Sendable {
    /// An object in another version of its kind; nil where there is no such version.
    public typealias Converter =
        @Sendable (_ object: Document, _ apiVersion: String) -> (object: Document, type: TypeID)?

    let type: TypeInfo
    let apiVersion: String
    /// The fields that this way of writing cannot change, whatever the writer sends.
    let ignored: FieldSet
    let now: String
    let convert: Converter

    public init(type: TypeID, apiVersion: String, ignored: FieldSet, now: String, convert: @escaping Converter) {
        self.type = type.info
        self.apiVersion = apiVersion
        self.ignored = ignored
        self.now = now
        self.convert = convert
    }

    /// An object of the kind in which nothing was set.
    public var zero: Document { Zero.document(type) }

    // MARK: Updates

    /// Accounts for a write by `writer` that made `new` of `old`. Returns whether any entry changed.
    public func update(
        _ managed: inout ManagedFields, from old: Document, to new: Document, by writer: ManagedEntry.Identity
    ) -> Bool {
        let changes = changes(from: old, to: new, type)
        guard !changes.isEmpty else { return false }
        var hasChanged = release(changes, from: &managed, old: old, new: new, except: nil)
        let taken = FieldSet().union(changes, having: .taken)
        if !taken.isEmpty {
            let previous = managed[writer]?.fields ?? FieldSet()
            managed[writer] = ManagedEntry(
                writer, apiVersion: apiVersion, time: now, fields: previous.union(taken))
            hasChanged = true
        }
        managed.cap()
        return hasChanged
    }

    private func changes(from old: Document, to new: Document, _ type: TypeInfo) -> FieldSet {
        let changes = FieldComparison.changes(from: old, to: new, type)
        return ignored.isEmpty ? changes : changes.subtractingRecursively(ignored)
    }

    /// Takes changed and removed fields from everybody but `writer`. Returns whether anybody lost something.
    private func release(
        _ changes: FieldSet, from managed: inout ManagedFields, old: Document, new: Document,
        except writer: ManagedEntry.Identity?
    ) -> Bool {
        var versions = [apiVersion: changes]
        var kept: [ManagedEntry] = []
        var hasChanged = false
        for var entry in managed.entries {
            if entry.identity == writer {
                kept.append(entry)
                continue
            }
            guard let changes = self.changes(in: entry.apiVersion, &versions, old: old, new: new) else {
                hasChanged = true
                continue
            }
            if entry.touches(changes) {
                entry.fields = entry.fields.subtracting(changes, having: .all)
                hasChanged = true
            }
            if entry.isEmpty { hasChanged = true } else { kept.append(entry) }
        }
        if hasChanged { managed.entries = kept }
        return hasChanged
    }

    /// The same changes in another version's fields; nil where the version is gone.
    private func changes(
        in version: String, _ known: inout [String: FieldSet], old: Document, new: Document
    ) -> FieldSet? {
        if let changes = known[version] { return changes }
        guard let before = convert(old, version), let after = convert(new, version) else { return nil }
        let changes = changes(from: before.object, to: after.object, before.type.info)
        known[version] = changes
        return changes
    }

    // MARK: Applying

    /// Refuses a configuration that does not fit the kind.
    public func check(_ applied: Document) throws(ApplyMistake) {
        if let text = TypedValidation.error(in: applied, type) { throw ApplyMistake(message: text) }
    }

    /// Lays `applied` over `live` for `applier`; nil where that leaves the object as it is.
    public func apply(
        _ applied: Document, to live: Document, _ managed: inout ManagedFields, by applier: ManagedEntry.Identity,
        force: Bool
    ) throws(ApplyConflict) -> Document? {
        var account = managed
        let merged = TypedMerge.merge(live, applied, .structure(type)) ?? .emptyObject
        let last = account[applier]
        var fields = TypedFields.set(of: applied, type)
        if !ignored.isEmpty { fields = fields.subtractingRecursively(ignored) }
        account[applier] = ManagedEntry(applier, apiVersion: apiVersion, time: last?.time, fields: fields)
        // Whoever applies names the object, and so keeps what holds its name.
        let named = TypedFields.set(of: applied, type, isWhole: true)
        let new = last.map { pruned(merged, account, last: $0, named) } ?? merged
        let changes = changes(from: live, to: new, type)
        if !force { try refuseConflicts(changes, account, live: live, new: new, applier) }
        _ = release(changes, from: &account, old: live, new: new, except: applier)
        if fields.isEmpty { account[applier] = nil }
        if live.means(new) {
            managed = account
            return nil
        }
        if account[applier] != nil { account[applier]?.time = now }
        managed = account
        return new
    }

    private func refuseConflicts(
        _ changes: FieldSet, _ managed: ManagedFields, live: Document, new: Document, _ applier: ManagedEntry.Identity
    ) throws(ApplyConflict) {
        var versions = [apiVersion: changes]
        var conflicts: [(manager: String, path: String)] = []
        let others = managed.entries.filter { $0.identity != applier }.sorted { $0.identity.text < $1.identity.text }
        for entry in others {
            guard let changes = self.changes(in: entry.apiVersion, &versions, old: live, new: new),
                entry.touches(changes)
            else { continue }
            for path in entry.fields.intersection(changes, having: .taken).paths() {
                conflicts.append((entry.identity.text, FieldElement.text(of: path)))
            }
        }
        if !conflicts.isEmpty { throw ApplyConflict(conflicts: conflicts) }
    }

    /// Takes away what the applier named last time, does not name now, and nobody else owns.
    private func pruned(_ merged: Document, _ managed: ManagedFields, last: ManagedEntry, _ fields: FieldSet)
        -> Document
    {
        let lastFields = last.fields
        if last.apiVersion == apiVersion, lastFields.subtracting(fields).isEmpty { return merged }
        guard let start = versioned(merged, last.apiVersion) else { return merged }
        let form = FieldForm.structure(start.type.info)
        var whole = start
        var pruned = TypedFields.removing(
            TypedFields.withStructures(lastFields, form), from: start.object, form)
        // Adding back starts with the version that was pruned, so that converting misses nothing it needs.
        var owned: [String: FieldSet] = [:]
        for entry in managed.entries {
            let held = entry.identity == last.identity ? fields : entry.fields
            owned[entry.apiVersion] = (owned[entry.apiVersion] ?? FieldSet()).union(held)
        }
        var current = last.apiVersion
        for version in [last.apiVersion] + owned.keys.filter({ $0 != last.apiVersion }).sorted() {
            guard let fields = owned[version], let merged = versioned(whole.object, from: current, version),
                let rest = versioned(pruned, from: current, version)
            else { continue }
            let form = FieldForm.structure(merged.type.info)
            let all = TypedFields.withStructures(
                TypedFields.set(of: merged.object, merged.type.info, isWhole: true), form)
            let left = TypedFields.withStructures(
                TypedFields.set(of: rest.object, merged.type.info, isWhole: true), form)
            let keep = left.union(TypedFields.withStructures(fields, form))
            pruned = TypedFields.removing(all.subtracting(keep), from: merged.object, form)
            whole = merged
            current = version
        }
        guard let final = versioned(pruned, from: current, last.apiVersion) else { return merged }
        // Only what the applier owned may go.
        let all = TypedFields.withStructures(TypedFields.set(of: start.object, start.type.info, isWhole: true), form)
        let left = TypedFields.withStructures(TypedFields.set(of: final.object, start.type.info, isWhole: true), form)
        let gone = all.subtracting(left).intersection(TypedFields.withStructures(lastFields, form))
        let result = TypedFields.removing(gone, from: start.object, form)
        return versioned(result, from: last.apiVersion, apiVersion)?.object ?? merged
    }

    private func versioned(_ object: Document, _ version: String) -> (object: Document, type: TypeID)? {
        version == apiVersion ? (object, TypeID(type)) : convert(object, version)
    }

    /// `object` is of the version `current`.
    private func versioned(_ object: Document, from current: String, _ version: String) -> (
        object: Document, type: TypeID
    )? {
        if current == version, version == apiVersion { return (object, TypeID(type)) }
        return convert(object, version)
    }

    // MARK: From client-side to server-side apply

    /// The fields of a configuration that stand in the object exactly as it has them.
    public func fields(of configuration: Document, unchangedIn live: Document) -> FieldSet {
        TypedFields.set(of: configuration, type).subtracting(
            FieldComparison.changes(from: configuration, to: live, type), having: .all)
    }
}
