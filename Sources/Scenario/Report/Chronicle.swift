import Basics
import Document

/// Makes a timeline of the versions that objects had: who wrote what, when, and in answer to what.
struct Chronicle {
    struct Version: Sendable {
        var kind: String
        var object: Document
        var isDeleted: Bool

        var revision: UInt64 { object.text("metadata", "resourceVersion").flatMap { UInt64($0) } ?? 0 }
    }

    let begun: Timestamp
    let versions: [Version]

    private static let mostChanges = 6

    var entries: [TimelineEntry] {
        var entries: [TimelineEntry] = []
        /// By the object's uid: its last version, and the number of the entry that wrote it.
        var last: [String: (object: Document, entry: Int)] = [:]
        for version in versions.sorted(by: { $0.revision < $1.revision }) {
            let object = version.object
            guard version.kind != "Event" else {
                if !version.isDeleted { entries.append(event(object, number: entries.count + 1)) }
                continue
            }
            let uid = object.text("metadata", "uid") ?? ""
            let before = last[uid]
            guard var entry = write(version, before?.object, number: entries.count + 1) else { continue }
            entry.cause = cause(of: entry, object, before?.entry, entries, last)
            entries.append(entry)
            last[uid] = (object, entries.count - 1)
        }
        return entries
    }

    /// The number of the write that this one answers: the last one by somebody else to the same object, or, for a new
    /// object, to its owner. Components know of each other by such writes alone.
    private func cause(
        of entry: TimelineEntry, _ object: Document, _ before: Int?, _ entries: [TimelineEntry],
        _ last: [String: (object: Document, entry: Int)]
    ) -> Int? {
        var place = before
        if place == nil {
            place = object.list("metadata", "ownerReferences").compactMap { $0.text("uid") }
                .compactMap { last[$0]?.entry }.max()
        }
        guard let place else { return nil }
        return entries[place].who == entry.who ? entries[place].cause : entries[place].number
    }

    // MARK: One entry

    private func event(_ event: Document, number: Int) -> TimelineEntry {
        let time =
            event.text("lastTimestamp") ?? event.text("eventTime") ?? event.text("metadata", "creationTimestamp")
        let object = "\(event.text("involvedObject", "kind") ?? "")/\(event.text("involvedObject", "name") ?? "")"
        let who = event.text("source", "component") ?? event.text("reportingComponent") ?? ""
        let count = event.number("count") ?? 1
        let what = "\(event.text("type") ?? "") \(event.text("reason") ?? ""): \(event.text("message") ?? "")"
        return TimelineEntry(
            number: number, at: since(time), kind: .event, who: who.isEmpty ? "somebody" : who, object: object,
            what: [what + (count > 1 ? " (\(count) times)" : "")])
    }

    /// Nil where nothing of the object changed that anybody would look at.
    private func write(_ version: Version, _ before: Document?, number: Int) -> TimelineEntry? {
        let object = version.object
        var writer = Self.writer(object, before)
        if writer.time == nil, before != nil { writer.time = Self.newestTime(object) }
        var entry = TimelineEntry(
            number: number, at: since(writer.time), kind: .changed, who: writer.name,
            object: "\(version.kind)/\(object.text("metadata", "name") ?? "")", what: [])
        if version.isDeleted {
            entry.kind = .deleted
            entry.at = since(object.text("metadata", "deletionTimestamp") ?? writer.time)
            return entry
        }
        guard let before else {
            entry.kind = .created
            entry.at = since(object.text("metadata", "creationTimestamp"))
            return entry
        }
        var changes = Self.changes(from: before, to: object)
        guard !changes.isEmpty else { return nil }
        if changes.count > Self.mostChanges {
            changes = changes.prefix(Self.mostChanges) + ["and \(changes.count - Self.mostChanges) more"]
        }
        entry.what = changes
        return entry
    }

    private func since(_ time: String?) -> Duration {
        guard let time = time.flatMap({ Timestamp(rfc3339: $0) }) else { return .zero }
        // Objects' times are whole seconds: what was written in the first one was not written before the beginning.
        return max(.zero, time - begun)
    }

