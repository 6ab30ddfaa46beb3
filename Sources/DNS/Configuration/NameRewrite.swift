import Wire

/// A rule that asks for another name than the client did. The answer carries the client's name again.
public struct NameRewrite: Sendable, Equatable {
    public enum Match: String, Sendable { case exact, prefix, suffix, substring }

    public var match: Match
    public var from: String
    public var to: String
    /// Whether the rules behind it still apply to its result.
    public var continues: Bool

    /// The name to ask for; nil where the rule does not apply, or makes no name.
    public func apply(to name: DNSName) -> DNSName? {
        let text = Self.text(name)
        switch match {
        case .exact: return text == from ? DNSName(to) : nil
        case .prefix: return text.hasPrefix(from) ? DNSName(to + text.dropFirst(from.count)) : nil
        case .suffix: return text.hasSuffix(from) ? DNSName(text.dropLast(from.count) + to) : nil
        case .substring:
            guard !from.isEmpty else { return nil }
            let parts = Self.split(Array(text.utf8), by: Array(from.utf8))
            guard parts.count > 1 else { return nil }
            let joined = parts.joined(separator: Array(to.utf8))
            return DNSName(String(decoding: Array(joined), as: UTF8.self))
        }
    }

    /// The first rule that applies decides, and those it lets continue.
    public static func apply(_ rules: [NameRewrite], to name: DNSName) -> DNSName {
        var name = name
        for rule in rules {
            guard let new = rule.apply(to: name) else { continue }
            name = new
            if !rule.continues { break }
        }
        return name
    }

    /// Lower case, with the final dot.
    static func text(_ name: DNSName) -> String { name.description.lowercased() }

    private static func split(_ text: [UInt8], by word: [UInt8]) -> [[UInt8]] {
        var parts: [[UInt8]] = [[]]
        var index = 0
        while index < text.count {
            if text[index...].starts(with: word) {
                parts.append([])
                index += word.count
            } else {
                parts[parts.count - 1].append(text[index])
                index += 1
            }
        }
        return parts
    }
}
