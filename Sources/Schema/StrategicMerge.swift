import Document

/// Why a strategic merge patch cannot be applied.
public struct StrategicMergeError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Reason: Sendable, Equatable {
        /// It is no strategic merge patch.
        case malformed
        /// It says two things that do not go together.
        case contradiction
        case other
    }

    public let description: String
    public let reason: Reason

    public init(_ description: String, _ reason: Reason = .other) {
        self.description = description
        self.reason = reason
    }

    static func unknownDirective(_ name: String, _ patch: Document) -> StrategicMergeError {
        StrategicMergeError("unknown patch type: \(name) in map: \(GoText.value(patch))")
    }
}

// Strategic merge patch.
//
// A merge patch in which the declared types say how lists merge. Directives inside the patch:
//   $patch: replace | delete | merge     what to do with the object, or the list element, that carries it
//   $retainKeys: [a, b]                  drop every member of the object but these
//   $deleteFromPrimitiveList/F: [x]      remove these values from the list F
//   $setElementOrder/F: [x] | [{k: x}]   the wanted order of the list F; elements unknown to it keep their place

extension Registry {
    public func strategicMerge(_ patch: Document, into object: Document, type: TypeID) throws -> Document {
        guard patch.isObject else { throw StrategicMergeError("patch must be an object") }
        return try StrategicMerge.object(patch, into: object, type.info) ?? .emptyObject
    }
}

enum StrategicMerge {
    private static let directive = "$patch"
    private static let retainKeys = "$retainKeys"
    private static let deletePrefix = "$deleteFromPrimitiveList/"
    private static let orderPrefix = "$setElementOrder/"

    /// The merged object. Without a type, as inside raw objects, lists are replaced.
    static func object(_ patch: Document, into object: Document, _ type: TypeInfo?) throws -> Document? {
        switch patch[directive]?.string {
        case nil, "merge": break
        case "replace": return stripped(patch)
        case "delete": return .emptyObject
        case let other?: throw StrategicMergeError.unknownDirective(other, patch)
        }
        var result = object.isObject ? object : .emptyObject
        if let keep = patch[retainKeys] { try retain(keep, in: &result, patch) }
        for member in patch.members {
            if member.key == directive || member.key == retainKeys { continue }
            if let name = member.key.value(of: deletePrefix) {
                result[name] = removing(member.value, from: result[name])
                continue
            }
            if let name = member.key.value(of: orderPrefix) {
                // Where the list itself is patched too, its own turn sees to the order.
                if patch[name] == nil, let list = result[name] {
                    result[name] = ordered(list, patched: [], by: member.value, server: list, key: key(of: name, type))
                }
                continue
            }
            result[member.key] = try self.member(member.value, named: member.key, of: result, patch, type)
        }
        return result
    }

    private static func retain(_ keep: Document, in result: inout Document, _ patch: Document) throws {
        guard keep.isArray else { throw StrategicMergeError("invalid patch format of retainKeys", .malformed) }
        let names = Set(keep.elements.compactMap(\.string))
        for member in patch.members where member.key.utf8.first != UInt8(ascii: "$") && !names.contains(member.key) {
            if !member.value.isNull {
                throw StrategicMergeError("patch content doesn't match retainKeys list", .contradiction)
            }
        }
        for member in result.members where !names.contains(member.key) { result[member.key] = nil }
    }

    private static func key(of name: String, _ type: TypeInfo?) -> String? {
        guard let field = type?.field(name), field.mergesInPatch else { return nil }
        return field.patchMergeKey
    }

    private static func member(
        _ value: Document, named name: String, of object: Document, _ patch: Document, _ type: TypeInfo?
    ) throws -> Document? {
        if value.isNull { return nil }
        let field = type?.field(name)
        let existing = object[name]
        if value.isObject {
            if field?.replacesInPatch == true { return stripped(value) }
            var inner: TypeInfo?
            switch field?.shape {
            case .object(let declared): inner = declared
            case .map(.object(let declared)): return try map(value, into: existing, declared)
            default: break
            }
            return try self.object(value, into: existing ?? .emptyObject, inner)
        }
        guard value.isArray, let field, field.mergesInPatch, case .list(let shape) = field.shape else { return value }
        let order = patch[orderPrefix + name]
        if case .object(let element) = shape, let key = field.patchMergeKey {
            return try keyedList(value, into: existing, element, key: key, order: order)
        }
        return primitiveList(value, into: existing, order: order)
    }

