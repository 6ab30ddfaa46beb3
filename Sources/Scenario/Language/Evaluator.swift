import Document

/// What was seen of a claim's subject.
enum Observation: Sendable {
    case objects([Document])
    /// The object, pod or service that the claim is about is not there, or cannot be asked now.
    case missing(String)
    case text(String, status: Int)
    case samples([MetricSample])
}

/// Decides claims: the pure part of an expectation.
enum Evaluator {
    /// What does not hold, a line each; empty where the claim is true.
    static func problems(_ claim: Claim, _ observation: Observation) -> [String] {
        switch observation {
        case .missing(let why): return claim.isAbsent ? [] : [why]
        case .objects(let objects):
            if case .object = claim.subject { return about(objects.first, claim) }
            if case .events = claim.subject { return about(events: objects, claim) }
            return about(objects, claim)
        case .text(let text, let status):
            var problems: [String] = []
            if let wanted = claim.status, !wanted.allows(status) {
                problems.append("expected HTTP status \(wanted.text), got \(status)")
            }
            if let wanted = claim.text { problems += about(text, wanted) }
            return problems
        case .samples(let samples): return about(samples, claim)
        }
    }

    private static func about(_ samples: [MetricSample], _ claim: Claim) -> [String] {
        var problems: [String] = []
        if let count = claim.count, !count.allows(samples.count) {
            problems.append("expected \(count.text) samples, found \(samples.count)")
        }
        let sum = samples.reduce(0) { $0 + $1.value }
        if let value = claim.value, samples.isEmpty || !value.allows(sum) {
            problems.append(
                samples.isEmpty ? "there is no such sample" : "expected a sum of \(value.text), found \(sum)")
        }
        if !problems.isEmpty { problems += samples.prefix(10).map { "sample \($0.text)" } }
        return problems
    }

    /// An event that happened often is told once, with how often.
    private static func about(events: [Document], _ claim: Claim) -> [String] {
        let seen = events.reduce(0) { sum, event in
            sum + max(1, event.number("series", "count") ?? event.number("count") ?? 1)
        }
        guard let count = claim.count, !count.allows(seen) else { return [] }
        return ["expected \(count.text) events, found \(seen)"]
            + events.prefix(10).map { "event \($0.text("reason") ?? ""): \($0.text("message") ?? "")" }
    }

    private static func about(_ object: Document?, _ claim: Claim) -> [String] {
        guard let object else { return claim.isAbsent ? [] : ["the object does not exist"] }
        if claim.isAbsent { return ["\(name(object)) exists"] }
        return (claim.matches.map { Matcher.differences(object, expected: $0) } ?? [])
            + claim.expressions.flatMap { $0.problems(of: object) }
    }

    private static func about(_ objects: [Document], _ claim: Claim) -> [String] {
        var problems: [String] = []
        let counted = objects.filter { object in
            claim.matches.map { Matcher.differences(object, expected: $0).isEmpty } ?? true
        }
        if let count = claim.count, !count.allows(counted.count) {
            let kind = claim.matches == nil ? "objects" : "matching objects"
            problems.append("expected \(count.text) \(kind), found \(counted.count) of \(objects.count)")
            if let matches = claim.matches {
                for object in objects.prefix(5) {
                    problems += Matcher.differences(object, expected: matches).prefix(5).map {
                        "\(name(object)): \($0)"
                    }
                }
            }
        }
        if let each = claim.each {
            if counted.isEmpty { problems.append("there is no object at all") }
            for object in counted {
                problems += Matcher.differences(object, expected: each).map { "\(name(object)): \($0)" }
            }
        }
        for wanted in claim.distinct {
            let values = Set(counted.flatMap { wanted.values.evaluate(on: $0) }.map { $0.string ?? $0.jsonText })
            if !wanted.bound.allows(values.count) {
                problems.append(
                    "expected \(wanted.bound.text) different values of \(wanted.path), found \(values.sorted())")
            }
        }
        return problems + claim.expressions.flatMap { $0.problems(of: Document(counted)) }
    }

    static func about(_ text: String, _ claim: TextClaim) -> [String] {
        var problems: [String] = []
        if let equals = claim.equals, trimmed(equals) != trimmed(text) {
            problems.append("expected the text \(quoted(trimmed(equals))), found \(quoted(trimmed(text)))")
        }
        for part in claim.contains where !text.contains(part) {
            problems.append("\(quoted(part)) is not in the text \(quoted(text))")
        }
        guard let pattern = claim.pattern else { return problems }
        let matches = text.split(separator: "\n").compactMap { pattern.match($0) }
        let wanted = claim.lines ?? Bound(least: 1)
        if !wanted.allows(matches.count) {
            problems.append(
                "expected \(wanted.text) lines like \(quoted(pattern.text)), found \(matches.count) in \(quoted(text))")
        }
        for (name, bound) in claim.distinct {
            let values = Set(matches.compactMap { $0[name] })
            if !bound.allows(values.count) {
                problems.append("expected \(bound.text) different values of {\(name)}, found \(values.sorted())")
            }
        }
        return problems
    }

    /// A log ends with a newline that nobody means.
    private static func trimmed(_ text: String) -> String {
        text.hasSuffix("\n") ? trimmed(String(text.dropLast())) : text
    }

    private static func quoted(_ text: String) -> String {
        Document(text.utf8.count <= 600 ? text : "…\(text.suffix(600))").jsonText
    }

    private static func name(_ object: Document) -> String {
        "\(object.text("kind") ?? "object") \(object.text("metadata", "name") ?? "")"
    }
}
