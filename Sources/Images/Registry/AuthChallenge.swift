/// One challenge of `WWW-Authenticate` fields.
struct AuthChallenge: Sendable, Equatable {
    /// Lower case: `bearer`, `basic`.
    var scheme: String
    /// Names in lower case.
    var parameters: [String: String]

    subscript(name: String) -> String? { parameters[name] }

    /// All challenges of one field. What cannot be read ends the list.
    ///
    ///     challenge = scheme SP name=value *( "," name=value )      value = token / quoted-string
    ///
    /// A comma also separates challenges: a word that no `=` follows begins the next one.
    static func parse(_ field: String) -> [AuthChallenge] {
        var rest = Array(field.utf8)[...]
        var challenges: [AuthChallenge] = []
        while true {
            skip(&rest) { $0 == 32 || $0 == 9 || $0 == 44 }
            guard let word = token(&rest) else { return challenges }
            skip(&rest) { $0 == 32 || $0 == 9 }
            guard rest.first == UInt8(ascii: "=") else {
                challenges.append(AuthChallenge(scheme: word.lowercased(), parameters: [:]))
                continue
            }
            rest.removeFirst()
            skip(&rest) { $0 == 32 || $0 == 9 }
            guard !challenges.isEmpty, let value = value(&rest) else { return challenges }
            challenges[challenges.count - 1].parameters[word.lowercased()] = value
        }
    }

    private static func skip(_ rest: inout ArraySlice<UInt8>, while matches: (UInt8) -> Bool) {
        while let byte = rest.first, matches(byte) { rest.removeFirst() }
    }

    private static func token(_ rest: inout ArraySlice<UInt8>) -> String? {
        let word = rest.prefix { byte in
            (33...126).contains(byte) && byte != UInt8(ascii: "=") && byte != UInt8(ascii: ",")
                && byte != UInt8(ascii: "\"")
        }
        guard !word.isEmpty else { return nil }
        rest = rest.dropFirst(word.count)
        return String(decoding: word, as: UTF8.self)
    }

    private static func value(_ rest: inout ArraySlice<UInt8>) -> String? {
        guard rest.first == UInt8(ascii: "\"") else { return token(&rest) }
        rest.removeFirst()
        var out: [UInt8] = []
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\"") { return String(decoding: out, as: UTF8.self) }
            if byte == UInt8(ascii: "\\"), let escaped = rest.popFirst() {
                out.append(escaped)
            } else {
                out.append(byte)
            }
        }
        return nil
    }
}
