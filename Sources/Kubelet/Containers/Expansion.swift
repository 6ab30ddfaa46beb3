/// Kubernetes's `$(NAME)` references in commands, arguments and variables: `$$` stands for `$`,
/// a name that nothing defines stays as it is.
enum Expansion {
    static func expand(_ text: String, _ lookup: (String) -> String?) -> String {
        guard text.utf8.contains(UInt8(ascii: "$")) else { return text }
        var out: [UInt8] = []
        let bytes = Array(text.utf8)
        var index = 0
        while index < bytes.count {
            guard bytes[index] == UInt8(ascii: "$"), index + 1 < bytes.count else {
                out.append(bytes[index])
                index += 1
                continue
            }
            switch bytes[index + 1] {
            case UInt8(ascii: "$"):
                out.append(UInt8(ascii: "$"))
                index += 2
            case UInt8(ascii: "("):
                guard let end = bytes[(index + 2)...].firstIndex(of: UInt8(ascii: ")")) else {
                    out += bytes[index...]
                    return String(decoding: out, as: UTF8.self)
                }
                let name = String(decoding: bytes[(index + 2)..<end], as: UTF8.self)
                out += lookup(name).map { Array($0.utf8) } ?? Array(bytes[index...end])
                index = end + 1
            default:
                out += bytes[index...(index + 1)]
                index += 2
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}
