extension CEL {
    /// A node of a parsed expression, macros already expanded. Used by one compilation only.
    final class Expression {
        let id: Int
        /// In Unicode scalars, as issues name it.
        let position: Int
        var kind: Kind

        enum Kind {
            case literal(Value)
            case identifier(String)
            /// `operand.field`, or with `isTest` whether it is there.
            case select(Expression, field: String, isTest: Bool)
            case call(function: String, target: Expression?, arguments: [Expression])
            /// The elements at `optionals` are taken only where they have a value.
            case list([Expression], optionals: Set<Int>)
            case map([Entry])
            case structure(name: String, fields: [Field])
            case comprehension(Comprehension)
        }

        struct Entry {
            var position: Int
            var key: Expression
            var value: Expression
            var isOptional: Bool
        }

        struct Field {
            var position: Int
            var name: String
            var value: Expression
            var isOptional: Bool
        }

        /// The one loop of the language: an accumulator goes through every element of a range.
        struct Comprehension {
            var variable: String
            /// The value of an entry or element, where the macro takes two variables.
            var secondVariable: String?
            var range: Expression
            var accumulator: String
            var start: Expression
            /// Goes on while this is true.
            var condition: Expression
            var step: Expression
            var result: Expression
        }

        init(id: Int, position: Int, kind: Kind) {
            self.id = id
            self.position = position
            self.kind = kind
        }

        /// `a.b.c` as one name, where the expression is nothing but identifiers.
        var qualifiedName: String? {
            switch kind {
            case .identifier(let name): return name
            case .select(let operand, let field, let isTest) where !isTest:
                return operand.qualifiedName.map { "\($0).\(field)" }
            default: return nil
            }
        }

        var identifierName: String? { if case .identifier(let name) = kind { name } else { nil } }
    }

    /// The accumulator of the macros; no identifier can be written like this.
    static let accumulatorName = "@result"
}
