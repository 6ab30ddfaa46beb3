extension CEL {
    /// Mathematics, bits, and Base64.
    enum MathFunctions {
        static func add(to table: inout FunctionTable) {
            for (name, sign) in [("math.@max", 1), ("math.@min", -1)] {
                table[name] = { (a) throws(Failure) in try extreme(name, a, sign) }
            }
            let reals: [(String, @Sendable (Double) -> Double)] = [
                ("math.ceil", { $0.rounded(.up) }), ("math.floor", { $0.rounded(.down) }),
                ("math.round", { $0.rounded(.toNearestOrAwayFromZero) }), ("math.trunc", { $0.rounded(.towardZero) }),
            ]
            for (name, function) in reals {
                table[name] = { (a) throws(Failure) in
                    guard a.count == 1, case .double(let number) = a[0] else { throw .noSuchOverload(name, a) }
                    return .double(function(number))
                }
            }
            let tests: [(String, @Sendable (Double) -> Bool)] = [
                ("math.isInf", { $0.isInfinite }), ("math.isNaN", { $0.isNaN }), ("math.isFinite", { $0.isFinite }),
            ]
            for (name, test) in tests {
                table[name] = { (a) throws(Failure) in
                    guard a.count == 1, case .double(let number) = a[0] else { throw .noSuchOverload(name, a) }
                    return .bool(test(number))
                }
            }
            table["math.sqrt"] = { (a) throws(Failure) in
                switch a.first {
                case .double(let number): return .double(number.squareRoot())
                case .int(let number): return .double(Double(number).squareRoot())
                case .uint(let number): return .double(Double(number).squareRoot())
                default: throw .noSuchOverload("math.sqrt", a)
                }
            }
            addSigns(to: &table)
            addBits(to: &table)
            table["base64.encode"] = { (a) throws(Failure) in
                guard a.count == 1, case .bytes(let bytes) = a[0] else { throw .noSuchOverload("base64.encode", a) }
                return .string(CEL.encodeBase64(bytes))
            }
            table["base64.decode"] = { (a) throws(Failure) in
                let text = try StringFunctions.one("base64.decode", a)
                guard let bytes = CEL.decodeBase64(text) else { throw Failure("illegal base64 data at input byte 0") }
                return .bytes(bytes)
            }
        }

        private static func extreme(_ name: String, _ a: [Value], _ sign: Int) throws(Failure) -> Value {
            var values = a
            if a.count == 1, case .list(let list) = a[0] { values = list.values }
            guard var best = values.first else { throw Failure("\(name)(list) argument must not be empty") }
            for value in values {
                switch value {
                case .int, .uint, .double: break
                default: throw .noSuchOverload(name, a)
                }
                if (try value.compare(best) ?? 0) * sign > 0 { best = value }
            }
            return best
        }

        private static func addSigns(to table: inout FunctionTable) {
            table["math.abs"] = { (a) throws(Failure) in
                switch a.first {
                case .double(let number): return .double(number.magnitude)
                case .int(let number):
                    if number == .min { throw Operators.overflow }
                    return .int(abs(number))
                case .uint(let number): return .uint(number)
                default: throw .noSuchOverload("math.abs", a)
                }
            }
            table["math.sign"] = { (a) throws(Failure) in
                switch a.first {
                case .double(let number): return .double(number.isNaN ? number : number > 0 ? 1 : number < 0 ? -1 : 0)
                case .int(let number): return .int(number.signum())
                case .uint(let number): return .uint(number == 0 ? 0 : 1)
                default: throw .noSuchOverload("math.sign", a)
                }
            }
        }

        private static func addBits(to table: inout FunctionTable) {
            let pairs: [(String, @Sendable (UInt64, UInt64) -> UInt64)] = [
                ("math.bitAnd", { $0 & $1 }), ("math.bitOr", { $0 | $1 }), ("math.bitXor", { $0 ^ $1 }),
            ]
            for (name, function) in pairs {
                table[name] = { (a) throws(Failure) in
                    guard a.count == 2 else { throw .noSuchOverload(name, a) }
                    switch (a[0], a[1]) {
                    case (.int(let x), .int(let y)):
                        return .int(Int64(bitPattern: function(UInt64(bitPattern: x), UInt64(bitPattern: y))))
                    case (.uint(let x), .uint(let y)): return .uint(function(x, y))
                    default: throw .noSuchOverload(name, a)
                    }
                }
            }
            table["math.bitNot"] = { (a) throws(Failure) in
                switch a.first {
                case .int(let number): return .int(~number)
                case .uint(let number): return .uint(~number)
                default: throw .noSuchOverload("math.bitNot", a)
                }
            }
            for (name, isLeft) in [("math.bitShiftLeft", true), ("math.bitShiftRight", false)] {
                table[name] = { (a) throws(Failure) in
                    guard a.count == 2, case .int(let count) = a[1] else { throw .noSuchOverload(name, a) }
                    guard count >= 0 else { throw Failure("\(name)() negative offset: \(count)") }
                    switch a[0] {
                    // The sign is a bit like any other.
                    case .int(let number):
                        let bits = UInt64(bitPattern: number)
                        return .int(Int64(bitPattern: isLeft ? bits << UInt64(count) : bits >> UInt64(count)))
                    case .uint(let number): return .uint(isLeft ? number << UInt64(count) : number >> UInt64(count))
                    default: throw .noSuchOverload(name, a)
                    }
                }
            }
        }
    }

    // MARK: Base64

    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func encodeBase64(_ bytes: [UInt8]) -> String {
        var out: [UInt8] = []
        var place = 0
        while place < bytes.count {
            let left = min(3, bytes.count - place)
            var group: UInt32 = 0
            for offset in 0..<3 { group = group << 8 | (offset < left ? UInt32(bytes[place + offset]) : 0) }
            for index in 0..<4 {
                let symbol = alphabet[Int(group >> UInt32(18 - 6 * index) & 63)]
                out.append(index <= left ? symbol : UInt8(ascii: "="))
            }
            place += 3
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// With or without the padding.
    static func decodeBase64(_ text: String) -> [UInt8]? {
        var symbols = Array(text.utf8)
        while symbols.last == UInt8(ascii: "=") { symbols.removeLast() }
        guard text.utf8.count - symbols.count <= 2, symbols.count % 4 != 1 else { return nil }
        var out: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for symbol in symbols {
            guard let value = alphabet.firstIndex(of: symbol) else { return nil }
            bits = bits << 6 | UInt32(value)
            count += 6
            if count >= 8 {
                count -= 8
                out.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return out
    }
}
