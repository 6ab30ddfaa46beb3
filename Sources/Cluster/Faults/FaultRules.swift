import Basics
import Linux

/// A fault as nftables of the nodes where it happens.
///
/// A table of its own for each fault, `lab-fault-NAME`, with the fault's description beside it: the kernel is the
/// only place that knows, so a fault is gone with its node, with its cluster, and with its table. It is in force while
/// the set `active` has its one element, which the kernel itself takes away when the time is over.
enum FaultRules {
    static let tablePrefix = "lab-fault-"
    private static let active = NftSet("active", key: [.mark], dynamic: true)
    private static let on: [UInt8] = [1, 0, 0, 0]

    /// What one side is on a node.
    enum Side: Equatable {
        /// Packets from and to this address.
        case address(IPAddress)
        /// Everything that passes the node's link to the others.
        case uplink(String)
        /// Connections that were made to one of these.
        case services([IPAddress])
        case anybody
    }

    static func batch(
        _ fault: Fault, from: Side, to: Side, dns: IPAddress, remaining: Duration?
    ) -> NftBatch {
        var batch = NftBatch(table: tablePrefix + fault.name)
        batch.addTable(comment: fault.comment)
        batch.addSet(active)
        batch.addElements(active.name, [NftElement(on, lifetime: remaining)])
        // After the translation of services and before it is undone for the sender: both real addresses show.
        for (name, point) in [("input", NftHook.Point.input), ("forward", .forward), ("output", .output)] {
            batch.addChain(name, NftHook(.filter, point, priority: -10))
            for match in matches(fault, from, to, point, dns) {
                batch.addRule(
                    name,
                    [.immediate(on, to: 0), .lookup(set: active.name, key: 0, inverted: false)] + match
                        + action(fault.kind))
            }
        }
        return batch
    }

    private static func matches(
        _ fault: Fault, _ from: Side, _ to: Side, _ point: NftHook.Point, _ dns: IPAddress
    ) -> [[NftExpression]] {
        if fault.kind == .dns {
            guard point == .input, let sender = condition(from, sending: true, point) else { return [] }
            return [UInt8(6), 17].map { transport in
                sender + [
                    .destinationAddress(to: 0), .compare(0, .equal, dns.bytes), .meta(.protocolNumber, to: 0),
                    .compare(0, .equal, [transport]), .destinationPort(to: 0), .compare(0, .equal, [0, 53]),
                ]
            }
        }
        let ways = fault.oneWay ? [true] : [true, false]
        return ways.compactMap { forth in
            guard let sender = condition(from, sending: forth, point),
                let receiver = condition(to, sending: !forth, point)
            else { return nil }
            return sender + receiver
        }
    }

    /// Nil where this side can have no part in what passes the point.
    private static func condition(_ side: Side, sending: Bool, _ point: NftHook.Point) -> [NftExpression]? {
        switch side {
        case .anybody: return []
        case .address(let address):
            return [
                sending ? .sourceAddress(to: 0) : .destinationAddress(to: 0), .compare(0, .equal, address.bytes),
            ]
        case .uplink(let name):
            // The node itself, and its pods, send by the link what leaves, and get by it what comes.
            guard point != (sending ? .input : .output) else { return nil }
            let bytes = Array(name.utf8)
            return [
                .meta(sending ? .outputName : .inputName, to: 0),
                .compare(0, .equal, bytes + [UInt8](repeating: 0, count: 16 - bytes.count)),
            ]
        case .services(let addresses):
            // Answers belong to the same connection, so one direction's condition fits both.
            guard let first = addresses.first else { return nil }
            return [.connection(.destinationAddress, .original, to: 0), .compare(0, .equal, first.bytes)]
        }
    }

    private static func action(_ kind: Fault.Kind) -> [NftExpression] {
        switch kind {
        case .partition, .dns: return [.verdict(.drop)]
        case .loss(let percent):
            // The number is below 100 and lies in host byte order: on the machines that this runs on, its first byte.
            return [.random(modulus: 100, to: 0), .compare(0, .less, [UInt8(percent)]), .verdict(.drop)]
        case .rate(let kilobits):
            // A tenth of a second's worth may come at once, and never less than some full packets.
            let bytes = UInt64(kilobits) * 125
            return [
                .over(bytesPerSecond: bytes, burst: UInt32(max(16_000, min(bytes / 10, 4 << 20)))), .verdict(.drop),
            ]
        case .reset:
            // Bit 2 of the flags is the reset itself, which has to get through.
            return [
                .meta(.protocolNumber, to: 0), .compare(0, .equal, [6]),
                .payload(.transport, offset: 13, length: 1, to: 0), .mask(from: 0, to: 0, mask: [4], xor: [0]),
                .compare(0, .equal, [0]), .reject(.tcpReset),
            ]
        }
    }
}
