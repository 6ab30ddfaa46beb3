import Document

// RFC 6902 as the upstream server reads it, which is laxer than the standard and in one place stricter:
// indices may be negative or have leading zeros, a `replace` adds what it does not find, a `copy` of nothing is null,
// a `test` for null holds where nothing is, and a `test` of a number compares its text.

enum JSONPatching {
    static func apply(_ patch: Document, to object: Document) throws(PatchError) -> Document {
        guard patch.count <= Document.mostPatchOperations else { throw PatchError(.malformed, "too many operations") }
        var result = object
        var copied = 0
        for operation in patch.elements { try carryOut(operation, on: &result, copied: &copied) }
        return result
    }

    private static func carryOut(
        _ given: Document, on object: inout Document, copied: inout Int
    ) throws(PatchError) {
        var operation = given
        let name = operation.text("op") ?? ""
        for field in ["path", "from"] {
            guard let pointer = operation.text(field) else { continue }
            let adds = field == "path" && ["add", "move", "copy"].contains(name)
            operation[field] = Document(resolved(pointer, in: object, isInsertion: adds))
        }
        if name == "test" { return try test(operation, object) }
        var next = object
        do throws(PatchError) { try next.apply(operation, copied: &copied) } catch {
            guard error.reason == .missing else { throw error }
            switch name {
            case "replace": break
            case "copy": operation["value"] = .some(.null)
            default: throw error
            }
            operation["op"] = "add"
            operation["from"] = .none
            next = object
            try next.apply(operation, copied: &copied)
        }
        object = next
    }

    /// The pointer with every index of an array as the standard writes it.
    private static func resolved(_ pointer: String, in object: Document, isInsertion: Bool) -> String {
        var here: Document? = object
        var steps = pointer.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        for place in steps.indices.dropFirst() {
            if let array = here, array.isArray, let index = Int(steps[place]) {
                let isTarget = place == steps.count - 1
                let count = array.count + (isInsertion && isTarget ? 1 : 0)
                let resolved = index < 0 ? index + count : index
                if resolved >= 0 { steps[place] = String(resolved) }
            }
            here = here.flatMap { step(into: $0, steps[place]) }
        }
        return steps.joined(separator: "/")
    }

    private static func step(into value: Document, _ text: String) -> Document? {
        if value.isArray {
            guard let index = Int(text), index >= 0, index < value.count else { return nil }
            return value[index]
        }
        return value[unescaped(text)]
    }

    private static func unescaped(_ step: String) -> String {
        guard step.utf8.contains(UInt8(ascii: "~")) else { return step }
        var result = ""
        var rest = Substring(step)
        while let character = rest.popFirst() {
            if character == "~", let next = rest.first, next == "0" || next == "1" {
                rest.removeFirst()
                result.append(next == "0" ? "~" : "/")
            } else {
                result.append(character)
            }
        }
        return result
    }

    private static func test(_ operation: Document, _ object: Document) throws(PatchError) {
        guard let pointer = operation.text("path") else { throw PatchError(.malformed, "test operation has no path") }
        guard pointer.isEmpty || pointer.hasPrefix("/") else {
            throw PatchError(.malformed, "the pointer \"\(pointer)\" does not start with /")
        }
        var found: Document? = object
        for step in pointer.split(separator: "/", omittingEmptySubsequences: false).dropFirst() {
            found = found.flatMap { Self.step(into: $0, String(step)) }
        }
        let wanted = operation["value"]
        let isNothing = wanted?.isNull ?? true
        guard let found, !found.isNull else {
            if isNothing { return }
            throw PatchError(.testFailed, "testing path \(pointer) failed: it does not exist")
        }
        guard let wanted, isSame(found, wanted) else {
            throw PatchError(.testFailed, "testing value \(pointer) failed")
        }
    }

    /// As JSON means it, but for numbers, which are compared as they are written.
    private static func isSame(_ a: Document, _ b: Document) -> Bool {
        switch (a.kind, b.kind) {
        case (.object, .object):
            a.count == b.count
                && a.members.allSatisfy { member in b[member.key].map { isSame(member.value, $0) } ?? false }
        case (.array, .array): a.count == b.count && zip(a.elements, b.elements).allSatisfy { isSame($0, $1) }
        default: a == b
        }
    }

    /// Members of the operations that a JSON patch does not know: `[0].extra`.
    static func unknownFields(_ patch: Document) -> [String] {
        patch.elements.enumerated().flatMap { index, operation in
            operation.members.filter { !["op", "path", "from", "value"].contains($0.key) }.map {
                "[\(index)].\($0.key)"
            }
        }
    }
}
