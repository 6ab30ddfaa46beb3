import Document

extension Scenario {
    /// Reads a scenario file. `file` is what errors call it, and gives the scenario its id.
    public init(yaml bytes: [UInt8], file: String) throws {
        let document: Document
        let positions: YAMLPositions
        do {
            (document, positions) = try Document.yamlWithPositions(bytes)
        } catch let error as DocumentError {
            throw ScenarioError(file: file, line: error.line, column: error.column, message: error.message)
        }
        let reader = try FieldReader(
            document, file: file, path: "", positions: positions, shape: Grammar.shape("scenario"))
        var id = file.split(separator: "/").last.map(String.init) ?? file
        for ending in [".yaml", ".yml"] where id.hasSuffix(ending) { id.removeLast(ending.count) }
        self.id = id
        self.file = id
        name = try reader.requiredText("name")
        description = try reader.text("description") ?? ""
        tags = try reader.texts("tags")
        behaviours = try reader.texts("behaviours")
        timeout = try reader.duration("timeout") ?? Self.defaultTimeout
        requires = try reader.texts("requires").map { text in
            guard let requirement = Requirement(text) else {
                throw reader.error("\"\(text)\" is nothing to require; known are \(Requirement.known)", at: "requires")
            }
            return requirement
        }
        variables = try reader.pairs("variables")
        cases = try Self.cases(reader)
        let steps = try reader.children("steps")
        let cleanup = reader.has("cleanup") ? try reader.children("cleanup") : []
        try reader.finish()
        guard !steps.isEmpty else { throw reader.error("a scenario without steps shows nothing", at: "steps") }
        guard steps.count + cleanup.count <= Self.mostSteps else {
            throw reader.error("more than \(Self.mostSteps) steps", at: "steps")
        }
        self.steps = try steps.enumerated().map { try StepReader(reader: $1).step(number: "\($0 + 1)") }
        self.cleanup = try cleanup.enumerated().map {
            try StepReader(reader: $1, word: "cleanup").step(number: "\($0 + 1)")
        }
        try VariableCheck.run(document) { reader.error($0, at: $1) }
        if (self.steps + self.cleanup).contains(where: \.action.needsMachinery), !requires.contains(.clusterOfLab) {
            requires.append(.clusterOfLab)
        }
    }

    private static func cases(_ reader: FieldReader) throws -> [Row] {
        guard reader.has("cases") else { return [] }
        let readers = try reader.children("cases")
        guard (1...mostCases).contains(readers.count) else {
            throw reader.error("one to \(mostCases) cases", at: "cases")
        }
        var rows: [Row] = []
        for reader in readers {
            let name = try reader.requiredText("name")
            guard !rows.contains(where: { $0.name == name }) else {
                throw reader.error("two cases are called \"\(name)\"", at: "name")
            }
            rows.append(Row(name: name, values: try StepReader.row(reader, besides: ["name"])))
        }
        return rows
    }
}

/// Reads one step: exactly one action, and what may stand beside it.
struct StepReader {
    let reader: FieldReader
    /// What the step is called in reports.
    var word = "step"
    var depth = 0

    private static let deepest = 4
    private static let mostRounds = 1_000

    func step(number: String) throws -> Step {
        let chosen = Grammar.actionNames.filter { reader.has($0) }
        guard chosen.count == 1, let name = chosen.first else {
            throw reader.error(
                (chosen.isEmpty ? "no action" : "more than one action: \(chosen.joined(separator: ", "))")
                    + "; a step is one of \(Grammar.actionNames.joined(separator: ", "))")
        }
        let action = name == "steps" ? .steps(try group(number)) : try action(name)
        let label = "\(word) \(number) (line \(reader.line)): \(try reader.text("name") ?? name)"
        let step = Step(
            action: action, actor: try actor(), failure: try failure(for: action), saves: try saves(), label: label,
            timeout: try reader.duration("timeout"), rounds: try rounds())
        try reader.finish()
        return step
    }

