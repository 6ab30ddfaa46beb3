import Basics
import Client
import Document
import Kinds
import Wire

/// Runs a local script: its text and environment in, its exit code and what it printed out.
public typealias ScriptRunner = @Sendable (String, [String: String]) async throws -> (code: Int32, output: String)

/// Does the steps of one scenario, one after the other.
struct StepRunner {
    let access: ClusterAccess
    let locator: ResourceLocator
    let clock: any WorldClock
    /// For what WebSockets have to draw.
    let random: any Randomness
    let scripts: ScriptRunner?
    let machinery: (any Machinery)?
    let journal: MachineryJournal
    let namespace: String
    var variables: Variables
    /// Objects outside the namespace, which do not go away with it.
    let outside: OutsideObjects

    /// Returns when the step has done what it should; throws a `StepFailure` when it has not.
    mutating func run(_ step: Step) async throws {
        guard let timeout = step.timeout else { return try await rounds(of: step) }
        // Side by side with the time: what the step has saved comes back as a value.
        let start = self
        variables = try await withThrowingTaskGroup(of: Variables?.self) { group in
            group.addTask {
                var runner = start
                try await runner.rounds(of: step)
                return runner.variables
            }
            group.addTask {
                try await start.clock.sleep(for: timeout)
                return nil
            }
            defer { group.cancelAll() }
            guard let first = try await group.next(), let variables = first else {
                throw StepFailure("not done within \(timeout)")
            }
            return variables
        }
    }

    private mutating func rounds(of step: Step) async throws {
        guard let rounds = step.rounds else { return try await once(step) }
        for round in rounds {
            for (name, value) in round { variables.set(name, try variables.fill(value)) }
            do { try await once(step) } catch var failure as StepFailure {
                let text = round.map { "\($0.name)=\($0.value)" }.joined(separator: ", ")
                failure.problems.insert("in the round \(text):", at: 0)
                throw failure
            }
        }
    }

    private mutating func once(_ step: Step) async throws {
        if case .steps(let steps) = step.action {
            for inner in steps {
                do { try await run(inner) } catch var failure as StepFailure {
                    failure.step = failure.step ?? inner.label
                    throw failure
                }
            }
            return
        }
        var client = access.client
        if let actor = step.actor { client = try await self.client(as: actor) }
        let result: Document?
        do {
            result = try await perform(step.action, client)
        } catch let status as APIStatus {
            guard let wanted = step.failure else {
                throw StepFailure("the server refused: \(status.message) (\(status.code) \(status.reason))")
            }
            return try check(status, wanted)
        } catch let error as Variables.Unknown {
            throw StepFailure(error.description)
        }
        if step.failure != nil { throw StepFailure("expected a refusal, but the server agreed") }
        for save in step.saves { try keep(save.name, save.path, result) }
    }

    private func client(as actor: Actor) async throws -> APIClient {
        do {
            return try await access.client(as: filled(actor), namespace: namespace)
        } catch let status as APIStatus {
            throw StepFailure("no token: \(status.message)")
        }
    }

    private func filled(_ actor: Actor) throws -> Actor {
        switch actor {
        case .user(let name, let groups):
            return .user(try variables.fill(name), groups: try groups.map { try variables.fill($0) })
        case .serviceAccount(let name): return .serviceAccount(try variables.fill(name))
        }
    }

    private func check(_ status: APIStatus, _ wanted: Step.Failure) throws {
        var problems: [String] = []
        if let code = wanted.code, code != status.code { problems.append("expected code \(code), got \(status.code)") }
        if let reason = wanted.reason, reason != status.reason {
            problems.append("expected reason \(reason), got \(status.reason)")
        }
        if let message = try wanted.message.map({ try variables.fill($0) }), message.match(status.message) == nil {
            problems.append("expected the message \"\(message.text)\", got \"\(status.message)\"")
        }
        if !problems.isEmpty { throw StepFailure(problems) }
    }

    private mutating func keep(_ name: String, _ path: JSONPath, _ result: Document?) throws {
        guard let result else { throw StepFailure("the step has no result to save \(name) from") }
        guard let value = path.evaluate(on: result).first else { throw StepFailure("nothing to save as \(name)") }
        variables.set(name, value.string ?? value.jsonText)
    }

