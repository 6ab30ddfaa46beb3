/// Macros: calls that stand for loops, presence tests and bindings. They are written out while parsing, so that the
/// checker and the planner know one loop only.
extension CEL.Parser {
    typealias Expression = CEL.Expression

    mutating func expandedCall(
        _ position: Int, _ function: String, target: Expression?, _ arguments: [Expression]
    ) throws -> Expression {
        if let expansion = try expansion(position, function, target, arguments) { return expansion }
        return make(position, .call(function: function, target: target, arguments: arguments))
    }

    private mutating func expansion(
        _ position: Int, _ function: String, _ target: Expression?, _ arguments: [Expression]
    ) throws -> Expression? {
        guard let target else {
            return function == "has" && arguments.count == 1 ? try has(position, arguments[0]) : nil
        }
        if let name = target.identifierName, let made = try namespaced(position, name, function, arguments) {
            return made
        }
        switch (function, arguments.count) {
        case ("all", 2), ("exists", 2), ("exists_one", 2), ("existsOne", 2):
            return try quantifier(position, function, target, [arguments[0]], arguments[1])
        case ("all", 3), ("exists", 3), ("exists_one", 3), ("existsOne", 3):
            guard options.contains(.twoVariables) else { return nil }
            return try quantifier(position, function, target, Array(arguments[0..<2]), arguments[2])
        case ("map", 2): return try map(position, target, arguments[0], nil, arguments[1])
        case ("map", 3): return try map(position, target, arguments[0], arguments[1], arguments[2])
        case ("filter", 2): return try map(position, target, arguments[0], arguments[1], arguments[0])
        case ("sortBy", 2):
            guard options.contains(.extendedLists) else { return nil }
            return try sortBy(position, target, arguments[0], arguments[1])
        case ("optMap", 2), ("optFlatMap", 2):
            guard options.contains(.optionals) else { return nil }
            return try optionalMap(position, function == "optFlatMap", target, arguments[0], arguments[1])
        case ("transformList", 3), ("transformList", 4), ("transformMap", 3), ("transformMap", 4),
            ("transformMapEntry", 3), ("transformMapEntry", 4):
            guard options.contains(.twoVariables) else { return nil }
            return try transform(position, function, target, arguments)
        default: return nil
        }
    }

    private mutating func namespaced(
        _ position: Int, _ namespace: String, _ function: String, _ arguments: [Expression]
    ) throws -> Expression? {
        switch (namespace, function) {
        case ("cel", "bind") where arguments.count == 3 && options.contains(.bindings):
            guard let name = arguments[0].identifierName, !name.hasPrefix(".") else {
                throw stop(arguments[0], "cel.bind() variable names must be simple identifiers")
            }
            return bind(position, name, arguments[1], arguments[2])
        case ("math", "greatest"), ("math", "least"):
            guard options.contains(.math) else { return nil }
            let name = "math.\(function)()"
            guard let first = arguments.first else {
                errorsAppend(position, "\(name) requires at least one argument")
                throw Stop()
            }
            let target = function == "greatest" ? "math.@max" : "math.@min"
            if arguments.count <= 2 { return call(position, target, arguments) }
            return call(position, target, [make(first.position, .list(arguments, optionals: []))])
        default: return nil
        }
    }

    mutating func errorsAppend(_ position: Int, _ message: String) {
        fail(CEL.Token(kind: .end, text: "", position: position), message)
    }

    private mutating func stop(_ at: Expression, _ message: String) -> Stop {
        errorsAppend(at.position, message)
        return Stop()
    }

    private mutating func has(_ position: Int, _ argument: Expression) throws -> Expression {
        guard case .select(let operand, let field, let isTest) = argument.kind, !isTest else {
            throw stop(argument, "invalid argument to has() macro")
        }
        return make(position, .select(operand, field: field, isTest: true))
    }

    private mutating func variable(_ expression: Expression) throws -> String {
        guard let name = expression.identifierName, !name.hasPrefix(".") else {
            throw stop(expression, "argument must be a simple name")
        }
        if name == CEL.accumulatorName { throw stop(expression, "iteration variable overwrites accumulator variable") }
        return name
    }

    private mutating func identifier(_ position: Int, _ name: String) -> Expression {
        make(position, .identifier(name))
    }
    private mutating func truth(_ position: Int, _ value: Bool) -> Expression { make(position, .literal(.bool(value))) }