    private func group(_ number: String) throws -> [Step] {
        guard depth < Self.deepest else { throw reader.error("steps within steps too deep", at: "steps") }
        let readers = try reader.children("steps")
        guard (1...Scenario.mostSteps).contains(readers.count) else {
            throw reader.error("no steps, or more than \(Scenario.mostSteps)", at: "steps")
        }
        return try readers.enumerated().map {
            try StepReader(reader: $1, word: word, depth: depth + 1).step(number: "\(number).\($0 + 1)")
        }
    }

    /// `{NAME: [a, b]}`, `{NAME: 3}`, or a list of objects.
    private func rounds() throws -> [[(name: String, value: String)]]? {
        guard let value = reader.value("each") else { return nil }
        var rounds: [[(name: String, value: String)]] = []
        if value.isArray {
            for element in try reader.children("each") { rounds.append(try Self.row(element)) }
        } else {
            let fields = try reader.child("each")
            guard fields.keys.count == 1, let name = fields.keys.first, let values = fields.value(name) else {
                throw reader.error("expected one name with a list or a number, or a list of objects", at: "each")
            }
            try Self.check(name, fields)
            if let count = values.int, count > 0, count <= Self.mostRounds {
                rounds = (1...count).map { [(name, "\($0)")] }
            } else {
                rounds = try values.elements.map { [(name, try Self.scalar($0, fields, name))] }
            }
        }
        guard (1...Self.mostRounds).contains(rounds.count) else {
            throw reader.error("no rounds, or more than \(Self.mostRounds)", at: "each")
        }
        return rounds
    }

    static func row(_ fields: FieldReader, besides: Set<String> = []) throws -> [(name: String, value: String)] {
        try fields.keys.filter { !besides.contains($0) }.map { name in
            try check(name, fields)
            return (name, try scalar(fields.value(name) ?? .null, fields, name))
        }
    }

    private static func check(_ name: String, _ fields: FieldReader) throws {
        if name == "true" || name == "false" {
            throw fields.error("YAML takes n, y, on, off, yes, no for true and false: choose another name", at: name)
        }
        guard Variables.isName(name), !Variables.given.contains(name) else {
            throw fields.error("no name for a variable", at: name)
        }
    }

    private static func scalar(_ value: Document, _ fields: FieldReader, _ name: String) throws -> String {
        switch value.kind {
        case .string: return value.string ?? ""
        case .int, .double, .bool: return value.jsonText
        default: throw fields.error("expected a text", at: name)
        }
    }

    private func action(_ name: String) throws -> Action {
        switch name {
        case "apply": return .apply(try objects(name))
        case "create": return .create(try objects(name))
        case "patch":
            let patch = try reader.child("patch")
            let target = try target(patch, named: true)
            let type = try patch.text("type") ?? "merge"
            guard ["merge", "strategic", "json"].contains(type) else {
                throw patch.error("one of merge, strategic, json", at: "type")
            }
            let body = try patch.required("patch")
            let subresource = try patch.text("subresource")
            try patch.finish()
            return .patch(target, body, type: type, subresource: subresource)
        case "delete":
            let fields = try reader.child("delete")
            let target = try target(fields, named: nil)
            try fields.finish()
            return .delete(target)
        case "request": return .request(try request(try reader.child("request")))
        case "script": return .script(try reader.requiredText("script"))
        case "wait":
            guard let duration = try reader.duration("wait") else { throw reader.error("how long?", at: "wait") }
            return .wait(duration)
        case "exec": return .exec(try exec(try reader.child("exec")))
        case "fault": return .fault(try fault(try reader.child("fault")))
        case "snapshot": return .snapshot(try reader.requiredText("snapshot"))
        case "restore": return .restore(try reader.requiredText("restore"))
        case "node":
            let fields = try reader.child("node")
            let chosen = NodeDeed.Verb.allCases.filter { fields.has($0.rawValue) }
            guard chosen.count == 1, let verb = chosen.first else {
                throw fields.error("one of stop, start, remove, add")
            }
            let deed = NodeDeed(verb: verb, what: try fields.requiredText(verb.rawValue))
            try fields.finish()
            return .node(deed)
        default: return .expect(try expectation(name))
        }
    }

