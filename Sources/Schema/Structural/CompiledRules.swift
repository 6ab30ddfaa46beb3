import Document

/// The rules of a schema as programs, in the shape of the schema, so that a value and its rules are walked together.
public final class CompiledRules: CustomRules {
    /// Of all rules on one object together.
    static let objectBudget: UInt64 = 10_000_000
    /// Of one rule on one value.
    static let callLimit: UInt64 = 1_000_000

    struct Rule: Sendable {
        let rule: ValidationRule
        let program: CEL.Program?
        let fault: String
        let message: CEL.Program?
        let usesOld: Bool

        init(_ rule: ValidationRule, type: CEL.DeclaredType) {
            self.rule = rule
            let environment = RuleEnvironment.make(type, rule)
            do throws(CEL.CompileError) {
                program = try environment.compile(rule.rule)
                fault = ""
            } catch {
                program = nil
                fault = "\(error)"
            }
            // A message that cannot be made gives way to the plain one.
            message =
                rule.messageExpression.isEmpty ? nil : try? environment.compile(rule.messageExpression)
            usesOld = program?.variables.contains("oldSelf") ?? false
        }
    }

    let rules: [Rule]
    let type: CEL.DeclaredType?
    let properties: [String: CompiledRules]
    let items: CompiledRules?
    let additional: CompiledRules?

    public convenience init(_ schema: StructuralSchema) { self.init(schema, isResource: true) }

    init(_ schema: StructuralSchema, isResource: Bool) {
        let isWhole = isResource || schema.isEmbeddedResource
        let type = schema.rules.isEmpty ? nil : CEL.DeclaredType.schema(schema.text, isResourceRoot: isWhole)
        self.type = type
        rules = type.map { type in schema.rules.map { Rule($0, type: type) } } ?? []
        func inner(_ schema: StructuralSchema?) -> CompiledRules? {
            guard let schema, schema.hasRules else { return nil }
            return CompiledRules(schema, isResource: false)
        }
        var properties: [String: CompiledRules] = [:]
        for property in schema.properties { properties[property.name] = inner(property.schema) }
        self.properties = properties
        items = inner(schema.items)
        additional = inner(schema.additional.schema)
    }

    public func check(_ object: Document, old: Document?, schema: StructuralSchema) -> [FieldError] {
        var run = Run()
        var past = SchemaValidator.Past.none
        if let old { past = .value(old) }
        run.check(object, past, self, schema, path: "")
        return run.errors
    }

    /// One walk through one object.
    private struct Run {
        var errors: [FieldError] = []
        private var budget = CompiledRules.objectBudget
        private var isOver = false

        mutating func check(
            _ value: Document, _ past: SchemaValidator.Past, _ compiled: CompiledRules, _ schema: StructuralSchema,
            path: String
        ) {
            guard !isOver, !value.isNull else { return }
            if let type = compiled.type { rules(value, past, compiled.rules, type, schema, path) }
            switch value.kind {
            case .array:
                guard let inner = compiled.items, let items = schema.items else { return }
                let correlation = ListCorrelation(past.document, schema.listKind)
                for (index, element) in value.elements.enumerated() {
                    check(element, correlation.past(of: element), inner, items, path: "\(path)[\(index)]")
                }
            case .object:
                // An atomic map is one value: its members have no past of their own.
                let isAtomic = schema.mapType == .atomic
                for member in value.members.sorted(by: { $0.key < $1.key }) {
                    let before = isAtomic ? .none : past.member(member.key)
                    let here = path.isEmpty ? member.key : path + "." + member.key
                    if let property = schema.property(member.key) {
                        guard let inner = compiled.properties[member.key] else { continue }
                        check(member.value, before, inner, property, path: here)
                    } else if let inner = compiled.additional, let other = schema.additional.schema {
                        check(member.value, before, inner, other, path: here)
                    }
                }
            default: break
            }
        }

