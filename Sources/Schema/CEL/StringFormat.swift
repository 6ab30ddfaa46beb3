import Glibc

extension CEL {
    /// `text.format([…])`: `%s %d %f %e %x %X %o %b %%`, the precision of `%f` and `%e` as in `%.3f`.
    enum StringFormat {
        static func format(_ text: String, _ arguments: [Value]) throws(Failure) -> String {
            var rest = Array(text.unicodeScalars)[...]
            var result = String.UnicodeScalarView()
            var used = 0
            var size = 0
            while let scalar = rest.popFirst() {
                guard scalar == "%" else {
                    result.append(scalar)
                    continue
                }
                guard let next = rest.first else { throw Failure("unexpected end of string") }
                if next == "%" {
                    rest = rest.dropFirst()
                    result.append("%")
                    continue
                }
                var precision: Int?
                if next == "." {
                    rest = rest.dropFirst()
                    let digits = rest.prefix { (48...57).contains($0.value) }
                    rest = rest.dropFirst(digits.count)
                    guard let number = Int(StringFunctions.text(digits)), number <= 1000 else {
                        throw Failure("could not find end of precision specifier")
                    }
                    precision = number
                }
                guard let verb = rest.popFirst() else { throw Failure("unexpected end of string") }
                guard used < arguments.count else { throw Failure("index \(used) out of range") }
                let value = arguments[used]
                used += 1
                let made = try clause(verb, precision, value)
                size += made.utf8.count
                if size > StringFunctions.longest { throw StringFunctions.tooLong }
                result.append(contentsOf: made.unicodeScalars)
            }
            return String(result)
        }

        private static func clause(_ verb: Unicode.Scalar, _ precision: Int?, _ value: Value) throws(Failure) -> String
        {
            switch verb {
            case "s": return try string(value)
            case "d":
                switch value {
                case .int, .uint: return Conversion.text(value)
                case .double(let number): return number.isFinite ? plain(number) : special(number)
                default: throw wrong("decimal", "an integer", value)
                }
            case "f": return try decimal(value, precision ?? 6, "f")
            case "e": return try decimal(value, precision ?? 6, "e")
            case "b":
                switch value {
                case .int(let number): return String(number, radix: 2)
                case .uint(let number): return String(number, radix: 2)
                case .bool(let flag): return flag ? "1" : "0"
                default: throw wrong("binary", "an integer or bool", value)
                }
            case "o":
                switch value {
                case .int(let number): return String(number, radix: 8)
                case .uint(let number): return String(number, radix: 8)
                default: throw wrong("octal", "an integer", value)
                }
            case "x", "X":
                let upper = verb == "X"
                switch value {
                case .int(let number): return String(number, radix: 16, uppercase: upper)
                case .uint(let number): return String(number, radix: 16, uppercase: upper)
                case .string(let text): return hex(Array(text.utf8), upper)
                case .bytes(let bytes): return hex(bytes, upper)
                default: throw wrong("hex", "an integer, byte buffer, or string", value)
                }
            default: throw Failure("unrecognized formatting clause \"\(verb)\"")
            }
        }

        private static func wrong(_ name: String, _ wanted: String, _ value: Value) -> Failure {
            Failure(
                "error during formatting: \(name) clause can only be used on \(wanted), was given \(value.type.runtimeName)"
            )
        }

        private static func hex(_ bytes: [UInt8], _ upper: Bool) -> String {
            bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: upper) }.joined()
        }

        private static func special(_ number: Double) -> String {
            number.isNaN ? "NaN" : number < 0 ? "-Infinity" : "Infinity"
        }

        private static func plain(_ number: Double) -> String { Conversion.text(number) }

        private static func decimal(_ value: Value, _ precision: Int, _ verb: Character) throws(Failure) -> String {
            let number: Double
            switch value {
            case .double(let double): number = double
            case .int(let integer): number = Double(integer)
            case .uint(let integer): number = Double(integer)
            default: throw wrong(verb == "f" ? "fixed-point" : "scientific", "a double", value)
            }
            guard number.isFinite else { return special(number) }
            var buffer = [CChar](repeating: 0, count: precision + 400)
            let count = withVaList([Int32(precision), number]) {
                vsnprintf(&buffer, buffer.count, verb == "f" ? "%.*f" : "%.*e", $0)
            }
            return String(decoding: buffer.prefix(Int(max(0, count))).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }

        private static func string(_ value: Value) throws(Failure) -> String {
            switch value {
            case .string, .int, .uint, .bool, .timestamp, .duration, .null, .bytes, .type: return Conversion.text(value)
            case .double(let number): return number.isFinite ? plain(number) : special(number)
            case .list(let list):
                var parts: [String] = []
                for element in list.values { parts.append(try string(element)) }
                return "[" + parts.joined(separator: ", ") + "]"
            case .map(let map):
                var parts: [(String, String)] = []
                for entry in map.entries { parts.append((try string(entry.key), try string(entry.value))) }
                parts.sort { $0.0.utf8.lexicographicallyPrecedes($1.0.utf8) }
                return "{" + parts.map { "\($0.0): \($0.1)" }.joined(separator: ", ") + "}"
            case .optional, .structure, .opaque, .object:
                throw wrong(
                    "string", "strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps",
                    value)
            }
        }
    }
}
