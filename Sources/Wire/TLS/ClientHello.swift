/// What a TLS client says first, as far as a server needs it to choose its certificate: the name it wants (RFC 6066).
///
/// Records on the wire: type (22) │ version (2) │ length (2) │ fragment. The fragments together are one message:
/// type (1) │ length (3) │ version (2) │ random (32) │ session │ ciphers │ compressions │ extensions, each list behind
/// its length.
public struct ClientHello: Sendable, Equatable {
    /// Lower case; nil where the client names nobody, as it must where it knows an address only.
    public var serverName: String?

    public enum Outcome: Sendable, Equatable {
        case complete(ClientHello)
        case needsMore
        /// No TLS, or no first message of it.
        case invalid
    }

    /// Longer ones are refused; real ones are below two kilobytes.
    static let longest = 32 << 10

    /// Reads the beginning of a connection.
    public static func read(_ bytes: [UInt8]) -> Outcome {
        var message: [UInt8] = []
        var position = 0
        while true {
            if message.count >= 4 {
                let length = Int(message[1]) << 16 | Int(message[2]) << 8 | Int(message[3])
                guard message[0] == 1, length <= longest else { return .invalid }
                if message.count >= 4 + length {
                    guard let hello = ClientHello(message: message[4..<4 + length]) else { return .invalid }
                    return .complete(hello)
                }
            }
            guard bytes.count - position >= 5 else {
                return bytes.count > position && bytes[position] != 22 ? .invalid : .needsMore
            }
            let length = Int(bytes[position + 3]) << 8 | Int(bytes[position + 4])
            guard bytes[position] == 22, bytes[position + 1] == 3, (1...16_384).contains(length) else {
                return .invalid
            }
            guard bytes.count - position - 5 >= length else { return .needsMore }
            message += bytes[position + 5..<position + 5 + length]
            position += 5 + length
        }
    }

    private init?(message: ArraySlice<UInt8>) {
        var reader = Reader(rest: message)
        guard reader.take(34) != nil, reader.vector(1) != nil, reader.vector(2) != nil, reader.vector(1) != nil else {
            return nil
        }
        if reader.rest.isEmpty { return }
        guard var extensions = reader.vector(2).map({ Reader(rest: $0) }) else { return nil }
        while !extensions.rest.isEmpty {
            guard let type = extensions.number(2), let content = extensions.vector(2) else { return nil }
            guard type == 0 else { continue }
            var list = Reader(rest: content)
            guard var names = list.vector(2).map({ Reader(rest: $0) }) else { return nil }
            while !names.rest.isEmpty {
                guard let kind = names.number(1), let name = names.vector(2) else { return nil }
                guard kind == 0, serverName == nil else { continue }
                guard name.allSatisfy({ $0 > 32 && $0 < 127 }), (1...255).contains(name.count) else { return nil }
                serverName = String(decoding: name, as: UTF8.self).lowercased()
            }
        }
    }

    private struct Reader {
        var rest: ArraySlice<UInt8>

        mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
            guard rest.count >= count else { return nil }
            defer { rest = rest.dropFirst(count) }
            return rest.prefix(count)
        }

        mutating func number(_ width: Int) -> Int? { take(width).map { $0.reduce(0) { $0 << 8 | Int($1) } } }

        /// Bytes behind their own length, which takes `width` bytes.
        mutating func vector(_ width: Int) -> ArraySlice<UInt8>? { number(width).flatMap { take($0) } }
    }
}
