import Basics
import Glibc

/// One direction's view of a tracked connection.
public struct ConntrackTuple: Sendable, Equatable {
    public var source: IPAddress
    public var destination: IPAddress
    public var protocolNumber: UInt8
    public var sourcePort: UInt16
    public var destinationPort: UInt16

    public init(
        source: IPAddress, destination: IPAddress, protocolNumber: UInt8, sourcePort: UInt16, destinationPort: UInt16
    ) {
        self.source = source
        self.destination = destination
        self.protocolNumber = protocolNumber
        self.sourcePort = sourcePort
        self.destinationPort = destinationPort
    }
}

/// A tracked connection: what the client sent, and who answers.
public struct ConntrackFlow: Sendable, Equatable {
    public var original: ConntrackTuple
    public var reply: ConntrackTuple
    /// The original tuple's own bytes, which name the flow to the kernel.
    let name: [UInt8]
}

/// The kernel's table of tracked connections in one network namespace.
///
/// Tuple on the wire: { addresses (1): { source (1), destination (2) }, protocol (2): { number (1),
/// source port (2), destination port (3) } }, network byte order.
public final class Conntrack {
    private static let get: UInt16 = 1 << 8 | 1
    private static let delete: UInt16 = 1 << 8 | 2
    private static let tupleOriginal: UInt16 = 1
    private static let tupleReply: UInt16 = 2

    private let socket: NetlinkSocket

    public init(_ socket: NetlinkSocket) { self.socket = socket }

    public convenience init(in namespace: NetworkNamespace? = nil) throws {
        self.init(try NetlinkSocket(.netfilter, in: namespace))
    }

    /// The IPv4 flows of protocols with ports.
    public func flows() throws -> [ConntrackFlow] {
        try socket.dump(type: Self.get, "list tracked connections") { $0.raw([UInt8(AF_INET), 0, 0, 0]) }
            .compactMap { message in
                guard let attributes = message.attributes(after: 4), let name = attributes[Self.tupleOriginal],
                    let original = ConntrackTuple(name),
                    let reply = attributes[Self.tupleReply].flatMap(ConntrackTuple.init)
                else { return nil }
                return ConntrackFlow(original: original, reply: reply, name: Array(name.payload))
            }
    }

    /// Forgets the flows that `matches` picks; answers how many there were.
    @discardableResult
    public func delete(where matches: (ConntrackFlow) -> Bool) throws -> Int {
        var count = 0
        for flow in try flows() where matches(flow) {
            do {
                try socket.request(type: Self.delete, "delete tracked connection", "to \(flow.original.destination)") {
                    $0.raw([UInt8(AF_INET), 0, 0, 0])
                    $0.attribute(Self.tupleOriginal | 0x8000, flow.name)
                }
                count += 1
            } catch let error as NetlinkError where error.errno == ENOENT {
                continue  // it ended by itself
            }
        }
        return count
    }
}

extension ConntrackTuple {
    fileprivate init?(_ attribute: NetlinkAttribute) {
        guard let tuple = attribute.nested, let addresses = tuple[1]?.nested, let transport = tuple[2]?.nested,
            let source = addresses[1].flatMap({ IPAddress(bytes: $0.payload) }),
            let destination = addresses[2].flatMap({ IPAddress(bytes: $0.payload) }),
            let number = transport[1]?.host(UInt8.self), let sourcePort = transport[2]?.network(UInt16.self),
            let destinationPort = transport[3]?.network(UInt16.self)
        else { return nil }
        self.init(
            source: source, destination: destination, protocolNumber: number, sourcePort: sourcePort,
            destinationPort: destinationPort)
    }
}
