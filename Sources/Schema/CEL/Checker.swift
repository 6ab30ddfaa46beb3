extension CEL {
    /// Gives every node its type and every call the overloads that fit, or says what is wrong.
    struct Checker {
        private let environment: Environment
        private var checked: CheckedTypes
        private var unification = Unification()
        private var scopes: [(name: String, type: ValueType)] = []
        private(set) var issues: [Issue] = []

        init(environment: Environment, nodes: Int) {
            self.environment = environment
            checked = CheckedTypes(nodes: nodes)
        }

        mutating func check(_ root: Expression) -> CheckedTypes {
            visit(root)
            for index in checked.types.indices {
                checked.types[index] = unification.resolved(checked.types[index], settling: true)
            }
            return checked
        }

        // MARK: Helpers

        private mutating func fail(_ position: Int, _ message: String) {
            let issue = Issue(position, message)
            if !issues.contains(issue) { issues.append(issue) }
        }

        private mutating func undeclared(_ position: Int, _ name: String) {
            fail(position, "undeclared reference to '\(name)' (in container '\(environment.container)')")
        }

        private mutating func set(_ expression: Expression, _ type: ValueType) {
            checked.types[expression.id] = type
        }

        private func type(_ expression: Expression) -> ValueType { unification.resolved(checked.types[expression.id]) }

        private func printed(_ type: ValueType) -> String { unification.resolved(type, settling: true).description }

        /// A variable or type by its name, looked for in the container first.
        private func lookup(_ name: String) -> (name: String, type: ValueType)? {
            if name.hasPrefix(".") { return global(String(name.dropFirst())) }
            if let local = scopes.last(where: { $0.name == name }) { return local }
            for candidate in Self.candidates(name, environment.container) {
                if let found = global(candidate) { return found }
            }
            return nil
        }

        private func global(_ name: String) -> (name: String, type: ValueType)? {
            if let declared = environment.variable(name) { return (name, declared.valueType) }
            if let type = ValueType.named[name] { return (name, .type(type)) }
            if let structure = environment.structures(name) { return (name, .type(structure.valueType)) }
            return nil
        }

        /// `a.b` in container `x.y`: `x.y.a.b`, `x.a.b`, `a.b`.
        static func candidates(_ name: String, _ container: String) -> [String] {
            guard !container.isEmpty else { return [name] }
            var parts = container.split(separator: ".")
            var names: [String] = []
            while !parts.isEmpty {
                names.append(parts.joined(separator: ".") + "." + name)
                parts.removeLast()
            }
            return names + [name]
        }

        // MARK: Nodes

        private mutating func visit(_ expression: Expression) {
            switch expression.kind {
            case .literal(let value): set(expression, value.type)
            case .identifier(let name):
                if let found = lookup(name) {
                    set(expression, found.type)
                    checked.names[expression.id] = found.name
                } else {
                    undeclared(expression.position, name)
                    set(expression, .error)
                }
            case .select(let operand, let field, let isTest): visitSelect(expression, operand, field, isTest)
            case .call(let function, let target, let arguments): visitCall(expression, function, target, arguments)
            case .list(let elements, let optionals): visitList(expression, elements, optionals)
            case .map(let entries): visitMap(expression, entries)
            case .structure(let name, let fields): visitStructure(expression, name, fields)
            case .comprehension(let comprehension): visitComprehension(expression, comprehension)
            }
        }

        private mutating func visitSelect(
            _ expression: Expression, _ operand: Expression, _ field: String, _ isTest: Bool
        ) {
            if !isTest, let name = expression.qualifiedName, !scopesHide(name), let found = lookup(name) {
                set(expression, found.type)
                checked.names[expression.id] = found.name
                return
            }
            visit(operand)
            var result = fieldType(expression.position, type(operand), field, isOptional: false)
            if isTest { result = .bool }
            set(expression, result)
        }

        /// A loop's variable hides whatever is declared under a name that begins with it.
        private func scopesHide(_ name: String) -> Bool {
            let first = name.split(separator: ".").first.map(String.init) ?? name
            return scopes.contains { $0.name == first }
        }

        private mutating func fieldType(
            _ position: Int, _ operand: ValueType, _ field: String, isOptional: Bool
        ) -> ValueType {
            var target = operand
            var wraps = isOptional
            if case .optional(let inner) = operand {
                target = unification.resolved(inner)
                wraps = true
            }
            let result: ValueType
            switch target {
            case .map(_, let value): result = value
            case .object(let type):
                if let found = type.field(field) {
                    result = found.type.valueType
                } else {
                    fail(position, "undefined field '\(field)'")
                    result = .error
                }
            case .variable:
                // Nothing is known of it yet: it may be anything.
                _ = unification.assign(.dyn, to: target)
                result = .dyn
            case .dyn, .error: result = .dyn
            default:
                fail(position, "type '\(printed(target))' does not support field selection")
                result = .error
            }
            return wraps && result != .error ? .optional(result) : result
        }

        private mutating func visitCall(
            _ expression: Expression, _ function: String, _ target: Expression?, _ arguments: [Expression]
        ) {
            if function == "_?._", target == nil, arguments.count == 2 {
                visit(arguments[0])
                visit(arguments[1])
                guard case .literal(.string(let field)) = arguments[1].kind else { return }
                let result = fieldType(expression.position, type(arguments[0]), field, isOptional: true)
                set(expression, result)
                checked.overloads[expression.id] = ["select_optional_field"]
                return
            }
            for argument in arguments { visit(argument) }
            guard let target else {
                guard let found = self.function(function) else {
                    undeclared(expression.position, function)
                    set(expression, .error)
                    return
                }
                resolve(expression, found, nil, arguments)
                return
            }
            // A target that is nothing but names may be a function's namespace.
            if let name = target.qualifiedName, !scopesHide(name), let found = self.function("\(name).\(function)") {
                checked.names[expression.id] = found.name
                resolve(expression, found, nil, arguments)
                return
            }
            visit(target)
            guard let found = environment.functions.table[function] else {
                undeclared(expression.position, function)
                set(expression, .error)
                return
            }
            resolve(expression, found, target, arguments)
        }

        private func function(_ name: String) -> Function? {
            let absolute = name.hasPrefix(".") ? String(name.dropFirst()) : name
            return environment.functions.table[absolute]
        }

        private mutating func resolve(
            _ expression: Expression, _ function: Function, _ target: Expression?, _ arguments: [Expression]
        ) {
            let types = ((target.map { [$0] } ?? []) + arguments).map { type($0) }
            var result: ValueType?
            var fitting: [String] = []
            for overload in function.overloads where overload.isMember == (target != nil) {
                let signature = unification.instantiate(overload)
                guard unification.assign(types, to: signature.arguments) else { continue }
                fitting.append(overload.id)
                let this = unification.resolved(signature.result)
                // More than one way to call it: what comes out is known only if they agree.
                result = result.map { $0 == this ? this : .dyn } ?? this
            }
            checked.overloads[expression.id] = fitting
            guard let result else {
                set(expression, .error)
                let names = types.map { printed($0) }
                let text =
                    target == nil
                    ? "(\(names.joined(separator: ", ")))"
                    : "\(names[0]).(\(names.dropFirst().joined(separator: ", ")))"
                fail(expression.position, "found no matching overload for '\(function.name)' applied to '\(text)'")
                return
            }
            set(expression, result)
        }

        private mutating func visitList(_ expression: Expression, _ elements: [Expression], _ optionals: Set<Int>) {
            var joined: ValueType?
            for (index, element) in elements.enumerated() {
                visit(element)
                let type = optionals.contains(index) ? unwrapped(element) : type(element)
                joined = join(element.position, joined, type)
            }
            set(expression, .list(joined ?? unification.fresh()))
        }

        private mutating func unwrapped(_ element: Expression) -> ValueType {
            switch type(element) {
            case .optional(let inner): return inner
            case .dyn, .error: return .dyn
            case let other:
                fail(
                    element.position, "expected type 'optional_type(\(printed(other)))' but found '\(printed(other))'"
                )
                return other
            }
        }

        private mutating func visitMap(_ expression: Expression, _ entries: [Expression.Entry]) {
            var key: ValueType?
            var value: ValueType?
            for entry in entries {
                visit(entry.key)
                key = join(entry.key.position, key, type(entry.key))
                visit(entry.value)
                let type = entry.isOptional ? unwrapped(entry.value) : type(entry.value)
                value = join(entry.value.position, value, type)
            }
            // A type that repeats its parts doubles with every level: past any use nothing more is said of it.
            let whole = ValueType.map(key ?? unification.fresh(), value ?? unification.fresh())
            set(expression, unification.weight(of: whole, limit: 200) < 200 ? whole : .map(.dyn, .dyn))
        }

        /// The type that both fit, the more general of the two.
        private mutating func join(_ position: Int, _ previous: ValueType?, _ current: ValueType) -> ValueType {
            guard let previous else { return current }
            if unification.assign(current, to: previous) {
                let (a, b) = (unification.resolved(previous), unification.resolved(current))
                return Unification.isGeneral(a, than: b) ? a : b
            }
            guard environment.homogeneousLiterals else { return .dyn }
            fail(position, "expected type '\(printed(previous))' but found '\(printed(current))'")
            return previous
        }

        private mutating func visitStructure(_ expression: Expression, _ name: String, _ fields: [Expression.Field]) {
            guard let found = lookup(name) else {
                undeclared(expression.position, name)
                for field in fields { visit(field.value) }
                set(expression, .error)
                return
            }
            checked.names[expression.id] = found.name
            guard case .type(.some(let type)) = found.type else {
                fail(expression.position, "'\(printed(found.type))' is not a type")
                set(expression, .error)
                return
            }
            guard case .object(let declared) = type else {
                fail(expression.position, "'\(printed(type))' is not a message type")
                set(expression, .error)
                return
            }
            set(expression, type)
            for field in fields {
                visit(field.value)
                guard let known = declared.field(field.name) else {
                    fail(field.position, "undefined field '\(field.name)'")
                    continue
                }
                let value = field.isOptional ? unwrapped(field.value) : self.type(field.value)
                if !unification.assign(value, to: known.type.valueType) {
                    fail(
                        field.position,
                        "expected type of field '\(field.name)' is '\(printed(known.type.valueType))' but provided type is '\(printed(value))'"
                    )
                }
            }
        }

        private mutating func visitComprehension(_ expression: Expression, _ comprehension: Expression.Comprehension) {
            visit(comprehension.range)
            visit(comprehension.start)
            let accumulator = type(comprehension.start)
            let range = type(comprehension.range)
            var first: ValueType
            var second: ValueType = .dyn
            switch range {
            case .list(let element):
                first = comprehension.secondVariable == nil ? element : .int
                second = element
            case .map(let key, let value): (first, second) = (key, value)
            case .dyn, .error: first = .dyn
            case .variable:
                _ = unification.assign(.dyn, to: range)
                first = .dyn
            default:
                fail(
                    comprehension.range.position,
                    "expression of type '\(printed(range))' cannot be range of a comprehension (must be list, map, or dynamic)"
                )
                first = .error
            }
            let depth = scopes.count
            scopes.append((comprehension.accumulator, accumulator))
            scopes.append((comprehension.variable, first))
            if let name = comprehension.secondVariable { scopes.append((name, second)) }
            visit(comprehension.condition)
            require(comprehension.condition, .bool)
            visit(comprehension.step)
            require(comprehension.step, accumulator)
            scopes.removeSubrange((depth + 1)...)
            visit(comprehension.result)
            scopes.removeSubrange(depth...)
            set(expression, type(comprehension.result))
        }

        private mutating func require(_ expression: Expression, _ expected: ValueType) {
            if !unification.assign(type(expression), to: expected) {
                fail(
                    expression.position,
                    "expected type '\(printed(expected))' but found '\(printed(type(expression)))'")
            }
        }
    }

    /// Literal arguments that could never be read are errors when the expression is written.
    enum LiteralChecks {
        static func issues(_ root: Expression, _ types: CheckedTypes) -> [Issue] {
            var issues: [Issue] = []
            Expression.walk(root) { expression in
                guard case .call(let function, let target, let arguments) = expression.kind,
                    let last = arguments.last, case .literal(.string(let text)) = last.kind
                else { return }
                switch function {
                case "duration" where target == nil && arguments.count == 1:
                    if CEL.parseDuration(text) == nil {
                        issues.append(Issue(last.position, "invalid duration argument"))
                    }
                case "timestamp" where target == nil && arguments.count == 1:
                    if Instant(text) == nil { issues.append(Issue(last.position, "invalid timestamp argument")) }
                case "matches" where arguments.count == (target == nil ? 2 : 1):
                    if (try? Regex(text)) == nil { issues.append(Issue(last.position, "invalid matches argument")) }
                default: break
                }
            }
            return issues
        }
    }
}

extension CEL.Expression {
    static func walk(_ root: CEL.Expression, _ visit: (CEL.Expression) -> Void) {
        visit(root)
        switch root.kind {
        case .literal, .identifier: break
        case .select(let operand, _, _): walk(operand, visit)
        case .call(_, let target, let arguments):
            if let target { walk(target, visit) }
            for argument in arguments { walk(argument, visit) }
        case .list(let elements, _): for element in elements { walk(element, visit) }
        case .map(let entries):
            for entry in entries {
                walk(entry.key, visit)
                walk(entry.value, visit)
            }
        case .structure(_, let fields): for field in fields { walk(field.value, visit) }
        case .comprehension(let loop):
            for part in [loop.range, loop.start, loop.condition, loop.step, loop.result] { walk(part, visit) }
        }
    }
}