    private mutating func quantifier(
        _ position: Int, _ function: String, _ range: Expression, _ names: [Expression], _ test: Expression
    ) throws -> Expression {
        let variables = try names.map { try variable($0) }
        if variables.count == 2, variables[0] == variables[1] {
            throw stop(names[1], "duplicate variable name: \(variables[1])")
        }
        let result = CEL.accumulatorName
        let start: Expression
        let condition: Expression
        let step: Expression
        var end = identifier(position, result)
        switch function {
        case "all":
            start = truth(position, true)
            condition = call(position, "@not_strictly_false", [identifier(position, result)])
            step = call(position, "_&&_", [identifier(position, result), test])
        case "exists":
            start = truth(position, false)
            let negated = call(position, "!_", [identifier(position, result)])
            condition = call(position, "@not_strictly_false", [negated])
            step = call(position, "_||_", [identifier(position, result), test])
        default:
            start = make(position, .literal(.int(0)))
            condition = truth(position, true)
            let one = make(position, .literal(.int(1)))
            let more = call(position, "_+_", [identifier(position, result), one])
            step = call(position, "_?_:_", [test, more, identifier(position, result)])
            let same = make(position, .literal(.int(1)))
            end = call(position, "_==_", [end, same])
        }
        return make(
            position,
            .comprehension(
                .init(
                    variable: variables[0], secondVariable: variables.count == 2 ? variables[1] : nil, range: range,
                    accumulator: result, start: start, condition: condition, step: step, result: end)))
    }

    private mutating func map(
        _ position: Int, _ range: Expression, _ name: Expression, _ test: Expression?, _ value: Expression
    ) throws -> Expression {
        let variable = try variable(name)
        let start = make(position, .list([], optionals: []))
        let added = make(position, .list([value], optionals: []))
        return loop(position, range, variable, nil, start, test) { parser, result in
            parser.call(position, "_+_", [result, added])
        }
    }

    /// A loop over everything whose step is `grow(accumulator)` for the elements that pass the test.
    private mutating func loop(
        _ position: Int, _ range: Expression, _ variable: String, _ second: String?, _ start: Expression,
        _ test: Expression?, _ grow: (inout Self, Expression) -> Expression
    ) -> Expression {
        let result = CEL.accumulatorName
        let grown = grow(&self, identifier(position, result))
        let step = test.map { call(position, "_?_:_", [$0, grown, identifier(position, result)]) } ?? grown
        let condition = truth(position, true)
        let end = identifier(position, result)
        return make(
            position,
            .comprehension(
                .init(
                    variable: variable, secondVariable: second, range: range, accumulator: result, start: start,
                    condition: condition, step: step, result: end)))
    }

    private mutating func transform(
        _ position: Int, _ function: String, _ range: Expression, _ arguments: [Expression]
    ) throws -> Expression {
        let key = try variable(arguments[0])
        let value = try variable(arguments[1])
        if key == value { throw stop(arguments[1], "duplicate variable name: \(value)") }
        let test = arguments.count == 4 ? arguments[2] : nil
        guard let made = arguments.last else { throw Stop() }
        if function == "transformList" {
            let start = make(position, .list([], optionals: []))
            let added = make(position, .list([made], optionals: []))
            return loop(position, range, key, value, start, test) { $0.call(position, "_+_", [$1, added]) }
        }
        let start = make(position, .map([]))
        if function == "transformMap" {
            let name = identifier(position, key)
            return loop(position, range, key, value, start, test) {
                $0.call(position, "cel.@mapInsert", [$1, name, made])
            }
        }
        return loop(position, range, key, value, start, test) { $0.call(position, "cel.@mapInsert", [$1, made]) }
    }

    /// A loop over nothing, whose accumulator is the binding.
    private mutating func bind(_ position: Int, _ name: String, _ value: Expression, _ result: Expression) -> Expression
    {
        let range = make(position, .list([], optionals: []))
        let condition = truth(position, false)
        let step = identifier(position, name)
        return make(
            position,
            .comprehension(
                .init(
                    variable: "#unused", secondVariable: nil, range: range, accumulator: name, start: value,
                    condition: condition, step: step, result: result)))
    }

    /// `list.sortBy(v, key)`: the keys are worked out first, then the list is brought into their order.
    private mutating func sortBy(
        _ position: Int, _ target: Expression, _ name: Expression, _ key: Expression
    ) throws -> Expression {
        let keys = try map(position, identifier(position, "@sorted"), name, nil, key)
        let list = identifier(position, "@sorted")
        let sorted = make(position, .call(function: "@sortByAssociatedKeys", target: list, arguments: [keys]))
        return bind(position, "@sorted", target, sorted)
    }

    /// `target.optMap(v, e)`: nothing where there is no value, else e with v bound to it.
    private mutating func optionalMap(
        _ position: Int, _ isFlat: Bool, _ target: Expression, _ name: Expression, _ value: Expression
    ) throws -> Expression {
        let variable = try variable(name)
        // The target is evaluated once, under a name that nobody can write.
        let isSimple = target.identifierName != nil
        let held = isSimple ? target : identifier(position, "@target")
        let test = make(position, .call(function: "hasValue", target: held, arguments: []))
        let inner = isSimple ? target : identifier(position, "@target")
        let content = make(position, .call(function: "value", target: inner, arguments: []))
        let bound = bind(position, variable, content, value)
        let some = isFlat ? bound : call(position, "optional.of", [bound])
        let none = call(position, "optional.none", [])
        let choice = call(position, "_?_:_", [test, some, none])
        return isSimple ? choice : bind(position, "@target", target, choice)
    }
}
