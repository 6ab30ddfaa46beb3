import Document
import Schema

/// The expressions of a policy, checked in the order in which they may refer to each other.
struct AdmissionExpressions {
    /// What an expression is for; that decides what it sees and what it must come to.
    enum Purpose { case validation, message, auditValue, applyConfiguration, jsonPatch }

    private let hasParams: Bool
    private let makesPatches: Bool
    private var variables: [(name: String, type: CEL.ValueType)] = []

    init(spec: Document) {
        hasParams = spec["paramKind"] != nil
        makesPatches = spec["mutations"] != nil
    }

    /// Makes a variable known to the expressions after it.
    mutating func declare(_ name: String, _ expression: String, _ path: String) -> [FieldError] {
        do throws(CEL.CompileError) {
            variables.append((name, try environment.compile(expression).resultType))
            return []
        } catch {
            // Whoever uses it is not blamed for what is wrong with it.
            variables.append((name, .dyn))
            return [Self.failure(error, path)]
        }
    }

    func check(_ expression: String, _ path: String, _ purpose: Purpose) -> [FieldError] {
        Self.check(expression, path, purpose, environment)
    }

    private var environment: CEL.Environment {
        AdmissionEnvironment.make(hasParams: hasParams, variables: variables, makesPatches: makesPatches)
    }

    /// A match condition, which sees no variables.
    static func condition(_ expression: String, _ path: String, params: Bool) -> [FieldError] {
        check(expression, path, .validation, AdmissionEnvironment.make(hasParams: params, variables: .none))
    }

    private static func failure(_ error: CEL.CompileError, _ path: String) -> FieldError {
        .invalid(path, Document(error.source), "compilation failed: \(error)")
    }

    private static func check(
        _ expression: String, _ path: String, _ purpose: Purpose, _ environment: CEL.Environment
    ) -> [FieldError] {
        let type: CEL.ValueType
        do throws(CEL.CompileError) {
            type = try environment.compile(expression).resultType
        } catch {
            return [failure(error, path)]
        }
        if type == .dyn { return [] }
        let name = type.resultName
        let wanted: String
        switch purpose {
        case .validation where type != .bool: wanted = "bool"
        case .message where type != .string: wanted = "string"
        case .auditValue where type != .string && type != .null: wanted = "one of [string null_type]"
        case .applyConfiguration where name != AdmissionEnvironment.objectName:
            wanted = AdmissionEnvironment.objectName
        case .jsonPatch where name != "list(\(AdmissionEnvironment.patchName))" && name != "list(dyn)":
            wanted = "list(\(AdmissionEnvironment.patchName))"
        default: return []
        }
        return [.invalid(path, Document(expression), "must evaluate to \(wanted) but got \(name)")]
    }

    // MARK: Words

    private static let reserved: Set = [
        "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import",
        "let", "loop", "package", "namespace", "return", "var", "void", "while",
    ]

    static func isIdentifier(_ name: String) -> Bool {
        guard let first = name.utf8.first, first == UInt8(ascii: "_") || isLetter(first) else { return false }
        let rest = name.utf8.allSatisfy { $0 == UInt8(ascii: "_") || isLetter($0) || (48...57).contains($0) }
        return rest && !reserved.contains(name)
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (97...122).contains(byte) || (65...90).contains(byte) }

    static func trimmed(_ text: String?) -> String {
        guard let text else { return "" }
        var rest = Substring(text)
        while let first = rest.first, first.isWhitespace { rest = rest.dropFirst() }
        while let last = rest.last, last.isWhitespace { rest = rest.dropLast() }
        return String(rest)
    }
}
