import Glibc

/// A parsed text as one flat array of nodes over its bytes: no box, no string and no dictionary per value.
///
///     {"a":[1,"x"]}   →   object(1) │ key a │ array(2) │ int 1 │ string x
///
/// Nodes stand in the order of the text. An object's children are key, value, key, value…; every node knows where
/// the next one after its whole subtree stands, which is how a lookup steps over what it does not want.
///
/// A tape never changes after it has been built, so documents share it freely.
final class Tape: @unchecked Sendable {
    let bytes: UnsafePointer<UInt8>
    let nodes: UnsafePointer<TapeNode>
    let byteCount: Int
    let nodeCount: Int

    /// Takes both blocks over; they come from `malloc`.
    init(bytes: UnsafeMutablePointer<UInt8>, byteCount: Int, nodes: UnsafeMutablePointer<TapeNode>, nodeCount: Int) {
        self.bytes = UnsafePointer(bytes)
        self.byteCount = byteCount
        self.nodes = UnsafePointer(nodes)
        self.nodeCount = nodeCount
    }

    deinit {
        free(UnsafeMutableRawPointer(mutating: bytes))
        free(UnsafeMutableRawPointer(mutating: nodes))
    }
}

/// One value of a tape: 16 bytes.
struct TapeNode {
    enum Tag: UInt32 {
        case null, no, yes, int, double, string, array, object
    }

    /// Bits 0 to 2: the tag. Bit 3: the text of this string has escapes. Bit 4: not as we would write it.
    /// Bit 5: an object in which a member comes twice. Bits 8 to 31: elements or members, `manyCount` for more.
    var head: UInt32
    /// Of the text: for strings what stands between the quotes, for everything else the whole of it.
    var start: UInt32
    var length: UInt32
    /// The node after this one's subtree. While a container is being read: its parent.
    var next: UInt32

    static let escaped: UInt32 = 1 << 3
    static let unusual: UInt32 = 1 << 4
    static let duplicates: UInt32 = 1 << 5
    static let manyCount: UInt32 = 0xFF_FFFF

    var tag: Tag { Tag(rawValue: head & 7) ?? .null }
    var isEscaped: Bool { head & Self.escaped != 0 }
    /// Copying the text gives exactly what the writer would write: no white space, no needless escapes, numbers in
    /// their shortest form, in the whole subtree.
    var isCanonical: Bool { head & Self.unusual == 0 }
    var hasDuplicates: Bool { head & Self.duplicates != 0 }
}

