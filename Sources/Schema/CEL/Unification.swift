extension CEL {
    /// What is known of the parameters of the calls of one expression, and whether a value of one type can stand where
    /// another is asked for.
    struct Unification {
        private var bound: [Int: ValueType] = [:]
        private var count = 0

        mutating func fresh() -> ValueType {
            count += 1
            return .variable(count - 1)
        }

        /// The signature with parameters of its own.
        mutating func instantiate(_ overload: Overload) -> (arguments: [ValueType], result: ValueType) {
            guard overload.hasParameters else { return (overload.arguments, overload.result) }
            var names: [String: ValueType] = [:]
            let arguments = overload.arguments.map { replaced($0, &names) }
            return (arguments, replaced(overload.result, &names))
        }

        private mutating func replaced(_ type: ValueType, _ names: inout [String: ValueType]) -> ValueType {
            switch type {
            case .parameter(let name):
                if let known = names[name] { return known }
                let made = fresh()
                names[name] = made
                return made
            case .list(let inner): return .list(replaced(inner, &names))
            case .map(let key, let value): return .map(replaced(key, &names), replaced(value, &names))
            case .optional(let inner): return .optional(replaced(inner, &names))
            case .type(let inner): return .type(inner.map { replaced($0, &names) })
            default: return type
            }
        }

        /// The type with what is known put in; what is not becomes `dyn` where it must be settled now.
        func resolved(_ type: ValueType, settling: Bool = false) -> ValueType {
            switch type {
            case .variable(let number):
                if let known = bound[number] { return resolved(known, settling: settling) }
                return settling ? .dyn : type
            case .list(let inner): return .list(resolved(inner, settling: settling))
            case .map(let key, let value):
                return .map(resolved(key, settling: settling), resolved(value, settling: settling))
            case .optional(let inner): return .optional(resolved(inner, settling: settling))
            case .type(let inner): return .type(inner.map { resolved($0, settling: settling) })
            default: return type
            }
        }

        /// How many parts a type has, counted no further than `limit`.
        func weight(of type: ValueType, limit: Int) -> Int {
            var waiting = [type]
            var count = 0
            while count < limit, let next = waiting.popLast() {
                count += 1
                switch next {
                case .variable(let number): if let known = bound[number] { waiting.append(known) }
                case .list(let inner), .optional(let inner): waiting.append(inner)
                case .map(let key, let value): waiting += [key, value]
                case .type(let inner): if let inner { waiting.append(inner) }
                default: break
                }
            }
            return count
        }

        /// Whether values of `from` fit `to`; learns nothing where they do not.
        mutating func assign(_ from: [ValueType], to: [ValueType]) -> Bool {
            guard from.count == to.count else { return false }
            let before = bound
            for (a, b) in zip(to, from) where !unify(a, b) {
                bound = before
                return false
            }
            return true
        }

        mutating func assign(_ from: ValueType, to: ValueType) -> Bool { assign([from], to: [to]) }

        private mutating func unify(_ to: ValueType, _ from: ValueType) -> Bool {
            if case .variable(let number) = from, substitute(number, to) { return true }
            if case .variable(let number) = to { return substitute(number, from) }
            switch (to, from) {
            case (.dyn, _), (_, .dyn), (.error, _), (_, .error): return true
            case (.null, _): return from == .null || from.isNullable
            case (_, .null): return to.isNullable
            case (.list(let a), .list(let b)), (.optional(let a), .optional(let b)): return unify(a, b)
            case (.map(let a, let b), .map(let c, let d)): return unify(a, c) && unify(b, d)
            case (.type, .type): return true
            case (.object(let a), .object(let b)): return a.name == b.name
            default: return to == from
            }
        }

        /// Takes the parameter to be `type`, or to fit what it is already.
        private mutating func substitute(_ number: Int, _ type: ValueType) -> Bool {
            if type == .variable(number) { return true }
            if let known = bound[number] {
                let before = bound
                if unify(known, type) {
                    let settled = resolved(type)
                    if Self.isGeneral(settled, than: resolved(known)), !mentions(settled, number) {
                        bound[number] = settled
                    }
                    return true
                }
                bound = before
                if unify(type, known) {
                    bound[number] = resolved(type)
                    return true
                }
                bound = before
                return false
            }
            guard !mentions(type, number) else { return false }
            bound[number] = type
            return true
        }

        private func mentions(_ type: ValueType, _ number: Int) -> Bool {
            switch type {
            case .variable(let other):
                if other == number { return true }
                return bound[other].map { mentions($0, number) } ?? false
            case .list(let inner), .optional(let inner): return mentions(inner, number)
            case .map(let key, let value): return mentions(key, number) || mentions(value, number)
            case .type(let inner): return inner.map { mentions($0, number) } ?? false
            default: return false
            }
        }

        /// Of two types that fit each other, whether the first says no more than the second.
        static func isGeneral(_ a: ValueType, than b: ValueType) -> Bool {
            switch (a, b) {
            case (.dyn, _), (.variable, _): return true
            case (_, .dyn), (_, .variable): return false
            // What may also be null says less than what is always a value, so null gives way.
            case (_, .null): return a.isNullable || a == .null
            case (.null, _): return !b.isNullable
            case (.list(let x), .list(let y)), (.optional(let x), .optional(let y)): return isGeneral(x, than: y)
            case (.map(let k, let v), .map(let l, let w)): return isGeneral(k, than: l) && isGeneral(v, than: w)
            case (.type, .type): return true
            default: return a == b
            }
        }
    }
}

extension CEL.ValueType {
    /// Whether null fits.
    var isNullable: Bool {
        switch self {
        case .object, .opaque, .optional, .timestamp, .duration: true
        default: false
        }
    }
}
