/// A file of variables that a container of the pod has written for those that start after it.
///
/// Lines are `NAME='value'`: the value stands in single quotes, may go over several lines, and nothing in it is
/// expanded. Blanks before a name, empty lines and comments (`# …`, also behind a value) mean nothing; blanks before
/// the `=` are wrong. What follows `=` after a blank is no value: the variable is empty then.
enum EnvironmentFile {
    struct Problem: Error, Equatable, CustomStringConvertible {
        var line: Int
        var why: String
        var description: String { "invalid environment variable format at line \(line): \(why)" }
    }

    /// Nil where the file does not have the variable.
    static func value(of key: String, in text: String) throws(Problem) -> String? {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        var index = 0
        while index < lines.count {
            let number = index + 1
            let line = lines[index].drop { $0 == " " || $0 == "\t" }
            index += 1
            if line.isEmpty || line.first == "#" { continue }
            guard let equals = line.firstIndex(of: "=") else { throw Problem(line: number, why: "missing '='") }
            let name = line[..<equals]
            guard !name.isEmpty else { throw Problem(line: number, why: "empty variable name") }
            guard !name.contains(where: { $0 == " " || $0 == "\t" }) else {
                throw Problem(line: number, why: "whitespace before '='")
            }
            var rest = line[line.index(after: equals)...]
            var value = ""
            if rest.first == "'" {
                rest = rest.dropFirst()
                while rest.firstIndex(of: "'") == nil {
                    guard index < lines.count else { throw Problem(line: number, why: "unclosed single quote") }
                    value += rest + "\n"
                    rest = lines[index]
                    index += 1
                }
                guard let end = rest.firstIndex(of: "'") else { continue }
                value += rest[..<end]
                let after = rest[rest.index(after: end)...].drop { $0 == " " || $0 == "\t" || $0 == "\r" }
                guard after.isEmpty || after.first == "#" else {
                    throw Problem(line: number, why: "unexpected characters after closing quote")
                }
            } else if let first = rest.first, first != " ", first != "\t" {
                throw Problem(line: number, why: "value must be enclosed in single quotes")
            }
            if name == key { return value }
        }
        return nil
    }
}
