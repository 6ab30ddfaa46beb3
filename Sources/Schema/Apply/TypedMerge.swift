import Document

// Laying an applied configuration over an object: what it names is taken from it, everything else stays.

enum TypedMerge {
    /// Both sides in one; nil where nothing is left.
    static func merge(_ live: Document?, _ applied: Document?, _ form: FieldForm) -> Document? {
        switch form {
        case .leaf: return applied ?? live
        case .structure, .map:
            if isEmpty(live), isEmpty(applied) { return applied ?? live }
            return members(live, applied, form)
        case .set, .keyed:
            if (live?.elements ?? []).isEmpty, (applied?.elements ?? []).isEmpty { return applied ?? live }
            let merged = list(live?.elements ?? [], applied?.elements ?? [], form)
            return merged.isEmpty ? Optional.none : Document(merged)
        case .deduced:
            guard let value = applied ?? live, value.isObject else { return applied ?? live }
            return merge(live, applied, .map(.any))
        }
    }

    private static func isEmpty(_ value: Document?) -> Bool { value.map { !$0.isObject || $0.count == 0 } ?? true }

    private static func members(_ live: Document?, _ applied: Document?, _ form: FieldForm) -> Document? {
        var result: [(String, Document)] = []
        let theirs = applied?.isObject == true ? applied : Optional.none
        let mine = live?.isObject == true ? live : Optional.none
        for member in mine?.members ?? [] {
            guard let other = theirs?[member.key] else {
                result.append((member.key, member.value))
                continue
            }
            if let merged = merge(member.value, other, memberForm(member.key, form)) {
                result.append((member.key, merged))
            }
        }
        for member in theirs?.members ?? [] where mine?[member.key] == nil {
            if let merged = merge(nil, member.value, memberForm(member.key, form)) {
                result.append((member.key, merged))
            }
        }
        return result.isEmpty ? Optional.none : Document(members: result)
    }

    private static func memberForm(_ key: String, _ form: FieldForm) -> FieldForm {
        switch form {
        case .structure(let type): return type.field(key).map { FieldForm($0) } ?? .deduced
        case .map(let element): return FieldForm(element)
        default: return .deduced
        }
    }

    // MARK: Lists

    /// The order is the configuration's for what it names; elements that only the object has keep their place
    /// relative to the elements that both have.
    private static func list(_ live: [Document], _ applied: [Document], _ form: FieldForm) -> [Document] {
        let inner = ListElement.form(form)
        let left = live.compactMap { element in ListElement.key(element, form).map { (key: $0, value: element) } }
        let right = applied.compactMap { element in ListElement.key(element, form).map { (key: $0, value: element) } }
        let known = Dictionary(left.map { ($0.key, [$0.value]) }, uniquingKeysWith: +)
        let wanted = Set(right.map(\.key))
        var shared = right.filter { known[$0.key] != nil }.map(\.key)[...]
        var done: Set<String> = []
        var result: [Document] = []
        var (l, r) = (0, 0)

        func take(_ element: (key: String, value: Document)) {
            // An element that the object has twice has no counterpart to merge with.
            let own = known[element.key] ?? []
            if let merged = merge(own.count == 1 ? own[0] : Optional.none, element.value, inner) {
                result.append(merged)
            }
            done.insert(element.key)
        }

        while l < left.count || r < right.count {
            if l < left.count, r < right.count {
                if left[l].key == right[r].key {
                    take(right[r])
                    l += 1
                    r += 1
                    shared = shared.dropFirst()
                    continue
                }
                if wanted.contains(left[l].key), let next = shared.first, next != left[l].key {
                    l += 1
                    continue
                }
            }
            if l < left.count {
                if !wanted.contains(left[l].key) {
                    result.append(left[l].value)
                    l += 1
                    continue
                }
                if done.contains(left[l].key) { l += 1 }
            }
            if r < right.count {
                take(right[r])
                if shared.first == right[r].key { shared = shared.dropFirst() }
                r += 1
            }
        }
        return result
    }
}
