extension CEL {
    /// Turns a checked expression into steps.
    struct Planner {
        private let environment: Environment
        private let types: CheckedTypes
        private var scopes: [(name: String, slot: Int)] = []
        private var depth = 0
        private var slots = 0
        private var variables: Set<String> = []

        static func plan(
            source: String, root: Expression, types: CheckedTypes, environment: Environment
        ) throws(Issue) -> Program {
            var planner = Planner(environment: environment, types: types)
            let step = try planner.plan(root)
            var estimator = CostEstimator(environment: environment, types: types)
            return Program(
                source: source, resultType: types.types[root.id], estimatedCost: estimator.estimate(root),
                variables: planner.variables, step: step, locals: planner.slots)
        }

        private init(environment: Environment, types: CheckedTypes) {
            self.environment = environment
            self.types = types
        }

        /// A local slot that is free at this place of the expression.
        private mutating func slot() -> Int {
            defer { depth += 1 }
            slots = max(slots, depth + 1)
            return depth
        }

        private mutating func plan(_ expression: Expression) throws(Issue) -> any Step {
            switch expression.kind {
            case .literal(let value): return ConstantStep(value)
            case .identifier(let name):
                if let local = scopes.last(where: { $0.name == name }) { return LocalStep(local.slot) }
                return reference(types.names[expression.id] ?? name)
            case .select(let operand, let field, let isTest):
                if let name = types.names[expression.id] { return reference(name) }
                if !isTest, let step = unchecked(expression) { return step }
                return SelectStep(
                    try plan(operand), field, isTest ? .test : .value, isRelative: !Self.isAttribute(operand))
            case .call(let function, let target, let arguments):
                return try call(expression, function, target, arguments)
            case .list(let elements, let optionals):
                var steps: [any Step] = []
                for element in elements { steps.append(try plan(element)) }
                return ListStep(steps, optionals)
            case .map(let entries):
                var steps: [(key: any Step, value: any Step, isOptional: Bool)] = []
                for entry in entries { steps.append((try plan(entry.key), try plan(entry.value), entry.isOptional)) }
                return MapStep(steps)
            case .structure(let name, let fields):
                var steps: [(name: String, value: any Step, isOptional: Bool)] = []
                for field in fields { steps.append((field.name, try plan(field.value), field.isOptional)) }
                return StructureStep(types.names[expression.id] ?? name, steps)
            case .comprehension(let loop): return try comprehension(loop)
            }
        }

        private mutating func reference(_ name: String) -> any Step {
            let plain = name.hasPrefix(".") ? String(name.dropFirst()) : name
            if environment.variable(plain) != nil {
                variables.insert(plain)
                return VariableStep([plain])
            }
            let candidates = name.hasPrefix(".") ? [plain] : Checker.candidates(plain, environment.container)
            for candidate in candidates {
                if environment.variable(candidate) != nil { return VariableStep([candidate]) }
                if let type = ValueType.named[candidate] { return ConstantStep(.type(type)) }
                if let structure = environment.structures(candidate) { return ConstantStep(.type(structure.valueType)) }
            }
            return VariableStep(candidates)
        }

        /// Without types, `a.b` is a variable of that name where one is declared.
        private mutating func unchecked(_ expression: Expression) -> (any Step)? {
            guard let name = expression.qualifiedName else { return nil }
            let first = String(name.prefix { $0 != "." })
            if scopes.contains(where: { $0.name == first }) { return nil }
            let plain = name.hasPrefix(".") ? String(name.dropFirst()) : name
            for candidate in Checker.candidates(plain, environment.container) {
                if environment.variable(candidate) != nil { return VariableStep([candidate]) }
                if let type = ValueType.named[candidate] { return ConstantStep(.type(type)) }
            }
            return nil
        }

        /// Whether selecting from it continues the path that it is.
        private static func isAttribute(_ expression: Expression) -> Bool {
            switch expression.kind {
            case .identifier: true
            case .select(_, _, let isTest): !isTest
            case .call(let function, nil, _): ["_[_]", "_?._", "_[?_]", "_?_:_"].contains(function)
            default: false
            }
        }

        // MARK: Calls

        private mutating func call(
            _ expression: Expression, _ function: String, _ target: Expression?, _ arguments: [Expression]
        ) throws(Issue) -> any Step {
            if target == nil, let step = try operation(expression, function, arguments) { return step }
            var operands = arguments
            var name = function.hasPrefix(".") ? String(function.dropFirst()) : function
            if let target {
                if let namespaced = types.names[expression.id] ?? namespace(target, function) {
                    name = namespaced
                } else {
                    operands.insert(target, at: 0)
                }
            }
            let implementation: Implementation
            if let known = Implementations.table[name] {
                implementation = known
            } else {
                // Only an expression that was not checked can call what nobody declared.
                implementation = { [name] (a) throws(Failure) in throw .noSuchOverload(name, a) }
            }
            let overloads = types.overloads[expression.id]
            let overload = overloads.count == 1 ? overloads[0] : ""
            if let step = try pattern(name, operands) { return step }
            var steps: [any Step] = []
            for operand in operands { steps.append(try plan(operand)) }
            return CallStep(implementation, steps, CallPrice.of(name, overload: overload))
        }

