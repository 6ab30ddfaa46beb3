/// The programs of nftables rules.
///
/// A rule is a list of expressions that work on sixteen 32-bit registers. A matching expression that does not
/// match ends the rule; the next rule goes on. Keys of several parts lie in registers one after another, each
/// part padded to 4 bytes.
public enum NftExpression: Sendable, Equatable {
    public enum Base: UInt32, Sendable { case link, network, transport }
    public enum MetaKey: UInt32, Sendable {
        case mark = 3
        case inputName = 6
        case outputName = 7
        case protocolNumber = 16
    }
    /// Of bytes as they lie in memory, so of numbers in network order.
    public enum Comparison: UInt32, Sendable { case equal, notEqual, less, atMost, more, atLeast }
    /// Keys that belong to one direction of a connection name it, the others do not.
    public enum ConnectionKey: UInt32, Sendable {
        case state = 0
        case status = 2
        case l4Protocol = 10
        case sourcePort = 11
        case destinationPort = 12
        case sourceAddress = 19
        case destinationAddress = 20
    }
    public enum Direction: UInt8, Sendable { case original, reply }
    public enum SetUpdate: UInt32, Sendable { case add, update, delete }
    public enum Rejection: Sendable { case icmpPortUnreachable, tcpReset }

    case payload(Base, offset: Int, length: Int, to: NftRegister)
    case meta(MetaKey, to: NftRegister)
    case setMark(from: NftRegister)
    case connection(ConnectionKey, Direction?, to: NftRegister)
    case compare(NftRegister, Comparison, [UInt8])
    case mask(from: NftRegister, to: NftRegister, mask: [UInt8], xor: [UInt8])
    case immediate([UInt8], to: NftRegister)
    /// Matches where the key is in the set, or with `inverted` where it is not.
    case lookup(set: String, key: NftRegister, inverted: Bool)
    /// Matches where the map has the key, and loads its value.
    case lookupValue(map: String, key: NftRegister, to: NftRegister)
    /// Follows the verdict of a verdict map.
    case lookupVerdict(map: String, key: NftRegister)
    case verdict(NftVerdict)
    case random(modulus: UInt32, to: NftRegister)
    case hash(from: NftRegister, length: Int, modulus: UInt32, seed: UInt32, to: NftRegister)
    /// Changes a set or map from the packet path. For a map the kernel wants `data` even to delete.
    case update(SetUpdate, set: String, key: NftRegister, data: NftRegister?, timeoutMilliseconds: UInt64?)
    case destinationNAT(address: NftRegister, port: NftRegister)
    case masquerade
    case reject(Rejection)
    case counter
    /// Matches what goes beyond so many bytes a second. Lets a burst through, and then what the rate allows.
    case over(bytesPerSecond: UInt64, burst: UInt32)
}

/// One of the sixteen 32-bit registers.
public struct NftRegister: Sendable, Equatable, ExpressibleByIntegerLiteral {
    public let number: UInt32

    public init(integerLiteral value: UInt32) {
        precondition(value < 16, "there are sixteen registers")
        number = value
    }

    /// NFT_REG32_00 is 8.
    var wire: UInt32 { 8 + number }
}

public enum NftVerdict: Sendable, Hashable {
    case accept, drop, `return`
    case jump(String)
    case goto(String)

    var code: Int32 {
        switch self {
        case .drop: 0
        case .accept: 1
        case .jump: -3
        case .goto: -4
        case .return: -5
        }
    }

    var chain: String? {
        switch self {
        case .jump(let chain), .goto(let chain): chain
        default: nil
        }
    }
}

/// Expressions that read the usual fields of IPv4 and of the transport's ports.
extension NftExpression {
    public static func sourceAddress(to register: NftRegister) -> NftExpression {
        .payload(.network, offset: 12, length: 4, to: register)
    }
    public static func destinationAddress(to register: NftRegister) -> NftExpression {
        .payload(.network, offset: 16, length: 4, to: register)
    }
    public static func destinationPort(to register: NftRegister) -> NftExpression {
        .payload(.transport, offset: 2, length: 2, to: register)
    }
}

extension NetlinkWriter {
    /// `NFTA_LIST_ELEM` { name (1), data (2) }.
    mutating func expression(_ expression: NftExpression) {
        nested(1) { element in
            element.attribute(1, text: expression.name)
            element.nested(2) { expression.write(to: &$0) }
        }
    }

    mutating func verdict(_ verdict: NftVerdict) {
        nested(2) { body in
            body.attribute(1, network: verdict.code)
            if let chain = verdict.chain { body.attribute(2, text: chain) }
        }
    }
}

