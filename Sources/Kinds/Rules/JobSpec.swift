import Document
import Schema

/// What must hold for the spec of a job, in a job or in a cron job's template.
struct JobSpec {
    private let spec: Document
    private let path: String
    private(set) var errors: [FieldError] = []

    private static let mostParallelIndexes = 100_000
    private static let mostFailedIndexes = 100_000
    /// Above so many completions, the counts that go with a limit per index are bounded more narrowly.
    private static let manyCompletions = 100_000
    private static let fewIndexes = 10_000
    private static let mostRules = 20
    private static let mostExitCodes = 255
    private static let mostPatterns = 20
    private static let longestIndexes = 64 * 1024
    private static let longestManager = 63

    init(_ spec: Document, path: String) {
        self.spec = spec
        self.path = path
        counts()
        manager()
        completionMode()
        if let policy = spec["podFailurePolicy"] { failurePolicy(policy, path + ".podFailurePolicy") }
        if let policy = spec["successPolicy"] { successPolicy(policy, path + ".successPolicy") }
        replacementPolicy()
        let template = spec["template"] ?? .emptyObject
        errors += PodTemplates.validate(template, path: path + ".template")
        restartPolicy(template.text("spec", "restartPolicy") ?? "")
    }

    private mutating func invalid(_ field: String, _ value: Document?, _ detail: String) {
        errors.append(.invalid("\(path).\(field)", value, detail))
    }

    private mutating func counts() {
        for field in [
            "parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished",
            "backoffLimitPerIndex", "maxFailedIndexes",
        ] {
            if let number = spec.number(field), number < 0 {
                invalid(field, Document(number), "must be greater than or equal to 0")
            }
        }
        if spec["maxFailedIndexes"] != nil, spec["backoffLimitPerIndex"] == nil {
            errors.append(.required(path + ".backoffLimitPerIndex", "when maxFailedIndexes is specified"))
        }
    }

    private mutating func manager() {
        guard let manager = spec.text("managedBy") else { return }
        let here = path + ".managedBy"
        let parts = manager.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        if manager.isEmpty {
            errors.append(.required(here))
        } else if parts.count != 2 || parts.contains("") {
            invalid("managedBy", Document(manager), "must be a domain-prefixed path (such as \"acme.io/foo\")")
        } else {
            for message in Formats.dnsSubdomain(parts[0]) { invalid("managedBy", Document(parts[0]), message) }
        }
        if manager.utf8.count > Self.longestManager { errors.append(.tooLong(here, limit: Self.longestManager)) }
    }

    private mutating func completionMode() {
        let mode = spec.text("completionMode") ?? "NonIndexed"
        if !["NonIndexed", "Indexed"].contains(mode) {
            errors.append(.notSupported(path + ".completionMode", Document(mode), ["NonIndexed", "Indexed"]))
        }
        if mode == "Indexed" { indexed() }
        guard mode == "NonIndexed" else { return }
        for field in ["backoffLimitPerIndex", "maxFailedIndexes"] {
            if let value = spec[field] { invalid(field, value, "requires indexed completion mode") }
        }
    }

    private mutating func indexed() {
        let completions = spec.number("completions")
        let parallelism = spec.number("parallelism")
        let failed = spec.number("maxFailedIndexes")
        if completions == nil { errors.append(.required(path + ".completions", "when completion mode is Indexed")) }
        if let parallelism, parallelism > Self.mostParallelIndexes {
            invalid(
                "parallelism", Document(parallelism),
                "must be less than or equal to \(Self.mostParallelIndexes) when completion mode is Indexed")
        }
        if let completions, let failed, failed > completions {
            invalid("maxFailedIndexes", Document(failed), "must be less than or equal to completions")
        }
        if let failed, failed > Self.mostFailedIndexes {
            invalid("maxFailedIndexes", Document(failed), "must be less than or equal to \(Self.mostFailedIndexes)")
        }
        guard let completions, completions > Self.manyCompletions, spec["backoffLimitPerIndex"] != nil else { return }
        if failed == nil {
            errors.append(
                .required(
                    path + ".maxFailedIndexes",
                    "must be specified when completions is above \(Self.manyCompletions)"))
        }
        for (field, value) in [("parallelism", parallelism), ("maxFailedIndexes", failed)] {
            guard let value, value > Self.fewIndexes else { continue }
            invalid(
                field, Document(value),
                "must be less than or equal to \(Self.fewIndexes) when completions are above \(Self.manyCompletions) "
                    + "and used with backoff limit per index")
        }
    }

    private mutating func replacementPolicy() {
        guard let policy = spec["podReplacementPolicy"], let text = policy.string else { return }
        let supported = spec["podFailurePolicy"] == nil ? ["Failed", "TerminatingOrFailed"] : ["Failed"]
        if !supported.contains(text) {
            errors.append(.notSupported(path + ".podReplacementPolicy", policy, supported))
        }
    }