    private func perform(_ action: Action, _ client: APIClient) async throws -> Document? {
        switch action {
        case .apply(let objects):
            var last: Document?
            for object in objects { last = try await apply(try variables.fill(object), client) }
            return last
        case .create(let objects):
            var last: Document?
            for object in objects { last = try await create(try variables.fill(object), client) }
            return last
        case .patch(let target, let patch, let type, let subresource):
            let target = try variables.fill(target)
            let resource = try await locator.type(kind: target.kind, apiVersion: target.apiVersion)
            return try await client.patch(
                resource, namespace: target.namespace ?? namespace, name: target.name ?? "", try variables.fill(patch),
                type: type == "json" ? .json : type == "strategic" ? .strategic : .merge,
                subresource: try variables.fill(subresource))
        case .delete(let target): return try await delete(try variables.fill(target), client)
        case .request(let request): return try await send(request, client)
        case .exec(let call): return try await exec(call, client)
        case .script(let text): return try await script(text)
        case .wait(let duration):
            try await clock.sleep(for: duration)
            return nil
        case .expect(let expectation): return try await expect(expectation, client)
        case .steps: return nil
        case .fault, .snapshot, .restore, .node: return try await command(action)
        }
    }

    // MARK: The machine

    private func command(_ action: Action) async throws -> Document? {
        guard let machinery else { throw StepFailure("only a cluster of lab on this machine can do this") }
        do {
            switch action {
            case .fault(let deed):
                let deed = try variables.fill(deed)
                return ["name": Document(try await journal.perform(deed, on: machinery))]
            case .snapshot(let name):
                try await journal.snapshot(try variables.fill(name), on: machinery)
            case .restore(let name): try await machinery.restore(try variables.fill(name))
            case .node(var deed):
                deed.what = try variables.fill(deed.what)
                return ["nodes": Document(try await journal.perform(deed, on: machinery))]
            default: break
            }
            return nil
        } catch let error as CancellationError {
            throw error
        } catch let error as Variables.Unknown {
            throw error
        } catch {
            throw StepFailure("\(error)")
        }
    }

    // MARK: Objects

    private func create(_ object: Document, _ client: APIClient) async throws -> Document {
        let kind = object.text("kind") ?? ""
        let type = try await locator.type(kind: kind, apiVersion: object.text("apiVersion"))
        let made = try await client.create(
            type, namespace: object.text("metadata", "namespace") ?? namespace, object)
        let place = made.text("metadata", "namespace")
        if place != namespace, let name = made.text("metadata", "name") {
            outside.add(type, namespace: place, name: name)
        }
        return made
    }

    /// Creates the object, or merges it into the one that is there.
    private func apply(_ object: Document, _ client: APIClient) async throws -> Document {
        do {
            return try await create(object, client)
        } catch let status as APIStatus where status.isAlreadyExists {
            let type = try await locator.type(
                kind: object.text("kind") ?? "", apiVersion: object.text("apiVersion"))
            return try await client.patch(
                type, namespace: object.text("metadata", "namespace") ?? namespace,
                name: object.text("metadata", "name") ?? "", object, type: .merge)
        }
    }

    private func delete(_ target: Target, _ client: APIClient) async throws -> Document? {
        let type = try await locator.type(kind: target.kind, apiVersion: target.apiVersion)
        let place = target.namespace ?? namespace
        if let name = target.name { return try await client.delete(type, namespace: place, name: name) }
        let found = try await Observer(client: client, locator: locator, namespace: namespace).list(target)
        guard !found.isEmpty else { throw StepFailure("no \(target.kind) matches, nothing was deleted") }
        for object in found {
            do {
                _ = try await client.delete(type, namespace: place, name: object.text("metadata", "name") ?? "")
            } catch let status as APIStatus where status.isNotFound {
                continue  // gone by itself in between
            }
        }
        return nil
    }

    // MARK: Requests and scripts

    private func send(_ wanted: RawRequest, _ client: APIClient) async throws -> Document? {
        var request = Request(try variables.fill(wanted.method), try variables.fill(wanted.path))
        if let body = try variables.fill(wanted.body) {
            request.body = body.string.map { Array($0.utf8) } ?? body.json
            let contentType: String = try variables.fill(wanted.contentType)
            request.headers["Content-Type"] = contentType
        }
        if let accept = try variables.fill(wanted.accept) { request.headers["Accept"] = accept }
        let response = try await client.raw(request)
        let body = String(decoding: try await response.collect(limit: 64 << 20), as: UTF8.self)
        var problems: [String] = []
        if !wanted.status.allows(response.status) {
            problems.append("expected HTTP status \(wanted.status.text), got \(response.status): \(body.prefix(500))")
        }
        if let text = try variables.fill(wanted.text) { problems += Evaluator.about(body, text) }
        if !wanted.expressions.isEmpty {
            let answer = (try? Document(json: Array(body.utf8))) ?? Document(body)
            problems += try wanted.expressions.flatMap { try variables.fill($0).problems(of: answer) }
        }
        let document = try? Document(json: body)
        if let matches = try variables.fill(wanted.matches) {
            problems += document.map { Matcher.differences($0, expected: matches) } ?? ["the answer is no JSON"]
        }
        if !problems.isEmpty { throw StepFailure(problems) }
        return document
    }

