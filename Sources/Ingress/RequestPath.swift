import Basics

/// Where a request wants to go: host and path, in the one form that rules are compared with.
struct RequestPlace: Equatable {
    /// Lower case, without port and without a final dot; empty where the request names none.
    var host: String
    /// Decoded, without `.`, `..` and empty elements, so that no spelling gets around a rule. Begins with `/`.
    var path: String
    /// With its question mark; empty where there is none.
    var query: String
    /// As it goes on, where nothing is rewritten: the target without scheme and host.
    var target: String

    /// Nil where the target is no place on a server, or leads above its root.
    init?(target written: String, host field: String?) {
        var rest = written == "*" ? "/" : written[...]
        var authority = field ?? ""
        if !rest.hasPrefix("/") {
            // The absolute form, which proxies send; its host counts.
            guard let scheme = ["http://", "https://"].first(where: { rest.lowercased().hasPrefix($0) }) else {
                return nil
            }
            rest = rest.dropFirst(scheme.utf8.count)
            let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
            authority = String(rest[..<end])
            rest = rest[end...]
        }
        let mark = rest.firstIndex { $0 == "?" || $0 == "#" } ?? rest.endIndex
        query = String(rest[mark...].prefix { $0 != "#" })
        guard let path = Self.normalized(rest[..<mark].utf8) else { return nil }
        self.path = path
        // `OPTIONS *` is about the server as a whole, and goes where its root goes.
        target = written == "*" ? "*" : rest.hasPrefix("/") ? String(rest) : "/" + rest
        host = Self.host(authority)
    }

    static func host(_ authority: String) -> String {
        var name = authority[...]
        if name.hasPrefix("[") {
            name = name.dropFirst().prefix { $0 != "]" }
        } else if let colon = name.lastIndex(of: ":") {
            name = name[..<colon]
        }
        if name.hasSuffix(".") { name = name.dropLast() }
        return name.lowercased()
    }

    static func normalized(_ bytes: Substring.UTF8View) -> String? {
        // Nearly all paths are in that form already.
        if isNormal(bytes) { return bytes.isEmpty ? "/" : String(decoding: Array(bytes), as: UTF8.self) }
        var decoded: [UInt8] = []
        var index = bytes.startIndex
        while index != bytes.endIndex {
            var byte = bytes[index]
            index = bytes.index(after: index)
            if byte == UInt8(ascii: "%") {
                guard bytes.distance(from: index, to: bytes.endIndex) >= 2 else { return nil }
                let end = bytes.index(index, offsetBy: 2)
                guard let high = hex(bytes[index]), let low = hex(bytes[bytes.index(after: index)]) else { return nil }
                byte = high << 4 | low
                index = end
                // A line break or the end of a C string means something else to whoever reads on.
                guard byte >= 32, byte != 127 else { return nil }
            }
            decoded.append(byte)
        }
        var elements: [ArraySlice<UInt8>] = []
        let parts = decoded.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: true)
        for part in parts {
            if part.elementsEqual(".".utf8) { continue }
            if part.elementsEqual("..".utf8) {
                guard elements.popLast() != nil else { return nil }
                continue
            }
            elements.append(part)
        }
        var path: [UInt8] = []
        for element in elements {
            path.append(UInt8(ascii: "/"))
            path += element
        }
        // A final slash is part of the path, also where it stands behind a dot.
        let last = parts.last
        let isDirectory =
            decoded.last == UInt8(ascii: "/") || last?.elementsEqual(".".utf8) == true
            || last?.elementsEqual("..".utf8) == true
        if isDirectory || path.isEmpty { path.append(UInt8(ascii: "/")) }
        return String(decoding: path, as: UTF8.self)
    }

    private static func isNormal(_ bytes: Substring.UTF8View) -> Bool {
        var before: UInt8 = 0
        for byte in bytes {
            if byte == UInt8(ascii: "%") { return false }
            if before == UInt8(ascii: "/"), byte == UInt8(ascii: "/") || byte == UInt8(ascii: ".") { return false }
            before = byte
        }
        return true
    }

    private static func hex(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 48...57: byte - 48
        case 65...70: byte - 55
        case 97...102: byte - 87
        default: nil
        }
    }

    /// A path's text with everything escaped that may not stand in a target.
    static func escaped(_ path: some StringProtocol) -> String {
        var out: [UInt8] = []
        for byte in path.utf8 {
            switch byte {
            case 48...57, 65...90, 97...122: out.append(byte)
            default:
                if "/-._~!$&'()*+,;=:@".utf8.contains(byte) {
                    out.append(byte)
                } else {
                    out += "%".utf8
                    out += Hex.encode([byte]).uppercased().utf8
                }
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}
