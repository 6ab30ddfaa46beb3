extension CEL {
    final class ConstantStep: Step {
        let value: Value
        init(_ value: Value) { self.value = value }
        func evaluate(_ frame: inout Frame) throws(Failure) -> Value { value }
    }

    final class VariableStep: Step {
        private let names: [String]
        /// The first of the names that is bound counts.
        init(_ names: [String]) { self.names = names }

        func evaluate(_ frame: inout Frame) throws(Failure) -> Value {
            try frame.charge(1)
            for name in names { if let value = frame.bindings[name] { return value } }
            throw Failure("no such attribute(s): \(names.joined(separator: ", "))")
        }
    }

    final class LocalStep: Step {
        private let slot: Int
        init(_ slot: Int) { self.slot = slot }

        func evaluate(_ frame: inout Frame) throws(Failure) -> Value {
            try frame.charge(1)
            switch frame.locals[slot] {
            case .success(let value): return value
            case .failure(let failure): throw failure
            }
        }
    }

    /// `operand.field`, `operand.?field` and `has(operand.field)`.
    final class SelectStep: Step {
        enum Mode { case value, optional, test }

        private let operand: any Step
        private let field: String
        private let mode: Mode
        private let price: UInt64

        init(_ operand: any Step, _ field: String, _ mode: Mode, isRelative: Bool) {
            self.operand = operand
            self.field = field
            self.mode = mode
            price = (mode == .test ? 0 : 1) + (isRelative ? 1 : 0)
        }

        func evaluate(_ frame: inout Frame) throws(Failure) -> Value {
            let container = try operand.evaluate(&frame)
            try frame.charge(price)
            var inner = container
            var wraps = mode == .optional
            if case .optional(let content) = container {
                guard let content else { return mode == .test ? .bool(false) : .optional(nil) }
                inner = content
                wraps = mode != .test
            }
            let found = try Self.find(field, in: inner, &frame)
            if mode == .test { return .bool(found != nil) }
            if wraps { return .optional(found) }
            guard let found else { throw Self.missing(field, in: inner) }
            return found
        }

        static func find(_ field: String, in container: Value, _ frame: inout Frame) throws(Failure) -> Value? {
            switch container {
            case .map(let map): return map.find(field)
            case .structure(let structure): return structure.fields.first { $0.name == field }?.value
            case .object(let object):
                guard let found = object.field(field, limit: frame.remaining) else { return nil }
                try frame.charge(found.cost)
                switch found.result {
                case .success(let value): return value
                case .failure(let failure): throw failure
                }
            default: return nil
            }
        }

        private static func missing(_ field: String, in container: Value) -> Failure {
            switch container {
            case .structure, .object: Failure("no such field '\(field)'")
            default: .noSuchKey(field)
            }
        }
    }

    /// `operand[index]` and `operand[?index]`.
    final class IndexStep: Step {
        private let operand: any Step
        private let index: any Step
        private let isOptional: Bool
        private let price: UInt64

        init(_ operand: any Step, _ index: any Step, isOptional: Bool, isRelative: Bool) {
            self.operand = operand
            self.index = index
            self.isOptional = isOptional
            price = isRelative ? 2 : 1
        }

        func evaluate(_ frame: inout Frame) throws(Failure) -> Value {
            let container = try operand.evaluate(&frame)
            let index = try index.evaluate(&frame)
            try frame.charge(price)
            if case .optional(let content) = container {
                guard let content else { return .optional(nil) }
                return .optional(try Self.find(index, in: content, &frame))
            }
            let found = try Self.find(index, in: container, &frame)
            if isOptional { return .optional(found) }
            if let found { return found }
            switch container {
            case .list: throw Failure("index out of bounds: \(Conversion.text(index))")
            default: throw .noSuchKey(Conversion.text(index))
            }
        }

        private static func find(_ index: Value, in container: Value, _ frame: inout Frame) throws(Failure) -> Value? {
            switch container {
            case .list(let list):
                let place: Int
                switch index {
                case .int(let number): place = Int(number)
                case .uint(let number): place = Int(clamping: number)
                case .double(let number) where number.rounded() == number && abs(number) < 1e15: place = Int(number)
                default: throw Failure("unsupported index type '\(index.type.runtimeName)' in list")
                }
                return place >= 0 && place < list.count ? list[place] : nil
            case .map(let map):
                if case .double(let number) = index, number.rounded() != number { return nil }
                guard Key(index) != nil else {
                    throw Failure("unsupported key type: \(index.type.runtimeName)")
                }
                return map.find(index)
            case .structure, .object:
                guard case .string(let name) = index else { throw .noSuchOverload }
                return try SelectStep.find(name, in: container, &frame)
            default: throw .noSuchOverload
            }
        }
    }

    /// `&&` and `||`: an error on one side is forgotten where the other side decides.
    final class LogicStep: Step {
        private let left: any Step
        private let right: any Step
        private let decisive: Bool
        private let name: String

        init(_ left: any Step, _ right: any Step, decisive: Bool) {
            self.left = left
            self.right = right
            self.decisive = decisive
            name = decisive ? "_||_" : "_&&_"
        }

        func evaluate(_ frame: inout Frame) throws(Failure) -> Value {
            let first = try Self.truth(left, &frame)
            if case .success(let value) = first, value == decisive { return .bool(decisive) }
            let second = try Self.truth(right, &frame)
            if case .success(let value) = second, value == decisive { return .bool(decisive) }
            for case .failure(let failure) in [first, second] { throw failure }
            return .bool(!decisive)
        }

        private static func truth(_ step: any Step, _ frame: inout Frame) throws(Failure) -> Result<Bool, Failure> {
            do throws(Failure) {
                guard case .bool(let value) = try step.evaluate(&frame) else { return .failure(.noSuchOverload) }
                return .success(value)
            } catch {
                if error.isCostLimit { throw error }
                return .failure(error)
            }
        }
    }

    final class ConditionalStep: Step {
        private let condition: any Step
        private let yes: any Step
        private let no: any Step

        init(_ condition: any Step, _ yes: any Step, _ no: any Step) {
            self.condition = condition
            self.yes = yes
            self.no = no
        }

        func evaluate(_ frame: inout Frame) throws(Failure) -> Value {
            guard case .bool(let value) = try condition.evaluate(&frame) else { throw .noSuchOverload }
            return try (value ? yes : no).evaluate(&frame)
        }
    }

    /// True unless its operand is false: what a quantifier's loop goes on by.
    final class NotStrictlyFalseStep: Step {
        private let operand: any Step
        init(_ operand: any Step) { self.operand = operand }

        func evaluate(_ frame: inout Frame) throws(Failure) -> Value {
            do throws(Failure) {
                let value = try operand.evaluate(&frame)
                try frame.charge(1)
                if case .bool(false) = value { return value }
            } catch {
                if error.isCostLimit { throw error }
            }
            return .bool(true)
        }
    }

    final class ListStep: Step {
        private let elements: [any Step]
        private let optionals: Set<Int>

        init(_ elements: [any Step], _ optionals: Set<Int>) {
            self.elements = elements
            self.optionals = optionals
        }

        func evaluate(_ frame: inout Frame) throws(Failure) -> Value {
            var values: [Value] = []
            values.reserveCapacity(elements.count)
            for (index, element) in elements.enumerated() {
                let value = try element.evaluate(&frame)
                guard optionals.contains(index) else {
                    values.append(value)
                    continue
                }
                guard case .optional(let content) = value else {
                    throw Failure(
                        "cannot initialize optional list element from non-optional value \(Conversion.text(value))")
                }
                if let content { values.append(content) }
            }
            try frame.charge(10)
            return .list(.values(values))
        }
    }

    final class MapStep: Step {
        private let entries: [(key: any Step, value: any Step, isOptional: Bool)]
        init(_ entries: [(key: any Step, value: any Step, isOptional: Bool)]) { self.entries = entries }

        func evaluate(_ frame: inout Frame) throws(Failure) -> Value {
            var made = Map.Entries()
            for entry in entries {
                let key = try entry.key.evaluate(&frame)
                var value = try entry.value.evaluate(&frame)
                if entry.isOptional {
                    guard case .optional(let content) = value else {
                        throw Failure(
                            "cannot initialize optional entry '\(Conversion.text(key))' from non-optional value \(Conversion.text(value))"
                        )
                    }
                    guard let content else { continue }
                    value = content
                }
                try Self.insert(key, value, into: &made)
            }
            try frame.charge(30)
            return .map(.entries(made))
        }

        static func insert(_ key: Value, _ value: Value, into entries: inout Map.Entries) throws(Failure) {
            if case .double = key { throw Failure("unsupported key type: double") }
            guard let hashed = Key(key) else { throw Failure("unsupported key type: \(key.type.runtimeName)") }
            guard entries.insert(key, hashed, value) else {
                throw Failure("Failed with repeated key: \(Conversion.text(key))")
            }
        }
    }

    final class StructureStep: Step {
        private let name: String
        private let fields: [(name: String, value: any Step, isOptional: Bool)]

        init(_ name: String, _ fields: [(name: String, value: any Step, isOptional: Bool)]) {
            self.name = name
            self.fields = fields
        }

        func evaluate(_ frame: inout Frame) throws(Failure) -> Value {
            var made: [(name: String, value: Value)] = []
            for field in fields {
                var value = try field.value.evaluate(&frame)
                if field.isOptional {
                    guard case .optional(let content) = value else {
                        throw Failure(
                            "cannot initialize optional entry '\(field.name)' from non-optional value \(Conversion.text(value))"
                        )
                    }
                    guard let content else { continue }
                    value = content
                }
                made.append((field.name, value))
            }
            try frame.charge(40)
            return .structure(Structure(typeName: name, fields: made))
        }
    }
}
