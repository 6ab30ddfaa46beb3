extension CEL {
    /// What the functions do, by name. A member's receiver is its first argument.
    enum Implementations {
        static let table: [String: Implementation] = {
            var table = FunctionTable()
            Operators.add(to: &table)
            Conversion.add(to: &table)
            TimeFunctions.add(to: &table)
            StringFunctions.add(to: &table)
            ListFunctions.add(to: &table)
            MathFunctions.add(to: &table)
            OptionalFunctions.add(to: &table)
            NetworkFunctions.add(to: &table)
            QuantityFunctions.add(to: &table)
            SemverFunctions.add(to: &table)
            FormatFunctions.add(to: &table)
            AuthorizerFunctions.add(to: &table)
            return table.functions
        }()
    }

    struct FunctionTable {
        private(set) var functions: [String: Implementation] = [:]

        private static func unknown(_ arguments: [Value]) throws(Failure) -> Value { throw .noSuchOverload }

        /// Not optional: a closure that becomes an optional of a throwing function crashes the compiler (6.3).
        subscript(name: String) -> Implementation {
            get {
                guard let function = functions[name] else { return Self.unknown }
                return function
            }
            set { functions[name] = newValue }
        }
    }

    /// Arithmetic, logic and membership.
    enum Operators {
        static func add(to table: inout FunctionTable) {
            table["!_"] = { (a) throws(Failure) in
                guard a.count == 1, case .bool(let value) = a[0] else { throw .noSuchOverload("!_", a) }
                return .bool(!value)
            }
            table["-_"] = negated
            table["_+_"] = sum
            table["_-_"] = difference
            table["_*_"] = product
            table["_/_"] = { (a) throws(Failure) in try quotient(a, "_/_") }
            table["_%_"] = { (a) throws(Failure) in try quotient(a, "_%_") }
            table["@in"] = contains
            table["size"] = { (a) throws(Failure) in
                guard a.count == 1 else { throw .noSuchOverload("size", a) }
                switch a[0] {
                case .string, .bytes, .list, .map: return .int(Int64(a[0].costSize))
                default: throw .noSuchOverload("size", a)
                }
            }
        }

        static let overflow = Failure("integer overflow")
        static let unsignedOverflow = Failure("unsigned integer overflow")

        private static func checked<T>(_ result: (T, Bool), _ failure: Failure) throws(Failure) -> T {
            if result.1 { throw failure }
            return result.0
        }

        private static func negated(_ a: [Value]) throws(Failure) -> Value {
            switch a.first {
            case .int(let value):
                if value == .min { throw overflow }
                return .int(-value)
            case .double(let value): return .double(-value)
            default: throw .noSuchOverload("-_", a)
            }
        }

        static func sum(_ a: [Value]) throws(Failure) -> Value {
            guard a.count == 2 else { throw .noSuchOverload("_+_", a) }
            switch (a[0], a[1]) {
            case (.int(let x), .int(let y)): return .int(try checked(x.addingReportingOverflow(y), overflow))
            case (.uint(let x), .uint(let y)): return .uint(try checked(x.addingReportingOverflow(y), unsignedOverflow))
            case (.double(let x), .double(let y)): return .double(x + y)
            case (.string(let x), .string(let y)): return .string(x + y)
            case (.bytes(let x), .bytes(let y)): return .bytes(x + y)
            case (.duration(let x), .duration(let y)):
                return .duration(try checked(x.addingReportingOverflow(y), Failure("duration overflow")))
            case (.timestamp(let x), .duration(let y)), (.duration(let y), .timestamp(let x)):
                return .timestamp(try x.advanced(by: y))
            case (.list(let x), .list(let y)): return .list(.values(joined(x, y)))
            case (.list, _), (.string, _), (.int, _), (.uint, _), (.double, _), (.bytes, _), (.duration, _),
                (.timestamp, _):
                throw .noSuchOverload
            default: throw .noSuchOverload("_+_", a)
            }
        }

        /// Sets and keyed lists merge; other lists follow each other.
        private static func joined(_ x: List, _ y: List) -> [Value] {
            var values = x.values
            if x.semantics == .sequence { return values + y.values }
            var places = ListPlaces(values, x.semantics)
            for value in y.values {
                if let same = places.find(value) {
                    values[same] = value
                } else {
                    places.add(value, at: values.count)
                    values.append(value)
                }
            }
            return values
        }

        private static func difference(_ a: [Value]) throws(Failure) -> Value {
            guard a.count == 2 else { throw .noSuchOverload("_-_", a) }
            switch (a[0], a[1]) {
            case (.int(let x), .int(let y)): return .int(try checked(x.subtractingReportingOverflow(y), overflow))
            case (.uint(let x), .uint(let y)):
                return .uint(try checked(x.subtractingReportingOverflow(y), unsignedOverflow))
            case (.double(let x), .double(let y)): return .double(x - y)
            case (.duration(let x), .duration(let y)):
                return .duration(try checked(x.subtractingReportingOverflow(y), Failure("duration overflow")))
            case (.timestamp(let x), .duration(let y)):
                if y == .min { throw Failure("timestamp overflow") }
                return .timestamp(try x.advanced(by: -y))
            case (.timestamp(let x), .timestamp(let y)):
                let span = (Int128(x.seconds) - Int128(y.seconds)) * 1_000_000_000 + Int128(x.nanos - y.nanos)
                guard let nanos = Int64(exactly: span) else { throw Failure("duration overflow") }
                return .duration(nanos)
            case (.int, _), (.uint, _), (.double, _), (.duration, _), (.timestamp, _): throw .noSuchOverload
            default: throw .noSuchOverload("_-_", a)
            }
        }

        private static func product(_ a: [Value]) throws(Failure) -> Value {
            guard a.count == 2 else { throw .noSuchOverload("_*_", a) }
            switch (a[0], a[1]) {
            case (.int(let x), .int(let y)): return .int(try checked(x.multipliedReportingOverflow(by: y), overflow))
            case (.uint(let x), .uint(let y)):
                return .uint(try checked(x.multipliedReportingOverflow(by: y), unsignedOverflow))
            case (.double(let x), .double(let y)): return .double(x * y)
            case (.int, _), (.uint, _), (.double, _): throw .noSuchOverload
            default: throw .noSuchOverload("_*_", a)
            }
        }

        private static func quotient(_ a: [Value], _ name: String) throws(Failure) -> Value {
            guard a.count == 2 else { throw .noSuchOverload(name, a) }
            let isRemainder = name == "_%_"
            let byZero = Failure(isRemainder ? "modulus by zero" : "division by zero")
            switch (a[0], a[1]) {
            case (.int(let x), .int(let y)):
                if y == 0 { throw byZero }
                if x == .min, y == -1 { throw overflow }
                return .int(isRemainder ? x % y : x / y)
            case (.uint(let x), .uint(let y)):
                if y == 0 { throw byZero }
                return .uint(isRemainder ? x % y : x / y)
            case (.double(let x), .double(let y)) where !isRemainder: return .double(x / y)
            case (.int, _), (.uint, _): throw .noSuchOverload
            default: throw .noSuchOverload(name, a)
            }
        }

        private static func contains(_ a: [Value]) throws(Failure) -> Value {
            guard a.count == 2 else { throw .noSuchOverload("@in", a) }
            switch a[1] {
            case .list(let list): return .bool(list.values.contains { $0.equals(a[0]) })
            case .map(let map): return .bool(map.find(a[0]) != nil)
            default: throw .noSuchOverload("@in", a)
            }
        }
    }
}
