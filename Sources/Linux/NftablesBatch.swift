/// A chain that the kernel calls by itself.
public struct NftHook: Sendable, Equatable {
    public enum Kind: String, Sendable { case nat, filter, route }
    public enum Point: UInt32, Sendable { case prerouting, input, forward, output, postrouting }

    public var kind: Kind
    public var point: Point
    public var priority: Int32

    public init(_ kind: Kind, _ point: Point, priority: Int32) {
        self.kind = kind
        self.point = point
        self.priority = priority
    }
}

/// What a part of a key or value is. The kernel knows lengths only; the number tells `nft list` how to show it.
public enum NftType: UInt32, Sendable {
    case address = 7
    case protocolNumber = 12
    case port = 13
    case mark = 19

    /// As the key or value of a set, where every part fills whole registers.
    var length: Int { self == .protocolNumber ? 1 : self == .port ? 2 : 4 }
}

public struct NftSet: Sendable, Equatable {
    public enum Value: Sendable, Equatable {
        case none
        case data([NftType])
        case verdict
    }

    public var name: String
    public var key: [NftType]
    public var value: Value
    /// Elements come with a lifetime, and rules may add them.
    public var dynamic: Bool
    /// A bound for dynamic sets, so that a flood of clients cannot take all memory.
    public var size: UInt32?
    /// Its elements are ranges, each given by its first key and by the first key behind it.
    public var ranges: Bool

    public init(
        _ name: String, key: [NftType], value: Value = .none, dynamic: Bool = false, size: UInt32? = nil,
        ranges: Bool = false
    ) {
        self.name = name
        self.key = key
        self.value = value
        self.dynamic = dynamic
        self.size = size
        self.ranges = ranges
    }
}

/// An element: its key's bytes (each part padded to 4) and, in a map, its value.
public struct NftElement: Sendable, Hashable {
    public enum Value: Sendable, Hashable {
        case none
        case data([UInt8])
        case verdict(NftVerdict)
    }

    public var key: [UInt8]
    public var value: Value
    /// In a set of ranges: the range that began before this key ends here, and the key is not in it.
    public var endsRange: Bool
    /// The kernel takes it away after that; nil stays.
    public var lifetime: Duration?

    public init(_ key: [UInt8], _ value: Value = .none, endsRange: Bool = false, lifetime: Duration? = nil) {
        self.key = key
        self.value = value
        self.endsRange = endsRange
        self.lifetime = lifetime
    }
}

/// One transaction: everything in it happens at once, or nothing does.
///
/// On the wire: a begin message, the operations, an end message, all in one datagram. Every operation starts
/// with struct nfgenmsg: family (1), version (1), resource (2, network order).
public struct NftBatch {
    private static let subsystem: UInt16 = 10
    /// Elements of one message; a list is one attribute and so must stay below 64 KiB.
    private static let elementBytes = 32 << 10

    private enum Operation {
        static let newTable: UInt16 = 0
        static let deleteTable: UInt16 = 2
        static let newChain: UInt16 = 3
        static let deleteChain: UInt16 = 5
        static let newRule: UInt16 = 6
        static let deleteRule: UInt16 = 8
        static let newSet: UInt16 = 9
        static let deleteSet: UInt16 = 11
        static let newElement: UInt16 = 12
        static let deleteElement: UInt16 = 14
    }

    public let table: String
    private var writer = NetlinkWriter()
    private var sequence: UInt32 = 0
    private var setCount: UInt32 = 0
    private(set) var objects: [String] = []

    /// Everything in the batch belongs to `table`, of the IPv4 family.
    public init(table: String) {
        self.table = table
        control(type: 0x10)
    }

    public var isEmpty: Bool { objects.isEmpty }
    public var byteCount: Int { writer.bytes.count }

    // MARK: Operations

    /// What a comment may have at most: the kernel keeps 256 bytes with a table, of which three frame the text.
    public static let mostCommentBytes = 252

    /// `comment` is kept with the table and shown by `nft list`.
    public mutating func addTable(comment: String? = nil) {
        append(Operation.newTable, create: true, "add table \(table)") { [table] in
            $0.attribute(1, text: table)
            $0.attribute(2, network: UInt32(0))
            // A list of type (0: comment), length, and a text with its terminating zero.
            if let comment, case let text = Array(comment.utf8.prefix(Self.mostCommentBytes)) + [0] {
                $0.attribute(6, [0, UInt8(text.count)] + text)
            }
        }
    }

    public mutating func deleteTable() {
        append(Operation.deleteTable, create: false, "delete table \(table)") { [table] in
            $0.attribute(1, text: table)
        }
    }

    /// Makes the table anew, whether it exists or not.
    public mutating func resetTable() {
        addTable()
        deleteTable()
        addTable()
    }

    public mutating func addChain(_ name: String, _ hook: NftHook? = nil) {
        append(Operation.newChain, create: true, "add chain \(name)") { [table] message in
            message.attribute(1, text: table)
            message.attribute(3, text: name)
            guard let hook else { return }
            message.nested(4) {
                $0.attribute(1, network: hook.point.rawValue)
                $0.attribute(2, network: hook.priority)
            }
            message.attribute(5, network: UInt32(1))  // policy accept
            message.attribute(7, text: hook.kind.rawValue)
        }
    }

    /// The chain must be empty and nobody may lead to it.
    public mutating func deleteChain(_ name: String) {
        append(Operation.deleteChain, create: false, "delete chain \(name)") { [table] in
            $0.attribute(1, text: table)
            $0.attribute(3, text: name)
        }
    }

