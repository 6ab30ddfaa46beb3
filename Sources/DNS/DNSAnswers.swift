import Basics
import Wire

/// What the server says to a query.
extension DNSServer {
    /// The answer, where nobody else has to be asked.
    func answerAtOnce(_ query: DNSMessage) -> DNSMessage? {
        guard query.opcode == 0 else { return DNSMessage(answering: query, code: .notImplemented) }
        guard query.questions.count == 1, let question = query.questions.first else {
            return DNSMessage(answering: query, code: .formatError)
        }
        if let edns = query.edns, edns.version != 0 {
            var answer = DNSMessage(answering: query)
            answer.edns?.extendedCode = 1
            return answer
        }
        let plan = plan
        if question.type == .axfr || plan.recognizes(query) { return DNSMessage(answering: query, code: .refused) }
        switch decide(question, plan) {
        case .found(let answers, let additionals, let isOwn):
            var answer = own(query)
            answer.isAuthoritative = isOwn
            answer.answers = rotate(answers)
            answer.additionals = additionals
            if answers.isEmpty { answer.authorities = [zone.withLock { $0.authority }] }
            return answer
        case .absent:
            var answer = own(query)
            answer.code = .nameError
            answer.authorities = [zone.withLock { $0.authority }]
            return answer
        case .failed(let code): return DNSMessage(answering: query, code: code)
        case .ask(let forwarder, let name, let chain):
            // What is remembered needs no task of its own.
            return forwarder.remembered(next(query, name)).map { joined($0, to: query, name, after: chain) }
        }
    }

    func answer(_ query: DNSMessage) async throws -> DNSMessage {
        if let answer = answerAtOnce(query) { return answer }
        guard let question = query.questions.first,
            case .ask(let forwarder, let name, let chain) = decide(question, plan)
        else { return answerAtOnce(query) ?? DNSMessage(answering: query, code: .serverFailure) }
        let rest = try await forwarder.resolve(next(query, name))
        return joined(rest, to: query, name, after: chain)
    }

    private func decide(_ question: DNSQuestion, _ plan: DNSPlan) -> DNSPlan.Outcome {
        let isReady = isReady
        return zone.withLock { plan.decide(question, zone: $0, isReady: isReady) }
    }

    private func own(_ query: DNSMessage) -> DNSMessage {
        var answer = DNSMessage(answering: query)
        answer.isAuthoritative = true
        answer.recursionAvailable = true
        return answer
    }

    /// The same query about `name`.
    private func next(_ query: DNSMessage, _ name: DNSName) -> DNSMessage {
        guard let question = query.questions.first, question.name != name else { return query }
        var next = query
        next.questions = [DNSQuestion(name, question.type, recordClass: question.recordClass)]
        return next
    }

    /// What a resolver said about `name`, as the answer to what the client asked.
    private func joined(
        _ rest: DNSMessage, to query: DNSMessage, _ name: DNSName, after chain: [DNSRecord]
    ) -> DNSMessage {
        guard let question = query.questions.first else { return rest }
        if chain.isEmpty, question.name == name {
            var answer = rest
            answer.id = query.id
            answer.questions = query.questions
            return answer
        }
        var answer = DNSMessage(answering: query, code: rest.code)
        answer.recursionAvailable = true
        // Behind an alias the name that was asked for is the alias's target, and stays.
        let records = chain.isEmpty ? rest.answers.map { DNSPlan.renamed($0, name, question.name) } : rest.answers
        answer.answers = chain + records
        answer.authorities = rest.authorities
        return answer
    }

    /// Addresses begin at a random one, so that clients which take the first spread over all.
    private func rotate(_ records: [DNSRecord]) -> [DNSRecord] {
        let aliases = records.prefix { $0.data.type == .cname }
        let rest = records.dropFirst(aliases.count)
        guard rest.count > 1 else { return records }
        let first = rest.startIndex + world.random.below(rest.count)
        return Array(aliases) + rest[first...] + rest[..<first]
    }
}
