extension CEL {
    /// A URL with a scheme and a host, or one that begins with a slash.
    struct URLValue: OpaqueValue, CustomStringConvertible {
        let text: String
        var scheme = ""
        var host = ""
        var path = ""
        var query = ""
        var typeName: String { "kubernetes.URL" }
        var size: Int? { text.unicodeScalars.count }
        var description: String { text }
        func isEqual(to other: any OpaqueValue) -> Bool { (other as? URLValue)?.text == text }

        /// Nil where the text is no URI of a request: it must be absolute, or a path from the root.
        init?(_ text: String) {
            self.text = text
            guard !text.isEmpty, text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else { return nil }
            var rest = Substring(text)
            let mark = rest.firstIndex { $0 == ":" || $0 == "/" || $0 == "?" }
            if let mark, rest[mark] == ":" {
                let name = rest[..<mark].utf8
                guard let first = name.first, Formats.isAlphanumeric(first), !(48...57).contains(first),
                    name.allSatisfy({ Formats.isAlphanumeric($0) || "+-.".utf8.contains($0) })
                else { return nil }
                scheme = rest[..<mark].lowercased()
                rest = rest[rest.index(after: mark)...]
            } else if !rest.hasPrefix("/") {
                return nil
            }
            if let question = rest.firstIndex(of: "?") {
                query = String(rest[rest.index(after: question)...])
                rest = rest[..<question]
            }
            if !scheme.isEmpty, !rest.hasPrefix("/") { return nil }
            if rest.hasPrefix("//"), !scheme.isEmpty || !rest.hasPrefix("///") {
                let authority = rest.dropFirst(2).prefix { $0 != "/" }
                rest = rest.dropFirst(2 + authority.count)
                guard let host = Self.host(authority) else { return nil }
                self.host = host
            }
            guard Self.hasValidEscapes(rest) else { return nil }
            path = String(rest)
        }

        private static func host(_ authority: Substring) -> String? {
            let host = authority.lastIndex(of: "@").map { authority[authority.index(after: $0)...] } ?? authority
            guard hasValidEscapes(host), !host.contains(" ") else { return nil }
            var port = Substring("")
            if host.hasPrefix("[") {
                guard let close = host.lastIndex(of: "]") else { return nil }
                port = host[host.index(after: close)...]
            } else if let colon = host.lastIndex(of: ":") {
                port = host[colon...]
            }
            guard port.isEmpty || (port.hasPrefix(":") && port.dropFirst().utf8.allSatisfy { (48...57).contains($0) })
            else { return nil }
            return String(host)
        }

        private static func hasValidEscapes(_ text: Substring) -> Bool {
            let bytes = Array(text.utf8)
            for (index, byte) in bytes.enumerated() where byte == UInt8(ascii: "%") {
                guard index + 2 < bytes.count, hex(bytes[index + 1]) != nil, hex(bytes[index + 2]) != nil else {
                    return false
                }
            }
            return true
        }

        static func hex(_ byte: UInt8) -> UInt8? {
            switch byte {
            case 48...57: byte - 48
            case 65...70: byte - 55
            case 97...102: byte - 87
            default: nil
            }
        }

        var hostname: String {
            if host.hasPrefix("["), let close = host.firstIndex(of: "]") {
                return String(host[host.index(after: host.startIndex)..<close])
            }
            return host.lastIndex(of: ":").map { String(host[..<$0]) } ?? host
        }

        var port: String {
            let rest = host.hasPrefix("[") ? host.firstIndex(of: "]").map { host[$0...] } ?? "" : host[...]
            return rest.lastIndex(of: ":").map { String(rest[rest.index(after: $0)...]) } ?? ""
        }

        /// The path with everything escaped that a path cannot hold.
        var escapedPath: String {
            var result: [UInt8] = []
            for byte in path.utf8 {
                if Formats.isAlphanumeric(byte) || "-_.~!$&'()*+,;=:@/[]%".utf8.contains(byte) {
                    result.append(byte)
                } else {
                    result += Array("%".utf8) + Array((byte < 16 ? "0" : "").utf8)
                    result += Array(String(byte, radix: 16, uppercase: true).utf8)
                }
            }
            return String(decoding: result, as: UTF8.self)
        }

        var parameters: [(name: String, values: [String])] {
            var result: [(name: String, values: [String])] = []
            for pair in query.split(separator: "&") where !pair.contains(";") {
                let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                let name = Self.unescaped(parts[0])
                let value = parts.count == 2 ? Self.unescaped(parts[1]) : ""
                if let known = result.firstIndex(where: { $0.name == name }) {
                    result[known].values.append(value)
                } else {
                    result.append((name, [value]))
                }
            }
            return result
        }

        private static func unescaped(_ text: Substring) -> String {
            var result: [UInt8] = []
            var bytes = Array(text.utf8)[...]
            while let byte = bytes.popFirst() {
                if byte == UInt8(ascii: "+") {
                    result.append(32)
                } else if byte == UInt8(ascii: "%"), bytes.count >= 2, let high = hex(bytes[bytes.startIndex]),
                    let low = hex(bytes[bytes.startIndex + 1])
                {
                    result.append(high << 4 | low)
                    bytes = bytes.dropFirst(2)
                } else {
                    result.append(byte)
                }
            }
            return String(decoding: result, as: UTF8.self)
        }
    }

    enum URLFunctions {
        static func add(to table: inout FunctionTable) {
            table["isURL"] = { (a) throws(Failure) in .bool(URLValue(try StringFunctions.one("isURL", a)) != nil) }
            table["url"] = { (a) throws(Failure) in
                let text = try StringFunctions.one("url", a)
                guard let url = URLValue(text) else {
                    throw Failure(
                        "URL parse error during conversion from string: parse \(Conversion.quoted(text)): invalid URI for request"
                    )
                }
                return .opaque(url)
            }
            let parts: [(String, @Sendable (URLValue) -> String)] = [
                ("getScheme", { $0.scheme }), ("getHost", { $0.host }), ("getHostname", { $0.hostname }),
                ("getPort", { $0.port }), ("getEscapedPath", { $0.escapedPath }),
            ]
            for (name, part) in parts {
                table[name] = { (a) throws(Failure) in .string(part(try receiver(name, a))) }
            }
            table["getQuery"] = { (a) throws(Failure) in
                var entries = Map.Entries()
                for parameter in try receiver("getQuery", a).parameters {
                    let values = parameter.values.map { Value.string($0) }
                    _ = entries.insert(
                        .string(parameter.name), .string(Bytes(text: parameter.name)), .list(.values(values)))
                }
                return .map(.entries(entries))
            }
        }

        private static func receiver(_ name: String, _ a: [Value]) throws(Failure) -> URLValue {
            guard a.count == 1, case .opaque(let value) = a[0], let url = value as? URLValue else {
                throw .noSuchOverload(name, a)
            }
            return url
        }
    }
}
