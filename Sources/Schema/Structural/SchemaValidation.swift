import Document

// Checking a value against a schema, with the errors that Kubernetes reports for custom resources.
//
// The order of the checks is that of the OpenAPI validator upstream: type, junctions, text, format, number, elements,
// enumeration, members. Each check that passes counts as a match; of several alternatives that all fail, the errors of
// the one with the most matches are shown.

/// What checking one value came to.
struct SchemaFindings {
    var errors: [FieldError] = []
    var matches = 0

    var isValid: Bool { errors.isEmpty }

    mutating func merge(_ other: SchemaFindings) {
        errors += other.errors
        matches += other.matches
    }
}

/// Validates one object, new or changed.
struct SchemaValidator {
    /// Everything below this path is what is being checked; it stands before the names that messages show.
    let prefix: String

    init(prefix: String = "") { self.prefix = prefix }

    /// The value an unchanged part had before: parts that did not change are not checked again.
    enum Past {
        case none
        case value(Document)

        var document: Document? { if case .value(let value) = self { .some(value) } else { .none } }

        func member(_ name: String) -> Past {
            guard let inner = document?[name] else { return .none }
            return .value(inner)
        }
    }

    // MARK: One value

    /// - path: names from the top, as in `spec.ports[0]`; empty for the object itself.
    func check(_ value: Document, _ schema: StructuralSchema, path: String, past: Past = .none) -> SchemaFindings {
        var found = SchemaFindings()
        if let old = past.document, old.means(value) { return found }
        if value.isNull {
            found.merge(type(value, schema, path))
            found.merge(enumeration(value, schema, path))
            return found
        }
        func run(_ result: SchemaFindings) {
            found.merge(result)
            found.matches += 1
        }
        run(type(value, schema, path))
        run(junctions(value, schema, path, past))
        switch value.kind {
        case .string:
            run(text(value, schema, path))
            if !schema.format.isEmpty { run(format(value, schema, path)) }
        case .int, .double: run(number(value, schema, path))
        case .array: run(elements(value, schema, path, past))
        default: break
        }
        run(enumeration(value, schema, path))
        if value.isObject { run(members(value, schema, path, past)) }
        found.matches += 1
        return found
    }

    private func at(_ path: String) -> String {
        if prefix.isEmpty { return path.isEmpty ? "<nil>" : path }
        if path.isEmpty { return prefix }
        return path.hasPrefix("[") ? prefix + path : prefix + "." + path
    }

    private func invalid(_ path: String, _ value: Document, _ what: String) -> FieldError {
        .invalid(at(path), value, "\(path) in body \(what)")
    }

    // MARK: Types

    /// What a value is called in messages about types.
    private static func name(of value: Document) -> String {
        switch value.kind {
        case .null: "null"
        case .bool: "boolean"
        case .int: "integer"
        case .double: "number"
        case .string: "string"
        case .array: "array"
        case .object: "object"
        }
    }

    private func type(_ value: Document, _ schema: StructuralSchema, _ path: String) -> SchemaFindings {
        var found = SchemaFindings()
        if schema.isIntOrString, schema.type.isEmpty {
            if value.isNull, schema.isNullable { return found }
            guard value.int == nil, value.string == nil else { return found }
            found.errors.append(wrongType(value, "integer,string", path))
            return found
        }
        guard !schema.type.isEmpty else { return found }
        if value.isNull {
            if !schema.isNullable { found.errors.append(wrongType(value, schema.type, path)) }
            return found
        }
        let name = Self.name(of: value)
        let fits =
            name == schema.type || (schema.type == "number" && name == "integer")
            || (schema.type == "integer" && value.double.map { $0 == $0.rounded() } == true)
            || (schema.isIntOrString && (name == "integer" || name == "string"))
        if !fits { found.errors.append(wrongType(value, schema.type, path)) }
        return found
    }

    private func wrongType(_ value: Document, _ wanted: String, _ path: String) -> FieldError {
        let name = Document(Self.name(of: value))
        return FieldError(
            .typeInvalid, at(path), "\(path) in body must be of type \(wanted): \(name.jsonText)", badValue: name)
    }

    // MARK: Junctions