    public mutating func addRule(_ chain: String, _ expressions: [NftExpression]) {
        append(Operation.newRule, create: true, more: NetlinkSocket.Flag.append, "add rule to chain \(chain)") {
            [table] message in
            message.attribute(1, text: table)
            message.attribute(2, text: chain)
            message.nested(4) { list in
                for expression in expressions { list.expression(expression) }
            }
        }
    }

    /// Takes every rule out of the chain.
    public mutating func flushChain(_ name: String) {
        append(Operation.deleteRule, create: false, "flush chain \(name)") { [table] in
            $0.attribute(1, text: table)
            $0.attribute(2, text: name)
        }
    }

    /// Takes every element out of the set.
    public mutating func flushSet(_ name: String) {
        append(Operation.deleteElement, create: false, "flush set \(name)") { [table] in
            $0.attribute(1, text: table)
            $0.attribute(2, text: name)
        }
    }

    public mutating func addSet(_ set: NftSet) {
        setCount += 1
        append(Operation.newSet, create: true, "add set \(set.name)") { [table, setCount] message in
            var flags: UInt32 = 0
            if set.value != .none { flags |= 0x8 }
            if set.dynamic { flags |= 0x10 | 0x20 }
            if set.ranges { flags |= 0x4 }
            message.attribute(1, text: table)
            message.attribute(2, text: set.name)
            message.attribute(3, network: flags)
            message.attribute(4, network: set.key.wireType)
            message.attribute(5, network: UInt32(set.key.wireLength))
            switch set.value {
            case .none: break
            case .data(let types):
                message.attribute(6, network: types.wireType)
                message.attribute(7, network: UInt32(types.wireLength))
            case .verdict:
                message.attribute(6, network: UInt32(0xFFFF_FF00))
                message.attribute(7, network: UInt32(0))
            }
            if let size = set.size { message.nested(9) { $0.attribute(1, network: size) } }
            // Names the set within the batch.
            message.attribute(10, network: setCount)
        }
    }

    public mutating func deleteSet(_ name: String) {
        append(Operation.deleteSet, create: false, "delete set \(name)") { [table] in
            $0.attribute(1, text: table)
            $0.attribute(2, text: name)
        }
    }

    public mutating func addElements(_ set: String, _ elements: some Sequence<NftElement>) {
        self.elements(Operation.newElement, create: true, set, Array(elements), withValues: true)
    }

    public mutating func deleteElements(_ set: String, _ elements: some Sequence<NftElement>) {
        self.elements(Operation.deleteElement, create: false, set, Array(elements), withValues: false)
    }

    // MARK: Wire

    private mutating func elements(
        _ operation: UInt16, create: Bool, _ set: String, _ elements: [NftElement], withValues: Bool
    ) {
        var rest = elements[...]
        while !rest.isEmpty {
            let verb = create ? "add elements to" : "delete elements from"
            append(operation, create: create, "\(verb) set \(set)") { [table] message in
                message.attribute(1, text: table)
                message.attribute(2, text: set)
                message.nested(3) { list in
                    let start = list.bytes.count
                    while let element = rest.first, list.bytes.count - start < Self.elementBytes {
                        list.element(element, withValue: withValues)
                        rest = rest.dropFirst()
                    }
                }
            }
        }
    }

    private mutating func append(
        _ operation: UInt16, create: Bool, more: UInt16 = 0, _ object: String,
        _ body: (inout NetlinkWriter) -> Void
    ) {
        sequence += 1
        // The first operation is acknowledged, so that there is one answer even where all goes well.
        let flags =
            NetlinkSocket.Flag.request | (create ? NetlinkSocket.Flag.create : 0) | more
            | (objects.isEmpty ? NetlinkSocket.Flag.acknowledge : 0)
        objects.append(object)
        writer.message(type: Self.subsystem << 8 | operation, flags: flags, sequence: sequence) {
            $0.raw([2, 0, 0, 0])
            body(&$0)
        }
    }

    private mutating func control(type: UInt16) {
        writer.message(type: type, flags: NetlinkSocket.Flag.request, sequence: sequence) {
            $0.raw([0, 0])
            $0.host(Self.subsystem.bigEndian)
        }
    }

    /// The whole datagram, and the numbers of the first and last operation.
    func finished() -> (datagram: [UInt8], numbers: ClosedRange<UInt32>) {
        var copy = self
        copy.sequence += 1
        copy.control(type: 0x11)
        return (copy.writer.bytes, 0...copy.sequence)
    }
}

extension NetlinkWriter {
    fileprivate mutating func element(_ element: NftElement, withValue: Bool) {
        nested(1) { body in
            body.nested(1) { $0.attribute(1, element.key) }
            if element.endsRange { body.attribute(3, network: UInt32(1)) }
            if let lifetime = element.lifetime {
                let (seconds, fraction) = lifetime.components
                let milliseconds = max(1, seconds * 1000 + fraction / 1_000_000_000_000_000)
                body.attribute(4, network: UInt64(milliseconds))
            }
            guard withValue else { return }
            switch element.value {
            case .none: break
            case .data(let bytes): body.nested(2) { $0.attribute(1, bytes) }
            case .verdict(let verdict): body.nested(2) { $0.verdict(verdict) }
            }
        }
    }
}

extension [NftType] {
    /// `nft` writes the types of a concatenation as six bits each.
    fileprivate var wireType: UInt32 { reduce(0) { $0 << 6 | $1.rawValue } }
    /// A single part has its own length, the parts of a concatenation are padded to registers.
    fileprivate var wireLength: Int { count == 1 ? self[0].length : count * 4 }
}
