import Linux

/// Packets that the kernel dropped because an answer to their sender would go another way: a pod that names an address
/// which is not its own. The kernel counts them for the whole node and tells no more.
struct UntrueSenders {
    private var last: Int?

    /// How many there were since the last look; nil where there were none, at the first look, and where nobody counts.
    mutating func news(in namespace: NetworkNamespace?) -> Int? {
        let read = { try Files.text("/proc/thread-self/net/netstat") }
        guard let text = try? namespace?.run(read) ?? read(), let now = Self.count(text) else { return nil }
        defer { last = now }
        guard let last, now > last else { return nil }
        return now - last
    }

    /// Lines come in pairs: names, then their numbers.
    static func count(_ text: String) -> Int? {
        var names: [Substring] = []
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.first == "TcpExt:" else { continue }
            if names.isEmpty {
                names = words
            } else if let place = names.firstIndex(of: "IPReversePathFilter"), place < words.count {
                return Int(words[place])
            }
        }
        return nil
    }
}
