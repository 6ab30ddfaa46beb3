import Document

/// Which labels are wanted. Empty wants everything.
public struct LabelSelector: Sendable, Equatable, CustomStringConvertible {
    public enum Operator: Sendable, Equatable { case isIn, notIn, exists, doesNotExist, greater, less }

    public struct Requirement: Sendable, Equatable {
        public var key: String
        public var action: Operator
        public var values: [String]
    }

    public internal(set) var requirements: [Requirement] = []

    public struct ParseError: Error, Sendable, CustomStringConvertible {
        public let description: String

        init(_ description: String) { self.description = description }
    }

    /// Everything.
    public init() {}

    /// Exactly these labels, as the plain selectors of services.
    public init(labels: [String: String]) {
        requirements = labels.sorted { $0.key < $1.key }.map {
            Requirement(key: $0.key, action: .isIn, values: [$0.value])
        }
    }

    /// A `LabelSelector` object; nil where it has an operator that does not exist.
    public init?(_ document: Document) {
        self.init(labels: document.map("matchLabels"))
        for expression in document.list("matchExpressions") {
            let action: Operator
            switch expression.text("operator") {
            case "In": action = .isIn
            case "NotIn": action = .notIn
            case "Exists": action = .exists
            case "DoesNotExist": action = .doesNotExist
            default: return nil
            }
            requirements.append(
                Requirement(
                    key: expression.text("key") ?? "", action: action,
                    values: expression.list("values").compactMap(\.string)))
        }
        requirements.sort { $0.key < $1.key }
    }

    public var isEmpty: Bool { requirements.isEmpty }

    public func matches(_ labels: [String: String]) -> Bool {
        requirements.allSatisfy { requirement in
            let value = labels[requirement.key]
            switch requirement.action {
            case .isIn: return value.map { requirement.values.contains($0) } ?? false
            case .notIn: return value.map { !requirement.values.contains($0) } ?? true
            case .exists: return value != nil
            case .doesNotExist: return value == nil
            case .greater, .less:
                guard let number = value.flatMap({ Int($0) }), let bound = requirement.values.first.flatMap({ Int($0) })
                else { return false }
                return requirement.action == .greater ? number > bound : number < bound
            }
        }
    }

    /// The form of query parameters.
    public var description: String {
        requirements.map { requirement in
            let values = requirement.values.sorted().joined(separator: ",")
            switch requirement.action {
            case .isIn where requirement.values.count == 1: return "\(requirement.key)=\(values)"
            case .isIn: return "\(requirement.key) in (\(values))"
            case .notIn where requirement.values.count == 1: return "\(requirement.key)!=\(values)"
            case .notIn: return "\(requirement.key) notin (\(values))"
            case .exists: return requirement.key
            case .doesNotExist: return "!" + requirement.key
            case .greater: return "\(requirement.key)>\(values)"
            case .less: return "\(requirement.key)<\(values)"
            }
        }.joined(separator: ",")
    }
}
