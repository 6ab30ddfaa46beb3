/// A domain name: labels from the leaf to the root, any bytes, compared without ASCII case.
public struct DNSName: Sendable, Hashable, CustomStringConvertible {
    public private(set) var labels: [[UInt8]]

    public static let root = DNSName(unchecked: [])

    init(unchecked labels: [[UInt8]]) { self.labels = labels }

    /// Nil where a label is empty or longer than 63 bytes, or the whole is longer than 255.
    public init?(labels: [[UInt8]]) {
        guard labels.allSatisfy({ (1...63).contains($0.count) }),
            labels.reduce(1, { $0 + $1.count + 1 }) <= 255
        else { return nil }
        self.labels = labels
    }

    /// Dotted text without escapes, with or without the final dot.
    public init?(_ text: some StringProtocol) {
        if text == "." {
            self = .root
            return
        }
        var parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).map { Array($0) }
        if parts.last?.isEmpty == true { parts.removeLast() }
        self.init(labels: parts)
    }

    public var description: String {
        labels.isEmpty ? "." : labels.map { String(decoding: $0, as: UTF8.self) + "." }.joined()
    }

    static func lower(_ byte: UInt8) -> UInt8 { (65...90).contains(byte) ? byte | 32 : byte }

    static func equal(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        a.count == b.count && zip(a, b).allSatisfy { lower($0) == lower($1) }
    }

    public static func == (a: DNSName, b: DNSName) -> Bool {
        a.labels.count == b.labels.count && zip(a.labels, b.labels).allSatisfy { equal($0, $1) }
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(labels.count)
        for label in labels {
            hasher.combine(label.count)
            for byte in label { hasher.combine(Self.lower(byte)) }
        }
    }

    /// Whether the name is `zone` or below it.
    public func isWithin(_ zone: DNSName) -> Bool {
        labels.count >= zone.labels.count
            && zip(labels.suffix(zone.labels.count), zone.labels).allSatisfy { Self.equal($0, $1) }
    }

    /// The lower-case labels before `suffix`; nil where the name does not end with it.
    public func labels(before suffix: DNSName) -> [String]? {
        guard labels.count >= suffix.labels.count,
            zip(labels.suffix(suffix.labels.count), suffix.labels).allSatisfy({ Self.equal($0, $1) })
        else { return nil }
        return labels.dropLast(suffix.labels.count).map { label in
            String(decoding: label.map(Self.lower), as: UTF8.self)
        }
    }

    /// `labels` in front of this name.
    public func prefixed(by labels: String...) -> DNSName? {
        DNSName(labels: labels.map { Array($0.utf8) } + self.labels)
    }
}
