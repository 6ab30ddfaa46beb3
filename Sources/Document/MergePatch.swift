extension Document {
    /// RFC 7386: members of the patch replace those here, null removes them, everything but objects replaces the whole.
    public func applyingMergePatch(_ patch: Document) -> Document {
        guard patch.isObject else { return patch }
        var result = isObject ? self : .emptyObject
        for member in patch.members {
            if member.value.isNull {
                result[member.key] = nil
            } else {
                result[member.key] = (result[member.key] ?? .null).applyingMergePatch(member.value)
            }
        }
        return result
    }

    /// The smallest merge patch that makes `to` of `from`. A null inside an object of `to` cannot be said by one.
    public static func mergePatch(from: Document, to: Document) -> Document {
        guard from.isObject, to.isObject else { return to }
        var patch = Document.emptyObject
        for member in from.members where to[member.key] == nil { patch[member.key] = .null }
        for member in to.members {
            guard let old = from[member.key] else {
                patch[member.key] = member.value
                continue
            }
            if old.means(member.value) { continue }
            patch[member.key] = mergePatch(from: old, to: member.value)
        }
        return patch
    }
}
