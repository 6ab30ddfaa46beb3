/// Text protobuf, as far as the vectors use it.
enum TextProto {
    struct Field {
        var name: String
        var value: TextProto
    }

    case scalar(String)
    case string([UInt8])
    case message([Field])

    struct SyntaxError: Error { var place: Int }

    init(_ text: String) throws {
        var reader = Reader(bytes: Array(text.utf8))
        self = .message(try reader.fields(until: nil))
    }

    func all(_ name: String) -> [TextProto] {
        if case .message(let fields) = self { fields.filter { $0.name == name }.map(\.value) } else { [] }
    }

    subscript(name: String) -> TextProto? { all(name).first }

    var fields: [Field] { if case .message(let fields) = self { fields } else { [] } }

    var text: String? {
        switch self {
        case .string(let bytes): String(decoding: bytes, as: UTF8.self)
        case .scalar(let text): text
        case .message: nil
        }
    }

    private struct Reader {
        let bytes: [UInt8]
        var place = 0

        init(bytes: [UInt8]) { self.bytes = bytes }

        private mutating func skip() {
            while place < bytes.count {
                if bytes[place] == UInt8(ascii: "#") {
                    while place < bytes.count, bytes[place] != 10 { place += 1 }
                } else if [32, 9, 10, 13, UInt8(ascii: ","), UInt8(ascii: ";")].contains(bytes[place]) {
                    place += 1
                } else {
                    return
                }
            }
        }

        private mutating func take(_ symbol: Character) -> Bool {
            skip()
            guard place < bytes.count, symbol.asciiValue == bytes[place] else { return false }
            place += 1
            return true
        }

        private mutating func word() -> String {
            skip()
            let start = place
            if place < bytes.count, bytes[place] == UInt8(ascii: "[") {
                while place < bytes.count, bytes[place] != UInt8(ascii: "]") { place += 1 }
                place += 1
                return String(decoding: bytes[start..<place], as: UTF8.self)
            }
            let symbols = Array(" \t\r\n:{}[],;#'\"<>".utf8)
            while place < bytes.count, !symbols.contains(bytes[place]) { place += 1 }
            return String(decoding: bytes[start..<place], as: UTF8.self)
        }

        mutating func fields(until end: Character?) throws -> [Field] {
            var fields: [Field] = []
            while true {
                skip()
                if let end, take(end) { return fields }
                guard place < bytes.count else {
                    guard end == nil else { throw SyntaxError(place: place) }
                    return fields
                }
                let name = word()
                guard !name.isEmpty else { throw SyntaxError(place: place) }
                _ = take(":")
                if take("[") {
                    while !take("]") { fields.append(Field(name: name, value: try value())) }
                } else {
                    fields.append(Field(name: name, value: try value()))
                }
            }
        }

        private mutating func value() throws -> TextProto {
            skip()
            guard place < bytes.count else { throw SyntaxError(place: place) }
            if take("{") { return .message(try fields(until: "}")) }
            if take("<") { return .message(try fields(until: ">")) }
            guard bytes[place] == UInt8(ascii: "\"") || bytes[place] == UInt8(ascii: "'") else {
                return .scalar(word())
            }
            var content: [UInt8] = []
            while place < bytes.count, bytes[place] == UInt8(ascii: "\"") || bytes[place] == UInt8(ascii: "'") {
                content += try quoted()
                skip()
            }
            return .string(content)
        }

        private mutating func quoted() throws -> [UInt8] {
            let quote = bytes[place]
            place += 1
            var content: [UInt8] = []
            while place < bytes.count, bytes[place] != quote {
                guard bytes[place] == UInt8(ascii: "\\") else {
                    content.append(bytes[place])
                    place += 1
                    continue
                }
                place += 2
                let escape = Character(Unicode.Scalar(bytes[place - 1]))
                let simple: [Character: UInt8] = [
                    "a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, "'": 39, "\"": 34, "?": 63,
                ]
                if let byte = simple[escape] {
                    content.append(byte)
                } else if "01234567".contains(escape) {
                    var digits = String(escape)
                    while digits.count < 3, place < bytes.count, (48...55).contains(bytes[place]) {
                        digits.append(Character(Unicode.Scalar(bytes[place])))
                        place += 1
                    }
                    content.append(UInt8(truncatingIfNeeded: Int(digits, radix: 8) ?? 0))
                } else {
                    let count = escape == "x" ? 2 : escape == "u" ? 4 : 8
                    let digits = String(decoding: bytes[place..<(place + count)], as: UTF8.self)
                    place += count
                    guard let number = UInt32(digits, radix: 16) else { throw SyntaxError(place: place) }
                    if escape == "x" {
                        content.append(UInt8(number))
                    } else if let scalar = Unicode.Scalar(number) {
                        content += Array(String(scalar).utf8)
                    }
                }
            }
            place += 1
            return content
        }
    }
}
