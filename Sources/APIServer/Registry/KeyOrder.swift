import Document

extension Document {
    /// With the members of every object in the order in which YAML answers list them.
    var inKeyOrder: Document {
        switch kind {
        case .object:
            Document(
                members: members.sorted { KeyOrder.precedes($0.key, $1.key) }.map { ($0.key, $0.value.inKeyOrder) })
        case .array: Document(elements.map(\.inKeyOrder))
        default: self
        }
    }
}

/// Go's YAML library sorts keys as people read them: digits that stand together count as a number, and what is no
/// letter comes before letters.
enum KeyOrder {
    static func precedes(_ left: String, _ right: String) -> Bool {
        let (a, b) = (Array(left.unicodeScalars), Array(right.unicodeScalars))
        var afterDigit = false
        for index in 0..<min(a.count, b.count) {
            if a[index] == b[index] {
                afterDigit = isDigit(a[index])
                continue
            }
            let (isLetterA, isLetterB) = (a[index].properties.isAlphabetic, b[index].properties.isAlphabetic)
            if isLetterA, isLetterB { return a[index].value < b[index].value }
            if isLetterA || isLetterB { return afterDigit ? isLetterA : isLetterB }
            let (numberA, numberB) = (number(a, from: index), number(b, from: index))
            if numberA.value != numberB.value { return numberA.value < numberB.value }
            if numberA.end != numberB.end { return numberA.end < numberB.end }
            return a[index].value < b[index].value
        }
        return a.count < b.count
    }

    private static func isDigit(_ scalar: Unicode.Scalar) -> Bool { (48...57).contains(scalar.value) }

    private static func number(_ scalars: [Unicode.Scalar], from start: Int) -> (value: UInt64, end: Int) {
        var value: UInt64 = 0
        var end = start
        while end < scalars.count, isDigit(scalars[end]) {
            value = value &* 10 &+ UInt64(scalars[end].value - 48)
            end += 1
        }
        return (value, end)
    }
}
