/// Why a JSON Patch was not applied: nothing of it is.
public struct PatchError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Reason: Sendable, Equatable {
        /// The patch itself is no JSON Patch.
        case malformed
        /// A path leads nowhere in the document.
        case missing
        /// A `test` did not hold.
        case testFailed
    }

    public var reason: Reason
    public var message: String
    public var description: String { message }

    public init(_ reason: Reason, _ message: String) {
        self.reason = reason
        self.message = message
    }
}

/// RFC 6901: where a value is, as a text such as `/spec/containers/0`.
struct JSONPointer {
    var steps: [String]

    init(_ text: String) throws(PatchError) {
        guard !text.isEmpty else {
            steps = []
            return
        }
        guard text.hasPrefix("/") else { throw PatchError(.malformed, "the pointer \"\(text)\" does not start with /") }
        steps = text.utf8.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
            .map(Self.unescape)
    }

    /// `~1` is a slash, `~0` a tilde, in this order, so that `~01` is `~1`.
    private static func unescape(_ step: Substring.UTF8View.SubSequence) -> String {
        var out: [UInt8] = []
        var rest = step
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "~"), let next = rest.first, next == 48 || next == 49 {
                rest = rest.dropFirst()
                out.append(next == 48 ? UInt8(ascii: "~") : UInt8(ascii: "/"))
            } else {
                out.append(byte)
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// An array index: digits without leading zeros.
    static func index(_ step: String) -> Int? {
        guard let first = step.utf8.first, step.utf8.allSatisfy({ (48...57).contains($0) }),
            first != 48 || step.utf8.count == 1
        else { return nil }
        return Int(step)
    }
}

extension Document {
    /// The most operations of one patch, as Kubernetes limits them.
    public static let mostPatchOperations = 10_000
    /// The most bytes of JSON that the `copy` operations of one patch may add, as Kubernetes limits them: each may
    /// double the document.
    static let mostCopiedBytes = 3 << 20

    /// RFC 6902. All operations or none.
    public func applyingJSONPatch(_ patch: Document) throws(PatchError) -> Document {
        guard patch.isArray else { throw PatchError(.malformed, "a JSON patch is an array of operations") }
        guard patch.count <= Self.mostPatchOperations else {
            throw PatchError(
                .malformed,
                "The allowed maximum operations in a JSON patch is \(Self.mostPatchOperations), got \(patch.count)")
        }
        var result = self
        var copied = 0
        for operation in patch.elements { try result.apply(operation, copied: &copied) }
        return result
    }

    /// One operation of a patch whose other ones have copied `copied` bytes so far. Where it throws, the document is
    /// not to be used any more.
    public mutating func apply(_ operation: Document, copied: inout Int) throws(PatchError) {
        guard let name = operation.text("op") else { throw PatchError(.malformed, "an operation has no \"op\"") }
        guard let pathText = operation.text("path") else {
            throw PatchError(.malformed, "\(name) operation has no \"path\"")
        }
        let path = try JSONPointer(pathText).steps[...]
        func value() throws(PatchError) -> Document {
            guard let value = operation["value"] else {
                throw PatchError(.malformed, "\(name) operation on \(pathText) has no \"value\"")
            }
            return value
        }
        func from() throws(PatchError) -> (steps: ArraySlice<String>, text: String) {
            guard let text = operation.text("from") else {
                throw PatchError(.malformed, "\(name) operation on \(pathText) has no \"from\"")
            }
            return (try JSONPointer(text).steps[...], text)
        }
        let change = PatchChange(operation: name, path: pathText)
        switch name {
        case "add":
            let value = try value()
            try Self.check(value, fitsAt: path)
            try edit(path, change) { $0.insert(value, $1) }
        case "remove": try edit(path, change) { $0.remove($1) }
        case "replace":
            let value = try value()
            try Self.check(value, fitsAt: path)
            try edit(path, change) { $0.replace(value, $1) }
        case "test":
            guard let found = found(at: path) else {
                throw PatchError(.testFailed, "testing path \(pathText) failed: it does not exist")
            }
            guard found.means(try value()) else { throw PatchError(.testFailed, "testing value \(pathText) failed") }
        case "move":
            let source = try from()
            guard let moved = found(at: source.steps) else {
                throw PatchError(.missing, "move operation: \(source.text) does not exist")
            }
            guard source.steps == path || !path.starts(with: source.steps) else {
                throw PatchError(.malformed, "move operation: \(source.text) cannot move into itself")
            }
            guard source.steps != path else { return }
            try Self.check(moved, fitsAt: path)
            try edit(source.steps, change) { $0.remove($1) }
            try edit(path, change) { $0.insert(moved, $1) }
        case "copy":
            let source = try from()
            guard let original = found(at: source.steps) else {
                throw PatchError(.missing, "copy operation: \(source.text) does not exist")
            }
            try Self.check(original, fitsAt: path)
            copied += original.json.count
            guard copied <= Self.mostCopiedBytes else {
                throw PatchError(
                    .malformed, "the copy operations of the patch add more than \(Self.mostCopiedBytes) bytes")
            }
            try edit(path, change) { $0.insert(original, $1) }
        default: throw PatchError(.malformed, "Unexpected kind: \(name)")
        }
    }