    private func junctions(
        _ value: Document, _ schema: StructuralSchema, _ path: String, _ past: Past
    ) -> SchemaFindings {
        var found = SchemaFindings()
        let checks = schema.checks
        found.matches += 1
        guard checks.isJunction else { return found }
        func problem(_ what: String) -> FieldError {
            .invalid(at(""), "", "\(Document(path).jsonText) \(what)")
        }
        if !checks.anyOf.isEmpty {
            let (valid, best) = alternatives(checks.anyOf, value, path, past, stopsAtFirst: true)
            if valid == 0 { found.errors.append(problem("must validate at least one schema (anyOf)")) }
            found.merge(best)
        }
        if !checks.oneOf.isEmpty {
            let (valid, best) = alternatives(checks.oneOf, value, path, past, stopsAtFirst: false)
            if valid != 1 {
                let count = valid == 0 ? "Found none valid" : "Found \(valid) valid alternatives"
                found.errors.append(problem("must validate one and only one schema (oneOf). \(count)"))
                if valid == 0 { found.merge(best) }
            } else {
                found.merge(best)
            }
        }
        var valid = 0
        for inner in checks.allOf {
            let result = check(value, inner, path: path, past: past)
            if result.isValid { valid += 1 }
            found.merge(result)
        }
        if valid != checks.allOf.count {
            found.errors.append(problem("must validate all the schemas (allOf)\(valid == 0 ? ". None validated" : "")"))
        }
        if let inner = checks.not, check(value, inner, path: path).isValid {
            found.errors.append(problem("must not validate the schema (not)"))
        }
        return found
    }

    /// How many alternatives hold, and the findings of the first that does or of the best that does not.
    private func alternatives(
        _ schemas: [StructuralSchema], _ value: Document, _ path: String, _ past: Past, stopsAtFirst: Bool
    ) -> (valid: Int, best: SchemaFindings) {
        var valid = 0
        var success: SchemaFindings?
        var failure: SchemaFindings?
        for schema in schemas {
            let result = check(value, schema, path: path, past: past)
            if result.isValid {
                valid += 1
                if success == nil { success = result }
                if stopsAtFirst { break }
            } else if valid == 0, failure.map({ result.matches > $0.matches }) ?? true {
                failure = result
            }
        }
        return (valid, success ?? failure ?? SchemaFindings())
    }

    // MARK: Scalars

    private func text(_ value: Document, _ schema: StructuralSchema, _ path: String) -> SchemaFindings {
        var found = SchemaFindings()
        guard let text = value.string else { return found }
        let length = text.unicodeScalars.count
        if let most = schema.checks.maxLength, length > most {
            found.errors.append(.tooLong(at(path), limit: most))
        } else if let least = schema.checks.minLength, length < least {
            found.errors.append(invalid(path, value, "should be at least \(least) chars long"))
        } else if let pattern = schema.checks.compiledPattern, !pattern.matches(text) {
            found.errors.append(invalid(path, value, "should match '\(schema.checks.pattern)'"))
        }
        return found
    }

    private func format(_ value: Document, _ schema: StructuralSchema, _ path: String) -> SchemaFindings {
        var found = SchemaFindings()
        if let text = value.string, !OpenAPIFormats.holds(text, schema.format) {
            found.errors.append(
                invalid(path, value, "must be of type \(schema.format): \(value.jsonText)"))
        }
        return found
    }

    private func number(_ value: Document, _ schema: StructuralSchema, _ path: String) -> SchemaFindings {
        var found = SchemaFindings()
        guard let number = value.double else { return found }
        let checks = schema.checks
        if let factor = checks.multipleOf, let divisor = factor.double, divisor > 0 {
            let quotient = number / divisor
            if quotient != quotient.rounded() {
                found.errors.append(invalid(path, value, "should be a multiple of \(factor.jsonText)"))
            }
        }
        if let limit = checks.maximum, let most = limit.double {
            let isExclusive = checks.isMaximumExclusive
            if isExclusive ? number >= most : number > most {
                let words = isExclusive ? "less than" : "less than or equal to"
                found.errors.append(invalid(path, value, "should be \(words) \(limit.jsonText)"))
            }
        }
        if let limit = checks.minimum, let least = limit.double {
            let isExclusive = checks.isMinimumExclusive
            if isExclusive ? number <= least : number < least {
                let words = isExclusive ? "greater than" : "greater than or equal to"
                found.errors.append(invalid(path, value, "should be \(words) \(limit.jsonText)"))
            }
        }
        return found
    }