extension Tape {
    func text(_ node: TapeNode) -> UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(start: bytes + Int(node.start), count: Int(node.length))
    }

    /// The whole text of a value, a string's quotes included.
    func source(_ node: TapeNode) -> UnsafeBufferPointer<UInt8> {
        guard node.tag == .string else { return text(node) }
        return UnsafeBufferPointer(start: bytes + Int(node.start) - 1, count: Int(node.length) + 2)
    }

    func count(_ index: UInt32) -> Int {
        let node = nodes[Int(index)]
        let counted = node.head >> 8
        if counted < TapeNode.manyCount { return Int(counted) }
        return node.tag == .object ? members(index).count : elements(index).count
    }

    /// The document of one node. Small values stand for themselves, so that they keep no tape alive.
    func document(_ index: UInt32) -> Document {
        let node = nodes[Int(index)]
        switch node.tag {
        case .null: return .null
        case .no: return Document(.bool(false))
        case .yes: return Document(.bool(true))
        case .int: return Document(.int(TapeNumber.whole(text(node)) ?? 0))
        case .double: return Document(.double(TapeNumber.double(text(node))))
        case .string, .array, .object: return Document(.tape(self, index))
        }
    }

    func string(_ node: TapeNode) -> String {
        let text = text(node)
        return node.isEscaped ? TapeString.unescape(text) : String(decoding: text, as: UTF8.self)
    }

    // MARK: Containers

    func elements(_ index: UInt32) -> [Document] {
        let node = nodes[Int(index)]
        var result: [Document] = []
        result.reserveCapacity(Int(node.head >> 8))
        var child = index + 1
        while child < node.next {
            result.append(document(child))
            child = nodes[Int(child)].next
        }
        return result
    }

    func element(_ index: UInt32, at place: Int) -> Document? {
        let end = nodes[Int(index)].next
        var child = index + 1
        var left = place
        while child < end, left >= 0 {
            if left == 0 { return document(child) }
            left -= 1
            child = nodes[Int(child)].next
        }
        return nil
    }

    /// In order; of members with the same key the first one's place and the last one's value.
    func members(_ index: UInt32) -> [Document.Member] {
        let node = nodes[Int(index)]
        var result: [Document.Member] = []
        result.reserveCapacity(Int(node.head >> 8))
        var places: [String: Int] = [:]
        var key = index + 1
        while key < node.next {
            let member = Document.Member(key: string(nodes[Int(key)]), value: document(key + 1))
            key = nodes[Int(key + 1)].next
            if node.hasDuplicates {
                if let place = places[member.key] {
                    result[place].value = member.value
                    continue
                }
                places[member.key] = result.count
            }
            result.append(member)
        }
        return result
    }

    /// False where an object must be put in order first: where a member comes twice, or a key has escapes.
    func eachMember<E: Error>(
        _ index: UInt32, _ body: (UnsafeBufferPointer<UInt8>, Document) throws(E) -> Void
    ) throws(E) -> Bool {
        let node = nodes[Int(index)]
        if node.hasDuplicates { return false }
        var key = index + 1
        while key < node.next {
            if nodes[Int(key)].isEscaped { return false }
            key = nodes[Int(key + 1)].next
        }
        key = index + 1
        while key < node.next {
            try body(text(nodes[Int(key)]), document(key + 1))
            key = nodes[Int(key + 1)].next
        }
        return true
    }

    /// The node of a member's value, without making anything.
    func find(_ key: String, in index: UInt32) -> UInt32? {
        var key = key
        return key.withUTF8 { find($0, in: index) }
    }

    private func find(_ wanted: UnsafeBufferPointer<UInt8>, in index: UInt32) -> UInt32? {
        let object = nodes[Int(index)]
        var found: UInt32?
        var key = index + 1
        while key < object.next {
            let node = nodes[Int(key)]
            if matches(node, wanted) {
                if !object.hasDuplicates { return key + 1 }
                found = key + 1
            }
            key = nodes[Int(key + 1)].next
        }
        return found
    }

    @inline(__always)
    private func matches(_ node: TapeNode, _ wanted: UnsafeBufferPointer<UInt8>) -> Bool {
        if node.isEscaped { return TapeString.unescape(text(node)).utf8.elementsEqual(wanted) }
        guard Int(node.length) == wanted.count else { return false }
        guard let base = wanted.baseAddress else { return true }
        return memcmp(bytes + Int(node.start), base, wanted.count) == 0
    }

    // MARK: Writing

    func write(_ index: UInt32, to out: inout [UInt8]) {
        let node = nodes[Int(index)]
        if node.isCanonical {
            out.append(contentsOf: source(node))
            return
        }
        switch node.tag {
        case .string: Document.write(string(node), to: &out)
        case .array:
            out.append(UInt8(ascii: "["))
            var child = index + 1
            while child < node.next {
                if child > index + 1 { out.append(UInt8(ascii: ",")) }
                write(child, to: &out)
                child = nodes[Int(child)].next
            }
            out.append(UInt8(ascii: "]"))
        case .object where !node.hasDuplicates:
            out.append(UInt8(ascii: "{"))
            var key = index + 1
            while key < node.next {
                if key > index + 1 { out.append(UInt8(ascii: ",")) }
                write(key, to: &out)
                out.append(UInt8(ascii: ":"))
                write(key + 1, to: &out)
                key = nodes[Int(key + 1)].next
            }
            out.append(UInt8(ascii: "}"))
        case .object: Document(.object(members(index))).write(to: &out)
        default: document(index).write(to: &out)
        }
    }

    // MARK: Parts

    /// The same value on a tape of its own, which keeps nothing else of this one alive.
    func detached(_ index: UInt32) -> Document {
        let node = nodes[Int(index)]
        let source = source(node)
        let count = Int(node.next - index)
        guard source.count < byteCount else { return Document(.tape(self, index)) }
        guard let newBytes = malloc(max(1, source.count)), let base = source.baseAddress,
            let newNodes = malloc(count * MemoryLayout<TapeNode>.stride)
        else { preconditionFailure("no memory") }
        memcpy(newBytes, base, source.count)
        let copies = newNodes.bindMemory(to: TapeNode.self, capacity: count)
        let shift = UInt32(base - bytes)
        for place in 0..<count {
            var copy = nodes[Int(index) + place]
            copy.start -= shift
            copy.next -= index
            copies[place] = copy
        }
        let tape = Tape(
            bytes: newBytes.bindMemory(to: UInt8.self, capacity: source.count), byteCount: source.count, nodes: copies,
            nodeCount: count)
        return Document(.tape(tape, 0))
    }

    /// The paths of members that stand in an object where their key stood before.
    func duplicatePaths() -> [String] {
        var found: [String] = []
        var path: [PathStep] = []
        func visit(_ index: UInt32) {
            let node = nodes[Int(index)]
            switch node.tag {
            case .array:
                var child = index + 1
                var place = 0
                while child < node.next {
                    path.append(.index(place))
                    visit(child)
                    path.removeLast()
                    place += 1
                    child = nodes[Int(child)].next
                }
            case .object:
                var seen: Set<String> = []
                var key = index + 1
                while key < node.next {
                    let name = string(nodes[Int(key)])
                    path.append(.key(name))
                    visit(key + 1)
                    if node.hasDuplicates, !seen.insert(name).inserted { found.append(PathStep.text(of: path)) }
                    path.removeLast()
                    key = nodes[Int(key + 1)].next
                }
            default: break
            }
        }
        visit(0)
        return found
    }
}
