import Basics

/// The file format of tcpdump and Wireshark: a header, then for each frame its time, its length and its bytes.
public enum PacketFile {
    public static let mostBytes: UInt32 = 65_535

    public static var header: [UInt8] {
        // Magic number, version 2.4, time zone and accuracy (0), longest frame, and 1 for Ethernet.
        number(0xA1B2_C3D4) + [2, 0, 4, 0] + number(0) + number(0) + number(mostBytes) + number(1)
    }

    public static func record(_ frame: [UInt8], at time: Timestamp) -> [UInt8] {
        let kept = frame.prefix(Int(mostBytes))
        return number(UInt32(truncatingIfNeeded: time.seconds))
            + number(UInt32((time.nanoseconds - time.seconds * 1_000_000_000) / 1_000))
            + number(UInt32(kept.count)) + number(UInt32(frame.count)) + kept
    }

    private static func number(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
}

/// What a frame's headers say, as far as they can be read.
public struct CapturedPacket: Sendable, Equatable {
    public var length: Int
    public var etherType: UInt16?
    public var source: IPAddress?
    public var destination: IPAddress?
    public var transport: UInt8?
    public var sourcePort: UInt16?
    public var destinationPort: UInt16?
    public var tcpFlags: UInt8?

    public init(_ frame: [UInt8]) {
        length = frame.count
        guard frame.count >= 14 else { return }
        func number(_ place: Int) -> UInt16? {
            place + 1 < frame.count ? UInt16(frame[place]) << 8 | UInt16(frame[place + 1]) : nil
        }
        etherType = number(12)
        let start = 14
        var next: Int
        switch etherType {
        case 0x0800 where frame.count >= start + 20 && frame[start] >> 4 == 4:
            let size = Int(frame[start] & 15) * 4
            guard size >= 20 else { return }
            source = IPAddress(bytes: frame[start + 12..<start + 16])
            destination = IPAddress(bytes: frame[start + 16..<start + 20])
            transport = frame[start + 9]
            // Only the first fragment has the ports.
            guard (number(start + 6) ?? 0) & 0x1FFF == 0 else { return }
            next = start + size
        case 0x86DD where frame.count >= start + 40:
            source = IPAddress(bytes: frame[start + 8..<start + 24])
            destination = IPAddress(bytes: frame[start + 24..<start + 40])
            transport = frame[start + 6]
            next = start + 40
        default: return
        }
        guard let transport, [6, 17, 132].contains(transport) else { return }
        sourcePort = number(next)
        destinationPort = number(next + 2)
        next += 13
        if transport == 6, next < frame.count { tcpFlags = frame[next] }
    }

    /// Whether it is from or to the address, and the port.
    public func concerns(host: IPAddress?, port: UInt16?) -> Bool {
        (host == nil || source == host || destination == host)
            && (port == nil || sourcePort == port || destinationPort == port)
    }

    /// One line.
    public var text: String {
        func place(_ address: IPAddress?, _ port: UInt16?) -> String {
            let address = address.map { "\($0)" } ?? "?"
            return port.map { "\(address):\($0)" } ?? address
        }
        guard source != nil else {
            let name = etherType == 0x0806 ? "ARP" : "type 0x\(String(etherType ?? 0, radix: 16))"
            return "\(name), \(length) bytes"
        }
        let names: [UInt8: String] = [1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6", 132: "SCTP"]
        var line = "\(place(source, sourcePort)) → \(place(destination, destinationPort)) "
        line += names[transport ?? 0] ?? "protocol \(transport ?? 0)"
        if let flags = tcpFlags {
            let set = zip(["FIN", "SYN", "RST", "PSH", "ACK", "URG"], 0...).filter { flags & 1 << $0.1 != 0 }
            if !set.isEmpty { line += " " + set.map(\.0).joined(separator: "+") }
        }
        return line + ", \(length) bytes"
    }
}
