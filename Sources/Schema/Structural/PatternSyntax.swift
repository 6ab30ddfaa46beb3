/// What is wrong with the text of a regular expression, in the words of Go's parser.
public enum PatternSyntax {
    public static func fault(in pattern: String) -> String? {
        var open = 0
        var index = pattern.startIndex
        var mayRepeat = false
        while index < pattern.endIndex {
            let character = pattern[index]
            let next = pattern.index(after: index)
            switch character {
            case "\\":
                guard next < pattern.endIndex else { return error("trailing backslash at end of expression", "") }
                index = next
                mayRepeat = true
            case "[":
                guard let end = closing(pattern, next) else {
                    return error("missing closing ]", String(pattern[index...]))
                }
                index = end
                mayRepeat = true
            case "(":
                open += 1
                mayRepeat = false
                if next < pattern.endIndex, pattern[next] == "?" { index = next }
            case ")":
                guard open > 0 else { return error("unexpected )", pattern) }
                open -= 1
                mayRepeat = true
            case "*", "+", "?":
                guard mayRepeat else {
                    return error("missing argument to repetition operator", String(character))
                }
            case "|": mayRepeat = false
            default: mayRepeat = true
            }
            index = pattern.index(after: index)
        }
        return open > 0 ? error("missing closing )", pattern) : nil
    }

    /// The bracket that ends a class which begins after `start`; the first character of a class is never its end.
    private static func closing(_ pattern: String, _ start: String.Index) -> String.Index? {
        var index = start
        if index < pattern.endIndex, pattern[index] == "^" { index = pattern.index(after: index) }
        var isFirst = true
        while index < pattern.endIndex {
            if pattern[index] == "]", !isFirst { return index }
            if pattern[index] == "\\" {
                index = pattern.index(after: index)
                guard index < pattern.endIndex else { return nil }
            } else if pattern[index...].hasPrefix("[:"), let end = pattern[index...].firstRange(of: ":]") {
                index = pattern.index(before: end.upperBound)
            }
            isFirst = false
            index = pattern.index(after: index)
        }
        return nil
    }

    private static func error(_ what: String, _ part: String) -> String {
        "error parsing regexp: \(what): `\(part)`"
    }
}