    private static func map(_ patch: Document, into existing: Document?, _ type: TypeInfo) throws -> Document? {
        if let action = patch[directive]?.string {
            if action == "replace" { return stripped(patch) }
            return nil
        }
        var result = existing?.isObject == true ? existing ?? .emptyObject : .emptyObject
        for member in patch.members {
            guard !member.value.isNull else {
                result[member.key] = nil
                continue
            }
            result[member.key] = try object(member.value, into: result[member.key] ?? .emptyObject, type)
        }
        return result
    }

    // MARK: Lists

    private static func keyedList(
        _ patch: Document, into existing: Document?, _ type: TypeInfo, key: String, order: Document?
    ) throws -> Document {
        if patch.elements.contains(where: { isListReplacement($0) }) {
            return Document(patch.elements.filter { !isListReplacement($0) }.map(stripped))
        }
        let server = existing ?? .emptyArray
        var merged = server.elements
        var patched: [Document] = []
        for element in patch.elements {
            guard element.isObject else {
                throw StrategicMergeError("the patch of a list merged by \(key) holds an element that is no object")
            }
            guard let value = element[key] else {
                throw StrategicMergeError("map: \(GoText.value(element)) does not contain declared merge key: \(key)")
            }
            if element[directive]?.string == "delete" {
                merged.removeAll { $0[key] == value }
                continue
            }
            patched.append(value)
            if let index = merged.firstIndex(where: { $0[key] == value }) {
                merged[index] = try object(element, into: merged[index], type) ?? .emptyObject
            } else {
                merged.append(try object(element, into: .emptyObject, type) ?? .emptyObject)
            }
        }
        // Without a wanted order, the patch's own is it.
        let wanted = order ?? Document(patch.elements.filter { $0[directive]?.string != "delete" })
        return ordered(Document(merged), patched: patched, by: wanted, server: server, key: key)
    }

    private static func isListReplacement(_ element: Document) -> Bool {
        element.count == 1 && element[directive]?.string == "replace"
    }

    private static func primitiveList(_ patch: Document, into existing: Document?, order: Document?) -> Document {
        let server = existing ?? .emptyArray
        var merged: [Document] = []
        for element in server.elements + patch.elements where !merged.contains(element) { merged.append(element) }
        return ordered(Document(merged), patched: patch.elements, by: order ?? patch, server: server, key: nil)
    }

    private static func removing(_ values: Document, from list: Document?) -> Document? {
        guard let list else { return nil }
        return Document(list.elements.filter { !values.elements.contains($0) })
    }

    /// Brings the elements that `order` names into that order. The others, which only the server has, keep their
    /// order and stand before an element that they stood before on the server.
    private static func ordered(
        _ list: Document, patched: [Document], by order: Document, server: Document, key: String?
    ) -> Document {
        func identity(_ element: Document) -> Document { key.flatMap { element[$0] } ?? element }
        let wanted = order.elements.map(identity)
        let serverOrder = server.elements.map(identity)
        var named = list.elements.filter { wanted.contains(identity($0)) || patched.contains(identity($0)) }
        let others = list.elements.filter { !(wanted.contains(identity($0)) || patched.contains(identity($0))) }
        named = named.enumerated().sorted { a, b in
            let left = wanted.firstIndex(of: identity(a.element)) ?? Int.max
            let right = wanted.firstIndex(of: identity(b.element)) ?? Int.max
            return left == right ? a.offset < b.offset : left < right
        }.map(\.element)
        var result: [Document] = []
        var rest = others[...]
        for element in named {
            let place = serverOrder.firstIndex(of: identity(element))
            while let next = rest.first, let place, let own = serverOrder.firstIndex(of: identity(next)), own < place {
                result.append(next)
                rest = rest.dropFirst()
            }
            result.append(element)
        }
        return Document(result + rest)
    }

    /// The patch as a value: without directives and without the members that it deletes.
    private static func stripped(_ value: Document) -> Document {
        if value.isArray { return Document(value.elements.map(stripped)) }
        guard value.isObject else { return value }
        return Document(
            members: value.members.compactMap { member in
                if member.value.isNull || member.key == directive || member.key == retainKeys { return nil }
                if member.key.value(of: deletePrefix) != nil || member.key.value(of: orderPrefix) != nil { return nil }
                return (member.key, stripped(member.value))
            })
    }
}
