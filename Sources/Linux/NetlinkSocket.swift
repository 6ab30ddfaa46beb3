import CLinux
import Glibc

/// Carries netlink datagrams; the kernel in production, a script in tests.
public protocol NetlinkTransport: AnyObject {
    func send(_ datagram: [UInt8]) throws
    /// The next datagram. With `wait` false, nil when there is none; with `wait` true, an error after a bounded time.
    func receive(wait: Bool) throws -> [UInt8]?
}

/// A netlink request that the kernel refused.
public struct NetlinkError: Error, Sendable, Equatable, CustomStringConvertible {
    public var system: SystemError
    /// The kernel's own words, where it has any.
    public var text: String

    public var errno: Int32 { system.errno }
    public var description: String { text.isEmpty ? system.description : "\(system.description) (\(text))" }
}

/// One conversation with the kernel, one request at a time. The kernel answers while `send` runs, so waiting
/// is bounded by the kernel's own work.
public final class NetlinkSocket {
    public enum Family: Int32, Sendable {
        case route = 0
        case netfilter = 12
    }

    public enum Flag {
        public static let request: UInt16 = 1
        public static let acknowledge: UInt16 = 4
        public static let dump: UInt16 = 0x300
        public static let replace: UInt16 = 0x100
        public static let exclusive: UInt16 = 0x200
        public static let create: UInt16 = 0x400
        public static let append: UInt16 = 0x800
    }

    /// More messages than any real answer has; past it the conversation is out of step.
    private static let answerLimit = 4_000_000

    private let transport: any NetlinkTransport
    private var sequence: UInt32 = 0

    public init(transport: any NetlinkTransport) { self.transport = transport }

    public convenience init(_ family: Family, in namespace: NetworkNamespace? = nil) throws {
        self.init(transport: try KernelNetlink(family, in: namespace))
    }

    public func nextSequence() -> UInt32 {
        sequence &+= 1
        return sequence
    }

    /// Sends one request and waits for its acknowledgement; answers what the kernel sent before that.
    @discardableResult
    public func request(
        type: UInt16, flags: UInt16 = 0, _ operation: String, _ object: String = "",
        body: (inout NetlinkWriter) throws -> Void
    ) throws -> [NetlinkMessage] {
        let number = nextSequence()
        var writer = NetlinkWriter()
        try writer.message(type: type, flags: flags | Flag.request | Flag.acknowledge, sequence: number, body)
        try transport.send(writer.bytes)
        return try answers(to: number...number, operation, object)
    }

    /// Lists objects. A dump that was interrupted by a change is repeated a few times.
    public func dump(
        type: UInt16, _ operation: String, body: (inout NetlinkWriter) throws -> Void
    ) throws -> [NetlinkMessage] {
        for _ in 0..<8 {
            let number = nextSequence()
            var writer = NetlinkWriter()
            try writer.message(type: type, flags: Flag.request | Flag.dump, sequence: number, body)
            try transport.send(writer.bytes)
            let messages = try answers(to: number...number, operation, "")
            // NLM_F_DUMP_INTR: the list changed while it was written.
            if !messages.contains(where: { $0.flags & 0x10 != 0 }) { return messages }
        }
        throw SystemError(operation, "(the list changed during every attempt)", errno: EINTR)
    }

    /// Sends several messages as one datagram, of which the first asks for an acknowledgement, and reads every
    /// answer. The kernel reports each message that it refused; the first of them is thrown.
    func transaction(
        _ datagram: [UInt8], numbers: ClosedRange<UInt32>, acknowledged: UInt32, _ operation: String,
        object: (UInt32) -> String
    ) throws {
        try transport.send(datagram)
        var failure: NetlinkError?
        var finished = false
        while let answer = try transport.receive(wait: !finished) {
            for message in try parse(answer, operation) where numbers.contains(message.sequence) {
                guard let verdict = message.verdict else { continue }
                // Answers are queued by the time the first one is there.
                finished = true
                if verdict.errno != 0, failure == nil {
                    failure = NetlinkError(
                        system: SystemError(operation, object(message.sequence), errno: verdict.errno),
                        text: verdict.text)
                }
            }
        }
        if let failure { throw failure }
        guard finished else { throw SystemError(operation, object(acknowledged), errno: EPROTO) }
    }

    private func answers(to numbers: ClosedRange<UInt32>, _ operation: String, _ object: String) throws
        -> [NetlinkMessage]
    {
        var collected: [NetlinkMessage] = []
        while let datagram = try transport.receive(wait: true) {
            for message in try parse(datagram, operation) where numbers.contains(message.sequence) {
                if let verdict = message.verdict {
                    guard verdict.errno != 0 else { return collected }
                    throw NetlinkError(
                        system: SystemError(operation, object, errno: verdict.errno), text: verdict.text)
                }
                if message.type == NetlinkMessage.done {
                    if let code = message.host(at: 0, Int32.self), code < 0 {
                        throw SystemError(operation, object, errno: -code)
                    }
                    return collected
                }
                collected.append(message)
                guard collected.count <= Self.answerLimit else {
                    throw SystemError(operation, "(endless answer)", errno: EPROTO)
                }
            }
        }
        throw SystemError(operation, "(no answer)", errno: ETIMEDOUT)
    }

    private func parse(_ datagram: [UInt8], _ operation: String) throws -> [NetlinkMessage] {
        guard let messages = NetlinkMessage.parse(datagram) else {
            throw SystemError(operation, "(malformed answer)", errno: EPROTO)
        }
        return messages
    }
}

/// The kernel's end, through a socket that was made inside `namespace`.
private final class KernelNetlink: NetlinkTransport {
    private static let receiveTimeoutMilliseconds: Int32 = 10_000
    private let descriptor: Int32

    init(_ family: NetlinkSocket.Family, in namespace: NetworkNamespace?) throws {
        let make = { net_open_netlink(family.rawValue, Self.receiveTimeoutMilliseconds) }
        let opened = try namespace?.run(make) ?? make()
        guard opened >= 0 else { throw SystemError("open netlink socket", "\(family)", errno: -opened) }
        descriptor = opened
    }

    deinit { close(descriptor) }

    func send(_ datagram: [UInt8]) throws {
        let sent = Glibc.send(descriptor, datagram, datagram.count, 0)
        guard sent == datagram.count else {
            throw SystemError("send netlink message", "of \(datagram.count) bytes", errno: sent < 0 ? errno : EMSGSIZE)
        }
    }

    func receive(wait: Bool) throws -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        let flags = MessageFlag.truncate | (wait ? 0 : MessageFlag.doNotWait)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, flags)
            if count < 0 {
                if errno == EINTR { continue }
                if !wait, errno == EAGAIN { return nil }
                throw SystemError("receive netlink message", errno: errno == EAGAIN ? ETIMEDOUT : errno)
            }
            guard count <= buffer.count else {
                throw SystemError("receive netlink message", "of \(count) bytes", errno: EMSGSIZE)
            }
            return Array(buffer.prefix(count))
        }
    }
}

/// Flags of recv(2). Their types in Swift depend on which headers a module sees first, their values do not.
private enum MessageFlag {
    static let truncate: Int32 = 0x20
    static let doNotWait: Int32 = 0x40
}