    private func enumeration(_ value: Document, _ schema: StructuralSchema, _ path: String) -> SchemaFindings {
        var found = SchemaFindings()
        let allowed = schema.checks.enumeration
        if !allowed.isEmpty, !allowed.contains(where: { $0.means(value) }) {
            found.errors.append(.notSupported(at(path), value, allowed.map { $0.string ?? $0.jsonText }))
        }
        return found
    }

    // MARK: Structures

    private func elements(
        _ value: Document, _ schema: StructuralSchema, _ path: String, _ past: Past
    ) -> SchemaFindings {
        var found = SchemaFindings()
        if let items = schema.items {
            let correlation = ListCorrelation(past.document, schema.listKind)
            for (index, element) in value.elements.enumerated() {
                found.merge(
                    check(element, items, path: "\(path)[\(index)]", past: correlation.past(of: element)))
            }
        }
        if let least = schema.checks.minItems, value.count < least {
            found.errors.append(
                .invalid(at(path), Document(value.count), "\(path) in body should have at least \(least) items"))
        }
        if let most = schema.checks.maxItems, value.count > most {
            found.errors.append(tooMany(path, value.count, most))
        }
        return found
    }

    private func tooMany(_ path: String, _ count: Int, _ most: Int) -> FieldError {
        FieldError(
            .tooMany, at(path), "must have at most \(most) \(most == 1 ? "item" : "items")", badValue: Document(count))
    }

    private func members(
        _ value: Document, _ schema: StructuralSchema, _ path: String, _ past: Past
    ) -> SchemaFindings {
        var found = SchemaFindings()
        if let least = schema.checks.minProperties, value.count < least {
            found.errors.append(
                .invalid(at(path), Document(value.count), "\(path) in body should have at least \(least) properties"))
            return found
        }
        if let most = schema.checks.maxProperties, value.count > most {
            found.errors.append(tooMany(path, value.count, most))
            return found
        }
        func here(_ name: String) -> String { path.isEmpty ? name : path + "." + name }
        switch schema.additional {
        case .allowed(false):
            for member in value.members where schema.property(member.key) == nil {
                found.errors.append(
                    .invalid(at(path), "", "\(path).\(member.key) in body is a forbidden property"))
            }
        case .schema(let other):
            for member in value.members.sorted(by: { $0.key < $1.key }) where schema.property(member.key) == nil {
                found.merge(
                    check(member.value, other, path: here(member.key), past: past.member(member.key)))
            }
        default: break
        }
        for property in schema.properties {
            guard let inner = value[property.name] else { continue }
            found.merge(
                check(inner, property.schema, path: here(property.name), past: past.member(property.name)))
        }
        for name in schema.required where value[name] == nil {
            found.errors.append(.required(at(here(name))))
        }
        return found
    }
}

/// Finds what an element of a list was before: by its keys where the list has some. Elements of other lists have no
/// past, and are checked again whenever the list changes.
struct ListCorrelation {
    private var byKey: [String: Document] = [:]
    private var keys: [String] = []

    init(_ old: Document?, _ kind: ListKind) {
        guard let old, case .map(let keys) = kind else { return }
        self.keys = keys
        for element in old.elements { byKey[key(of: element)] = element }
    }

    private func key(of element: Document) -> String {
        keys.map { element[$0]?.jsonText ?? "" }.joined(separator: "\u{0}")
    }

    func past(of element: Document) -> SchemaValidator.Past {
        guard !keys.isEmpty, let old = byKey[key(of: element)] else { return .none }
        return .value(old)
    }
}

extension StructuralSchema {
    /// What is wrong with a default of this schema; `path` is where the default stands.
    public func errors(inDefault value: Document, _ path: String) -> [FieldError] {
        SchemaValidator(prefix: path).check(value, self, path: "").errors
            + ListUniqueness.errors(value, self).map { error in
                var error = error
                error.path = error.path.hasPrefix("[") ? path + error.path : "\(path).\(error.path)"
                return error
            }
    }
}
