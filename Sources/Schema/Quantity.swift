/// An amount of a resource: a decimal number with a suffix, such as `500m`, `1.5Gi`, `2e3`.
///
/// Kept exactly, as an integer of nano-units in 128 bits; what is finer is rounded up, as Kubernetes does.
public struct Quantity: Sendable, Hashable, Comparable {
    public enum Format: Sendable { case decimal, binary, exponent }

    public private(set) var nano: Int128
    public var format: Format

    public static let zero = Quantity(nano: 0, format: .decimal)

    public init(nano: Int128, format: Format) {
        self.nano = nano
        self.format = format
    }

    public init(_ value: Int, format: Format = .decimal) { self.init(nano: Int128(value) * Self.one, format: format) }
    public init(milli: Int, format: Format = .decimal) { self.init(nano: Int128(milli) * 1_000_000, format: format) }

    private static let one: Int128 = 1_000_000_000
    private static let largest: Int128 = Int128(Int64.max) * one

    /// Reads `<signed number><suffix>`; nil for anything else.
    public init?(_ text: some StringProtocol) {
        var bytes = Array(text.utf8)[...]
        var negative = false
        if let first = bytes.first, first == UInt8(ascii: "+") || first == UInt8(ascii: "-") {
            negative = first == UInt8(ascii: "-")
            bytes = bytes.dropFirst()
        }
        var digits: [UInt8] = []
        var fraction: Int?
        while let byte = bytes.first {
            if (48...57).contains(byte) {
                digits.append(byte - 48)
                if let count = fraction { fraction = count + 1 }
            } else if byte == UInt8(ascii: "."), fraction == nil {
                fraction = 0
            } else {
                break
            }
            bytes = bytes.dropFirst()
        }
        // A suffix alone is nothing of it.
        guard !digits.isEmpty || !bytes.isEmpty, digits.count <= 64, let unit = Unit(bytes) else { return nil }
        let scale = unit.decimalPower + 9 - (fraction ?? 0)
        guard let amount = Self.scaled(digits, power: scale, binaryShift: unit.binaryShift) else { return nil }
        self.init(nano: negative ? -amount : amount, format: unit.format)
    }

    /// digits × 10^power × 2^shift, rounded up, no more than the largest that a quantity can hold.
    private static func scaled(_ digits: [UInt8], power: Int, binaryShift: Int) -> Int128? {
        var value: Int128 = 0
        for digit in digits {
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            if overflow { return largest }
            value = product + Int128(digit)
        }
        if value == 0 { return 0 }
        let (shifted, overflow) = value.multipliedReportingOverflow(by: Int128(1) << Int128(binaryShift))
        if overflow { return largest }
        value = shifted
        if power >= 0 {
            for _ in 0..<min(power, 40) {
                let (product, overflow) = value.multipliedReportingOverflow(by: 10)
                if overflow { return largest }
                value = product
            }
        } else {
            var remainder = false
            for _ in 0..<min(-power, 80) {
                if value % 10 != 0 { remainder = true }
                value /= 10
            }
            if remainder { value += 1 }
        }
        return min(value, largest)
    }

    private struct Unit {
        var decimalPower = 0
        var binaryShift = 0
        var format = Format.decimal

        init?(_ suffix: ArraySlice<UInt8>) {
            switch String(decoding: suffix, as: UTF8.self) {
            case "n": decimalPower = -9
            case "u": decimalPower = -6
            case "m": decimalPower = -3
            case "": break
            case "k": decimalPower = 3
            case "M": decimalPower = 6
            case "G": decimalPower = 9
            case "T": decimalPower = 12
            case "P": decimalPower = 15
            case "E": decimalPower = 18
            case "Ki": (binaryShift, format) = (10, .binary)
            case "Mi": (binaryShift, format) = (20, .binary)
            case "Gi": (binaryShift, format) = (30, .binary)
            case "Ti": (binaryShift, format) = (40, .binary)
            case "Pi": (binaryShift, format) = (50, .binary)
            case "Ei": (binaryShift, format) = (60, .binary)
            default:
                guard let first = suffix.first, first == UInt8(ascii: "e") || first == UInt8(ascii: "E"),
                    let exponent = Int(String(decoding: suffix.dropFirst(), as: UTF8.self)),
                    (-99...99).contains(exponent)
                else { return nil }
                (decimalPower, format) = (exponent, .exponent)
            }
        }
    }

    // MARK: Reading

    /// Whole units, rounded up.
    public var value: Int { Int(clamping: Self.roundedUp(nano, Self.one)) }
    /// Thousandths, rounded up.
    public var milliValue: Int { Int(clamping: Self.roundedUp(nano, 1_000_000)) }
    public var isZero: Bool { nano == 0 }
    var isWholeInThousandths: Bool { nano % 1_000_000 == 0 }

    private static func roundedUp(_ value: Int128, _ unit: Int128) -> Int128 {
        let quotient = value / unit
        return value % unit > 0 ? quotient + 1 : quotient
    }

    public static func < (a: Quantity, b: Quantity) -> Bool { a.nano < b.nano }
    public static func == (a: Quantity, b: Quantity) -> Bool { a.nano == b.nano }
    public func hash(into hasher: inout Hasher) { hasher.combine(nano) }

    public static func + (a: Quantity, b: Quantity) -> Quantity {
        Quantity(nano: a.nano + b.nano, format: a.isZero ? b.format : a.format)
    }

    public static func - (a: Quantity, b: Quantity) -> Quantity {
        Quantity(nano: a.nano - b.nano, format: a.isZero ? b.format : a.format)
    }

    public static func += (a: inout Quantity, b: Quantity) { a = a + b }
    public static func -= (a: inout Quantity, b: Quantity) { a = a - b }
}

extension Quantity: CustomStringConvertible {
    /// The canonical form: no fraction, the largest suffix that keeps the number whole. Binary suffixes are used only
    /// for whole amounts of at least 1024, as Kubernetes does.
    public var description: String {
        if nano == 0 { return "0" }
        if format == .binary, nano % Self.one == 0, abs(nano / Self.one) >= 1024 {
            var value = nano / Self.one
            var index = 0
            let suffixes = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]
            while index < suffixes.count - 1, value % 1024 == 0 {
                value /= 1024
                index += 1
            }
            return "\(value)\(suffixes[index])"
        }
        var value = nano
        var power = -9
        while power < 18, value % 1000 == 0 {
            value /= 1000
            power += 3
        }
        if format == .exponent { return power == 0 ? "\(value)" : "\(value)e\(power)" }
        let suffixes = [-9: "n", -6: "u", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P", 18: "E"]
        return "\(value)\(suffixes[power] ?? "")"
    }
}
