import Document
import Synchronization

/// Every declared group version. A group's text is parsed when something of it is first asked for.
public final class Registry: Sendable {
    private let texts: [GroupText]
    private let state: ParsedTexts
    /// Declared groups that are not offered here.
    private let withheld: Set<String>
    /// What came to the declared groups while the server ran: the resources of custom kinds.
    private let added = Mutex(AddedResources([]))

    /// What is parsed so far. Groups refer to each other without circles, so parsing one parses those it names first.
    struct State {
        var groups: [ParsedGroup?]
    }

    public init(groups: [GroupText]) {
        texts = groups
        state = ParsedTexts(count: groups.count)
        withheld = []
    }

    /// The same declared groups but those that it withholds, parsed once for both, and room for resources of its own.
    public init(extending base: Registry, withholding groups: Set<String> = []) {
        texts = base.texts
        state = base.state
        withheld = base.withheld.union(groups)
    }

    /// The group versions in the order of discovery; those that have types only are left out.
    public var groupVersions: [(group: String, version: String)] { declaredGroupVersions + addedGroupVersions }

    public var declaredGroupVersions: [(group: String, version: String)] {
        texts.filter { $0.isServed && !withheld.contains($0.group) }.map { ($0.group, $0.version) }
    }

    public func resource(group: String, version: String, plural: String) -> ResourceInfo? {
        if let found = parsed(group, version)?.resources.first(where: { $0.plural == plural }) { return found }
        return added.withLock { $0.byPlural["\(group)/\(version)/\(plural)"] }
    }

    public func resource(group: String, version: String, kind: String) -> ResourceInfo? {
        if let found = parsed(group, version)?.resources.first(where: { $0.kind == kind }) { return found }
        return added.withLock { $0.byKind["\(group)/\(version)/\(kind)"] }
    }

    /// All resources, in the order of discovery.
    public var resources: [ResourceInfo] { declaredResources + added.withLock { $0.resources } }

    public var declaredResources: [ResourceInfo] {
        texts.indices.filter { !withheld.contains(texts[$0].group) }.flatMap { parsed(at: $0).resources }
    }

    /// The resources of one group version.
    public func resources(group: String, version: String) -> [ResourceInfo] {
        (parsed(group, version)?.resources ?? []) + addedResources(group: group, version: version)
    }

    /// Replaces everything that was added.
    public func setAdded(_ resources: [ResourceInfo]) {
        var fresh = AddedResources(resources)
        added.withLock { added in
            fresh.generation = added.generation + 1
            added = fresh
        }
    }

    /// Grows with every change of what was added, so that what is derived from it can be kept.
    public var generation: Int { added.withLock { $0.generation } }

    public func addedResources(group: String, version: String) -> [ResourceInfo] {
        added.withLock { $0.resources.filter { $0.group == group && $0.version == version } }
    }

    /// Group versions that only custom kinds have, the preferred version of each group first.
    public var addedGroupVersions: [(group: String, version: String)] {
        let declared = declaredGroupVersions
        return added.withLock { $0.groupVersions }.filter { entry in
            !declared.contains { $0.group == entry.group && $0.version == entry.version }
        }
    }

    /// A declared type; `group` is `meta` for the types that all groups share.
    public func type(group: String, version: String, name: String) -> TypeID? {
        for (index, text) in texts.enumerated() where text.group == group && text.version == version {
            if let type = parsed(at: index).types[name] { return TypeID(type) }
        }
        return nil
    }

    /// The types of one group version in the order of the text, generated list types last.
    func types(group: String, version: String) -> [TypeInfo] { parsed(group, version)?.order ?? [] }

    private func parsed(_ group: String, _ version: String) -> ParsedGroup? {
        guard !withheld.contains(group) else { return nil }
        return texts.firstIndex { $0.group == group && $0.version == version }.map { parsed(at: $0) }
    }

    private func parsed(at index: Int) -> ParsedGroup {
        state.groups.withLock { Self.parse(index, texts, &$0) }
    }

    private static func parse(_ index: Int, _ texts: [GroupText], _ state: inout State) -> ParsedGroup {
        if let group = state.groups[index] { return group }
        var parser = GroupParser(text: texts[index])
        let group = parser.parse { key in
            // Several texts may make up one group version; the later ones build on the earlier.
            let isOwn = texts[index].key == key
            let sources = texts.indices.filter { texts[$0].key == key && (!isOwn || $0 < index) }
            guard let first = sources.first else { return nil }
            var found = parse(first, texts, &state)
            for source in sources.dropFirst() {
                found.types.merge(parse(source, texts, &state).types) { first, _ in first }
            }
            return found
        }
        state.groups[index] = group
        return group
    }
}

/// The groups that registries share.
final class ParsedTexts: Sendable {
    let groups: Mutex<Registry.State>

    init(count: Int) { groups = Mutex(Registry.State(groups: Array(repeating: nil, count: count))) }
}

/// Resources that were added, under the names by which they are asked for.
struct AddedResources {
    let resources: [ResourceInfo]
    let byPlural: [String: ResourceInfo]
    let byKind: [String: ResourceInfo]
    let groupVersions: [(group: String, version: String)]
    var generation = 0

    init(_ given: [ResourceInfo]) {
        resources = given
        func index(_ name: (ResourceInfo) -> String) -> [String: ResourceInfo] {
            Dictionary(
                given.map { ("\($0.group)/\($0.version)/\(name($0))", $0) }, uniquingKeysWith: { first, _ in first })
        }
        byPlural = index(\.plural)
        byKind = index(\.kind)
        var seen: Set<String> = []
        groupVersions = given.map { (group: $0.group, version: $0.version) }
            .filter { seen.insert("\($0.group)/\($0.version)").inserted }
            .sorted { a, b in
                a.group == b.group ? VersionPriority.comesBefore(a.version, b.version) : a.group < b.group
            }
    }
}

/// What the text of one group version says.
struct ParsedGroup: Sendable {
    var types: [String: TypeInfo] = [:]
    var order: [TypeInfo] = []
    var resources: [ResourceInfo] = []
    /// What the text says that the language does not know; a test holds this empty for every built-in group.
    var mistakes: [String] = []
}

extension Registry {
    /// Every line of the texts that the parser could not understand.
    public var mistakes: [String] {
        texts.indices.flatMap { index in
            parsed(at: index).mistakes.map { "\(texts[index].key): \($0)" }
        }
    }
}
