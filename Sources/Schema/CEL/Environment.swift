extension CEL {
    /// The parts of the language beyond its core.
    public struct Library: OptionSet, Sendable, Hashable {
        public let rawValue: Int
        public init(rawValue: Int) { self.rawValue = rawValue }

        public static let strings = Library(rawValue: 1 << 0)
        /// `reverse` of strings, which Kubernetes leaves out.
        public static let reversal = Library(rawValue: 1 << 1)
        /// `isSorted`, `sum`, `min`, `max`, `indexOf`, `lastIndexOf` of lists.
        public static let lists = Library(rawValue: 1 << 2)
        /// `slice`, `flatten`, `sort`, `distinct`, `range`, `reverse`, `first`, `last`.
        public static let extendedLists = Library(rawValue: 1 << 3)
        public static let sets = Library(rawValue: 1 << 4)
        public static let math = Library(rawValue: 1 << 5)
        public static let encoders = Library(rawValue: 1 << 6)
        /// `find` and `findAll`.
        public static let regex = Library(rawValue: 1 << 7)
        public static let optionals = Library(rawValue: 1 << 8)
        public static let twoVariables = Library(rawValue: 1 << 9)
        /// `cel.bind`.
        public static let bindings = Library(rawValue: 1 << 10)
        public static let escapedIdentifiers = Library(rawValue: 1 << 11)
        public static let network = Library(rawValue: 1 << 12)
        public static let quantity = Library(rawValue: 1 << 13)
        public static let semver = Library(rawValue: 1 << 14)
        public static let format = Library(rawValue: 1 << 15)
        public static let authorizer = Library(rawValue: 1 << 16)
        public static let jsonPatch = Library(rawValue: 1 << 17)

        /// What every expression in a Kubernetes object may use.
        public static let kubernetes: Library = [
            .strings, .lists, .sets, .regex, .optionals, .twoVariables, .network, .quantity, .semver, .format,
            .authorizer, .extendedLists,
        ]
        public static let all = Library(rawValue: (1 << 18) - 1)
    }

    /// What an expression may refer to. Making one is cheap: what the functions are is shared.
    public struct Environment: Sendable {
        public struct Variable: Sendable {
            public let name: String
            public let type: DeclaredType
        }

        public let library: Library
        public private(set) var variables: [Variable] = []
        /// Structures that expressions can make, by name.
        public var structures: @Sendable (String) -> DeclaredType? = { _ in nil }
        /// Lists and maps written out must have elements of one type.
        public var homogeneousLiterals = true
        /// The namespace in which names are looked up first.
        public var container = ""
        let functions: Functions

        public init(library: Library = .kubernetes) {
            self.library = library
            functions = Functions.declared(by: library)
        }

        public mutating func declare(_ name: String, _ type: DeclaredType) {
            variables.removeAll { $0.name == name }
            variables.append(Variable(name: name, type: type))
        }

        public mutating func declare(_ name: String, _ type: ValueType) { declare(name, DeclaredType(type)) }

        public func declaring(_ name: String, _ type: DeclaredType) -> Environment {
            var copy = self
            copy.declare(name, type)
            return copy
        }

        public func declaring(_ name: String, _ type: ValueType) -> Environment { declaring(name, DeclaredType(type)) }

        func variable(_ name: String) -> DeclaredType? { variables.last { $0.name == name }?.type }

        /// Parses, checks and plans. Throws every issue found, in the order of the text.
        public func compile(_ source: String) throws(CompileError) -> Program {
            try compile(source, isChecked: true)
        }

        /// Without `isChecked`, types are found out at run time only.
        func compile(_ source: String, isChecked: Bool) throws(CompileError) -> Program {
            let scalars = Array(source.unicodeScalars)
            guard scalars.count <= Limit.scalars else {
                let text = "expression code point size exceeds limit: size: \(scalars.count), limit \(Limit.scalars)"
                throw CompileError(source: source, issues: [Issue(0, text)])
            }
            var parser = Parser(scalars, options: library)
            guard let root = parser.parse() else {
                throw CompileError(source: source, issues: parser.errors.sorted { $0.position < $1.position })
            }
            var types = CheckedTypes(nodes: parser.nodes)
            if isChecked {
                var checker = Checker(environment: self, nodes: parser.nodes)
                types = checker.check(root)
                var issues = checker.issues
                if issues.isEmpty { issues = LiteralChecks.issues(root, types) }
                guard issues.isEmpty else {
                    throw CompileError(source: source, issues: issues.sorted { $0.position < $1.position })
                }
            }
            do {
                return try Planner.plan(source: source, root: root, types: types, environment: self)
            } catch {
                throw CompileError(source: source, issues: [error])
            }
        }
    }

    /// What the checker found out, by node.
    struct CheckedTypes {
        var types: [ValueType]
        /// The overloads that a call may mean.
        var overloads: [[String]]
        /// Nodes that name a variable or type by a qualified name.
        var names: [String?]

        init(nodes: Int) {
            types = Array(repeating: .dyn, count: nodes)
            overloads = Array(repeating: [], count: nodes)
            names = Array(repeating: nil, count: nodes)
        }
    }
}
