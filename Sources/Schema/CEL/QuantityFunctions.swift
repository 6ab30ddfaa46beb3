extension CEL {
    public struct QuantityValue: OpaqueValue, CustomStringConvertible {
        public let quantity: Quantity
        public init(_ quantity: Quantity) { self.quantity = quantity }
        public var typeName: String { "kubernetes.Quantity" }
        public var size: Int? { nil }
        public var description: String { quantity.description }
        public func isEqual(to other: any OpaqueValue) -> Bool { (other as? QuantityValue)?.quantity == quantity }
    }

    enum QuantityFunctions {
        private static let one: Int128 = 1_000_000_000

        static func add(to table: inout FunctionTable) {
            table["isQuantity"] = { (a) throws(Failure) in
                .bool(Quantity(try StringFunctions.one("isQuantity", a)) != nil)
            }
            table["quantity"] = { (a) throws(Failure) in
                guard let quantity = Quantity(try StringFunctions.one("quantity", a)) else {
                    throw Failure(
                        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
                }
                return .opaque(QuantityValue(quantity))
            }
            table["sign"] = { (a) throws(Failure) in .int(Int64(try receiver("sign", a).nano.signum())) }
            table["isInteger"] = { (a) throws(Failure) in
                let nano = try receiver("isInteger", a).nano
                return .bool(nano % one == 0 && Int64(exactly: nano / one) != nil)
            }
            table["asInteger"] = { (a) throws(Failure) in
                let nano = try receiver("asInteger", a).nano
                guard nano % one == 0, let whole = Int64(exactly: nano / one) else {
                    throw Failure("cannot convert value to integer")
                }
                return .int(whole)
            }
            table["asApproximateFloat"] = { (a) throws(Failure) in
                .double(Double(try receiver("asApproximateFloat", a).nano) / 1e9)
            }
            table["add"] = { (a) throws(Failure) in try sum("add", a, sign: 1) }
            table["sub"] = { (a) throws(Failure) in try sum("sub", a, sign: -1) }
            // Quantities and versions share the names of their comparisons.
            let orders: [(String, @Sendable (Int) -> Value)] = [
                ("isLessThan", { .bool($0 < 0) }), ("isGreaterThan", { .bool($0 > 0) }),
                ("compareTo", { .int(Int64($0)) }),
            ]
            for (name, result) in orders {
                table[name] = { (a) throws(Failure) in
                    guard a.count == 2, case .opaque(let x) = a[0], case .opaque(let y) = a[1] else {
                        throw .noSuchOverload(name, a)
                    }
                    if let x = x as? QuantityValue, let y = y as? QuantityValue {
                        return result(x.quantity < y.quantity ? -1 : x.quantity == y.quantity ? 0 : 1)
                    }
                    if let x = x as? SemverValue, let y = y as? SemverValue { return result(x.compare(y)) }
                    throw .noSuchOverload(name, a)
                }
            }
        }

        private static func receiver(_ name: String, _ a: [Value]) throws(Failure) -> Quantity {
            guard case .opaque(let value) = a.first, let quantity = value as? QuantityValue else {
                throw .noSuchOverload(name, a)
            }
            return quantity.quantity
        }

        private static func sum(_ name: String, _ a: [Value], sign: Int128) throws(Failure) -> Value {
            let first = try receiver(name, a)
            guard a.count == 2 else { throw .noSuchOverload(name, a) }
            var other: Int128
            if case .int(let number) = a[1] {
                other = Int128(number) * one
            } else {
                other = try receiver(name, [a[1]]).nano
            }
            other *= sign
            return .opaque(QuantityValue(Quantity(nano: first.nano + other, format: first.format)))
        }
    }

    /// A semantic version (semver.org 2.0.0).
    public struct SemverValue: OpaqueValue, CustomStringConvertible {
        let numbers: [UInt64]
        let prerelease: [String]
        let build: [String]

        public var typeName: String { "kubernetes.Semver" }
        public var size: Int? { nil }
        public var description: String {
            numbers.map(String.init).joined(separator: ".")
                + (prerelease.isEmpty ? "" : "-" + prerelease.joined(separator: "."))
                + (build.isEmpty ? "" : "+" + build.joined(separator: "."))
        }
        public func isEqual(to other: any OpaqueValue) -> Bool {
            (other as? SemverValue).map { compare($0) == 0 } ?? false
        }

        /// `normalizing` takes a leading v, leading zeros and missing parts.
        public init?(_ text: String, normalizing: Bool = false) {
            var rest = Substring(text)
            if normalizing, rest.hasPrefix("v") { rest = rest.dropFirst() }
            func identifiers(_ text: Substring) -> [String]? {
                let parts = text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
                let valid = parts.allSatisfy { part in
                    !part.isEmpty && part.utf8.allSatisfy { Formats.isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
                }
                return valid ? parts : nil
            }
            var build: [String] = []
            var prerelease: [String] = []
            if let plus = rest.firstIndex(of: "+") {
                guard let parts = identifiers(rest[rest.index(after: plus)...]) else { return nil }
                build = parts
                rest = rest[..<plus]
            }
            if let dash = rest.firstIndex(of: "-") {
                guard let parts = identifiers(rest[rest.index(after: dash)...]),
                    parts.allSatisfy({ Self.isPlain($0) || !Self.isNumber($0) })
                else { return nil }
                prerelease = parts
                rest = rest[..<dash]
            }
            var parts = rest.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
            if normalizing {
                while parts.count < 3 { parts.append("0") }
                parts = parts.map { part in
                    let trimmed = part.drop { $0 == "0" }
                    return trimmed.isEmpty && !part.isEmpty ? "0" : String(trimmed)
                }
            }
            guard parts.count == 3, parts.allSatisfy({ Self.isPlain($0) }) else { return nil }
            numbers = parts.compactMap { UInt64($0) }
            guard numbers.count == 3 else { return nil }
            self.prerelease = prerelease
            self.build = build
        }

        private static func isNumber(_ text: String) -> Bool { text.utf8.allSatisfy { (48...57).contains($0) } }
        private static func isPlain(_ text: String) -> Bool {
            !text.isEmpty && isNumber(text) && (text == "0" || !text.hasPrefix("0"))
        }

        func compare(_ other: SemverValue) -> Int {
            for (a, b) in zip(numbers, other.numbers) where a != b { return a < b ? -1 : 1 }
            // A version before its release comes before it.
            if prerelease.isEmpty || other.prerelease.isEmpty {
                return prerelease.isEmpty == other.prerelease.isEmpty ? 0 : prerelease.isEmpty ? 1 : -1
            }
            for (a, b) in zip(prerelease, other.prerelease) where a != b {
                switch (UInt64(a), UInt64(b)) {
                case (let x?, let y?): return x < y ? -1 : 1
                case (_?, nil): return -1
                case (nil, _?): return 1
                case (nil, nil): return a.utf8.lexicographicallyPrecedes(b.utf8) ? -1 : 1
                }
            }
            return (prerelease.count - other.prerelease.count).signum()
        }
    }

    enum SemverFunctions {
        static func add(to table: inout FunctionTable) {
            @Sendable func parsed(_ name: String, _ a: [Value]) throws(Failure) -> SemverValue? {
                guard a.count == 1 || a.count == 2, case .string(let text) = a[0] else {
                    throw .noSuchOverload(name, a)
                }
                var normalizing = false
                if a.count == 2 {
                    guard case .bool(let flag) = a[1] else { throw .noSuchOverload(name, a) }
                    normalizing = flag
                }
                return SemverValue(text, normalizing: normalizing)
            }
            table["isSemver"] = { (a) throws(Failure) in .bool(try parsed("isSemver", a) != nil) }
            table["semver"] = { (a) throws(Failure) in
                guard let version = try parsed("semver", a) else {
                    let text = a[0].string ?? ""
                    let parts = text.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
                    if parts.count != 3 { throw Failure("No Major.Minor.Patch elements found") }
                    throw Failure("Invalid character(s) found in version \(Conversion.quoted(text))")
                }
                return .opaque(version)
            }
            for (index, name) in ["major", "minor", "patch"].enumerated() {
                table[name] = { (a) throws(Failure) in
                    guard a.count == 1, case .opaque(let value) = a[0], let version = value as? SemverValue else {
                        throw .noSuchOverload(name, a)
                    }
                    return .int(Int64(clamping: version.numbers[index]))
                }
            }
        }
    }
}