    /// One object, or a list of them. Each must say what it is.
    private func objects(_ key: String) throws -> [Document] {
        let value = try reader.required(key)
        let objects = value.isArray ? value.elements : [value]
        for object in objects {
            guard object.isObject, object.text("apiVersion") != nil, object.text("kind") != nil else {
                throw reader.error("every object needs apiVersion and kind", at: key)
            }
            guard object.text("metadata", "name") != nil || object.text("metadata", "generateName") != nil else {
                throw reader.error("every object needs metadata.name or generateName", at: key)
            }
        }
        guard !objects.isEmpty else { throw reader.error("no objects", at: key) }
        return objects
    }

    /// `named`: a name is needed (true), a selector is allowed instead (nil), several objects are meant (false).
    private func target(_ fields: FieldReader, named: Bool?) throws -> Target {
        var target = Target(kind: try fields.requiredText("kind"))
        target.apiVersion = try fields.text("apiVersion")
        target.namespace = try fields.text("namespace")
        if named != false { target.name = try fields.text("name") }
        if named != true {
            target.labelSelector = try fields.text("selector")
            target.fieldSelector = try fields.text("fieldSelector")
        }
        if named == true, target.name == nil { throw fields.error("the field name is missing") }
        if named == nil, (target.name == nil) == (target.labelSelector == nil && target.fieldSelector == nil) {
            throw fields.error("either a name or a selector")
        }
        return target
    }

    private func request(_ fields: FieldReader) throws -> RawRequest {
        let path = try fields.requiredText("path")
        guard path.hasPrefix("/") else { throw fields.error("must start with /", at: "path") }
        let request = RawRequest(
            method: try fields.text("method") ?? "GET", path: path, body: fields.value("body"),
            contentType: try fields.text("contentType") ?? "application/json", accept: try fields.text("accept"),
            status: try fields.bound("status") ?? Bound(least: 200, most: 299), matches: fields.value("matches"),
            text: try textClaim(fields, allowsLines: true), expressions: try expressions(fields, .answer))
        try fields.finish()
        return request
    }

    private func fault(_ fields: FieldReader) throws -> FaultDeed {
        let verb: FaultDeed.Verb = fields.has("remove") ? .remove : .add
        guard !(fields.has("add") && verb == .remove) else { throw fields.error("either add or remove") }
        var deed = FaultDeed(verb: verb, what: try fields.requiredText(verb.rawValue))
        if verb == .add {
            guard FaultDeed.kinds.contains(deed.what) || deed.what.contains("${") else {
                throw fields.error(
                    "\"\(deed.what)\" is no kind of fault; known are \(FaultDeed.kinds.joined(separator: ", "))",
                    at: "add")
            }
            deed.at = try fields.text("at")
            deed.to = try fields.text("to")
            deed.name = try fields.text("name")
            deed.lasts = try fields.duration("for")
            deed.percent = try fields.number("percent")
            deed.rate = try fields.text("rate")
            deed.delay = try fields.duration("delay")
            deed.isOneWay = try fields.flag("oneWay")
        }
        try fields.finish()
        return deed
    }

    private func expressions(_ fields: FieldReader, _ subject: Expression.Subject) throws -> [Expression] {
        try fields.texts("cel").map { source in
            let expression = Expression(subject: subject, source: source)
            if !source.contains("${"), let problem = expression.problem { throw fields.error(problem, at: "cel") }
            return expression
        }
    }

