import Basics

extension DNSMessage {
    /// The message as bytes, no more than `limit` of them: what does not fit is left out from the end, and
    /// the truncation flag is set when that took an answer or an authority.
    public func serialized(limit: Int = 65_535) -> [UInt8] {
        var writer = DNSWriter()
        let extensionRecord = edns.map { DNSWriter.record($0) } ?? []
        let room = limit - extensionRecord.count
        writer.word(id)
        writer.word(flags)
        for _ in 0..<4 { writer.word(0) }
        for question in questions {
            writer.name(question.name)
            writer.word(question.type.rawValue)
            writer.word(question.recordClass)
        }
        var counts = [0, 0, 0]
        var full = false
        for (section, records) in [answers, authorities, additionals].enumerated() {
            for record in records where !full {
                let mark = writer.bytes.count
                writer.record(record)
                if writer.bytes.count > room {
                    writer.cut(to: mark)
                    full = true
                    if section < 2 { writer.bytes[2] |= 0x02 }
                } else {
                    counts[section] += 1
                }
            }
        }
        writer.bytes += extensionRecord
        writer.set(4, questions.count)
        writer.set(6, counts[0])
        writer.set(8, counts[1])
        writer.set(10, counts[2] + (edns == nil ? 0 : 1))
        return writer.bytes
    }

    private var flags: UInt16 {
        var flags = UInt16(opcode & 0xF) << 11 | UInt16(code.rawValue & 0xF)
        if isResponse { flags |= 0x8000 }
        if isAuthoritative { flags |= 0x0400 }
        if isTruncated { flags |= 0x0200 }
        if recursionDesired { flags |= 0x0100 }
        if recursionAvailable { flags |= 0x0080 }
        if isAuthentic { flags |= 0x0020 }
        if checkingDisabled { flags |= 0x0010 }
        return flags
    }
}

/// Writes a message, pointing back to names that were written before.
struct DNSWriter {
    var bytes: [UInt8] = []
    /// Where each name that can be pointed to begins.
    private var offsets: [DNSName: Int] = [:]

    mutating func word(_ value: UInt16) {
        bytes.append(UInt8(value >> 8))
        bytes.append(UInt8(value & 0xFF))
    }

    mutating func long(_ value: UInt32) {
        word(UInt16(value >> 16))
        word(UInt16(value & 0xFFFF))
    }

    mutating func set(_ position: Int, _ value: Int) {
        bytes[position] = UInt8(value >> 8 & 0xFF)
        bytes[position + 1] = UInt8(value & 0xFF)
    }

    mutating func cut(to length: Int) {
        bytes.removeLast(bytes.count - length)
        offsets = offsets.filter { $0.value < length }
    }

    mutating func name(_ name: DNSName, compressed: Bool = true) {
        for index in name.labels.indices {
            let suffix = DNSName(unchecked: Array(name.labels[index...]))
            if compressed, let offset = offsets[suffix] {
                return word(0xC000 | UInt16(offset))
            }
            if bytes.count < 0x4000, offsets[suffix] == nil { offsets[suffix] = bytes.count }
            bytes.append(UInt8(name.labels[index].count))
            bytes += name.labels[index]
        }
        bytes.append(0)
    }

    mutating func record(_ record: DNSRecord) {
        name(record.name)
        word(record.data.type.rawValue)
        word(record.recordClass)
        long(record.timeToLive)
        let mark = bytes.count
        word(0)
        data(record.data)
        set(mark, bytes.count - mark - 2)
    }

    private mutating func data(_ data: DNSData) {
        switch data {
        case .address(let address): bytes += address.bytes
        case .ns(let target), .cname(let target), .ptr(let target): name(target)
        case .mx(let preference, let target):
            word(preference)
            name(target)
        case .txt(let strings):
            for string in strings {
                bytes.append(UInt8(min(255, string.count)))
                bytes += string.prefix(255)
            }
        case .srv(let priority, let weight, let port, let target):
            word(priority)
            word(weight)
            word(port)
            // RFC 2782 forbids compression here.
            name(target, compressed: false)
        case .soa(let authority):
            name(authority.server)
            name(authority.mailbox)
            for value in [
                authority.serial, authority.refresh, authority.retry, authority.expire, authority.minimum,
            ] { long(value) }
        case .other(_, let raw): bytes += raw
        }
    }

    static func record(_ edns: DNSExtension) -> [UInt8] {
        var writer = DNSWriter()
        writer.bytes.append(0)
        writer.word(DNSType.opt.rawValue)
        writer.word(edns.datagramSize)
        writer.bytes += [edns.extendedCode, edns.version]
        writer.word(edns.wantsSignatures ? 0x8000 : 0)
        let mark = writer.bytes.count
        writer.word(0)
        for option in edns.options {
            writer.word(option.code)
            writer.word(UInt16(clamping: option.bytes.count))
            writer.bytes += option.bytes
        }
        writer.set(mark, writer.bytes.count - mark - 2)
        return writer.bytes
    }
}