    private func found(at path: ArraySlice<String>) -> Document? {
        var here = self
        for step in path {
            switch here.kind {
            case .object:
                guard let next = here[step] else { return nil }
                here = next
            case .array:
                guard let index = JSONPointer.index(step), index < here.count else { return nil }
                here = here[index]
            default: return nil
            }
        }
        return here
    }

    /// Goes to the parent of `path` and lets `body` change it there, without copying what lies beside the way.
    private mutating func edit(
        _ path: ArraySlice<String>, _ change: PatchChange,
        _ body: (inout PatchTarget, String) -> Bool
    ) throws(PatchError) {
        guard let step = path.first else {
            var whole = PatchTarget(document: self, isWhole: true)
            guard body(&whole, "") else { throw change.missing }
            self = whole.document
            return
        }
        guard path.count > 1 else {
            var target = PatchTarget(document: self, isWhole: false)
            self = .null
            defer { self = target.document }
            guard body(&target, step) else { throw change.missing }
            return
        }
        guard var child = found(at: [step]) else { throw change.missing }
        replaceChild(step, with: .null)
        try child.edit(path.dropFirst(), change, body)
        replaceChild(step, with: child)
    }

    private mutating func replaceChild(_ step: String, with child: Document) {
        if isObject {
            self[step] = child
        } else if let index = JSONPointer.index(step), index < count {
            self[index] = child
        }
    }

    /// Levels of objects and arrays, itself included.
    private var nesting: Int {
        switch kind {
        case .object: 1 + members.reduce(0) { max($0, $1.value.nesting) }
        case .array: 1 + elements.reduce(0) { max($0, $1.nesting) }
        default: 0
        }
    }

    /// A document stays as shallow as one that is taken as input: each copy could double its depth, and whoever walks over
    /// documents relies on the bound.
    private static func check(_ value: Document, fitsAt path: ArraySlice<String>) throws(PatchError) {
        guard path.count + value.nesting <= deepestInput else {
            throw PatchError(.malformed, "the patch nests more than \(deepestInput) levels")
        }
    }
}

private struct PatchChange {
    var operation: String
    var path: String

    var missing: PatchError {
        PatchError(.missing, "\(operation) operation does not apply: doc is missing path: \(path)")
    }
}

/// The value in which an operation changes one member or element. Each change tells whether it applied.
private struct PatchTarget {
    var document: Document
    /// The operation is about the document itself, not about something in it.
    var isWhole: Bool

    mutating func insert(_ value: Document, _ step: String) -> Bool {
        if isWhole {
            document = value
            return true
        }
        switch document.kind {
        case .object: document[step] = value
        case .array:
            var elements = document.elements
            let index = step == "-" ? elements.count : JSONPointer.index(step)
            guard let index, index <= elements.count else { return false }
            elements.insert(value, at: index)
            document = Document(elements)
        default: return false
        }
        return true
    }

    mutating func remove(_ step: String) -> Bool {
        if isWhole {
            document = .null
            return true
        }
        switch document.kind {
        case .object:
            guard document[step] != nil else { return false }
            document[step] = nil
        case .array:
            var elements = document.elements
            guard let index = JSONPointer.index(step), index < elements.count else { return false }
            elements.remove(at: index)
            document = Document(elements)
        default: return false
        }
        return true
    }

    mutating func replace(_ value: Document, _ step: String) -> Bool {
        if isWhole {
            document = value
            return true
        }
        switch document.kind {
        case .object:
            guard document[step] != nil else { return false }
            document[step] = value
        case .array:
            guard let index = JSONPointer.index(step), index < document.count else { return false }
            document[index] = value
        default: return false
        }
        return true
    }
}
