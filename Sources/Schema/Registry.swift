import Document
import Synchronization

/// Every declared group version. A group's text is parsed when something of it is first asked for.
public final class Registry: Sendable {
    private let texts: [GroupText]
    private let state: Mutex<State>

    /// What is parsed so far. Groups refer to each other without circles, so parsing one parses those it names first.
    struct State {
        var groups: [ParsedGroup?]
    }

    public init(groups: [GroupText]) {
        texts = groups
        state = Mutex(State(groups: groups.map { _ in nil }))
    }

    /// The group versions in the order of discovery; those that have types only are left out.
    public var groupVersions: [(group: String, version: String)] {
        texts.filter(\.isServed).map { ($0.group, $0.version) }
    }

    public func resource(group: String, version: String, plural: String) -> ResourceInfo? {
        parsed(group, version)?.resources.first { $0.plural == plural }
    }

    public func resource(group: String, version: String, kind: String) -> ResourceInfo? {
        parsed(group, version)?.resources.first { $0.kind == kind }
    }

    /// All resources, in the order of discovery.
    public var resources: [ResourceInfo] {
        texts.indices.flatMap { parsed(at: $0).resources }
    }

    /// The resources of one group version.
    public func resources(group: String, version: String) -> [ResourceInfo] { parsed(group, version)?.resources ?? [] }

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
        texts.firstIndex { $0.group == group && $0.version == version }.map { parsed(at: $0) }
    }

    private func parsed(at index: Int) -> ParsedGroup {
        state.withLock { Self.parse(index, texts, &$0) }
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