    /// Who wrote a version: the field manager whose entry is not as it was before; the newest where several are.
    static func writer(_ object: Document, _ before: Document?) -> (name: String, time: String?) {
        let old = before?.list("metadata", "managedFields") ?? []
        let entries = object.list("metadata", "managedFields")
        let fresh = entries.filter { !old.contains($0) }
        if before != nil, fresh.isEmpty {
            // A binding is written in nobody's name; the pod says whose it is to write.
            let isBound = before?.text("spec", "nodeName") != object.text("spec", "nodeName")
            return (isBound ? object.text("spec", "schedulerName") ?? "somebody" : "somebody", nil)
        }
        let newest = (fresh.isEmpty ? entries : fresh).max { ($0.text("time") ?? "") < ($1.text("time") ?? "") }
        return (newest?.text("manager") ?? "somebody", newest?.text("time"))
    }

    private static func newestTime(_ object: Document) -> String? {
        let conditions = object.list("status", "conditions").compactMap { $0.text("lastTransitionTime") }
        return (conditions + object.list("metadata", "managedFields").compactMap { $0.text("time") }).max()
    }

    private static let unimportant: Set<String> = [
        "metadata.managedFields", "metadata.resourceVersion", "metadata.generation",
    ]

    /// `path: old → new`, for every leaf that differs.
    static func changes(from old: Document, to new: Document) -> [String] {
        var changes: [String] = []
        compare(old, new, "", &changes)
        return changes
    }

    private static func compare(_ old: Document?, _ new: Document?, _ path: String, _ changes: inout [String]) {
        guard old != new, !unimportant.contains(path) else { return }
        if let new = new.flatMap(condition) ?? (new == nil ? "nothing" : nil),
            let old = old.flatMap(condition) ?? (old == nil ? "nothing" : nil)
        {
            if old != new { changes.append("\(path): \(old) → \(new)") }
            return
        }
        if let old, let new, old.isObject, new.isObject {
            let keys = Set(old.members.map(\.key)).union(new.members.map(\.key)).sorted()
            for key in keys { compare(old[key], new[key], path.isEmpty ? key : "\(path).\(key)", &changes) }
            return
        }
        // A list that begins with conditions is told one by one as well.
        let begins = old == nil && new?.elements.allSatisfy { condition($0) != nil } == true
        if let new, new.isArray, begins || old?.isArray == true, old?.elements.allSatisfy(\.isObject) != false {
            return compareLists(old?.elements ?? [], new.elements, path, &changes)
        }
        changes.append("\(path): \(shown(old)) → \(shown(new))")
    }

    /// A condition in few words; when it last changed is the entry's own time.
    private static func condition(_ document: Document) -> String? {
        guard document.text("type") != nil, let status = document.text("status"),
            ["True", "False", "Unknown"].contains(status)
        else { return nil }
        let why = [document.text("reason"), document.text("message")].compactMap { $0 }.filter { !$0.isEmpty }
        return why.isEmpty ? status : "\(status) (\(why.joined(separator: ": ")))"
    }

    /// Elements of lists of objects are told apart by their names or types, as the API itself does.
    private static func compareLists(
        _ old: [Document], _ new: [Document], _ path: String, _ changes: inout [String]
    ) {
        func key(_ element: Document, _ index: Int) -> String {
            Matcher.name(of: element) ?? "\(index)"
        }
        func keyed(_ list: [Document]) -> [String: Document] {
            Dictionary(list.enumerated().map { (key($0.element, $0.offset), $0.element) }) { first, _ in first }
        }
        let (before, after) = (keyed(old), keyed(new))
        for name in Set(before.keys).union(after.keys).sorted() {
            compare(before[name], after[name], "\(path)[\(name)]", &changes)
        }
    }

    private static func shown(_ document: Document?) -> String {
        guard let text = document?.jsonText else { return "nothing" }
        return text.utf8.count <= 120 ? text : "\(text.prefix(120))…"
    }
}
