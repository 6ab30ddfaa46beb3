import Document
import Schema

/// Checks the expressions in a schema: that they compile, and that they can never cost too much.
struct DefinitionExpressions {
    /// The most that one expression may cost, over all values that it is evaluated for.
    private static let expressionLimit: UInt64 = 10_000_000
    /// The most that all expressions of a schema may cost together.
    private static let schemaLimit: UInt64 = 100_000_000
    private static let largestRequest: UInt64 = 3 * 1024 * 1024
    /// How many of the expensive ones are named.
    private static let mostNamed = 4

    /// A schema that is stored already may cost what it costs.
    let isKnown: Bool
    private var errors: [FieldError] = []
    private var total: UInt64 = 0
    private var expensive: [(path: String, cost: UInt64)] = []

    private init(isKnown: Bool) { self.isKnown = isKnown }

    static func errors(_ root: Document, isKnown: Bool, _ path: String) -> [FieldError] {
        var checker = DefinitionExpressions(isKnown: isKnown)
        checker.visit(StructuralSchema(root), path, Place(isResource: true, cardinality: 1, uncorrelatable: nil))
        return checker.errors + checker.totals(path)
    }

    private struct Place {
        var isResource: Bool
        /// How many values of this kind an object can have; nil where nothing bounds them.
        var cardinality: UInt64?
        /// Below this path a value's past cannot be found.
        var uncorrelatable: String?
    }

    private mutating func totals(_ path: String) -> [FieldError] {
        guard total > Self.schemaLimit else { return [] }
        return expensive.map {
            .forbidden(
                $0.path, "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema")
        } + [
            .forbidden(
                path,
                Self.tooExpensive(
                    "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema", total,
                    Self.schemaLimit))
        ]
    }

    private mutating func visit(_ schema: StructuralSchema, _ path: String, _ place: Place) {
        guard schema.hasRules else { return }
        if let other = schema.additional.schema {
            var inner = place
            inner.isResource = false
            inner.cardinality = Self.product(place.cardinality, schema.checks.maxProperties)
            visit(other, path + ".additionalProperties", inner)
        }
        for property in schema.properties {
            var inner = place
            inner.isResource = false
            if schema.mapType == .atomic { inner.uncorrelatable = place.uncorrelatable ?? path }
            visit(property.schema, "\(path).properties[\(property.name)]", inner)
        }
        if let items = schema.items {
            var inner = place
            inner.isResource = false
            inner.cardinality = Self.product(place.cardinality, schema.checks.maxItems)
            if case .map = schema.listKind {} else { inner.uncorrelatable = place.uncorrelatable ?? path }
            visit(items, path + ".items", inner)
        }
        rules(schema, path, place)
    }

    private static func product(_ count: UInt64?, _ most: Int?) -> UInt64? {
        guard let count, let most else { return nil }
        return CEL.CostEstimate.product(count, UInt64(clamping: most))
    }

    private mutating func rules(_ schema: StructuralSchema, _ path: String, _ place: Place) {
        let isWhole = place.isResource || schema.isEmbeddedResource
        guard !schema.rules.isEmpty, let type = CEL.DeclaredType.schema(schema.text, isResourceRoot: isWhole) else {
            return
        }
        // Where nothing bounds them, there are as many as fit into a request.
        let count = place.cardinality ?? Self.largestRequest / UInt64(type.minSerializedSize + 1)
        let given = schema.text.list("x-kubernetes-validations")
        for (index, rule) in schema.rules.enumerated() {
            let here = "\(path).x-kubernetes-validations[\(index)]"
            let environment = RuleEnvironment.make(type, rule)
            let form = DefinitionForm.rule(given[index])
            var usesOld = false
            do throws(CEL.CompileError) {
                let program = try environment.compile(rule.rule)
                usesOld = program.variables.contains("oldSelf")
                charge(program, count, "estimated rule cost", here + ".rule")
                if program.resultType != .bool, program.resultType != .dyn {
                    errors.append(.invalid(here + ".rule", form, "cel expression must evaluate to a bool"))
                }
            } catch {
                errors.append(.invalid(here + ".rule", form, "compilation failed: \(error)"))
            }
            message(rule, environment, form, count, here)
            if usesOld, let path = place.uncorrelatable {
                errors.append(
                    .invalid(
                        here + ".rule", Document(rule.rule),
                        "oldSelf cannot be used on the uncorrelatable portion of the schema within \(path)"))
            } else if !usesOld, let isOptional = rule.optionalOldSelf {
                errors.append(
                    .invalid(
                        here + ".optionalOldSelf", Document(isOptional),
                        "may not be set if oldSelf is not used in rule"))
            }
        }
    }

    private mutating func message(
        _ rule: ValidationRule, _ environment: CEL.Environment, _ form: Document, _ count: UInt64, _ path: String
    ) {
        guard !rule.messageExpression.isEmpty else { return }
        let here = path + ".messageExpression"
        do throws(CEL.CompileError) {
            let program = try environment.compile(rule.messageExpression)
            guard program.resultType == .string else {
                return errors.append(.invalid(here, form, "messageExpression must evaluate to a string"))
            }
            charge(program, count, "estimated messageExpression cost", here)
        } catch {
            errors.append(.invalid(here, form, "messageExpression compilation failed: \(error)"))
        }
    }

    private mutating func charge(_ program: CEL.Program, _ count: UInt64, _ what: String, _ path: String) {
        let cost = CEL.CostEstimate.product(program.estimatedCost.max, count)
        if cost > Self.expressionLimit, !isKnown {
            errors.append(.forbidden(path, Self.tooExpensive(what, cost, Self.expressionLimit)))
        }
        let (sum, overflow) = total.addingReportingOverflow(cost)
        total = overflow ? .max : sum
        expensive.append((path, cost))
        expensive.sort { $0.cost > $1.cost }
        if expensive.count > Self.mostNamed { expensive.removeLast() }
    }

    private static func tooExpensive(_ what: String, _ cost: UInt64, _ limit: UInt64) -> String {
        let factor = Double(cost) / Double(limit)
        let text =
            factor > 100 ? "more than 100x" : factor < 1.5 ? fixed(factor, digits: 6) : fixed(factor, digits: 1)
        return
            "\(what) exceeds budget by factor of \(text) (try simplifying the rule, or adding maxItems, maxProperties, and "
            + "maxLength where arrays, maps, and strings are declared)"
    }

    private static func fixed(_ value: Double, digits: Int) -> String {
        var scale = 1
        for _ in 0..<digits { scale *= 10 }
        let scaled = Int((value * Double(scale)).rounded())
        let fraction = String(scaled % scale)
        return "\(scaled / scale).\(String(repeating: "0", count: digits - fraction.count))\(fraction)x"
    }
}
