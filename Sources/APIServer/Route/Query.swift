/// A parsed query string: names to values in order.
public struct Query: Sendable, Equatable {
    public private(set) var items: [(name: String, value: String)] = []

    public init(_ text: some StringProtocol) {
        for part in text.split(separator: "&") {
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = Self.decoded(pair[0], plusIsSpace: true)
            items.append((name, pair.count == 2 ? Self.decoded(pair[1], plusIsSpace: true) : ""))
        }
    }

    public subscript(name: String) -> String? { items.first { $0.name == name }?.value }
    public func all(_ name: String) -> [String] { items.filter { $0.name == name }.map(\.value) }

    /// Kubernetes takes whatever stands there for true, nothing at all included (`?watch`), unless it denies it.
    public func flag(_ name: String) -> Bool {
        guard let value = self[name] else { return false }
        return value != "0" && value.lowercased() != "false"
    }

    public static func == (a: Query, b: Query) -> Bool {
        a.items.elementsEqual(b.items) { $0.name == $1.name && $0.value == $1.value }
    }

    /// Percent-decoding; a broken escape stays as it is, bytes that are no UTF-8 become U+FFFD.
    public static func decoded(_ text: some StringProtocol, plusIsSpace: Bool = false) -> String {
        guard text.utf8.contains(where: { $0 == UInt8(ascii: "%") || $0 == UInt8(ascii: "+") }) else {
            return String(text)
        }
        func digit(_ byte: UInt8) -> UInt8? {
            switch byte {
            case 48...57: byte - 48
            case 65...70: byte - 55
            case 97...102: byte - 87
            default: nil
            }
        }
        var out: [UInt8] = []
        let bytes = Array(text.utf8)
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            if byte == UInt8(ascii: "%"), index + 2 < bytes.count, let high = digit(bytes[index + 1]),
                let low = digit(bytes[index + 2])
            {
                out.append(high << 4 | low)
                index += 3
                continue
            }
            out.append(plusIsSpace && byte == UInt8(ascii: "+") ? 32 : byte)
            index += 1
        }
        return String(decoding: out, as: UTF8.self)
    }
}
