import Glibc
import Linux

/// A kernel that keeps what it was sent and answers from a script.
final class ScriptedNetlink: NetlinkTransport {
    var sent: [[UInt8]] = []
    var answers: [[UInt8]]

    init(_ answers: [[UInt8]] = []) { self.answers = answers }

    func send(_ datagram: [UInt8]) { sent.append(datagram) }
    func receive(wait: Bool) throws -> [UInt8]? {
        if !answers.isEmpty { return answers.removeFirst() }
        if wait { throw SystemError("receive netlink message", errno: ETIMEDOUT) }
        return nil
    }

    /// An acknowledgement (errno 0) or a refusal of message `sequence`.
    static func verdict(_ errno: Int32, sequence: UInt32, text: String? = nil) -> [UInt8] {
        var writer = NetlinkWriter()
        writer.message(type: NetlinkMessage.error, flags: text == nil ? 0x100 : 0x300, sequence: sequence) {
            $0.host(-errno)
            $0.raw([UInt8](repeating: 0, count: 16))
            if let text { $0.attribute(1, text: text) }
        }
        return writer.bytes
    }
}

enum Need {
    /// Whether this process may make network namespaces and work in them.
    static let namespaces: Bool = (try? NetworkNamespace.make()) != nil
    static let nft: Bool = access("/usr/sbin/nft", X_OK) == 0
}
