extension CEL {
    /// The loop. Its accumulator and variables stand in slots of the frame that only it uses.
    final class LoopStep: Step {
        struct Parts: Sendable {
            var range: any Step
            var start: any Step
            /// Nil for one that is always true.
            var condition: (any Step)?
            var step: any Step
            var result: any Step
            var accumulator: Int
            var variable: Int
            var second: Int?
        }

        private let parts: Parts
        init(_ parts: Parts) { self.parts = parts }

        func evaluate(_ frame: inout Frame) throws(Failure) -> Value {
            let range = try parts.range.evaluate(&frame)
            frame.locals[parts.accumulator] = .success(try parts.start.evaluate(&frame))
            switch range {
            case .list(.values(let values)):
                for (index, value) in values.enumerated() {
                    guard try turn(.int(Int64(index)), value, isList: true, &frame) else { break }
                }
            case .list(.document(let document, let type)):
                for (index, element) in document.elements.enumerated() {
                    let value = Value(element, as: type?.element)
                    guard try turn(.int(Int64(index)), value, isList: true, &frame) else { break }
                }
            case .map(let map):
                if parts.second == nil {
                    for key in map.keys { guard try turn(key, .null, isList: false, &frame) else { break } }
                } else {
                    for entry in map.entries {
                        guard try turn(entry.key, entry.value, isList: false, &frame) else { break }
                    }
                }
            default: throw .noSuchOverload
            }
            let result = try parts.result.evaluate(&frame)
            frame.locals[parts.accumulator] = .success(.null)
            return result
        }

        private func turn(_ key: Value, _ value: Value, isList: Bool, _ frame: inout Frame) throws(Failure) -> Bool {
            frame.locals[parts.variable] = .success(parts.second == nil && isList ? value : key)
            if let second = parts.second { frame.locals[second] = .success(value) }
            if let condition = parts.condition {
                guard case .bool(true) = try condition.evaluate(&frame) else { return false }
            }
            do throws(Failure) {
                let next = try parts.step.evaluate(&frame)
                frame.locals[parts.accumulator] = .success(next)
            } catch {
                // Only a quantifier may still find something that makes the error irrelevant.
                guard parts.condition != nil, !error.isCostLimit else { throw error }
                frame.locals[parts.accumulator] = .failure(error)
            }
            return true
        }
    }

    /// A name for a value within an expression; an error counts only where the name is used.
    final class BindStep: Step {
        private let slot: Int
        private let value: any Step
        private let result: any Step

        init(slot: Int, value: any Step, result: any Step) {
            self.slot = slot
            self.value = value
            self.result = result
        }

        func evaluate(_ frame: inout Frame) throws(Failure) -> Value {
            try frame.charge(10)
            do throws(Failure) {
                let bound = try value.evaluate(&frame)
                frame.locals[slot] = .success(bound)
            } catch {
                if error.isCostLimit { throw error }
                frame.locals[slot] = .failure(error)
            }
            return try result.evaluate(&frame)
        }
    }

    /// `accumulator + [element]`, in place: the list is taken out of its slot, so that nobody else holds it.
    final class AppendStep: Step {
        private let slot: Int
        private let element: any Step

        init(slot: Int, element: any Step) {
            self.slot = slot
            self.element = element
        }

        func evaluate(_ frame: inout Frame) throws(Failure) -> Value {
            let value = try element.evaluate(&frame)
            try frame.charge(12)
            // Bound as a variable and taken out of the slot, the array has no other owner and grows in place.
            if case .success(.list(.values(var values))) = frame.locals[slot] {
                frame.locals[slot] = .success(.null)
                values.append(value)
                return .list(.values(values))
            }
            guard case .success(.list(let list)) = frame.locals[slot] else { throw .noSuchOverload }
            return .list(.values(list.values + [value]))
        }
    }

    /// `cel.@mapInsert(accumulator, key, value)` or with a map of entries.
    final class InsertStep: Step {
        private let slot: Int
        private let key: any Step
        private let value: (any Step)?

        init(slot: Int, key: any Step, value: (any Step)?) {
            self.slot = slot
            self.key = key
            self.value = value
        }

        func evaluate(_ frame: inout Frame) throws(Failure) -> Value {
            let key = try key.evaluate(&frame)
            let value = try value?.evaluate(&frame)
            try frame.charge(2)
            guard case .success(.map(.entries(var entries))) = frame.locals[slot] else { throw .noSuchOverload }
            frame.locals[slot] = .success(.null)
            if let value {
                try Self.insert(key, value, &entries)
            } else {
                guard case .map(let added) = key else { throw .noSuchOverload }
                for entry in added.entries { try Self.insert(entry.key, entry.value, &entries) }
            }
            return .map(.entries(entries))
        }

        private static func insert(_ key: Value, _ value: Value, _ entries: inout Map.Entries) throws(Failure) {
            guard let hashed = Key(key) else { throw Failure("unsupported key type: \(key.type.runtimeName)") }
            guard entries.insert(key, hashed, value) else {
                throw Failure("insert failed: key \(Conversion.text(key)) already exists")
            }
        }
    }
}
