import Document

/// Puts what another server says of its group version into the OpenAPI 2 document of everything. Pure.
///
/// Of the other document only the paths below the group version count, and what they refer to. A definition that both
/// documents have under one name with different content gets another name, `NAME_v2`, wherever the added part refers
/// to it: the names of the document that was there first stay.
struct OpenAPIMerge {
    private static let sections = ["definitions", "parameters", "responses"]

    private let other: Document
    /// What has to come along, by section.
    private var needed: [String: [String]] = [:]
    private var seen: Set<String> = []
    private var names: [String: String] = [:]

    /// - base: a document whose members may be reordered by nobody but this.
    static func add(_ other: Document, group: String, version: String, to base: Document) -> Document {
        var merge = OpenAPIMerge(other: other)
        return merge.merged(base, prefix: "/apis/\(group)/\(version)/")
    }

    private init(other: Document) { self.other = other }

    private mutating func merged(_ base: Document, prefix: String) -> Document {
        let paths = (other["paths"]?.members ?? []).filter { $0.key.hasPrefix(prefix) }
        for path in paths { collect(path.value) }
        for section in Self.sections { name(section, against: base[section]) }
        var result = base
        let known = base["paths"]?.members ?? []
        let taken = Set(known.map(\.key))
        result["paths"] = Document(
            members: known.map { ($0.key, $0.value) }
                + paths.filter { !taken.contains($0.key) }.map { ($0.key, renamed($0.value)) })
        for section in Self.sections {
            let own = base[section]?.members ?? []
            let taken = Set(own.map(\.key))
            let added = (needed[section] ?? []).compactMap { name -> (String, Document)? in
                guard let content = other[section]?[name] else { return nil }
                let called = names["#/\(section)/\(name)"] ?? name
                return taken.contains(called) ? nil : (called, renamed(content))
            }
            if !added.isEmpty { result[section] = Document(members: own.map { ($0.key, $0.value) } + added) }
        }
        return result
    }

    /// Follows the references of a part, and of what they lead to.
    private mutating func collect(_ part: Document) {
        var open = [part]
        while let next = open.popLast() {
            for reference in Self.references(in: next) where seen.insert(reference).inserted {
                let words = reference.split(separator: "/", maxSplits: 2).map(String.init)
                guard words.count == 3, words[0] == "#", let content = other[words[1]]?[words[2]] else { continue }
                needed[words[1], default: []].append(words[2])
                open.append(content)
            }
        }
    }

    private static func references(in part: Document) -> [String] {
        switch part.kind {
        case .array: return part.elements.flatMap { references(in: $0) }
        case .object:
            return part.members.flatMap { member -> [String] in
                if member.key == "$ref", let text = member.value.string { return [text] }
                return references(in: member.value)
            }
        default: return []
        }
    }

    /// Decides what each needed entry of a section is called.
    private mutating func name(_ section: String, against base: Document?) {
        needed[section]?.sort()
        for name in needed[section] ?? [] {
            guard let content = other[section]?[name], let known = base?[name], !known.means(content) else { continue }
            var number = 2
            while base?["\(name)_v\(number)"] != nil || other[section]?["\(name)_v\(number)"] != nil { number += 1 }
            names["#/\(section)/\(name)"] = "\(name)_v\(number)"
        }
    }

    private func renamed(_ part: Document) -> Document {
        if names.isEmpty { return part }
        switch part.kind {
        case .array: return Document(part.elements.map { renamed($0) })
        case .object:
            return Document(
                members: part.members.map { member in
                    guard member.key == "$ref", let text = member.value.string, let name = names[text] else {
                        return (member.key, renamed(member.value))
                    }
                    let section = text.split(separator: "/")[1]
                    return (member.key, Document("#/\(section)/\(name)"))
                })
        default: return part
        }
    }
}
