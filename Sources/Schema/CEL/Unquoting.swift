extension CEL {
    /// What a quoted literal stands for.
    enum Unquoting {
        static func string(_ literal: String) -> String? {
            guard let units = units(literal) else { return nil }
            var view = String.UnicodeScalarView()
            for unit in units {
                guard let scalar = Unicode.Scalar(unit.value) else { return nil }
                view.append(scalar)
            }
            return String(view)
        }

        /// Escapes of numbers are bytes, other characters their UTF-8.
        static func bytes(_ literal: String) -> [UInt8]? {
            guard let units = units(literal) else { return nil }
            var bytes: [UInt8] = []
            for unit in units {
                if unit.isByte {
                    guard unit.value < 256 else { return nil }
                    bytes.append(UInt8(unit.value))
                } else {
                    guard let scalar = Unicode.Scalar(unit.value) else { return nil }
                    bytes += Array(String(scalar).utf8)
                }
            }
            return bytes
        }

        private struct Unit {
            var value: UInt32
            var isByte = false
        }

        private static let simple: [Unicode.Scalar: UInt32] = [
            "a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, "?": 63, "\"": 34, "'": 39, "`": 96,
        ]

        private static func units(_ literal: String) -> [Unit]? {
            var rest = Array(literal.unicodeScalars)[...]
            var raw = false
            while let first = rest.first, first != "'", first != "\"" {
                if first == "r" || first == "R" { raw = true }
                rest = rest.dropFirst()
            }
            let quotes = rest.count >= 6 && rest.prefix(3).allSatisfy { $0 == rest.first } ? 3 : 1
            rest = rest.dropFirst(quotes).dropLast(quotes)
            var units: [Unit] = []
            while let scalar = rest.popFirst() {
                if raw || scalar != "\\" {
                    // Line ends are the same everywhere.
                    if !raw, scalar == "\r" {
                        if rest.first == "\n" { rest = rest.dropFirst() }
                        units.append(Unit(value: 10))
                    } else {
                        units.append(Unit(value: scalar.value))
                    }
                    continue
                }
                guard let escape = rest.popFirst() else { return nil }
                if let value = simple[escape] {
                    units.append(Unit(value: value))
                    continue
                }
                guard let unit = numbered(escape, &rest) else { return nil }
                units.append(unit)
            }
            return units
        }

        private static func numbered(_ escape: Unicode.Scalar, _ rest: inout ArraySlice<Unicode.Scalar>) -> Unit? {
            func number(_ count: Int, _ radix: Int, startingWith first: String = "") -> UInt32? {
                guard rest.count >= count else { return nil }
                var view = String.UnicodeScalarView()
                view.append(contentsOf: rest.prefix(count))
                rest = rest.dropFirst(count)
                let text = first + String(view)
                guard text.unicodeScalars.allSatisfy({ $0.properties.isASCIIHexDigit }) else { return nil }
                return UInt32(text, radix: radix)
            }
            switch escape {
            case "x", "X": return number(2, 16).map { Unit(value: $0, isByte: true) }
            case "u": return number(4, 16).map { Unit(value: $0) }
            case "U": return number(8, 16).map { Unit(value: $0) }
            case "0", "1", "2", "3":
                return number(2, 8, startingWith: String(escape)).map { Unit(value: $0, isByte: true) }
            default: return nil
            }
        }
    }
}
