extension CEL {
    /// The least and most that something costs, or the least and greatest size it has. Sums and products that do not
    /// fit stay at the greatest number.
    public struct CostEstimate: Sendable, Equatable {
        public var min: UInt64
        public var max: UInt64

        public init(_ min: UInt64, _ max: UInt64) {
            self.min = min
            self.max = max
        }

        static func fixed(_ amount: UInt64) -> CostEstimate { CostEstimate(amount, amount) }
        static let unknown = CostEstimate(0, .max)

        static func + (a: CostEstimate, b: CostEstimate) -> CostEstimate {
            CostEstimate(sum(a.min, b.min), sum(a.max, b.max))
        }
        static func * (a: CostEstimate, b: CostEstimate) -> CostEstimate {
            CostEstimate(product(a.min, b.min), product(a.max, b.max))
        }
        static func * (a: CostEstimate, factor: Double) -> CostEstimate {
            CostEstimate(scaled(a.min, factor), scaled(a.max, factor))
        }
        func union(_ other: CostEstimate) -> CostEstimate {
            CostEstimate(Swift.min(min, other.min), Swift.max(max, other.max))
        }

        private static func sum(_ a: UInt64, _ b: UInt64) -> UInt64 {
            let (value, overflow) = a.addingReportingOverflow(b)
            return overflow ? .max : value
        }
        public static func product(_ a: UInt64, _ b: UInt64) -> UInt64 {
            let (value, overflow) = a.multipliedReportingOverflow(by: b)
            return overflow ? .max : value
        }
        private static func scaled(_ a: UInt64, _ factor: Double) -> UInt64 {
            let value = (Double(a) * factor).rounded(.up)
            return value >= 0x1p64 ? .max : UInt64(value)
        }
    }

    struct CallEstimate {
        var cost: CostEstimate
        var resultSize: CostEstimate?
    }

    /// A part of an expression as the price of a call sees it.
    struct SizedNode {
        let expression: Expression?
        let type: ValueType
        /// What the schema says about it, where it is a path into a variable.
        let declared: DeclaredType?
        let size: CostEstimate?

        var known: CostEstimate { size ?? declared.map { CostEstimate(0, UInt64($0.maxElements ?? 0)) } ?? .unknown }

        /// The elements of a list, nil for what is none.
        var element: SizedNode? {
            switch type {
            case .list(let inner), .optional(let inner), .map(let inner, _):
                SizedNode(expression: nil, type: inner, declared: declared?.element, size: nil)
            default: nil
            }
        }
    }

    /// The prices of Kubernetes' own functions and of those whose price it sets; nil leaves the language's own.
    enum CallEstimates {
        static func estimate(
            _ function: String, _ overload: String, _ target: SizedNode?, _ arguments: [SizedNode]
        ) -> CallEstimate? {
            switch function {
            case "check": return CallEstimate(cost: .fixed(350_000))
            case "serviceAccount", "path", "group", "resource", "subresource", "namespace", "name", "allowed", "reason",
                "error", "errored", "masked", "prefixLength", "family", "isUnspecified", "isLoopback",
                "isLinkLocalMulticast", "isLinkLocalUnicast", "sign", "asInteger", "isInteger", "asApproximateFloat",
                "isGreaterThan", "isLessThan", "compareTo", "add", "sub", "major", "minor", "patch":
                return CallEstimate(cost: .fixed(1))
            case "url" where arguments.count == 1: return CallEstimate(cost: arguments[0].known * 0.1)
            default: return target.flatMap { member(function, overload, $0, arguments) }
            }
        }

        private static func member(
            _ function: String, _ overload: String, _ target: SizedNode, _ arguments: [SizedNode]
        ) -> CallEstimate? {
            let size = target.known
            switch function {
            case "isSorted", "sum", "max", "min", "indexOf", "lastIndexOf":
                guard let element = target.element else { return CallEstimate(cost: size * 0.1) }
                var each = CostEstimate.fixed(1)
                if element.type == .string || element.type == .bytes { each = each + element.known * 0.1 }
                return CallEstimate(cost: size * each)
            case "lowerAscii", "upperAscii", "substring", "trim":
                return CallEstimate(cost: size * 0.1, resultSize: size)
            case "replace" where arguments.count >= 2:
                return CallEstimate(
                    cost: size * 0.2, resultSize: replaced(size, arguments[0].known, arguments[1].known))
            case "split":
                var most = size.max
                if arguments.count > 1, case .literal(.int(let limit)) = arguments[1].expression?.kind {
                    most = UInt64(clamping: limit)
                }
                return CallEstimate(cost: size * 0.2, resultSize: CostEstimate(0, most))
            case "join": return joined(target, size, arguments)
            case "find", "findAll":
                guard let pattern = arguments.first else { return nil }
                let text = (size + .fixed(1)) * 0.1
                return CallEstimate(cost: text * (pattern.known * 0.25), resultSize: CostEstimate(0, size.max))
            case "ip": return CallEstimate(cost: .fixed(1))
            case "containsIP", "containsCIDR":
                guard let other = arguments.first else { return nil }
                // An address is 4 or 16 bytes.
                let bytes = CostEstimate(4, 16)
                var cost = (bytes + bytes) * 0.1
                if function == "containsCIDR" { cost = cost + bytes * 0.1 + .fixed(1) }
                if overload.hasSuffix("_string") { cost = cost + other.known * 0.1 }
                return CallEstimate(cost: cost)
            case "validate": return arguments.first.map { CallEstimate(cost: $0.known * 0.1) }
            default: return nil
            }
        }

        private static func replaced(_ size: CostEstimate, _ old: CostEstimate, _ new: CostEstimate) -> CostEstimate {
            var count = CostEstimate(0, 0)
            var kept = CostEstimate(0, 0)
            func divided(_ a: UInt64, _ b: UInt64) -> UInt64 { a / b + (a % b == 0 ? 0 : 1) }
            if old.min == 0 {
                // Nothing is found before every character and at the end.
                count.max = size.max == .max ? .max : size.max + 1
                kept.max = size.max
            } else if new.max <= old.min {
                kept.max = size.max
            } else {
                count.max = divided(size.max, old.min)
            }
            if old.max == 0 {
                count.min = size.min == .max ? .max : size.min + 1
                kept.min = size.min
            } else if old.max <= new.min {
                kept.min = size.min
            } else {
                count.min = divided(size.min, old.max)
            }
            return count * new + kept
        }

        private static func joined(_ target: SizedNode, _ count: CostEstimate, _ arguments: [SizedNode]) -> CallEstimate
        {
            var size = CostEstimate(0, 0)
            if let element = target.element { size = count * element.known }
            if let separator = arguments.first {
                let separators = CostEstimate(count.min > 0 ? count.min - 1 : 0, count.max > 0 ? count.max - 1 : 0)
                size = size + separator.known * separators
            }
            return CallEstimate(cost: size * 0.1, resultSize: size)
        }
    }
}
