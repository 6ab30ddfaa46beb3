extension CEL {
    /// Conversions between types, and values as text.
    enum Conversion {
        static func add(to table: inout FunctionTable) {
            table["type"] = { (a) throws(Failure) in
                guard a.count == 1 else { throw .noSuchOverload("type", a) }
                return .type(a[0].type)
            }
            table["dyn"] = { (a) throws(Failure) in
                guard a.count == 1 else { throw .noSuchOverload("dyn", a) }
                return a[0]
            }
            table["bool"] = bool
            table["int"] = int
            table["uint"] = uint
            table["double"] = double
            table["string"] = string
            table["bytes"] = { (a) throws(Failure) in
                switch a.first {
                case .bytes(let value): return .bytes(value)
                case .string(let text): return .bytes(Array(text.utf8))
                default: throw .noSuchOverload("bytes", a)
                }
            }
            table["duration"] = duration
            table["timestamp"] = timestamp
        }

        private static func bool(_ a: [Value]) throws(Failure) -> Value {
            switch a.first {
            case .bool(let value): return .bool(value)
            case .string("1"), .string("t"), .string("T"), .string("true"), .string("TRUE"), .string("True"):
                return .bool(true)
            case .string("0"), .string("f"), .string("F"), .string("false"), .string("FALSE"), .string("False"):
                return .bool(false)
            case .string(let text): throw Failure("strconv.ParseBool: parsing \(quoted(text)): invalid syntax")
            default: throw .noSuchOverload("bool", a)
            }
        }

        private static func int(_ a: [Value]) throws(Failure) -> Value {
            switch a.first {
            case .int(let value): return .int(value)
            case .uint(let value):
                guard let number = Int64(exactly: value) else { throw Operators.overflow }
                return .int(number)
            case .double(let value):
                // The borders themselves are left out: not every double near them has a neighbour.
                guard value > -0x1p63, value < 0x1p63 else { throw Operators.overflow }
                return .int(Int64(value))
            case .string(let text):
                if let number = Int64(text) { return .int(number) }
                throw parseFailure("ParseInt", text, isNumber(text))
            case .timestamp(let instant): return .int(instant.seconds)
            case .duration(let nanos): return .int(nanos)
            default: throw .noSuchOverload("int", a)
            }
        }

        private static func uint(_ a: [Value]) throws(Failure) -> Value {
            switch a.first {
            case .uint(let value): return .uint(value)
            case .int(let value):
                guard let number = UInt64(exactly: value) else { throw Operators.unsignedOverflow }
                return .uint(number)
            case .double(let value):
                guard value >= 0, value < 0x1p64 else { throw Operators.unsignedOverflow }
                return .uint(UInt64(value))
            case .string(let text):
                if !text.hasPrefix("+"), let number = UInt64(text) { return .uint(number) }
                throw parseFailure("ParseUint", text, isNumber(text))
            default: throw .noSuchOverload("uint", a)
            }
        }

        private static func isNumber(_ text: String) -> Bool {
            let digits = text.utf8.drop { $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "+") }
            return !digits.isEmpty && digits.allSatisfy { (48...57).contains($0) }
        }

        private static func parseFailure(_ function: String, _ text: String, _ isNumber: Bool) -> Failure {
            Failure(
                "strconv.\(function): parsing \(quoted(text)): \(isNumber ? "value out of range" : "invalid syntax")")
        }

        private static func double(_ a: [Value]) throws(Failure) -> Value {
            switch a.first {
            case .double(let value): return .double(value)
            case .int(let value): return .double(Double(value))
            case .uint(let value): return .double(Double(value))
            case .string(let text):
                switch text.lowercased() {
                case "nan": return .double(.nan)
                case "inf", "+inf", "infinity", "+infinity": return .double(.infinity)
                case "-inf", "-infinity": return .double(-.infinity)
                default: break
                }
                guard let value = Double(text), value.isFinite else { throw parseFailure("ParseFloat", text, false) }
                return .double(value)
            default: throw .noSuchOverload("double", a)
            }
        }

        private static func string(_ a: [Value]) throws(Failure) -> Value {
            switch a.first {
            case .string, .int, .uint, .double, .bool, .timestamp, .duration: return .string(text(a[0]))
            case .bytes(let bytes):
                guard let text = String(validating: bytes, as: UTF8.self) else {
                    throw Failure("invalid UTF-8 in bytes, cannot convert to string")
                }
                return .string(text)
            case .opaque(let value):
                guard let printable = value as? any CustomStringConvertible else { throw .noSuchOverload("string", a) }
                return .string(printable.description)
            default: throw .noSuchOverload("string", a)
            }
        }

        private static func duration(_ a: [Value]) throws(Failure) -> Value {
            switch a.first {
            case .duration(let nanos), .int(let nanos): return .duration(nanos)
            case .string(let text):
                guard let nanos = CEL.parseDuration(text) else {
                    throw Failure("time: invalid duration \(quoted(text))")
                }
                return .duration(nanos)
            default: throw .noSuchOverload("duration", a)
            }
        }

        private static func timestamp(_ a: [Value]) throws(Failure) -> Value {
            switch a.first {
            case .timestamp(let instant): return .timestamp(instant)
            case .int(let seconds):
                guard let instant = Instant(seconds: seconds) else { throw Failure("timestamp overflow") }
                return .timestamp(instant)
            case .string(let text):
                guard let instant = Instant(text) else {
                    throw Failure(
                        "parsing time \(quoted(text)) as \"2006-01-02T15:04:05Z07:00\": cannot parse \(quoted(text)) as \"2006\""
                    )
                }
                return .timestamp(instant)
            default: throw .noSuchOverload("timestamp", a)
            }
        }

        // MARK: Text

        /// A value as messages and `string()` print it.
        static func text(_ value: Value) -> String {
            switch value {
            case .null: return "null"
            case .bool(let flag): return flag ? "true" : "false"
            case .int(let number): return String(number)
            case .uint(let number): return String(number)
            case .double(let number): return text(number)
            case .string(let text): return text
            case .bytes(let bytes): return String(decoding: bytes, as: UTF8.self)
            case .timestamp(let instant): return instant.description
            case .duration(let nanos): return CEL.text(ofDuration: nanos)
            case .list(let list): return "[" + list.values.map { text($0) }.joined(separator: ", ") + "]"
            case .map(let map):
                return "{" + map.entries.map { "\(text($0.key)): \(text($0.value))" }.joined(separator: ", ") + "}"
            case .type(let type): return type.runtimeName
            case .optional(let content): return content.map { "optional(\(text($0)))" } ?? "optional.none()"
            case .structure(let structure): return structure.typeName
            case .opaque(let value): return (value as? any CustomStringConvertible)?.description ?? value.typeName
            case .object(let object): return object.typeName
            }
        }

        /// The shortest text of a number that reads back as it, with an exponent from a million on.
        static func text(_ number: Double) -> String {
            if number.isNaN { return "NaN" }
            if number.isInfinite { return number < 0 ? "-Inf" : "+Inf" }
            if number == 0 { return number.sign == .minus ? "-0" : "0" }
            let (digits, point) = shortest(number.magnitude)
            let sign = number < 0 ? "-" : ""
            let exponent = point - 1
            if exponent < -4 || exponent >= 21 {
                var text = sign + String(digits[0])
                if digits.count > 1 { text += "." + digits[1...].map(String.init).joined() }
                let magnitude = abs(exponent)
                return text + "e" + (exponent < 0 ? "-" : "+") + (magnitude < 10 ? "0" : "") + String(magnitude)
            }
            if point <= 0 {
                return sign + "0." + String(repeating: "0", count: -point) + digits.map(String.init).joined()
            }
            let whole = digits.prefix(point).map(String.init).joined()
            let padding = String(repeating: "0", count: max(0, point - digits.count))
            let fraction = digits.dropFirst(point).map(String.init).joined()
            return sign + whole + padding + (fraction.isEmpty ? "" : "." + fraction)
        }

        /// Significant digits, and how many of them stand before the point.
        private static func shortest(_ number: Double) -> (digits: [Int], point: Int) {
            var digits: [Int] = []
            var point: Int?
            var exponent = 0
            let parts = "\(number)".split(separator: "e")
            for character in parts[0].utf8 {
                if character == UInt8(ascii: ".") { point = digits.count } else { digits.append(Int(character) - 48) }
            }
            if parts.count == 2 { exponent = Int(parts[1]) ?? 0 }
            var place = (point ?? digits.count) + exponent
            while digits.first == 0, digits.count > 1 {
                digits.removeFirst()
                place -= 1
            }
            while digits.last == 0, digits.count > 1 { digits.removeLast() }
            return (digits, place)
        }

        /// In quotes, with what could not be read otherwise escaped.
        static func quoted(_ text: String) -> String {
            var result = "\""
            for scalar in text.unicodeScalars {
                switch scalar {
                case "\"": result += "\\\""
                case "\\": result += "\\\\"
                case "\n": result += "\\n"
                case "\r": result += "\\r"
                case "\t": result += "\\t"
                default: result.unicodeScalars.append(scalar)
                }
            }
            return result + "\""
        }
    }
}
