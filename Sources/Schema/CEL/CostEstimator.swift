extension CEL {
    /// What an expression may cost before anything is known but its types: the sum over its nodes, loops by the
    /// greatest number of elements that their range can have.
    struct CostEstimator {
        private let environment: Environment
        private let types: CheckedTypes
        private var sizes: [Int: CostEstimate] = [:]
        private var entrySizes: [Int: EntrySize] = [:]
        private var places: [Int: DeclaredType] = [:]
        private var locals: [Local] = []

        private struct EntrySize {
            var isList: Bool
            var key: CostEstimate
            var value: CostEstimate

            func union(_ other: EntrySize) -> EntrySize {
                EntrySize(isList: isList, key: key.union(other.key), value: value.union(other.value))
            }
        }

        private struct Local {
            var name: String
            var place: DeclaredType?
            var size: CostEstimate?
            var entry: EntrySize?
        }

        init(environment: Environment, types: CheckedTypes) {
            self.environment = environment
            self.types = types
        }

        mutating func estimate(_ root: Expression) -> CostEstimate { cost(root) }

        private func type(_ expression: Expression) -> ValueType { types.types[expression.id] }

        private static let one = CostEstimate.fixed(1)

        private mutating func cost(_ expression: Expression) -> CostEstimate {
            switch expression.kind {
            case .literal: return .fixed(0)
            case .identifier(let name):
                if let local = locals.last(where: { $0.name == name }) {
                    places[expression.id] = local.place
                } else {
                    places[expression.id] = environment.variable(types.names[expression.id] ?? name)
                }
                return Self.one
            case .select(let operand, let field, let isTest):
                let inner = cost(operand)
                if isTest { return inner }
                places[expression.id] = places[operand.id]?.field(field)?.type ?? places[operand.id]?.element
                switch type(operand) {
                case .map, .object: return inner + Self.one
                default: return inner
                }
            case .call(let function, let target, let arguments): return call(expression, function, target, arguments)
            case .list(let elements, _):
                var sum = CostEstimate.fixed(10)
                var size = CostEstimate(elements.isEmpty ? 0 : .max, 0)
                for element in elements {
                    sum = sum + cost(element)
                    size = size.union(self.size(element) ?? .unknown)
                }
                entrySizes[expression.id] = EntrySize(isList: true, key: Self.one, value: size)
                return sum
            case .map(let entries):
                var sum = CostEstimate.fixed(30)
                var keys = CostEstimate(entries.isEmpty ? 0 : .max, 0)
                var values = keys
                for entry in entries {
                    sum = sum + cost(entry.key) + cost(entry.value)
                    keys = keys.union(size(entry.key) ?? .unknown)
                    values = values.union(size(entry.value) ?? .unknown)
                }
                entrySizes[expression.id] = EntrySize(isList: false, key: keys, value: values)
                return sum
            case .structure(_, let fields):
                var sum = CostEstimate.fixed(40)
                for field in fields { sum = sum + cost(field.value) }
                return sum
            case .comprehension(let loop): return comprehension(expression, loop)
            }
        }

        // MARK: Sizes

        private mutating func size(_ expression: Expression) -> CostEstimate? {
            if let known = sizes[expression.id] { return known }
            switch expression.kind {
            case .literal(.string(let text)): return .fixed(UInt64(text.unicodeScalars.count))
            case .literal(.bytes(let bytes)): return .fixed(UInt64(bytes.count))
            case .literal: return Self.one
            case .list(let elements, _): return .fixed(UInt64(elements.count))
            case .map(let entries): return .fixed(UInt64(entries.count))
            default: break
            }
            if let place = place(expression) {
                let size = CostEstimate(0, UInt64(place.maxElements ?? 0))
                sizes[expression.id] = size
                return size
            }
            switch type(expression) {
            case .bool, .double, .duration, .int, .timestamp, .uint: return Self.one
            default: break
            }
            if let name = expression.identifierName { return locals.last { $0.name == name }?.size }
            return nil
        }

        private func place(_ expression: Expression) -> DeclaredType? {
            if let name = expression.identifierName, let local = locals.last(where: { $0.name == name }) {
                return local.place
            }
            return places[expression.id]
        }

        private func entrySize(_ expression: Expression) -> EntrySize? {
            if let known = entrySizes[expression.id] { return known }
            guard let name = expression.identifierName else { return nil }
            return locals.last { $0.name == name }?.entry
        }

        private mutating func node(_ expression: Expression) -> SizedNode {
            SizedNode(
                expression: expression, type: type(expression), declared: place(expression), size: size(expression))
        }

        // MARK: Calls

        private mutating func call(
            _ expression: Expression, _ function: String, _ target: Expression?, _ arguments: [Expression]
        ) -> CostEstimate {
            if function == "dyn", target == nil, arguments.count == 1 {
                let inner = cost(arguments[0])
                sizes[expression.id] = size(arguments[0])
                entrySizes[expression.id] = entrySize(arguments[0])
                return Self.one + inner
            }
            let costs = arguments.map { cost($0) }
            let nodes = arguments.map { node($0) }
            let overloads = types.overloads[expression.id]
            guard !overloads.isEmpty else { return .fixed(0) }
            var sum = CostEstimate.fixed(0)
            var receiver: SizedNode?
            var name = function
            // The namespace of a function is no receiver.
            if let namespaced = types.names[expression.id] {
                name = namespaced
            } else if let target {
                sum = cost(target)
                receiver = node(target)
            }
            var price = CostEstimate(.max, 0)
            var result: CostEstimate?
            for overload in overloads {
                let one = self.price(expression, name, overload, receiver, nodes, costs, arguments)
                price = price.union(one.cost)
                if let size = one.resultSize { result = result?.union(size) ?? size }
                if overload == "index_list" || overload == "index_map" {
                    result = entrySize(arguments[0])?.value
                    places[expression.id] = place(arguments[0])?.element
                }
                if result == nil { result = size(expression) }
            }
            if let result { sizes[expression.id] = result }
            return sum + price
        }

        private mutating func price(
            _ expression: Expression, _ function: String, _ overload: String, _ target: SizedNode?,
            _ arguments: [SizedNode], _ costs: [CostEstimate], _ parts: [Expression]
        ) -> CallEstimate {
            let sum = costs.reduce(CostEstimate.fixed(0), +)
            if var own = CallEstimates.estimate(function, overload, target, arguments) {
                own.cost = own.cost + sum
                return own
            }
            func size(_ index: Int) -> CostEstimate { arguments[index].size ?? .unknown }
            switch overload {
            case "string_format":
                guard let target else { break }
                return CallEstimate(cost: (target.size ?? .unknown) * 0.1 + sum)
            case "string_to_bytes":
                let most = CostEstimate.product(size(0).max, 4)
                return CallEstimate(cost: size(0) * 0.1 + sum, resultSize: CostEstimate(size(0).min, most))
            case "bytes_to_string":
                return CallEstimate(cost: size(0) * 0.1 + sum, resultSize: CostEstimate(size(0).min / 4, size(0).max))
            case "strings_quote":
                let quoted = CostEstimate(2, 2) + size(0) * CostEstimate(1, 2)
                return CallEstimate(cost: size(0) * 0.1 + sum, resultSize: quoted)
            case "starts_with_string", "ends_with_string": return CallEstimate(cost: size(0) * 0.1 + sum)
            case "list_sets_contains_list", "list_sets_intersects_list":
                return CallEstimate(cost: size(0) * size(1) + Self.one + sum)
            case "list_sets_equivalent_list":
                return CallEstimate(cost: size(0) * size(1) * .fixed(2) + Self.one + sum)
            case "list_slice", "list_reverse", "list_distinct":
                return CallEstimate(cost: (target?.size ?? .unknown) + .fixed(10) + sum, resultSize: target?.size)
            case "in_list": return CallEstimate(cost: size(1) + sum)
            case "matches_string":
                guard let target else { break }
                let text = ((target.size ?? .unknown) + Self.one) * 0.1
                return CallEstimate(cost: text * (size(0) * 0.25) + sum)
            case "contains_string":
                guard let target else { break }
                return CallEstimate(cost: ((target.size ?? .unknown) * 0.1) * (size(0) * 0.1) + sum)
            case "logical_or", "logical_and":
                return CallEstimate(cost: CostEstimate(costs[0].min, (costs[0] + costs[1]).max))
            case "conditional":
                if let yes = entrySize(parts[1]), let no = entrySize(parts[2]) {
                    entrySizes[expression.id] = yes.union(no)
                }
                return CallEstimate(cost: costs[0] + costs[1].union(costs[2]), resultSize: size(1).union(size(2)))
            case "add_string", "add_bytes", "add_list":
                let both = size(0) + size(1)
                if let left = entrySize(parts[0]), let right = entrySize(parts[1]) {
                    entrySizes[expression.id] = left.union(right)
                }
                return CallEstimate(cost: (overload == "add_list" ? Self.one : both * 0.1) + sum, resultSize: both)
            case "equals", "not_equals", "less_string", "less_equals_string", "greater_string", "greater_equals_string",
                "less_bytes", "less_equals_bytes", "greater_bytes", "greater_equals_bytes":
                let most = Swift.min(size(0).max, size(1).max)
                return CallEstimate(cost: CostEstimate(most > 0 ? 1 : 0, most) * 0.1 + sum)
            default: break
            }
            return CallEstimate(cost: Self.one + sum)
        }

        // MARK: Loops

        private mutating func comprehension(
            _ expression: Expression, _ loop: Expression.Comprehension
        ) -> CostEstimate {
            var sum = cost(loop.range) + cost(loop.start)
            let outer = locals.count
            locals.append(
                Local(
                    name: loop.accumulator, place: place(loop.start), size: size(loop.start),
                    entry: entrySize(loop.start)))
            if loop.variable == "#unused" {
                sum = sum + cost(loop.result)
                sizes[expression.id] = size(loop.result)
                entrySizes[expression.id] = entrySize(loop.result)
                locals.removeSubrange(outer...)
                return sum
            }
            let entry = entrySize(loop.range)
            var isList = entry?.isList ?? false
            if entry == nil, case .list = type(loop.range) { isList = true }
            let element = place(loop.range)?.element
            let key: DeclaredType? = place(loop.range).flatMap { _ in isList ? nil : DeclaredType(.string) }
            if let second = loop.secondVariable {
                locals.append(Local(name: loop.variable, place: key, size: entry?.key))
                locals.append(Local(name: second, place: element, size: entry?.value))
            } else {
                locals.append(
                    Local(
                        name: loop.variable, place: isList ? element : key, size: isList ? entry?.value : entry?.key))
            }
            let turn = cost(loop.condition) + cost(loop.step)
            let stepEntry = entrySize(loop.step)
            locals.removeSubrange((outer + 1)...)
            sum = sum + cost(loop.result)
            locals.removeSubrange(outer...)
            let count = size(loop.range) ?? .unknown
            switch loop.start.kind {
            case .literal: sizes[expression.id] = size(loop.start)
            case .list, .map:
                sizes[expression.id] = count
                if let stepEntry { entrySizes[expression.id] = stepEntry }
            default: break
            }
            return sum + count * turn
        }
    }
}