        private mutating func rules(
            _ value: Document, _ past: SchemaValidator.Past, _ rules: [Rule], _ type: CEL.DeclaredType,
            _ schema: StructuralSchema, _ path: String
        ) {
            let isUnchanged = past.document.map { $0.means(value) } ?? false
            var bindings = CEL.Bindings()
            bindings["self"] = CEL.Value(value, as: type)
            let place = path.isEmpty ? "<nil>" : path
            for rule in rules where !isOver {
                let mayMissOld = rule.rule.optionalOldSelf == true
                if rule.usesOld, past.document == nil, !mayMissOld { continue }
                // What was let in once may stay, as long as nobody touches it.
                if isUnchanged, !rule.usesOld { continue }
                guard let program = rule.program else {
                    errors.append(
                        .invalid(place, Document(schema.type), "rule compile error: \(rule.fault)"))
                    continue
                }
                if rule.usesOld {
                    let old = past.document.map { CEL.Value($0, as: type) }
                    bindings["oldSelf"] = mayMissOld ? .optional(old) : old
                } else {
                    bindings["oldSelf"] = nil
                }
                let result = program.evaluate(bindings, costLimit: min(budget, CompiledRules.callLimit))
                spend(result.cost)
                finish(result, rule, bindings, value, schema, path, place)
            }
        }

        private mutating func spend(_ cost: UInt64) { budget = cost >= budget ? 0 : budget - cost }

        private mutating func finish(
            _ result: CEL.Evaluation, _ rule: Rule, _ bindings: CEL.Bindings, _ value: Document,
            _ schema: StructuralSchema, _ path: String, _ place: String
        ) {
            let shown = Self.text(rule.rule)
            switch result.result {
            case .success(let answer):
                guard answer.bool != true else { return }
                let detail = message(of: rule, bindings)
                errors.append(Self.error(rule.rule, detail, value, schema, path, place))
            case .failure(let failure) where failure.isCostLimit && budget == 0:
                isOver = true
                errors.append(
                    .invalid(
                        "<nil>", .null,
                        "validation failed due to running out of cost budget, no further validation rules will be run"))
            case .failure(let failure) where failure.isCostLimit:
                isOver = true
                errors.append(
                    .invalid(
                        place, Document(schema.type),
                        "\(failure): no further validation rules will be run due to call cost exceeds limit for rule: \(shown)"
                    ))
            case .failure(let failure):
                errors.append(
                    .invalid(place, Document(schema.type), "\(failure) evaluating rule: \(shown)"))
            }
        }

        /// What a failed rule says for itself.
        private mutating func message(of rule: Rule, _ bindings: CEL.Bindings) -> String {
            if let program = rule.message {
                let made = program.evaluate(bindings, costLimit: min(budget, CompiledRules.callLimit))
                spend(made.cost)
                if case .success(let value) = made.result, let text = value.string,
                    text.contains(where: { !$0.isWhitespace }), !text.contains(where: \.isNewline)
                {
                    return text
                }
            }
            return rule.rule.message.isEmpty ? "failed rule: \(Self.text(rule.rule))" : rule.rule.message
        }

        private static func text(_ rule: ValidationRule) -> String {
            var text = Substring(rule.rule)
            while text.first?.isWhitespace == true { text.removeFirst() }
            while text.last?.isWhitespace == true { text.removeLast() }
            return rule.message.isEmpty ? String(text) : rule.message
        }

        private static func error(
            _ rule: ValidationRule, _ detail: String, _ value: Document, _ schema: StructuralSchema, _ path: String,
            _ place: String
        ) -> FieldError {
            var place = place
            if !rule.fieldPath.isEmpty {
                let below = rule.fieldPath.hasPrefix(".") ? String(rule.fieldPath.dropFirst()) : rule.fieldPath
                place = path.isEmpty || below.hasPrefix("[") ? path + below : path + "." + below
            }
            // Whole structures are not shown.
            let isStructure = value.isObject || value.isArray
            switch rule.reason {
            case "FieldValueForbidden": return .forbidden(place, detail)
            case "FieldValueRequired": return .required(place, detail)
            case "FieldValueDuplicate":
                var error = FieldError(.duplicate, place, detail)
                if !isStructure { error.badValue = .some(value) }
                return error
            default:
                var error = FieldError(.invalid, place, detail)
                if !isStructure { error.badValue = .some(value) }
                return error
            }
        }
    }
}

/// What rules of a custom resource may refer to.
public enum RuleEnvironment {
    public static func make(_ type: CEL.DeclaredType, _ rule: ValidationRule) -> CEL.Environment {
        var environment = CEL.Environment(library: .kubernetes)
        environment.declare("self", type)
        if rule.optionalOldSelf == true {
            environment.declare("oldSelf", .optional(type.valueType))
        } else {
            environment.declare("oldSelf", type)
        }
        return environment
    }
}
