extension CEL {
    /// Functions of lists and sets.
    enum ListFunctions {
        /// The longest list that a function makes from nothing.
        private static let longest = 1_000_000

        static func add(to table: inout FunctionTable) {
            table["isSorted"] = { (a) throws(Failure) in
                let values = try list("isSorted", a)
                for (one, next) in zip(values, values.dropFirst()) {
                    guard let order = try one.compare(next), order <= 0 else { return .bool(false) }
                }
                return .bool(true)
            }
            table["sum"] = { (a) throws(Failure) in
                let values = try list("sum", a)
                guard var total = values.first else { return .int(0) }
                for value in values.dropFirst() { total = try Operators.sum([total, value]) }
                return total
            }
            table["min"] = { (a) throws(Failure) in try extreme("min", a, sign: -1) }
            table["max"] = { (a) throws(Failure) in try extreme("max", a, sign: 1) }
            table["indexOf"] = { (a) throws(Failure) in
                guard a.count == 2, case .list(let list) = a[0] else {
                    return try StringFunctions.index(a, last: false)
                }
                return .int(Int64(list.values.firstIndex { $0.equals(a[1]) } ?? -1))
            }
            table["lastIndexOf"] = { (a) throws(Failure) in
                guard a.count == 2, case .list(let list) = a[0] else { return try StringFunctions.index(a, last: true) }
                return .int(Int64(list.values.lastIndex { $0.equals(a[1]) } ?? -1))
            }
            addExtended(to: &table)
            addSets(to: &table)
        }

        private static func list(_ name: String, _ a: [Value]) throws(Failure) -> [Value] {
            guard a.count == 1, case .list(let list) = a[0] else { throw .noSuchOverload(name, a) }
            return list.values
        }

        private static func extreme(_ name: String, _ a: [Value], sign: Int) throws(Failure) -> Value {
            let values = try list(name, a)
            guard var best = values.first else { throw Failure("\(name) called on empty list") }
            for value in values.dropFirst() where (try value.compare(best) ?? 0) * sign > 0 { best = value }
            return best
        }

        private static func addExtended(to table: inout FunctionTable) {
            table["slice"] = { (a) throws(Failure) in
                guard a.count == 3, case .list(let list) = a[0], case .int(let start) = a[1], case .int(let end) = a[2]
                else { throw .noSuchOverload("slice", a) }
                let count = list.count
                guard start >= 0, end >= 0 else {
                    throw Failure("cannot slice(\(start), \(end)), negative indexes not supported")
                }
                guard start <= end else {
                    throw Failure("cannot slice(\(start), \(end)), start index must be less than or equal to end index")
                }
                guard end <= count else { throw Failure("cannot slice(\(start), \(end)), list is length \(count)") }
                return .list(.values(Array(list.values[Int(start)..<Int(end)])))
            }
            table["flatten"] = { (a) throws(Failure) in
                guard a.count == 1 || a.count == 2, case .list(let list) = a[0] else {
                    throw .noSuchOverload("flatten", a)
                }
                var depth = 1
                if a.count == 2 {
                    guard case .int(let number) = a[1] else { throw .noSuchOverload("flatten", a) }
                    guard number >= 0 else { throw Failure("level must be non-negative") }
                    depth = Int(clamping: min(number, Int64(Limit.depth)))
                }
                return .list(.values(flatten(list.values, depth)))
            }
            table["lists.range"] = { (a) throws(Failure) in
                guard a.count == 1, case .int(let count) = a[0] else { throw .noSuchOverload("lists.range", a) }
                guard count <= longest else { throw Failure("lists.range(\(count)) is longer than \(longest)") }
                return .list(.values((0..<max(0, count)).map { .int($0) }))
            }
            table["distinct"] = { (a) throws(Failure) in
                var result: [Value] = []
                var seen: Set<Key> = []
                for value in try list("distinct", a) {
                    if let key = Key(value) {
                        if seen.insert(key).inserted { result.append(value) }
                    } else if !result.contains(where: { $0.equals(value) }) {
                        result.append(value)
                    }
                }
                return .list(.values(result))
            }
            table["reverse"] = { (a) throws(Failure) in
                if a.count == 1, case .string(let text) = a[0] {
                    return .string(StringFunctions.text(Array(text.unicodeScalars).reversed()))
                }
                return .list(.values(try list("reverse", a).reversed()))
            }
            table["sort"] = { (a) throws(Failure) in
                let values = try list("sort", a)
                return .list(.values(try sorted(values, by: values)))
            }
            table["@sortByAssociatedKeys"] = { (a) throws(Failure) in
                guard a.count == 2, case .list(let list) = a[0], case .list(let keys) = a[1], list.count == keys.count
                else { throw .noSuchOverload("sortBy", a) }
                return .list(.values(try sorted(list.values, by: keys.values)))
            }
            table["first"] = { (a) throws(Failure) in .optional(try list("first", a).first) }
            table["last"] = { (a) throws(Failure) in .optional(try list("last", a).last) }
        }

