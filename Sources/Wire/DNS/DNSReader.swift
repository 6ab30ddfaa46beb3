import Basics

extension DNSMessage {
    public init(parsing bytes: [UInt8]) throws(DNSFormatError) {
        var reader = DNSReader(bytes)
        self.init()
        id = try reader.word()
        let flags = try reader.word()
        isResponse = flags & 0x8000 != 0
        opcode = UInt8(flags >> 11 & 0xF)
        isAuthoritative = flags & 0x0400 != 0
        isTruncated = flags & 0x0200 != 0
        recursionDesired = flags & 0x0100 != 0
        recursionAvailable = flags & 0x0080 != 0
        isAuthentic = flags & 0x0020 != 0
        checkingDisabled = flags & 0x0010 != 0
        code = DNSCode(rawValue: UInt8(flags & 0xF))
        let counts = (try reader.word(), try reader.word(), try reader.word(), try reader.word())
        for _ in 0..<counts.0 {
            let name = try reader.name()
            questions.append(
                DNSQuestion(name, DNSType(rawValue: try reader.word()), recordClass: try reader.word()))
        }
        for _ in 0..<counts.1 { answers.append(try reader.record()) }
        for _ in 0..<counts.2 { authorities.append(try reader.record()) }
        for _ in 0..<counts.3 {
            if let found = try reader.extensionRecord() {
                guard edns == nil else { throw DNSFormatError("two OPT records") }
                edns = found
            } else {
                additionals.append(try reader.record())
            }
        }
    }
}

/// Reads a message from its start; every step checks its bounds.
///
/// No count is trusted with memory: each record takes at least eleven bytes of input, so arrays cannot outgrow it.
struct DNSReader {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func byte() throws(DNSFormatError) -> UInt8 {
        guard position < bytes.count else { throw DNSFormatError("the message ends too early") }
        defer { position += 1 }
        return bytes[position]
    }

    mutating func word() throws(DNSFormatError) -> UInt16 {
        let high = try byte()
        return UInt16(high) << 8 | UInt16(try byte())
    }

    mutating func long() throws(DNSFormatError) -> UInt32 {
        let high = try word()
        return UInt32(high) << 16 | UInt32(try word())
    }

    mutating func take(_ count: Int) throws(DNSFormatError) -> [UInt8] {
        guard bytes.count - position >= count else { throw DNSFormatError("the message ends too early") }
        defer { position += count }
        return Array(bytes[position..<position + count])
    }

    /// A name, following compression pointers. Each has to point further back than everything read so far of the
    /// name, so that the walk ends.
    mutating func name() throws(DNSFormatError) -> DNSName {
        var labels: [[UInt8]] = []
        var length = 1
        var cursor = position
        var limit = position
        var jumped = false
        while true {
            guard cursor < bytes.count else { throw DNSFormatError("a name ends too early") }
            let head = bytes[cursor]
            switch head >> 6 {
            case 0 where head == 0:
                if !jumped { position = cursor + 1 }
                return DNSName(unchecked: labels)
            case 0:
                let end = cursor + 1 + Int(head)
                length += 1 + Int(head)
                guard end <= bytes.count else { throw DNSFormatError("a name ends too early") }
                guard length <= 255 else { throw DNSFormatError("a name is longer than 255 bytes") }
                labels.append(Array(bytes[cursor + 1..<end]))
                cursor = end
            case 3:
                guard cursor + 1 < bytes.count else { throw DNSFormatError("a name ends too early") }
                let target = Int(head & 0x3F) << 8 | Int(bytes[cursor + 1])
                guard target < limit else { throw DNSFormatError("a name's pointer does not point back") }
                if !jumped { position = cursor + 2 }
                jumped = true
                limit = target
                cursor = target
            default: throw DNSFormatError("a label of unknown kind")
            }
        }
    }

    /// The OPT record, where the next record is one.
    mutating func extensionRecord() throws(DNSFormatError) -> DNSExtension? {
        guard position + 2 < bytes.count, bytes[position] == 0, bytes[position + 1] == 0,
            bytes[position + 2] == UInt8(DNSType.opt.rawValue)
        else { return nil }
        position += 3
        var found = DNSExtension(datagramSize: try word())
        found.extendedCode = try byte()
        found.version = try byte()
        found.wantsSignatures = try word() & 0x8000 != 0
        var rest = DNSReader(try take(Int(try word())))
        while rest.position < rest.bytes.count {
            let code = try rest.word()
            found.options.append(DNSExtension.Option(code: code, bytes: try rest.take(Int(try rest.word()))))
        }
        return found
    }

    mutating func record() throws(DNSFormatError) -> DNSRecord {
        let name = try name()
        let type = DNSType(rawValue: try word())
        let recordClass = try word()
        let timeToLive = try long()
        let length = Int(try word())
        let end = position + length
        guard end <= bytes.count else { throw DNSFormatError("the message ends too early") }
        let data = try data(type, length)
        guard position == end else { throw DNSFormatError("a \(type) record's length is wrong") }
        // RFC 2181, section 8: a time to live with its top bit set counts as zero.
        return DNSRecord(
            name, timeToLive: timeToLive > UInt32(Int32.max) ? 0 : timeToLive, data, recordClass: recordClass)
    }

    private mutating func data(_ type: DNSType, _ length: Int) throws(DNSFormatError) -> DNSData {
        switch type {
        case .a, .aaaa:
            guard length == (type == .a ? 4 : 16), let address = IPAddress(bytes: try take(length)) else {
                throw DNSFormatError("a \(type) record's length is wrong")
            }
            return .address(address)
        case .ns: return .ns(try name())
        case .cname: return .cname(try name())
        case .ptr: return .ptr(try name())
        case .mx: return .mx(preference: try word(), try name())
        case .srv:
            return .srv(priority: try word(), weight: try word(), port: try word(), try name())
        case .soa:
            return .soa(
                DNSAuthority(
                    server: try name(), mailbox: try name(), serial: try long(), refresh: try long(),
                    retry: try long(), expire: try long(), minimum: try long()))
        case .txt:
            var strings: [[UInt8]] = []
            let end = position + length
            while position < end { strings.append(try take(Int(try byte()))) }
            return .txt(strings)
        default: return .other(type, try take(length))
        }
    }
}
