import Document

// The wire form of a set of fields, `fieldsV1`:
//
//     {"f:spec":{"f:replicas":{},"f:ports":{"k:{\"port\":80}":{".":{},"f:name":{}}}}}
//
// Every member is a path element. An empty object is a field of the set; `.` inside an object says that the field
// itself belongs to the set beside what is listed below it.

extension FieldSet {
    /// Appends the wire form.
    public func write(to out: inout [UInt8]) {
        out.append(UInt8(ascii: "{"))
        writeMembers(to: &out)
        out.append(UInt8(ascii: "}"))
    }

    private func writeMembers(to out: inout [UInt8]) {
        var first = true
        for node in nodes {
            if !first { out.append(UInt8(ascii: ",")) }
            first = false
            JSONText.write(node.element, to: &out)
            out.append(UInt8(ascii: ":"))
            out.append(UInt8(ascii: "{"))
            if !node.children.isEmpty {
                if !node.marks.isEmpty { out += "\".\":{},".utf8 }
                node.children.writeMembers(to: &out)
            }
            out.append(UInt8(ascii: "}"))
        }
    }

    /// Reads the wire form; nil where it is none.
    public init?(_ fields: Document) {
        guard fields.isObject else { return nil }
        var nodes: [Node] = []
        nodes.reserveCapacity(fields.count)
        for member in fields.members where member.key != "." {
            guard Self.isElement(member.key), let children = FieldSet(member.value) else { return nil }
            let isMember = member.value.count == 0 || member.value["."] != nil
            let node = Node(member.key, isMember ? .member : [], children)
            if !node.isEmpty { nodes.append(node) }
        }
        self.init(found: nodes)
    }

    private static func isElement(_ text: String) -> Bool {
        var bytes = text.utf8.makeIterator()
        guard let kind = bytes.next(), bytes.next() == UInt8(ascii: ":") else { return false }
        switch kind {
        case UInt8(ascii: "f"): return true
        case UInt8(ascii: "i"): return Int(text.dropFirst(2)) != nil
        case UInt8(ascii: "v"): return (try? Document(json: text.utf8.dropFirst(2))) != nil
        case UInt8(ascii: "k"): return (try? Document(json: text.utf8.dropFirst(2)))?.isObject == true
        default: return false
        }
    }

    /// Every field as messages show it.
    public var texts: [String] { paths().map(FieldElement.text) }

    /// Whether a set in its wire form has a field that `changes` marks, without reading the whole of it.
    static func touches(_ fields: Document, _ changes: FieldSet) -> Bool {
        for node in changes.nodes {
            guard let below = fields[node.element] else { continue }
            if !node.marks.isEmpty, below.count == 0 || below["."] != nil { return true }
            if touches(below, node.children) { return true }
        }
        return false
    }
}

/// Strings as JSON, straight into a buffer.
enum JSONText {
    static func write(_ text: String, to out: inout [UInt8]) {
        out.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                out.append(UInt8(ascii: "\\"))
                out.append(byte)
            case 0..<32:
                out += Document(String(decoding: [byte], as: UTF8.self)).json.dropFirst().dropLast()
            default: out.append(byte)
            }
        }
        out.append(UInt8(ascii: "\""))
    }
}

/// Path elements, and how messages show them.
enum FieldElement {
    static func field(_ name: String) -> String { "f:" + name }

    static func value(_ value: Document) -> String { "v:" + value.jsonText }

    /// The path in a message: `.spec.ports[port=80,protocol="TCP"].name`.
    static func text(of path: [String]) -> String { path.map(text).joined() }

    static func text(_ element: String) -> String {
        let content = element.dropFirst(2)
        switch element.utf8.first {
        case UInt8(ascii: "f"): return "." + content
        case UInt8(ascii: "k"):
            let keys = (try? Document(json: content.utf8))?.members ?? []
            return "[" + keys.map { "\($0.key)=\($0.value.jsonText)" }.joined(separator: ",") + "]"
        case UInt8(ascii: "v"): return "[=\(content)]"
        default: return "[\(content)]"
        }
    }
}
