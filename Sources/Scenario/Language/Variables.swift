import Document

/// `${name}` in any text of a scenario.
struct Variables: Sendable {
    /// Those that every scenario has.
    static let given = ["namespace", "image"]

    private(set) var values: [String: String]

    struct Unknown: Error, CustomStringConvertible {
        var name: String
        var description: String { "the variable ${\(name)} has no value" }
    }

    init(namespace: String, image: String) { values = ["namespace": namespace, "image": image] }

    /// As a script sees them.
    var environment: [String: String] {
        var environment = values
        for name in Self.given { environment[name.uppercased()] = environment.removeValue(forKey: name) }
        return environment
    }

    mutating func set(_ name: String, _ value: String) { values[name] = value }

    static func isName(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { (48...57).contains($0) || (97...122).contains($0 | 32) || $0 == 95 }
    }

    /// The text with what `value` says of each `${name}`; nil is a variable that is not there.
    private static func replace(_ text: String, _ value: (String) throws -> String?) throws -> String {
        guard text.contains("${") else { return text }
        var out = ""
        var rest = Substring(text)
        while let start = rest.firstRange(of: "${") {
            out += rest[..<start.lowerBound]
            rest = rest[start.upperBound...]
            guard let end = rest.firstIndex(of: "}") else { throw Unknown(name: String(rest)) }
            let name = String(rest[..<end])
            guard let value = try value(name) else { throw Unknown(name: name) }
            out += value
            rest = rest[rest.index(after: end)...]
        }
        return out + rest
    }

    func fill(_ text: String) throws -> String { try Self.replace(text) { values[$0] } }

    /// What a text needs.
    static func names(in text: String) throws -> [String] {
        if let name = nameOfValue(text) { return [name] }
        var names: [String] = []
        _ = try replace(text) { name in
            names.append(name)
            return ""
        }
        return names
    }

    func fill(_ text: String?) throws -> String? { try text.map { try fill($0) } }

    /// `${name|json}` alone is what the variable's text says as JSON: a number, a boolean, a list.
    private static func nameOfValue(_ text: String) -> String? {
        guard text.hasPrefix("${"), text.hasSuffix("|json}"), text.firstIndex(of: "}") == text.indices.last else {
            return nil
        }
        return String(text.dropFirst(2).dropLast(6))
    }

    private func value(_ text: String) throws -> Document {
        guard let name = Self.nameOfValue(text) else { return Document(try fill(text)) }
        guard let value = values[name] else { throw Unknown(name: name) }
        do { return try Document(json: Array(value.utf8)) } catch {
            throw StepFailure("the variable ${\(name)} is \"\(value)\", which is no JSON")
        }
    }

    func fill(_ document: Document) throws -> Document {
        switch document.kind {
        case .string: return try value(document.string ?? "")
        case .array: return Document(try document.elements.map { try fill($0) })
        case .object: return Document(members: try document.members.map { (try fill($0.key), try fill($0.value)) })
        default: return document
        }
    }

    func fill(_ document: Document?) throws -> Document? { try document.map { try fill($0) } }

    func fill(_ pattern: TextPattern) throws -> TextPattern {
        // A value is no pattern: what it has of `*` and braces would have to be escaped, and names have none.
        TextPattern(try fill(pattern.text)) ?? pattern
    }

    func fill(_ target: Target) throws -> Target {
        var target = target
        target.apiVersion = try fill(target.apiVersion)
        target.name = try fill(target.name)
        target.namespace = try fill(target.namespace)
        target.labelSelector = try fill(target.labelSelector)
        target.fieldSelector = try fill(target.fieldSelector)
        return target
    }

    func fill(_ claim: TextClaim?) throws -> TextClaim? {
        guard var claim else { return nil }
        claim.equals = try fill(claim.equals)
        claim.contains = try claim.contains.map { try fill($0) }
        claim.pattern = try claim.pattern.map { try fill($0) }
        return claim
    }

    func fill(_ expression: Expression) throws -> Expression {
        Expression(subject: expression.subject, source: try fill(expression.source))
    }

    func fill(_ deed: FaultDeed) throws -> FaultDeed {
        var deed = deed
        deed.what = try fill(deed.what)
        deed.at = try fill(deed.at)
        deed.to = try fill(deed.to)
        deed.name = try fill(deed.name)
        return deed
    }

    func fill(_ claim: Claim) throws -> Claim {
        var claim = claim
        switch claim.subject {
        case .object(let target): claim.subject = .object(try fill(target))
        case .objects(let target): claim.subject = .objects(try fill(target))
        case .log(let pod, let container, let previous):
            claim.subject = .log(pod: try fill(pod), container: try fill(container), previous: previous)
        case .answer(let service, let port, let path):
            claim.subject = .answer(service: try fill(service), port: try fill(port), path: try fill(path))
        case .events(var events):
            events.namespace = try fill(events.namespace)
            events.patterns = try events.patterns.map { ($0.field, try fill($0.pattern)) }
            claim.subject = .events(events)
        case .metrics(var metrics):
            metrics.path = try fill(metrics.path)
            metrics.name = try fill(metrics.name)
            metrics.labels = try metrics.labels.map { ($0.name, try fill($0.pattern)) }
            claim.subject = .metrics(metrics)
        }
        claim.expressions = try claim.expressions.map { try fill($0) }
        claim.matches = try fill(claim.matches)
        claim.each = try fill(claim.each)
        claim.text = try fill(claim.text)
        return claim
    }
}