    private func exec(_ fields: FieldReader) throws -> ExecCall {
        func text(_ key: String) throws -> TextClaim? {
            guard fields.has(key) else { return nil }
            let inner = try fields.child(key)
            let claim = try textClaim(inner, allowsLines: true)
            try inner.finish()
            guard let claim else { throw fields.error("say equals, contains or pattern", at: key) }
            return claim
        }
        let command = try fields.texts("command")
        guard !command.isEmpty else { throw fields.error("the field command is missing") }
        let call = ExecCall(
            pod: try fields.requiredText("pod"), namespace: try fields.text("namespace"),
            container: try fields.text("container"), command: command, input: try fields.text("stdin"),
            exit: try fields.bound("exit") ?? .exactly(0), output: try text("stdout"), errors: try text("stderr"))
        try fields.finish()
        return call
    }

    private func actor() throws -> Actor? {
        guard reader.has("as") else { return nil }
        let fields = try reader.child("as")
        let user = try fields.text("user")
        let account = try fields.text("serviceAccount")
        let groups = try fields.texts("groups")
        try fields.finish()
        switch (user, account) {
        case (let user?, nil): return .user(user, groups: groups)
        case (nil, let account?):
            guard groups.isEmpty else { throw fields.error("a service account has its own groups", at: "groups") }
            return .serviceAccount(account)
        default: throw fields.error("either user or serviceAccount")
        }
    }

    private func failure(for action: Action) throws -> Step.Failure? {
        guard reader.has("fails") else { return nil }
        switch action {
        case .apply, .create, .patch, .delete, .exec: break
        default: throw reader.error("only apply, create, patch, delete and exec may be expected to fail", at: "fails")
        }
        let fields = try reader.child("fails")
        let failure = Step.Failure(
            code: try fields.number("code"), reason: try fields.text("reason"),
            message: try fields.text("message").map { try pattern($0, fields, "message") })
        try fields.finish()
        guard failure.code != nil || failure.reason != nil || failure.message != nil else {
            throw reader.error("say code, reason or message", at: "fails")
        }
        return failure
    }

    private func saves() throws -> [(name: String, path: JSONPath)] {
        guard reader.has("save") else { return [] }
        let fields = try reader.child("save")
        return try fields.keys.map { name in
            guard Variables.isName(name), !Variables.given.contains(name) else {
                throw fields.error("no name for a variable", at: name)
            }
            return (name, try jsonPath(try fields.requiredText(name), fields, name))
        }
    }

    // MARK: Expectations

    private static let subjects = ["object", "objects", "log", "answer", "events", "metrics"]

    private func expectation(_ name: String) throws -> Expectation {
        guard let mode = Expectation.Mode(rawValue: name) else { throw reader.error("unknown action \(name)") }
        let there = try reader.required(name)
        let subjects = Self.subjects.filter { there.isObject && there[$0] != nil }
        guard subjects.count == 1, let subject = subjects.first else {
            throw reader.error("exactly one of \(Self.subjects.joined(separator: ", "))", at: name)
        }
        let fields = try reader.child(name, as: "\(subject)Claim")
        let duration =
            mode == .eventually
            ? try fields.duration("within") ?? .seconds(30) : try fields.duration("for") ?? .seconds(3)
        let claim = try claim(fields, about: subject)
        try fields.finish()
        return Expectation(mode: mode, duration: duration, claim: claim)
    }

    private func claim(_ fields: FieldReader, about subject: String) throws -> Claim {
        let inner = try fields.child(subject)
        var claim: Claim
        switch subject {
        case "object":
            claim = Claim(subject: .object(try target(inner, named: true)))
            claim.isAbsent = try fields.flag("absent")
            claim.matches = fields.value("matches")
            claim.expressions = try expressions(fields, .object)
            guard claim.isAbsent != (claim.matches != nil || !claim.expressions.isEmpty) else {
                throw fields.error("either matches (or cel) or absent")
            }
        case "objects": claim = try objectsClaim(fields, Claim(subject: .objects(try target(inner, named: false))))
        case "log":
            claim = Claim(
                subject: .log(
                    pod: try inner.requiredText("pod"), container: try inner.text("container"),
                    previous: try inner.flag("previous")))
            claim.text = try textClaim(fields, allowsLines: true)
            guard claim.text != nil else { throw fields.error("say equals, contains or pattern") }
        case "events": claim = try eventsClaim(fields, inner)
        case "metrics": claim = try metricsClaim(fields, inner)
        default:
            claim = Claim(
                subject: .answer(
                    service: try inner.requiredText("service"), port: try inner.text("port") ?? "80",
                    path: try inner.text("path") ?? "/"))
            claim.text = try textClaim(fields, allowsLines: false)
            claim.status = try fields.bound("status") ?? .exactly(200)
        }
        try inner.finish()
        return claim
    }

