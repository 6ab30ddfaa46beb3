import Glibc

extension Document: Equatable {
    /// The same values with members in the same order; 1 and 1.0 differ.
    public static func == (a: Document, b: Document) -> Bool {
        if let answer = sameText(a, b) { return answer }
        return switch (a.kind, b.kind) {
        case (.object, .object): a.count == b.count && a.members == b.members
        case (.array, .array): a.count == b.count && a.elements == b.elements
        default: sameScalar(a, b)
        }
    }

    /// Equality as JSON means it: members in any order, numbers by value.
    public func means(_ other: Document) -> Bool {
        if Self.sameText(self, other) == true { return true }
        switch (kind, other.kind) {
        case (.object, .object):
            return count == other.count
                && members.allSatisfy { member in other[member.key].map { member.value.means($0) } ?? false }
        case (.array, .array):
            return count == other.count && zip(elements, other.elements).allSatisfy { $0.means($1) }
        case (.int, .double), (.double, .int): return double == other.double
        default: return Self.sameScalar(self, other)
        }
    }

    /// Two texts that are both as the writer would write them are equal exactly when their values are.
    private static func sameText(_ a: Document, _ b: Document) -> Bool? {
        guard case .tape(let one, let first) = a.representation, case .tape(let two, let second) = b.representation
        else { return nil }
        if one === two, first == second { return true }
        let (left, right) = (one.nodes[Int(first)], two.nodes[Int(second)])
        guard left.tag == right.tag else { return false }
        guard left.isCanonical, right.isCanonical else { return nil }
        return left.length == right.length
            && memcmp(one.bytes + Int(left.start), two.bytes + Int(right.start), Int(left.length)) == 0
    }

    /// Strings are the same where their bytes are; Swift's own equality would take one spelling of é for another.
    private static func sameBytes(_ a: String, _ b: String) -> Bool {
        a.utf8.count == b.utf8.count && a.utf8.elementsEqual(b.utf8)
    }

    private static func sameScalar(_ a: Document, _ b: Document) -> Bool {
        switch (a.kind, b.kind) {
        case (.null, .null): true
        case (.bool, .bool): a.bool == b.bool
        case (.int, .int): a.int == b.int
        case (.double, .double): a.double == b.double
        case (.string, .string): sameBytes(a.string ?? "", b.string ?? "")
        default: false
        }
    }
}
