import Glibc
import Linux

/// A session at a shell with the output that it must have, read from a file of `Fixtures`:
///
///     Prose, which says what follows.
///
///       $ kubectl create configmap words
///       configmap/words created
///       $ kubectl get configmap absent
///       Error from server (NotFound): configmaps "absent" not found
///       [1]
///
/// Two spaces and `$` begin a command, two spaces and `>` go on with it, other lines after two spaces are what it
/// prints, standard error included. `[N]` stands for an exit code that is not 0. In a line that ends with ` (glob)`,
/// `*` stands for any text; a line `...` stands for any number of lines.
struct Transcript {
    struct Step: Equatable {
        var line: Int
        var command: String
        var expected: [String] = []
    }

    var steps: [Step] = []

    init(_ text: String) {
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            guard line.hasPrefix("  ") else { continue }
            if line.hasPrefix("  $ ") {
                steps.append(Step(line: index + 1, command: String(line.dropFirst(4))))
            } else if !steps.isEmpty {
                if line.hasPrefix("  > ") {
                    steps[steps.count - 1].command += "\n" + line.dropFirst(4)
                } else {
                    steps[steps.count - 1].expected.append(String(line.dropFirst(2)))
                }
            }
        }
    }

    /// Stands between the outputs of two commands, on a line of its own after one that the command may have left open.
    private static let mark = "=+= "

    /// The whole session as one script, so that a step sees what earlier ones have set.
    var script: String {
        var script = "exec 2>&1\n"
        for step in steps { script += step.command + "\nprintf '\\n\(Self.mark)%d\\n' $?\n" }
        return script
    }

    /// What each command printed, with its exit code where that is not 0, out of the output of the whole script.
    static func outputs(of text: String) -> [[String]] {
        var outputs: [[String]] = []
        var lines: [String] = []
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            guard line.hasPrefix(mark) else {
                lines.append(String(line))
                continue
            }
            // The marker brings a line break of its own, which shows where the command has ended its last line.
            if lines.last == "" { lines.removeLast() }
            let code = line.dropFirst(mark.count)
            if code != "0" { lines.append("[\(code)]") }
            outputs.append(lines)
            lines = []
        }
        return outputs
    }

    /// What is wrong, one text for each step that printed something else.
    func problems(in text: String) -> [String] {
        let outputs = Self.outputs(of: text)
        return steps.indices.compactMap { index in
            let step = steps[index]
            guard index < outputs.count else {
                return index == outputs.count ? "line \(step.line): did not end\n$ \(step.command)" : nil
            }
            if Self.matches(step.expected[...], outputs[index][...]) { return nil }
            let expected = step.expected.joined(separator: "\n")
            let found = outputs[index].joined(separator: "\n")
            return "line \(step.line): $ \(step.command)\n--- expected\n\(expected)\n--- printed\n\(found)"
        }
    }

    static func matches(_ expected: ArraySlice<String>, _ found: ArraySlice<String>) -> Bool {
        guard let first = expected.first else { return found.isEmpty }
        if first == "..." {
            return (found.startIndex...found.endIndex).contains { matches(expected.dropFirst(), found[$0...]) }
        }
        guard let line = found.first else { return false }
        let isPattern = first.hasSuffix(" (glob)")
        guard isPattern ? fits(Array(first.utf8.dropLast(7)), Array(line.utf8)) : first == line else { return false }
        return matches(expected.dropFirst(), found.dropFirst())
    }

    /// Whether `*` in the pattern can stand for something so that both are the same.
    private static func fits(_ pattern: [UInt8], _ text: [UInt8]) -> Bool {
        var (at, position) = (0, 0)
        var star: (at: Int, position: Int)?
        while position < text.count {
            if at < pattern.count, pattern[at] == UInt8(ascii: "*") {
                star = (at, position)
                at += 1
            } else if at < pattern.count, pattern[at] == text[position] {
                at += 1
                position += 1
            } else if let last = star {
                star = (last.at, last.position + 1)
                at = last.at + 1
                position = last.position + 1
            } else {
                return false
            }
        }
        return pattern[at...].allSatisfy { $0 == UInt8(ascii: "*") }
    }
}
