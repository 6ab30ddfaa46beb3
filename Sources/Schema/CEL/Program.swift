import Document

extension CEL {
    /// The values of an environment's variables for one evaluation.
    public struct Bindings: Sendable, ExpressibleByDictionaryLiteral {
        private var list: [(name: String, value: Value)] = []

        public init() {}
        public init(dictionaryLiteral elements: (String, Value)...) { list = elements.map { ($0.0, $0.1) } }

        public subscript(name: String) -> Value? {
            get {
                for entry in list where entry.name == name { return entry.value }
                return nil
            }
            set {
                list.removeAll { $0.name == name }
                if let newValue { list.append((name, newValue)) }
            }
        }
    }

    /// What came of one evaluation, and what it cost whether or not it came to a value.
    public struct Evaluation: Sendable {
        public let result: Result<Value, Failure>
        public let cost: UInt64

        public func get() throws(Failure) -> Value {
            switch result {
            case .success(let value): return value
            case .failure(let failure): throw failure
            }
        }
    }

    /// A compiled expression. It never changes and may be kept and shared.
    public final class Program: Sendable {
        public let source: String
        /// The type that the checker found; `dyn` where only an evaluation tells.
        public let resultType: ValueType
        /// What the expression may cost, by what the environment says about the sizes of its variables.
        public let estimatedCost: CostEstimate
        /// The declared variables that the expression mentions.
        public let variables: Set<String>
        private let step: any Step
        private let locals: Int

        init(
            source: String, resultType: ValueType, estimatedCost: CostEstimate, variables: Set<String>, step: any Step,
            locals: Int
        ) {
            self.source = source
            self.resultType = resultType
            self.estimatedCost = estimatedCost
            self.variables = variables
            self.step = step
            self.locals = locals
        }

        /// Evaluates until there is a value, an error, or nothing left of the cost limit.
        public func evaluate(_ bindings: Bindings = [:], costLimit: UInt64 = CEL.expressionCostLimit) -> Evaluation {
            var frame = Frame(bindings: bindings, locals: locals, limit: costLimit)
            do throws(Failure) {
                let value = try step.evaluate(&frame)
                return Evaluation(result: .success(value), cost: frame.cost)
            } catch {
                return Evaluation(result: .failure(error), cost: frame.cost)
            }
        }
    }

    /// The state of one evaluation.
    struct Frame {
        let bindings: Bindings
        /// Accumulators and loop variables; an accumulator may hold an error until something makes it irrelevant.
        var locals: [Result<Value, Failure>]
        private(set) var cost: UInt64 = 0
        let limit: UInt64

        init(bindings: Bindings, locals: Int, limit: UInt64) {
            self.bindings = bindings
            self.locals = Array(repeating: .success(.null), count: locals)
            self.limit = limit
        }

        var remaining: UInt64 { limit - min(cost, limit) }

        mutating func charge(_ amount: UInt64) throws(Failure) {
            cost &+= amount
            if cost > limit { throw .costLimit }
        }
    }

    /// One operation of a program.
    protocol Step: Sendable {
        func evaluate(_ frame: inout Frame) throws(Failure) -> Value
    }
}
