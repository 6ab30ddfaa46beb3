import Document

/// Reads Kubernetes's quantities (`500m`, `1.5Gi`, `2e3`) in exact thousandths.
enum Quantity {
    private static let suffixes: [(String, Int64, Int64)] = [
        ("Ki", 1 << 10, 1), ("Mi", 1 << 20, 1), ("Gi", 1 << 30, 1), ("Ti", 1 << 40, 1), ("Pi", 1 << 50, 1),
        ("n", 1, 1_000_000_000), ("u", 1, 1_000_000), ("m", 1, 1000),
        ("k", 1000, 1), ("M", 1_000_000, 1), ("G", 1_000_000_000, 1), ("T", 1_000_000_000_000, 1),
        ("P", 1_000_000_000_000_000, 1),
    ]

    /// Thousandths, rounded up as Kubernetes rounds; the largest number where they do not fit.
    static func milli(_ quantity: Document?) -> Int64? {
        guard let quantity else { return nil }
        if let whole = quantity.int { return saturating(Int64(whole), 1000) }
        if let number = quantity.double { return Int64(exactly: (number * 1000).rounded(.up)) }
        return quantity.string.flatMap(milli)
    }

    static func milli(_ text: String) -> Int64? {
        var digits = Substring(text)
        var multiplier: Int64 = 1
        var divisor: Int64 = 1
        if let (suffix, up, down) = suffixes.first(where: { text.hasSuffix($0.0) }) {
            digits = digits.dropLast(suffix.count)
            (multiplier, divisor) = (up, down)
        } else if let e = digits.firstIndex(where: { $0 == "e" || $0 == "E" }) {
            guard let exponent = Int(digits[digits.index(after: e)...]), (-18...18).contains(exponent) else {
                return nil
            }
            for _ in 0..<abs(exponent) { if exponent > 0 { multiplier *= 10 } else { divisor *= 10 } }
            digits = digits[..<e]
        }
        let parts = digits.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, parts.count <= 2 else { return nil }
        let fraction = parts.count == 2 ? parts[1].prefix(9) : ""
        guard let mantissa = Int64(first + fraction) else { return nil }
        for _ in 0..<fraction.count { divisor = saturating(divisor, 10) }
        let (product, overflow) = mantissa.multipliedReportingOverflow(by: saturating(multiplier, 1000))
        if overflow {
            // Beyond 2^63 thousandths exactness no longer matters to anybody.
            let approximate = Double(mantissa) * Double(multiplier) / Double(divisor) * 1000
            return abs(approximate) < 9.2e18 ? Int64(approximate.rounded(.up)) : mantissa < 0 ? .min : .max
        }
        return product / divisor + (product % divisor > 0 ? 1 : 0)
    }

    /// Whole units, rounded up: bytes.
    static func value(_ quantity: Document?) -> Int64? {
        milli(quantity).map { $0 == .max ? .max : $0 / 1000 + ($0 % 1000 > 0 ? 1 : 0) }
    }

    private static func saturating(_ a: Int64, _ b: Int64) -> Int64 {
        let (product, overflow) = a.multipliedReportingOverflow(by: b)
        return overflow ? (a < 0) != (b < 0) ? .min : .max : product
    }
}