    private func eventsClaim(_ fields: FieldReader, _ inner: FieldReader) throws -> Claim {
        var subject = EventsSubject(namespace: try inner.text("namespace"), patterns: [])
        for field in ["reason", "type", "kind", "name", "from", "message"] {
            guard let text = try inner.text(field) else { continue }
            subject.patterns.append((field, try pattern(text, inner, field)))
        }
        guard !subject.patterns.isEmpty else { throw inner.error("say what the events are like") }
        var claim = Claim(subject: .events(subject))
        claim.count = try fields.bound("count") ?? Bound(least: 1)
        return claim
    }

    private func metricsClaim(_ fields: FieldReader, _ inner: FieldReader) throws -> Claim {
        let path = try inner.text("path") ?? "/metrics"
        guard path.hasPrefix("/") else { throw inner.error("must start with /", at: "path") }
        var subject = MetricsSubject(path: path, name: try inner.requiredText("name"), labels: [])
        if inner.has("labels") {
            let labels = try inner.child("labels")
            subject.labels = try labels.keys.map { name in
                (name, try pattern(try labels.text(name) ?? "", labels, name))
            }
        }
        var claim = Claim(subject: .metrics(subject))
        claim.value = try fields.measure("value")
        claim.count = try fields.bound("count")
        guard claim.value != nil || claim.count != nil else { throw fields.error("say value or count") }
        return claim
    }

    private func objectsClaim(_ fields: FieldReader, _ start: Claim) throws -> Claim {
        var claim = start
        claim.matches = fields.value("matching")
        claim.each = fields.value("each")
        claim.count = try fields.bound("count")
        if fields.has("distinct") {
            let paths = try fields.child("distinct")
            claim.distinct = try paths.keys.map { path in
                (path, try jsonPath(path, paths, path), try paths.bound(path) ?? Bound())
            }
        }
        claim.expressions = try expressions(fields, .objects)
        guard claim.count != nil || claim.each != nil || !claim.distinct.isEmpty || !claim.expressions.isEmpty else {
            throw fields.error("say count, each, distinct or cel")
        }
        return claim
    }

    private func textClaim(_ fields: FieldReader, allowsLines: Bool) throws -> TextClaim? {
        var claim = TextClaim(equals: try fields.text("equals"), contains: try fields.texts("contains"))
        claim.pattern = try fields.text("pattern").map { try pattern($0, fields, "pattern") }
        if allowsLines {
            claim.lines = try fields.bound("lines")
            if fields.has("distinct") {
                let names = try fields.child("distinct")
                claim.distinct = try names.keys.map { name in
                    guard claim.pattern?.names.contains(name) == true else {
                        throw names.error("the pattern has no {\(name)}", at: name)
                    }
                    return (name, try names.bound(name) ?? Bound())
                }
            }
            if claim.pattern == nil, claim.lines != nil {
                throw fields.error("lines counts those that match a pattern", at: "lines")
            }
        }
        return claim.equals == nil && claim.contains.isEmpty && claim.pattern == nil ? nil : claim
    }

    private func pattern(_ text: String, _ fields: FieldReader, _ key: String) throws -> TextPattern {
        guard let pattern = TextPattern(text) else { throw fields.error("an unclosed {", at: key) }
        return pattern
    }

    private func jsonPath(_ text: String, _ fields: FieldReader, _ key: String) throws -> JSONPath {
        do { return try JSONPath(text) } catch { throw fields.error("\"\(text)\" is no JSONPath: \(error)", at: key) }
    }
}
