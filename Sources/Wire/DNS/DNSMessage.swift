import Basics

/// Record and query types by their numbers.
public struct DNSType: Sendable, Hashable, RawRepresentable, CustomStringConvertible {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let a = DNSType(rawValue: 1)
    public static let ns = DNSType(rawValue: 2)
    public static let cname = DNSType(rawValue: 5)
    public static let soa = DNSType(rawValue: 6)
    public static let ptr = DNSType(rawValue: 12)
    public static let hinfo = DNSType(rawValue: 13)
    public static let mx = DNSType(rawValue: 15)
    public static let txt = DNSType(rawValue: 16)
    public static let aaaa = DNSType(rawValue: 28)
    public static let srv = DNSType(rawValue: 33)
    public static let opt = DNSType(rawValue: 41)
    public static let axfr = DNSType(rawValue: 252)
    public static let any = DNSType(rawValue: 255)

    public var description: String {
        switch self {
        case .a: "A"
        case .ns: "NS"
        case .cname: "CNAME"
        case .soa: "SOA"
        case .ptr: "PTR"
        case .mx: "MX"
        case .txt: "TXT"
        case .any: "ANY"
        case .hinfo: "HINFO"
        case .aaaa: "AAAA"
        case .srv: "SRV"
        default: "TYPE\(rawValue)"
        }
    }
}

public struct DNSCode: Sendable, Hashable, RawRepresentable, CustomStringConvertible {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let noError = DNSCode(rawValue: 0)
    public static let formatError = DNSCode(rawValue: 1)
    public static let serverFailure = DNSCode(rawValue: 2)
    public static let nameError = DNSCode(rawValue: 3)
    public static let notImplemented = DNSCode(rawValue: 4)
    public static let refused = DNSCode(rawValue: 5)

    /// As resolvers' logs have it.
    public var description: String {
        switch self {
        case .noError: "NOERROR"
        case .formatError: "FORMERR"
        case .serverFailure: "SERVFAIL"
        case .nameError: "NXDOMAIN"
        case .notImplemented: "NOTIMP"
        case .refused: "REFUSED"
        default: "RCODE\(rawValue)"
        }
    }
}

public struct DNSQuestion: Sendable, Hashable {
    public var name: DNSName
    public var type: DNSType
    /// 1 is the Internet, the only one in use.
    public var recordClass: UInt16

    public init(_ name: DNSName, _ type: DNSType, recordClass: UInt16 = 1) {
        self.name = name
        self.type = type
        self.recordClass = recordClass
    }
}

/// A record's content. Types without a case of their own travel as bytes.
public enum DNSData: Sendable, Hashable {
    case address(IPAddress)
    case ns(DNSName)
    case cname(DNSName)
    case ptr(DNSName)
    case mx(preference: UInt16, DNSName)
    case txt([[UInt8]])
    case srv(priority: UInt16, weight: UInt16, port: UInt16, DNSName)
    case soa(DNSAuthority)
    case other(DNSType, [UInt8])

    public var type: DNSType {
        switch self {
        case .address(let address): address.isIPv6 ? .aaaa : .a
        case .ns: .ns
        case .cname: .cname
        case .ptr: .ptr
        case .mx: .mx
        case .txt: .txt
        case .srv: .srv
        case .soa: .soa
        case .other(let type, _): type
        }
    }
}

/// The content of an SOA record.
public struct DNSAuthority: Sendable, Hashable {
    public var server: DNSName
    public var mailbox: DNSName
    public var serial: UInt32
    public var refresh: UInt32
    public var retry: UInt32
    public var expire: UInt32
    /// How long the absence of a name may be remembered.
    public var minimum: UInt32

    public init(
        server: DNSName, mailbox: DNSName, serial: UInt32, refresh: UInt32, retry: UInt32, expire: UInt32,
        minimum: UInt32
    ) {
        self.server = server
        self.mailbox = mailbox
        self.serial = serial
        self.refresh = refresh
        self.retry = retry
        self.expire = expire
        self.minimum = minimum
    }
}

public struct DNSRecord: Sendable, Hashable {
    public var name: DNSName
    public var timeToLive: UInt32
    public var recordClass: UInt16
    public var data: DNSData

    public init(_ name: DNSName, timeToLive: UInt32, _ data: DNSData, recordClass: UInt16 = 1) {
        self.name = name
        self.timeToLive = timeToLive
        self.recordClass = recordClass
        self.data = data
    }
}

/// The OPT record's content (RFC 6891): what either side can do beyond 1987.
public struct DNSExtension: Sendable, Hashable {
    public struct Option: Sendable, Hashable {
        public var code: UInt16
        public var bytes: [UInt8]

        public init(code: UInt16, bytes: [UInt8]) {
            self.code = code
            self.bytes = bytes
        }
    }

    /// The largest datagram that the sender can take.
    public var datagramSize: UInt16
    public var extendedCode: UInt8 = 0
    public var version: UInt8 = 0
    public var wantsSignatures = false
    public var options: [Option] = []

    public init(datagramSize: UInt16) { self.datagramSize = datagramSize }
}

/// A DNS message (RFC 1035, section 4).
///
///     id │ QR opcode AA TC RD RA Z AD CD rcode │ counts ×4 │ questions │ answers │ authorities │ additionals
public struct DNSMessage: Sendable, Hashable {
    public var id: UInt16 = 0
    public var isResponse = false
    public var opcode: UInt8 = 0
    public var isAuthoritative = false
    public var isTruncated = false
    public var recursionDesired = false
    public var recursionAvailable = false
    public var isAuthentic = false
    public var checkingDisabled = false
    public var code = DNSCode.noError
    public var questions: [DNSQuestion] = []
    public var answers: [DNSRecord] = []
    public var authorities: [DNSRecord] = []
    /// Without the OPT record, which is `edns`.
    public var additionals: [DNSRecord] = []
    public var edns: DNSExtension?

    public init() {}

    public init(query question: DNSQuestion, id: UInt16) {
        self.id = id
        recursionDesired = true
        questions = [question]
    }

    /// An empty answer to `query`: same id, question and extension level.
    public init(answering query: DNSMessage, code: DNSCode = .noError) {
        id = query.id
        isResponse = true
        opcode = query.opcode
        recursionDesired = query.recursionDesired
        checkingDisabled = query.checkingDisabled
        questions = query.questions
        self.code = code
        if let asked = query.edns {
            edns = DNSExtension(datagramSize: 1232)
            edns?.wantsSignatures = asked.wantsSignatures
        }
    }
}

/// Why bytes are no DNS message.
public struct DNSFormatError: Error, Sendable, Equatable, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}