extension NftExpression {
    fileprivate var name: String {
        switch self {
        case .payload: "payload"
        case .meta, .setMark: "meta"
        case .connection: "ct"
        case .compare: "cmp"
        case .mask: "bitwise"
        case .immediate, .verdict: "immediate"
        case .lookup, .lookupValue, .lookupVerdict: "lookup"
        case .random: "numgen"
        case .hash: "hash"
        case .update: "dynset"
        case .destinationNAT: "nat"
        case .masquerade: "masq"
        case .reject: "reject"
        case .counter: "counter"
        case .over: "limit"
        }
    }

    /// The attributes of linux/netfilter/nf_tables.h, in its order where it matters to nobody.
    fileprivate func write(to body: inout NetlinkWriter) {
        switch self {
        case .payload(let base, let offset, let length, let register):
            body.attribute(1, network: register.wire)
            body.attribute(2, network: base.rawValue)
            body.attribute(3, network: UInt32(offset))
            body.attribute(4, network: UInt32(length))
        case .meta(let key, let register):
            body.attribute(1, network: register.wire)
            body.attribute(2, network: key.rawValue)
        case .setMark(let register):
            body.attribute(2, network: MetaKey.mark.rawValue)
            body.attribute(3, network: register.wire)
        case .connection(let key, let direction, let register):
            body.attribute(1, network: register.wire)
            body.attribute(2, network: key.rawValue)
            if let direction { body.attribute(3, host: direction.rawValue) }
        case .compare(let register, let comparison, let value):
            body.attribute(1, network: register.wire)
            body.attribute(2, network: comparison.rawValue)
            body.nested(3) { $0.attribute(1, value) }
        case .mask(let source, let destination, let mask, let xor):
            body.attribute(1, network: source.wire)
            body.attribute(2, network: destination.wire)
            body.attribute(3, network: UInt32(mask.count))
            body.nested(4) { $0.attribute(1, mask) }
            body.nested(5) { $0.attribute(1, xor) }
        case .immediate(let value, let register):
            body.attribute(1, network: register.wire)
            body.nested(2) { $0.attribute(1, value) }
        case .verdict(let verdict):
            body.attribute(1, network: UInt32(0))  // the verdict register
            body.nested(2) { $0.verdict(verdict) }
        case .counter:
            body.attribute(1, network: UInt64(0))
            body.attribute(2, network: UInt64(0))
        case .over(let rate, let burst):
            body.attribute(1, network: rate)
            body.attribute(2, network: UInt64(1))  // the unit: a second
            body.attribute(3, network: burst)
            body.attribute(4, network: UInt32(1))  // bytes, not packets
            body.attribute(5, network: UInt32(1))  // match above the limit, not below
        default:
            writeRest(to: &body)
        }
    }

    private func writeRest(to body: inout NetlinkWriter) {
        switch self {
        case .lookup(let set, let key, let inverted):
            body.attribute(1, text: set)
            body.attribute(2, network: key.wire)
            if inverted { body.attribute(5, network: UInt32(1)) }
        case .lookupValue(let map, let key, let destination):
            body.attribute(1, text: map)
            body.attribute(2, network: key.wire)
            body.attribute(3, network: destination.wire)
        case .lookupVerdict(let map, let key):
            body.attribute(1, text: map)
            body.attribute(2, network: key.wire)
            body.attribute(3, network: UInt32(0))
        case .random(let modulus, let register):
            body.attribute(1, network: register.wire)
            body.attribute(2, network: modulus)
            body.attribute(3, network: UInt32(1))  // random, not in turn
            body.attribute(4, network: UInt32(0))
        case .hash(let source, let length, let modulus, let seed, let destination):
            body.attribute(1, network: source.wire)
            body.attribute(2, network: destination.wire)
            body.attribute(3, network: UInt32(length))
            body.attribute(4, network: modulus)
            body.attribute(5, network: seed)
            body.attribute(6, network: UInt32(0))
            body.attribute(7, network: UInt32(0))  // Jenkins
        case .update(let operation, let set, let key, let data, let timeout):
            body.attribute(1, text: set)
            body.attribute(3, network: operation.rawValue)
            body.attribute(4, network: key.wire)
            if let data { body.attribute(5, network: data.wire) }
            if let timeout { body.attribute(6, network: timeout) }
        case .destinationNAT(let address, let port):
            body.attribute(1, network: UInt32(1))
            body.attribute(2, network: UInt32(2))  // NFPROTO_IPV4
            body.attribute(3, network: address.wire)
            body.attribute(5, network: port.wire)
        case .reject(let rejection):
            switch rejection {
            case .icmpPortUnreachable:
                body.attribute(1, network: UInt32(0))
                body.attribute(2, host: UInt8(3))
            case .tcpReset:
                body.attribute(1, network: UInt32(1))
            }
        default:
            break  // masquerade has no attributes
        }
    }
}
