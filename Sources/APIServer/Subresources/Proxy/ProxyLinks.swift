/// Makes links of a far server point below the proxy's path. Pure: text in, text out.
struct ProxyLinks: Sendable, Equatable {
    /// The path of the API under which the far server's root is seen.
    let prefix: String
    /// The far server, and this one, as `HOST[:PORT]`.
    let farHost: String
    let nearHost: String

    /// A link to another host, or relative to where it stands, is good as it is. What is absolute on the far server
    /// gets the prefix, unless it has it already.
    func rewritten(_ link: String) -> String {
        var host = ""
        var path = link[...]
        if let scheme = schemeEnd(link) { path = link[scheme...] }
        if path.hasPrefix("//") {
            let rest = path.dropFirst(2)
            let end = rest.firstIndex { "/?#".contains($0) } ?? rest.endIndex
            host = String(rest[..<end])
            path = rest[end...]
        } else if path.startIndex != link.startIndex {
            // `mailto:` and its like name no place on a server.
            return link
        }
        guard host.isEmpty || host == farHost || host == nearHost, path.hasPrefix("/") else { return link }
        // A link with this server's own name keeps it; one with the far server's name loses it.
        let start = host == nearHost && !host.isEmpty ? String(link.dropLast(path.count)) : ""
        return start + (path.hasPrefix(prefix) ? "" : prefix) + path
    }

    /// Behind the colon of `http:`.
    private func schemeEnd(_ link: String) -> String.Index? {
        guard let colon = link.firstIndex(of: ":"), colon != link.startIndex else { return nil }
        let scheme = link[..<colon]
        guard let first = scheme.first, first.isASCII, first.isLetter,
            scheme.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "+-.".contains($0)) })
        else { return nil }
        return link.index(after: colon)
    }

    // MARK: Pages

    private static let attributes: [String: Set<String>] = [
        "a": ["href"], "applet": ["codebase"], "area": ["href"], "audio": ["src"], "base": ["href"],
        "blockquote": ["cite"], "body": ["background"], "button": ["formaction"], "command": ["icon"], "del": ["cite"],
        "embed": ["src"], "form": ["action"], "frame": ["longdesc", "src"], "head": ["profile"],
        "html": ["manifest"], "iframe": ["longdesc", "src"], "img": ["longdesc", "src", "usemap"],
        "input": ["src", "usemap", "formaction"], "ins": ["cite"], "link": ["href"],
        "object": ["classid", "codebase", "data", "usemap"], "q": ["cite"], "script": ["src"], "source": ["src"],
        "video": ["poster", "src"],
    ]

    /// A page with the links in its tags rewritten; everything else stays byte for byte.
    func rewritten(page: [UInt8]) -> [UInt8] {
        var reader = PageReader(page: page)
        var out: [UInt8] = []
        out.reserveCapacity(page.count + page.count / 8)
        var copied = 0
        while let tag = reader.nextTag() {
            guard let known = Self.attributes[tag] else { continue }
            while let (name, value) = reader.nextAttribute() {
                guard known.contains(name) else { continue }
                let link = String(decoding: page[value], as: UTF8.self)
                let changed = rewritten(link)
                guard changed != link else { continue }
                out += page[copied..<value.lowerBound]
                out += changed.utf8
                copied = value.upperBound
            }
        }
        return out + page[copied...]
    }
}

/// Finds the start tags of a page and their attributes. Comments, and what stands in scripts and styles, hold none.
private struct PageReader {
    let page: [UInt8]
    private var index = 0

    init(page: [UInt8]) { self.page = page }

    private static func isBlank(_ byte: UInt8) -> Bool { [32, 9, 10, 12, 13].contains(byte) }
    private static func isLetter(_ byte: UInt8) -> Bool { (65...90).contains(byte) || (97...122).contains(byte) }

    private mutating func skip(past text: String) {
        let bytes = Array(text.utf8)
        while index < page.count, !matches(bytes) { index += 1 }
        index = min(index + bytes.count, page.count)
    }

    /// Without regard to case.
    private func matches(_ bytes: [UInt8]) -> Bool {
        guard index + bytes.count <= page.count else { return false }
        return zip(page[index...], bytes).allSatisfy { Self.isLetter($0) ? $0 | 32 == $1 | 32 : $0 == $1 }
    }

    /// The name of the next start tag, in small letters.
    mutating func nextTag() -> String? {
        while index < page.count {
            guard page[index] == UInt8(ascii: "<") else {
                index += 1
                continue
            }
            if matches(Array("<!--".utf8)) {
                skip(past: "-->")
                continue
            }
            index += 1
            guard index < page.count, Self.isLetter(page[index]) else { continue }
            let start = index
            while index < page.count, !Self.isBlank(page[index]), !"/>".utf8.contains(page[index]) { index += 1 }
            rawText = nil
            let name = String(decoding: page[start..<index], as: UTF8.self).lowercased()
            if ["script", "style", "textarea", "title"].contains(name) { rawText = name }
            return name
        }
        return nil
    }

    /// The element whose content is no markup, while its tag is being read.
    private var rawText: String?

    /// The next attribute of the tag, in small letters, and where its value stands; nil at the tag's end.
    mutating func nextAttribute() -> (name: String, value: Range<Int>)? {
        while index < page.count {
            while index < page.count, Self.isBlank(page[index]) || page[index] == UInt8(ascii: "/") { index += 1 }
            guard index < page.count else { return nil }
            if page[index] == UInt8(ascii: ">") {
                index += 1
                if let rawText { skip(past: "</\(rawText)") }
                return nil
            }
            let start = index
            while index < page.count, !Self.isBlank(page[index]), !"=/>".utf8.contains(page[index]) { index += 1 }
            if index == start { index += 1 }
            let name = String(decoding: page[start..<min(index, page.count)], as: UTF8.self).lowercased()
            while index < page.count, Self.isBlank(page[index]) { index += 1 }
            guard index < page.count, page[index] == UInt8(ascii: "=") else { continue }
            index += 1
            return (name, value())
        }
        return nil
    }

    private mutating func value() -> Range<Int> {
        while index < page.count, Self.isBlank(page[index]) { index += 1 }
        guard index < page.count else { return index..<index }
        let quote = page[index]
        guard quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") else {
            let start = index
            while index < page.count, !Self.isBlank(page[index]), page[index] != UInt8(ascii: ">") { index += 1 }
            return start..<index
        }
        index += 1
        let start = index
        while index < page.count, page[index] != quote { index += 1 }
        defer { index = min(index + 1, page.count) }
        return start..<index
    }
}
