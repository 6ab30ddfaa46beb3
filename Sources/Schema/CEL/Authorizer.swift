extension CEL {
    /// What an expression asks of the authorizer.
    public struct AuthorizationQuery: Sendable, Equatable {
        /// In whose place to ask; nil for the user of the request.
        public var serviceAccount: ServiceAccount?
        /// Of a request for no resource.
        public var path: String?
        public var group = ""
        public var resource = ""
        public var subresource = ""
        public var namespace = ""
        public var name = ""
        public var verb = ""
        public var fieldSelector = ""
        public var labelSelector = ""

        public struct ServiceAccount: Sendable, Equatable {
            public var namespace: String
            public var name: String
        }

        public init() {}
    }

    public struct AuthorizationDecision: Sendable {
        public var allowed: Bool
        public var reason: String
        public var error: String?

        public init(allowed: Bool, reason: String = "", error: String? = nil) {
            self.allowed = allowed
            self.reason = reason
            self.error = error
        }
    }

    /// The value of `authorizer` and what is built from it, until a verb is checked.
    public struct AuthorizerValue: OpaqueValue {
        public typealias Decide = @Sendable (AuthorizationQuery) -> AuthorizationDecision

        enum Stage: String {
            case authorizer = "Authorizer", path = "PathCheck", group = "GroupCheck", resource = "ResourceCheck"
        }

        let stage: Stage
        var query: AuthorizationQuery
        let decide: Decide

        /// The value of the variable `authorizer`.
        public init(_ decide: @escaping Decide) {
            self.init(.authorizer, AuthorizationQuery(), decide)
        }

        /// The value of `authorizer.requestResource`: a check of what the request itself is for.
        public init(requestResource query: AuthorizationQuery, _ decide: @escaping Decide) {
            self.init(.resource, query, decide)
        }

        private init(_ stage: Stage, _ query: AuthorizationQuery, _ decide: @escaping Decide) {
            self.stage = stage
            self.query = query
            self.decide = decide
        }

        public static let authorizerType = ValueType.opaque("kubernetes.authorization.Authorizer")
        public static let resourceCheckType = ValueType.opaque("kubernetes.authorization.ResourceCheck")

        public var typeName: String { "kubernetes.authorization.\(stage.rawValue)" }
        public var size: Int? { nil }
        public func isEqual(to other: any OpaqueValue) -> Bool {
            (other as? AuthorizerValue).map { $0.stage == stage && $0.query == query } ?? false
        }

        func with(_ stage: Stage, _ change: (inout AuthorizationQuery) -> Void) -> AuthorizerValue {
            var query = query
            change(&query)
            return AuthorizerValue(stage, query, decide)
        }
    }

    struct DecisionValue: OpaqueValue {
        let decision: AuthorizationDecision
        var typeName: String { "kubernetes.authorization.Decision" }
        var size: Int? { nil }
        func isEqual(to other: any OpaqueValue) -> Bool {
            (other as? DecisionValue)?.decision.allowed == decision.allowed
        }
    }

    enum AuthorizerFunctions {
        static func add(to table: inout FunctionTable) {
            step(to: &table, "path", .authorizer, .path) { $0.path = $1 }
            step(to: &table, "group", .authorizer, .group) { $0.group = $1 }
            step(to: &table, "resource", .group, .resource) { $0.resource = $1 }
            step(to: &table, "subresource", .resource, .resource) { $0.subresource = $1 }
            step(to: &table, "namespace", .resource, .resource) { $0.namespace = $1 }
            step(to: &table, "name", .resource, .resource) { $0.name = $1 }
            step(to: &table, "fieldSelector", .resource, .resource) { $0.fieldSelector = $1 }
            step(to: &table, "labelSelector", .resource, .resource) { $0.labelSelector = $1 }
            table["serviceAccount"] = serviceAccount
            table["check"] = check
            for name in ["allowed", "reason", "errored", "error"] {
                table[name] = { (a) throws(Failure) in try part(name, a) }
            }
        }

        private static func part(_ name: String, _ a: [Value]) throws(Failure) -> Value {
            guard a.count == 1, case .opaque(let value) = a[0], let decision = (value as? DecisionValue)?.decision
            else {
                throw .noSuchOverload(name, a)
            }
            switch name {
            case "allowed": return .bool(decision.allowed)
            case "reason": return .string(decision.reason)
            case "errored": return .bool(decision.error != nil)
            default: return .string(decision.error ?? "")
            }
        }

        private static func check(_ a: [Value]) throws(Failure) -> Value {
            guard a.count == 2, case .opaque(let value) = a[0], let check = value as? AuthorizerValue,
                case .string(let verb) = a[1], [.path, .resource].contains(check.stage)
            else { throw .noSuchOverload("check", a) }
            var query = check.query
            query.verb = verb
            return .opaque(DecisionValue(decision: check.decide(query)))
        }

        private static func serviceAccount(_ a: [Value]) throws(Failure) -> Value {
            guard a.count == 3, case .opaque(let value) = a[0], let authorizer = value as? AuthorizerValue,
                authorizer.stage == .authorizer, case .string(let namespace) = a[1], case .string(let name) = a[2]
            else { throw .noSuchOverload("serviceAccount", a) }
            let problems = Formats.dnsSubdomain(name) + Formats.dnsLabel(namespace)
            if let problem = problems.first { throw Failure("invalid service account: \(problem)") }
            let account = AuthorizationQuery.ServiceAccount(namespace: namespace, name: name)
            return .opaque(authorizer.with(.authorizer) { $0.serviceAccount = account })
        }

        private static func step(
            to table: inout FunctionTable, _ name: String, _ from: AuthorizerValue.Stage,
            _ to: AuthorizerValue.Stage, _ change: @escaping @Sendable (inout AuthorizationQuery, String) -> Void
        ) {
            table[name] = { (a) throws(Failure) in
                guard a.count == 2, case .opaque(let value) = a[0], let authorizer = value as? AuthorizerValue,
                    authorizer.stage == from, case .string(let text) = a[1]
                else { throw .noSuchOverload(name, a) }
                return .opaque(authorizer.with(to) { change(&$0, text) })
            }
        }
    }
}