        private static func flatten(_ values: [Value], _ depth: Int) -> [Value] {
            if depth == 0 { return values }
            var result: [Value] = []
            for value in values {
                if case .list(let inner) = value {
                    result += flatten(inner.values, depth - 1)
                } else {
                    result.append(value)
                }
            }
            return result
        }

        private static func sorted(_ values: [Value], by keys: [Value]) throws(Failure) -> [Value] {
            guard let first = keys.first else { return [] }
            for key in keys {
                guard key.type == first.type else { throw Failure("list elements must have the same type") }
                guard try key.compare(key) != nil else { throw Failure("list elements must be comparable") }
            }
            let order = keys.indices.sorted { a, b in
                let compared = (try? keys[a].compare(keys[b])) ?? 0
                return compared == 0 ? a < b : compared < 0
            }
            return order.map { values[$0] }
        }

        private static func addSets(to table: inout FunctionTable) {
            @Sendable func both(_ name: String, _ a: [Value]) throws(Failure) -> ([Value], [Value]) {
                guard a.count == 2, case .list(let x) = a[0], case .list(let y) = a[1] else {
                    throw .noSuchOverload(name, a)
                }
                return (x.values, y.values)
            }
            @Sendable func contains(_ x: [Value], _ y: [Value]) -> Bool {
                y.allSatisfy { wanted in x.contains { $0.equals(wanted) } }
            }
            table["sets.contains"] = { (a) throws(Failure) in
                let (x, y) = try both("sets.contains", a)
                return .bool(contains(x, y))
            }
            table["sets.equivalent"] = { (a) throws(Failure) in
                let (x, y) = try both("sets.equivalent", a)
                return .bool(contains(x, y) && contains(y, x))
            }
            table["sets.intersects"] = { (a) throws(Failure) in
                let (x, y) = try both("sets.intersects", a)
                return .bool(x.contains { value in y.contains { $0.equals(value) } })
            }
        }
    }

    enum OptionalFunctions {
        static func add(to table: inout FunctionTable) {
            @Sendable func content(_ name: String, _ a: [Value]) throws(Failure) -> Value? {
                guard case .optional(let content) = a.first else { throw .noSuchOverload(name, a) }
                return content
            }
            table["optional.none"] = { (a) throws(Failure) in .optional(nil) }
            table["optional.of"] = { (a) throws(Failure) in
                guard a.count == 1 else { throw .noSuchOverload("optional.of", a) }
                return .optional(a[0])
            }
            table["optional.ofNonZeroValue"] = { (a) throws(Failure) in
                guard a.count == 1 else { throw .noSuchOverload("optional.ofNonZeroValue", a) }
                return .optional(isZero(a[0]) ? nil : a[0])
            }
            table["hasValue"] = { (a) throws(Failure) in .bool(try content("hasValue", a) != nil) }
            table["value"] = { (a) throws(Failure) in
                guard let value = try content("value", a) else { throw Failure("optional.none() dereference") }
                return value
            }
            table["or"] = { (a) throws(Failure) in
                guard a.count == 2, case .optional = a[1] else { throw .noSuchOverload("or", a) }
                return try content("or", a) == nil ? a[1] : a[0]
            }
            table["orValue"] = { (a) throws(Failure) in
                guard a.count == 2 else { throw .noSuchOverload("orValue", a) }
                return try content("orValue", a) ?? a[1]
            }
            let unwrap: Implementation = { (a) throws(Failure) in
                guard a.count == 1, case .list(let list) = a[0] else { throw .noSuchOverload("optional.unwrap", a) }
                var values: [Value] = []
                for value in list.values {
                    guard case .optional(let content) = value else { throw .noSuchOverload }
                    if let content { values.append(content) }
                }
                return .list(.values(values))
            }
            table["optional.unwrap"] = unwrap
            table["unwrapOpt"] = unwrap
        }

        private static func isZero(_ value: Value) -> Bool {
            switch value {
            case .null, .bool(false), .int(0), .uint(0), .double(0), .duration(0): true
            case .string(let text): text.isEmpty
            case .bytes(let bytes): bytes.isEmpty
            case .list(let list): list.count == 0
            case .map(let map): map.count == 0
            case .optional(let content): content == nil
            case .structure(let structure): structure.fields.isEmpty
            default: false
            }
        }
    }
}