    private mutating func restartPolicy(_ policy: String) {
        let here = path + ".template.spec.restartPolicy"
        switch policy {
        case "", "Always": errors.append(.required(here, "valid values: \"OnFailure\", \"Never\""))
        case "Never": break
        case "OnFailure":
            if spec["podFailurePolicy"] != nil {
                errors.append(
                    .invalid(
                        here, Document(policy), "only \"Never\" is supported when podFailurePolicy is specified"))
            }
        default: errors.append(.notSupported(here, Document(policy), ["OnFailure", "Never"]))
        }
    }

    // MARK: What failed pods mean

    private static let actions = ["Count", "FailIndex", "FailJob", "Ignore"]
    private static let statuses = ["False", "True", "Unknown"]

    private static func quoted(_ names: [String]) -> String {
        "valid values: [" + names.map { "\"\($0)\"" }.joined(separator: " ") + "]"
    }

    private mutating func failurePolicy(_ policy: Document, _ path: String) {
        let rules = policy.list("rules")
        if rules.count > Self.mostRules { errors.append(.tooMany(path + ".rules", rules.count, Self.mostRules)) }
        let containers = (spec.list("template", "spec", "containers") + spec.list("template", "spec", "initContainers"))
            .compactMap { $0.text("name") }
        for (index, rule) in rules.enumerated() { failureRule(rule, "\(path).rules[\(index)]", Set(containers)) }
    }

    private mutating func failureRule(_ rule: Document, _ path: String, _ containers: Set<String>) {
        let action = rule.text("action") ?? ""
        if action.isEmpty {
            errors.append(.required(path + ".action", Self.quoted(Self.actions)))
        } else if action == "FailIndex" {
            if spec["backoffLimitPerIndex"] == nil {
                errors.append(
                    .invalid(path + ".action", Document(action), "requires the backoffLimitPerIndex to be set"))
            }
        } else if !Self.actions.contains(action) {
            errors.append(.notSupported(path + ".action", Document(action), Self.actions))
        }
        let codes = rule["onExitCodes"]
        let patterns = rule.list("onPodConditions")
        if let codes { exitCodes(codes, path + ".onExitCodes", containers) }
        conditions(patterns, path + ".onPodConditions")
        if codes != nil, !patterns.isEmpty {
            errors.append(.wrong(path, "specifying both OnExitCodes and OnPodConditions is not supported"))
        }
        if codes == nil, patterns.isEmpty {
            errors.append(.wrong(path, "specifying one of OnExitCodes and OnPodConditions is required"))
        }
    }

    private mutating func conditions(_ patterns: [Document], _ path: String) {
        if patterns.count > Self.mostPatterns { errors.append(.tooMany(path, patterns.count, Self.mostPatterns)) }
        for (index, pattern) in patterns.enumerated() {
            let type = pattern.text("type") ?? ""
            errors += Formats.qualifiedName(type).map { .invalid("\(path)[\(index)].type", Document(type), $0) }
            let status = pattern.text("status") ?? ""
            if status.isEmpty {
                errors.append(.required("\(path)[\(index)].status", Self.quoted(Self.statuses)))
            } else if !Self.statuses.contains(status) {
                errors.append(.notSupported("\(path)[\(index)].status", Document(status), Self.statuses))
            }
        }
    }

    private mutating func exitCodes(_ codes: Document, _ path: String, _ containers: Set<String>) {
        let action = codes.text("operator") ?? ""
        if action.isEmpty {
            errors.append(.required(path + ".operator", Self.quoted(["In", "NotIn"])))
        } else if !["In", "NotIn"].contains(action) {
            errors.append(.notSupported(path + ".operator", Document(action), ["In", "NotIn"]))
        }
        if let name = codes.text("containerName"), !containers.contains(name) {
            errors.append(
                .invalid(
                    path + ".containerName", Document(name),
                    "must be one of the container or initContainer names in the pod template"))
        }
        let values = codes.list("values").compactMap(\.int)
        if values.isEmpty {
            errors.append(.invalid(path + ".values", codes["values"], "at least one value is required"))
        } else if values.count > Self.mostExitCodes {
            errors.append(.tooMany(path + ".values", values.count, Self.mostExitCodes))
        }
        var seen: Set<Int> = []
        for (index, value) in values.enumerated() {
            let here = "\(path).values[\(index)]"
            if action == "In", value == 0 {
                errors.append(.invalid(here, 0, "must not be 0 for the In operator"))
            }
            if !seen.insert(value).inserted { errors.append(.duplicate(here, Document(value))) }
        }
        if zip(values, values.dropFirst()).contains(where: { $0 > $1 }) {
            errors.append(.invalid(path + ".values", codes["values"], "must be ordered"))
        }
    }

