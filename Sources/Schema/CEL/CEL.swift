/// The Common Expression Language: expressions that a cluster's users write into objects, such as validation rules
/// and selectors, checked when the object is written and evaluated many times afterwards.
///
///     source ─ Lexer ─ Parser (macros expanded) ─ Checker (types, overloads) ─ Planner ─▶ Program
///     Program.evaluate(bindings, costLimit) ─▶ value, cost
///
/// A program does no input or output, never loops without bound (every step costs, and costs are limited), and may be
/// shared between threads. Compiling costs some ten microseconds a node; whoever evaluates often keeps the program.
public enum CEL {
    /// What is wrong with an expression, and where.
    public struct Issue: Error, Sendable, Equatable {
        /// In Unicode scalars from the beginning.
        public var position: Int
        public var message: String

        init(_ position: Int, _ message: String) {
            self.position = position
            self.message = message
        }
    }

    /// Why an expression does not compile.
    public struct CompileError: Error, Sendable, CustomStringConvertible {
        public let source: String
        public let issues: [Issue]

        /// Each issue with its line of the source and a caret under the place.
        public var description: String {
            let lines = SourceLines(Array(source.unicodeScalars))
            return issues.prefix(100).map { lines.text(of: $0) }.joined(separator: "\n")
        }
    }

    /// Why an evaluation has no value.
    public struct Failure: Error, Sendable, Equatable, CustomStringConvertible {
        public var message: String
        /// The cost limit ended the evaluation: nothing in the expression may turn that into a value.
        public var isCostLimit = false

        public init(_ message: String) { self.message = message }

        public var description: String { message }

        static let costLimit: Failure = {
            var failure = Failure("operation cancelled: actual cost limit exceeded")
            failure.isCostLimit = true
            return failure
        }()
        static let noSuchOverload = Failure("no such overload")
        static func noSuchOverload(_ function: String, _ arguments: some Sequence<Value>) -> Failure {
            Failure(
                "no such overload: \(function)(\(arguments.map { $0.type.runtimeName }.joined(separator: ", ")))")
        }
        static func noSuchKey(_ key: String) -> Failure { Failure("no such key: \(key)") }
    }

    /// What one expression may cost when it is evaluated, in Kubernetes.
    public static let expressionCostLimit: UInt64 = 1_000_000
    /// What all expressions of one object, or of one policy for one request, may cost together.
    public static let totalCostLimit: UInt64 = 10_000_000

    /// The limits of the language itself.
    enum Limit {
        static let depth = 250
        static let scalars = 100_000
    }
}

extension CEL {
    struct SourceLines {
        private let source: [Unicode.Scalar]
        private let starts: [Int]

        init(_ source: [Unicode.Scalar]) {
            self.source = source
            starts = [0] + source.indices.filter { source[$0] == "\n" }.map { $0 + 1 }
        }

        func text(of issue: Issue) -> String {
            let line = (starts.lastIndex { $0 <= issue.position }) ?? 0
            let column = issue.position - starts[line]
            let end = line + 1 < starts.count ? starts[line + 1] - 1 : source.count
            let content = source[starts[line]..<max(end, starts[line])]
            var text = "ERROR: <input>:\(line + 1):\(column + 1): \(issue.message)\n | "
            for scalar in content { text.unicodeScalars.append(scalar == "\t" ? " " : scalar) }
            text += "\n | "
            // Scalars of more than one byte count as wide.
            for scalar in content.prefix(column) { text += scalar.value < 128 ? "." : "\u{FF0E}" }
            let isWide = content.dropFirst(column).first.map { $0.value >= 128 } ?? false
            return text + (isWide ? "\u{FF3E}" : "^")
        }
    }
}
