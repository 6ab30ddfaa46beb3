import Glibc

extension CEL {
    /// What a call costs at run time. Where the checker left open which overload is meant, the overload is empty and
    /// the function's own price counts, or 1.
    enum CallPrice: Sendable {
        case fixed(UInt64)
        /// A tenth of the first argument's size, so many times.
        case traverse(Double)
        /// The same of the result.
        case result(Double)
        /// The size of the second argument: a list searched.
        case search
        /// A tenth of both sizes.
        case concatenation
        /// A tenth of one size times a tenth of the other.
        case product
        case pattern
        /// Every leaf of the first argument.
        case leaves
        case network(masks: Bool, parses: Bool)
        /// What is copied costs something once it is large, or doubling would be free.
        case growth
        /// The number that the first argument is.
        case amount
        /// The first argument's size, and the square of it over a divisor.
        case elements(square: UInt64)
        /// One list's size times the other's, so many times.
        case pairs(UInt64)

        static func of(_ function: String, overload: String) -> CallPrice {
            if let price = byFunction[function] {
                // The address of a network is at hand; an address in text must be read.
                if function == "ip", overload == "cidr_ip" { return .fixed(1) }
                if function == "containsIP" {
                    return .network(masks: false, parses: overload == "cidr_contains_ip_string")
                }
                if function == "containsCIDR" {
                    return .network(masks: true, parses: overload == "cidr_contains_cidr_string")
                }
                return price
            }
            if function == "_+_", overload != "add_string", overload != "add_bytes" { return .growth }
            switch overload {
            case "starts_with_string", "ends_with_string", "string_to_bytes", "bytes_to_string", "strings_quote",
                "string_format":
                return .traverse(1)
            case "in_list": return .search
            case "add_string", "add_bytes": return .concatenation
            case "matches", "matches_string": return .pattern
            case "contains_string": return .product
            default: return .fixed(1)
            }
        }

        private static let byFunction: [String: CallPrice] = {
            var table: [String: CallPrice] = [:]
            table["check"] = .fixed(350_000)
            for name in ["isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"] { table[name] = .leaves }
            for name in [
                "url", "lowerAscii", "upperAscii", "substring", "trim", "cidr", "isIP", "isCIDR", "ip", "quantity",
                "isQuantity", "semver", "isSemver", "validate",
            ] { table[name] = .traverse(1) }
            for name in ["replace", "split", "ip.isCanonical"] { table[name] = .traverse(2) }
            table["join"] = .result(2)
            table["lists.range"] = .amount
            for name in ["slice", "flatten", "reverse"] { table[name] = .elements(square: 0) }
            for name in ["sort", "@sortByAssociatedKeys", "distinct"] { table[name] = .elements(square: 100) }
            table["sets.contains"] = .pairs(1)
            table["sets.intersects"] = .pairs(1)
            table["sets.equivalent"] = .pairs(2)
            for name in ["find", "findAll"] { table[name] = .pattern }
            for name in ["containsIP", "containsCIDR"] { table[name] = .network(masks: false, parses: false) }
            return table
        }()

        var needsResult: Bool { if case .result = self { true } else { false } }

        /// A tenth of a size, rounded up.
        static func traversal(_ size: Int, times: Double = 1) -> UInt64 {
            UInt64((Double(size) * 0.1 * times).rounded(.up))
        }

        static func pattern(_ text: Int, _ pattern: Int) -> UInt64 {
            UInt64(((1 + Double(text)) * 0.1).rounded(.up)) * UInt64((Double(pattern) * 0.25).rounded(.up))
        }

        func of(_ arguments: [Value], _ result: Value) -> UInt64 {
            let first = arguments.first?.costSize ?? 0
            let second = arguments.count > 1 ? arguments[1].costSize : 0
            switch self {
            case .fixed(let amount): return amount
            case .traverse(let times): return Self.traversal(first, times: times)
            case .result(let times): return Self.traversal(result.costSize, times: times)
            case .search: return UInt64(second)
            case .concatenation: return Self.traversal(first + second)
            case .product: return Self.traversal(first) * Self.traversal(second)
            case .pattern: return Self.pattern(first, second)
            case .growth:
                let size = UInt64(first + second)
                return size > 1000 ? 1 + size / 10 : 1
            case .amount:
                guard case .int(let count) = arguments.first else { return 1 }
                return 10 + UInt64(max(0, count))
            case .elements(let divisor):
                let count = UInt64(first)
                return 10 + count + (divisor > 0 ? count * count / divisor : 0)
            case .pairs(let times): return 1 + UInt64(first) * UInt64(second) * times
            case .leaves: return arguments.first.map { Self.leaves($0) } ?? 0
            case .network(let masks, let parses):
                return Self.traversal(2 * first) + (masks ? Self.traversal(first) + 1 : 0)
                    + (parses ? Self.traversal(second) : 0)
            }
        }

        private static func leaves(_ value: Value) -> UInt64 {
            switch value {
            case .string(let text): return UInt64(Double(text.utf8.count) * 0.1)
            case .bytes(let bytes): return UInt64(Double(bytes.count) * 0.1)
            case .list(let list): return list.values.reduce(0) { $0 + leaves($1) }
            case .map(let map): return map.entries.reduce(0) { $0 + leaves($1.key) + leaves($1.value) }
            default: return 1
            }
        }
    }
}