        private func namespace(_ target: Expression, _ function: String) -> String? {
            guard let prefix = target.qualifiedName else { return nil }
            let name = "\(prefix).\(function)"
            let isHidden = scopes.contains { $0.name == prefix }
            return !isHidden && environment.functions.table[name] != nil ? name : nil
        }

        /// The operators that are steps of their own.
        private mutating func operation(
            _ expression: Expression, _ function: String, _ arguments: [Expression]
        ) throws(Issue) -> (any Step)? {
            switch (function, arguments.count) {
            case ("_&&_", 2): return LogicStep(try plan(arguments[0]), try plan(arguments[1]), decisive: false)
            case ("_||_", 2): return LogicStep(try plan(arguments[0]), try plan(arguments[1]), decisive: true)
            case ("_?_:_", 3):
                return ConditionalStep(try plan(arguments[0]), try plan(arguments[1]), try plan(arguments[2]))
            case ("@not_strictly_false", 1): return NotStrictlyFalseStep(try plan(arguments[0]))
            case ("_==_", 2): return EqualityStep(try plan(arguments[0]), try plan(arguments[1]), wanted: true)
            case ("_!=_", 2): return EqualityStep(try plan(arguments[0]), try plan(arguments[1]), wanted: false)
            case ("_<_", 2), ("_<=_", 2), ("_>_", 2), ("_>=_", 2):
                return OrderStep(try plan(arguments[0]), try plan(arguments[1]), function)
            case ("_[_]", 2), ("_[?_]", 2):
                return IndexStep(
                    try plan(arguments[0]), try plan(arguments[1]), isOptional: function == "_[?_]",
                    isRelative: !Self.isAttribute(arguments[0]))
            case ("_?._", 2):
                guard case .literal(.string(let field)) = arguments[1].kind else {
                    throw Issue(expression.position, "unsupported optional field selection")
                }
                return SelectStep(try plan(arguments[0]), field, .optional, isRelative: !Self.isAttribute(arguments[0]))
            case ("_+_", 2):
                // A list that grows by one, in its own slot.
                guard let name = arguments[0].identifierName, name == CEL.accumulatorName,
                    let local = scopes.last(where: { $0.name == name }),
                    case .list(let elements, let optionals) = arguments[1].kind, elements.count == 1, optionals.isEmpty
                else { return nil }
                return AppendStep(slot: local.slot, element: try plan(elements[0]))
            case ("cel.@mapInsert", 2), ("cel.@mapInsert", 3):
                guard let name = arguments[0].identifierName, let local = scopes.last(where: { $0.name == name }) else {
                    return nil
                }
                let value: (any Step)? = arguments.count == 3 ? try plan(arguments[2]) : nil
                return InsertStep(slot: local.slot, key: try plan(arguments[1]), value: value)
            default: return nil
            }
        }

        /// Calls whose pattern is written out are compiled with the program.
        private mutating func pattern(_ name: String, _ operands: [Expression]) throws(Issue) -> (any Step)? {
            guard operands.count == 2, case .literal(.string(let text)) = operands[1].kind else { return nil }
            let run: @Sendable (Regex, String) -> Value
            switch name {
            case "matches": run = { .bool($0.firstMatch(in: $1) != nil) }
            case "find": run = { .string($0.firstMatch(in: $1) ?? "") }
            case "findAll": run = { .list(.values($0.matches(in: $1, limit: nil).map { .string($0) })) }
            default: return nil
            }
            guard let regex = try? Regex(text) else { return nil }
            let size = text.unicodeScalars.count
            return PatternStep(try plan(operands[0]), regex, size: size, name: name, run: run)
        }

        // MARK: Loops

        private mutating func comprehension(_ loop: Expression.Comprehension) throws(Issue) -> any Step {
            let outer = depth
            let visible = scopes.count
            if case .list(let elements, _) = loop.range.kind, elements.isEmpty, loop.variable == "#unused" {
                let value = try plan(loop.start)
                let slot = slot()
                scopes.append((loop.accumulator, slot))
                let result = try plan(loop.result)
                scopes.removeSubrange(visible...)
                depth = outer
                return BindStep(slot: slot, value: value, result: result)
            }
            let range = try plan(loop.range)
            let start = try plan(loop.start)
            let accumulator = slot()
            let variable = slot()
            var second: Int?
            scopes.append((loop.accumulator, accumulator))
            scopes.append((loop.variable, variable))
            if let name = loop.secondVariable {
                let made = slot()
                second = made
                scopes.append((name, made))
            }
            var condition: (any Step)?
            if case .literal(.bool(true)) = loop.condition.kind {} else { condition = try plan(loop.condition) }
            let step = try plan(loop.step)
            scopes.removeSubrange((visible + 1)...)
            let result = try plan(loop.result)
            scopes.removeSubrange(visible...)
            depth = outer
            return LoopStep(
                .init(
                    range: range, start: start, condition: condition, step: step, result: result,
                    accumulator: accumulator, variable: variable, second: second))
        }
    }
}