    // MARK: When it is complete

    private mutating func successPolicy(_ policy: Document, _ path: String) {
        let rules = policy.list("rules")
        guard spec.text("completionMode") == "Indexed" else {
            let shown = rules.map { rule -> Document in
                [
                    "SucceededIndexes": rule["succeededIndexes"] ?? .null,
                    "SucceededCount": rule["succeededCount"] ?? .null,
                ]
            }
            errors.append(
                .invalid(
                    path, ["Rules": rules.isEmpty ? .null : Document(shown)], "requires indexed completion mode"))
            return
        }
        if rules.isEmpty {
            errors.append(
                .required(path + ".rules", "at least one rules must be specified when the successPolicy is specified"))
        }
        if rules.count > Self.mostRules { errors.append(.tooMany(path + ".rules", rules.count, Self.mostRules)) }
        for (index, rule) in rules.enumerated() { successRule(rule, "\(path).rules[\(index)]") }
    }

    private mutating func successRule(_ rule: Document, _ path: String) {
        let completions = spec.number("completions") ?? 0
        let count = rule.number("succeededCount")
        let indexes = rule.text("succeededIndexes")
        if count == nil, indexes == nil {
            errors.append(.required(path, "at least one of succeededCount or succeededIndexes must be specified"))
        }
        var total = 0
        if let indexes {
            let here = path + ".succeededIndexes"
            if indexes.utf8.count > Self.longestIndexes { errors.append(.tooLong(here, limit: Self.longestIndexes)) }
            switch JobIndexes.parse(indexes, completions: completions) {
            case .success(let intervals): total = intervals.reduce(0) { $0 + $1.count }
            case .failure(let problem):
                errors.append(
                    .invalid(here, Document(indexes), "error parsing succeededIndexes: \(problem.text)"))
            }
        }
        guard let count else { return }
        let here = path + ".succeededCount"
        if count < 0 { errors.append(.invalid(here, Document(count), "must be greater than or equal to 0")) }
        if count > completions {
            errors.append(
                .invalid(
                    here, Document(count),
                    "must be less than or equal to \(completions) (the number of specified completions)"))
        }
        if indexes != nil, count > total {
            errors.append(
                .invalid(
                    here, Document(count),
                    "must be less than or equal to \(total) (the number of indexes in the specified succeededIndexes "
                        + "field)"))
        }
    }
}

/// Sets of a job's indexes, written as rising intervals: `1,3-5,7`.
enum JobIndexes {
    struct Problem: Error { let text: String }

    /// The intervals, or what is wrong with the first one that is wrong.
    static func parse(_ text: String, completions: Int) -> Result<[ClosedRange<Int>], Problem> {
        if text.isEmpty { return .success([]) }
        var intervals: [ClosedRange<Int>] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            switch interval(part, completions) {
            case .failure(let problem): return .failure(problem)
            case .success(let interval):
                if let last = intervals.last, last.upperBound >= interval.lowerBound {
                    return .failure(disorder(last.upperBound, interval.lowerBound))
                }
                intervals.append(interval)
            }
        }
        return .success(intervals)
    }

    private static func disorder(_ previous: Int, _ current: Int) -> Problem {
        Problem(text: "non-increasing order, previous: \(previous), current: \(current)")
    }

    private static func interval(_ text: Substring, _ completions: Int) -> Result<ClosedRange<Int>, Problem> {
        let limits = text.split(separator: "-", omittingEmptySubsequences: false)
        if limits.count > 2 {
            return .failure(
                Problem(
                    text:
                        "the fragment \(Document(String(text)).jsonText) violates the requirement that an index interval "
                        + "can have at most two parts separated by '-'"))
        }
        var numbers: [Int] = []
        for limit in limits {
            let quoted = Document(String(limit)).jsonText
            guard let number = Int(limit) else {
                return .failure(Problem(text: "cannot convert string to integer for index: \(quoted)"))
            }
            if number >= completions { return .failure(Problem(text: "too large index: \(quoted)")) }
            numbers.append(number)
        }
        let (first, last) = (numbers[0], numbers[numbers.count - 1])
        if numbers.count == 2, first >= last { return .failure(disorder(first, last)) }
        return .success(first...last)
    }

    /// An index that is in both sets.
    static func overlap(_ a: String, _ b: String, completions: Int) -> Int? {
        guard case .success(let left) = parse(a, completions: completions),
            case .success(let right) = parse(b, completions: completions)
        else { return nil }
        var (i, j) = (0, 0)
        while i < left.count, j < right.count {
            if left[i].overlaps(right[j]) { return max(left[i].lowerBound, right[j].lowerBound) }
            if left[i].lowerBound <= right[j].lowerBound { i += 1 } else { j += 1 }
        }
        return nil
    }
}
