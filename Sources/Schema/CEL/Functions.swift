import Synchronization

extension CEL {
    /// One way to call a function.
    struct Overload: Sendable {
        let id: String
        let isMember: Bool
        /// The receiver first.
        let arguments: [ValueType]
        let result: ValueType
        let hasParameters: Bool
    }

    struct Function: Sendable {
        let name: String
        var overloads: [Overload] = []
    }

    /// The functions of a set of libraries, read from the declarations' text when first wanted.
    final class Functions: Sendable {
        let table: [String: Function]

        private init(_ table: [String: Function]) { self.table = table }

        private static let made = Mutex<[Library: Functions]>([:])

        static func declared(by library: Library) -> Functions {
            made.withLock { made in
                if let known = made[library] { return known }
                var table: [String: Function] = [:]
                read(Declarations.standard, into: &table)
                for (part, text) in Declarations.libraries where library.contains(part) { read(text, into: &table) }
                let functions = Functions(table)
                made[library] = functions
                return functions
            }
        }

        /// A line is `f name overload result argument…`, with `m` for members, whose receiver comes first.
        private static func read(_ text: String, into table: inout [String: Function]) {
            for line in text.utf8.split(separator: UInt8(ascii: "\n")) {
                let words = line.split(separator: UInt8(ascii: " ")).map { String(Substring($0)) }
                guard words.count >= 4 else { continue }
                let types = words[3...].map { type(Substring($0)) }
                let overload = Overload(
                    id: words[2], isMember: words[0] == "m", arguments: Array(types.dropFirst()), result: types[0],
                    hasParameters: types.contains { $0.hasParameter })
                table[words[1], default: Function(name: words[1])].overloads.append(overload)
            }
        }

        static func type(_ text: Substring) -> ValueType {
            if let open = text.firstIndex(of: "("), text.hasSuffix(")") {
                let inner = text[text.index(after: open)...].dropLast()
                var depth = 0
                var parts: [Substring] = []
                var start = inner.startIndex
                for index in inner.indices {
                    switch inner[index] {
                    case "(": depth += 1
                    case ")": depth -= 1
                    case "," where depth == 0:
                        parts.append(inner[start..<index])
                        start = inner.index(after: index)
                    default: break
                    }
                }
                parts.append(inner[start...])
                switch text[..<open] {
                case "list": return .list(type(parts[0]))
                case "map": return .map(type(parts[0]), type(parts[parts.count - 1]))
                case "optional": return .optional(type(parts[0]))
                default: return .type(type(parts[0]))
                }
            }
            switch text {
            case "dyn": return .dyn
            case "null": return .null
            case "timestamp": return .timestamp
            case "duration": return .duration
            case "type": return .type(nil)
            default: break
            }
            let name = String(text)
            if let known = ValueType.named[name] { return known }
            return name.utf8.count == 1 ? .parameter(name) : .opaque(name)
        }
    }
}

extension CEL.ValueType {
    var hasParameter: Bool {
        switch self {
        case .parameter, .variable: true
        case .list(let inner), .optional(let inner): inner.hasParameter
        case .map(let key, let value): key.hasParameter || value.hasParameter
        case .type(let inner): inner?.hasParameter ?? false
        default: false
        }
    }
}