    private func exec(_ call: ExecCall, _ client: APIClient) async throws -> Document? {
        let outcome = try await client.execute(
            try call.command.map { try variables.fill($0) }, namespace: try variables.fill(call.namespace) ?? namespace,
            pod: try variables.fill(call.pod), container: try variables.fill(call.container),
            input: try variables.fill(call.input).map { Array($0.utf8) }, random: random)
        let output = String(decoding: outcome.output, as: UTF8.self)
        let errors = String(decoding: outcome.errors, as: UTF8.self)
        var problems: [String] = []
        if !call.exit.allows(outcome.exitCode) {
            problems.append(
                "expected exit code \(call.exit.text), got \(outcome.exitCode): \((output + errors).suffix(500))")
        }
        if let claim = try variables.fill(call.output) {
            problems += Evaluator.about(output, claim).map { "stdout: \($0)" }
        }
        if let claim = try variables.fill(call.errors) {
            problems += Evaluator.about(errors, claim).map { "stderr: \($0)" }
        }
        if !problems.isEmpty { throw StepFailure(problems) }
        return ["stdout": Document(output), "stderr": Document(errors), "exit": Document(outcome.exitCode)]
    }

    private func script(_ text: String) async throws -> Document? {
        guard let scripts else { throw StepFailure("scripts cannot be run here") }
        let result = try await scripts(try variables.fill(text), variables.environment)
        guard result.code == 0 else {
            throw StepFailure("the script ended with code \(result.code): \(result.output.suffix(2_000))")
        }
        return ["output": Document(result.output)]
    }

    // MARK: Expectations

    /// The time between two looks grows from the first to the second.
    private static let pace: (first: Duration, last: Duration) = (.milliseconds(50), .milliseconds(500))

    private func expect(_ expectation: Expectation, _ client: APIClient) async throws -> Document? {
        let claim = try variables.fill(expectation.claim)
        let observer = Observer(client: client, locator: locator, namespace: namespace)
        let end = clock.uptime + expectation.duration
        var pause = Self.pace.first
        while true {
            let (problems, seen) = try await look(claim, observer)
            let isOver = clock.uptime >= end
            switch expectation.mode {
            case .eventually:
                if problems.isEmpty { return seen }
                if isOver {
                    throw StepFailure(["not true within \(expectation.duration):"] + problems)
                }
            case .always:
                if !problems.isEmpty { throw StepFailure(["not true all the time:"] + problems) }
                if isOver { return seen }
            case .never:
                if problems.isEmpty { throw StepFailure("it was true, and must never be: \(Self.short(seen))") }
                if isOver { return nil }
            }
            try await clock.sleep(for: min(pause, max(.milliseconds(1), end - clock.uptime)))
            pause = min(pause * 2, Self.pace.last)
        }
    }

    /// What is wrong with the claim now, and what was seen. A server that cannot be asked is a problem like others.
    private func look(_ claim: Claim, _ observer: Observer) async throws -> ([String], Document?) {
        let observation: Observation
        do {
            observation = try await observer.observe(claim)
        } catch let error as CancellationError {
            throw error
        } catch {
            return (["cannot look: \(error)"], nil)
        }
        let problems = Evaluator.problems(claim, observation)
        switch observation {
        case .objects(let objects):
            if case .object = claim.subject { return (problems, objects.first) }
            return (problems, ["items": Document(objects)])
        case .text(let text, _): return (problems, ["text": Document(text)])
        case .samples(let samples):
            return (
                problems, ["values": Document(samples.map { Document($0.value) }), "count": Document(samples.count)]
            )
        case .missing: return (problems, nil)
        }
    }

    private static func short(_ document: Document?) -> String { String((document?.jsonText ?? "").prefix(500)) }
}
