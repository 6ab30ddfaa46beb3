/// A group's files as numbers. What is not there has no value: statistics tell what there is.
public struct CgroupReader: Sendable {
    private let group: Cgroup
    public var isV2: Bool { group.layout.isV2 }

    public init(_ group: Cgroup) { self.group = group }

    public func lines(_ controller: String, _ file: String) -> [Substring] {
        guard let hierarchy = isV2 ? group.layout.unified : group.layout.v1(controller), !file.isEmpty,
            let text = try? Files.text(group.directory(in: hierarchy) + "/" + file)
        else { return [] }
        return text.split(separator: "\n")
    }

    /// No limit (`max`) has no value either.
    public func number(_ controller: String, _ file: String) -> UInt64? {
        lines(controller, file).first.flatMap { UInt64($0) }
    }

    /// Numbers with blanks between.
    public func list(_ controller: String, _ file: String) -> [UInt64] {
        (lines(controller, file).first ?? "").split(separator: " ").compactMap { UInt64($0) }
    }

    /// `key number` lines.
    public func table(_ controller: String, _ file: String) -> [String: UInt64] {
        var table: [String: UInt64] = [:]
        for line in lines(controller, file) {
            let words = line.split(separator: " ")
            if words.count == 2, let value = UInt64(words[1]) { table[String(words[0])] = value }
        }
        return table
    }
}
