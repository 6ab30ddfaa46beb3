/// Finds members that a JSON text gives twice. A document keeps only the last of them, so the text itself is read.
public enum DuplicateFields {
    /// The paths of members that occur again, in the order of the text, such as `metadata.labels.a`. The text must
    /// be well-formed; anything after the first irregularity is not looked at.
    public static func find(in json: [UInt8]) -> [String] {
        var scanner = Scanner(bytes: json)
        scanner.value(path: "", depth: 0)
        return scanner.found
    }

    /// The paths of all members in the order of the text, each where it first stands. For putting what was found in
    /// different ways into one order.
    public static func order(of json: [UInt8]) -> [String: Int] {
        var scanner = Scanner(bytes: json)
        scanner.order = [:]
        scanner.value(path: "", depth: 0)
        return scanner.order ?? [:]
    }

    private struct Scanner {
        let bytes: [UInt8]
        var index = 0
        var found: [String] = []
        /// Where each path was met, when that is asked for; a repetition stands where it repeats.
        var order: [String: Int]?

        init(bytes: [UInt8]) { self.bytes = bytes }

        private var byte: UInt8 { index < bytes.count ? bytes[index] : 0 }

        private mutating func blanks() {
            while byte == 32 || byte == 10 || byte == 13 || byte == 9 { index += 1 }
        }

        mutating func value(path: String, depth: Int) {
            blanks()
            guard depth < 1_000 else { return index = bytes.count }
            switch byte {
            case UInt8(ascii: "{"): object(path, depth)
            case UInt8(ascii: "["): array(path, depth)
            case UInt8(ascii: "\""): _ = string()
            default:
                while index < bytes.count, !",]}".utf8.contains(byte) { index += 1 }
            }
        }

        private mutating func object(_ path: String, _ depth: Int) {
            index += 1
            var seen: Set<String> = []
            while index < bytes.count {
                blanks()
                if byte == UInt8(ascii: "}") {
                    index += 1
                    return
                }
                guard byte == UInt8(ascii: "\"") else { return index = bytes.count }
                let key = string()
                let here = path.isEmpty ? key : path + "." + key
                if !seen.insert(key).inserted { found.append(here) }
                order?[here] = index
                blanks()
                guard byte == UInt8(ascii: ":") else { return index = bytes.count }
                index += 1
                value(path: here, depth: depth + 1)
                blanks()
                if byte == UInt8(ascii: ",") { index += 1 }
            }
        }

        private mutating func array(_ path: String, _ depth: Int) {
            index += 1
            var position = 0
            while index < bytes.count {
                blanks()
                if byte == UInt8(ascii: "]") {
                    index += 1
                    return
                }
                value(path: path + "[\(position)]", depth: depth + 1)
                position += 1
                blanks()
                if byte == UInt8(ascii: ",") { index += 1 }
            }
        }

        /// A string's raw bytes: two spellings of one key are told apart, which only lets a repetition pass.
        private mutating func string() -> String {
            index += 1
            let start = index
            while index < bytes.count, byte != UInt8(ascii: "\"") { index += byte == UInt8(ascii: "\\") ? 2 : 1 }
            let end = min(index, bytes.count)
            index += 1
            return String(decoding: bytes[min(start, end)..<end], as: UTF8.self)
        }
    }
}
