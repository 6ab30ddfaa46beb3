extension CEL {
    typealias Implementation = @Sendable ([Value]) throws(Failure) -> Value

    /// A call of a function.
    final class CallStep: Step {
        private let function: Implementation
        private let arguments: [any Step]
        private let price: CallPrice

        init(_ function: @escaping Implementation, _ arguments: [any Step], _ price: CallPrice) {
            self.function = function
            self.arguments = arguments
            self.price = price
        }

        func evaluate(_ frame: inout Frame) throws(Failure) -> Value {
            var values: [Value] = []
            values.reserveCapacity(arguments.count)
            for argument in arguments { values.append(try argument.evaluate(&frame)) }
            // What may take long by the size of its arguments is paid for before it is done.
            if !price.needsResult { try frame.charge(price.of(values, .null)) }
            let result = try function(values)
            if price.needsResult { try frame.charge(price.of(values, result)) }
            return result
        }
    }

    /// `==` and `!=`.
    final class EqualityStep: Step {
        private let left: any Step
        private let right: any Step
        private let wanted: Bool

        init(_ left: any Step, _ right: any Step, wanted: Bool) {
            self.left = left
            self.right = right
            self.wanted = wanted
        }

        func evaluate(_ frame: inout Frame) throws(Failure) -> Value {
            let a = try left.evaluate(&frame)
            let b = try right.evaluate(&frame)
            try frame.charge(CallPrice.traversal(min(a.costSize, b.costSize)))
            return .bool(a.equals(b) == wanted)
        }
    }

    /// `<`, `<=`, `>`, `>=`.
    final class OrderStep: Step {
        private let left: any Step
        private let right: any Step
        private let name: String
        private let holds: @Sendable (Int) -> Bool

        init(_ left: any Step, _ right: any Step, _ name: String) {
            self.left = left
            self.right = right
            self.name = name
            holds =
                switch name {
                case "_<_": { $0 < 0 }
                case "_<=_": { $0 <= 0 }
                case "_>_": { $0 > 0 }
                default: { $0 >= 0 }
                }
        }

        func evaluate(_ frame: inout Frame) throws(Failure) -> Value {
            let a = try left.evaluate(&frame)
            let b = try right.evaluate(&frame)
            switch (a, b) {
            case (.string, .string), (.bytes, .bytes):
                try frame.charge(CallPrice.traversal(min(a.costSize, b.costSize)))
            default: try frame.charge(1)
            }
            do throws(Failure) {
                return .bool(try a.compare(b).map(holds) ?? false)
            } catch {
                throw .noSuchOverload(name, [a, b])
            }
        }
    }

    /// `matches`, `find` and the like with a pattern that is known beforehand.
    final class PatternStep: Step {
        private let text: any Step
        private let pattern: Regex
        private let patternSize: Int
        private let run: @Sendable (Regex, String) -> Value
        private let name: String

        init(
            _ text: any Step, _ pattern: Regex, size: Int, name: String,
            run: @escaping @Sendable (Regex, String) -> Value
        ) {
            self.text = text
            self.pattern = pattern
            patternSize = size
            self.name = name
            self.run = run
        }

        func evaluate(_ frame: inout Frame) throws(Failure) -> Value {
            let value = try text.evaluate(&frame)
            guard case .string(let text) = value else { throw .noSuchOverload(name, [value, .string("")]) }
            try frame.charge(CallPrice.pattern(value.costSize, patternSize))
            return run(pattern, text)
        }
    }
}
