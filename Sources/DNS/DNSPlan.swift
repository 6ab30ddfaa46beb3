import Basics
import Wire

/// A configuration at work: its blocks, each with what it forwards by. Replaced as a whole when the configuration is.
final class DNSPlan: Sendable {
    let configuration: DNSConfiguration
    /// One for each block; nil where it forwards nothing.
    let forwarders: [Forwarder?]
    /// Whether any block has its queries logged, so that nobody else pays for the question which.
    let logsQueries: Bool

    init(_ configuration: DNSConfiguration, metrics: DNSMetrics, world: World, log: Log) {
        self.configuration = configuration
        logsQueries = configuration.blocks.contains(where: \.logsQueries)
        forwarders = configuration.blocks.map { block in
            block.forward.map { Forwarder($0, cache: block.cache, metrics: metrics, world: world, log: log) }
        }
    }

    /// Whether the query is one that a forwarder sent to find out that it asks itself.
    func recognizes(_ query: DNSMessage) -> Bool {
        guard query.questions.first?.type == .hinfo else { return false }
        return forwarders.contains { $0?.recognizes(query) == true }
    }

    /// What comes of a question without asking anybody else.
    enum Outcome {
        /// Complete: `absent` names get the zone's SOA record.
        case found(answers: [DNSRecord], additionals: [DNSRecord], isOwn: Bool)
        case absent
        case failed(DNSCode)
        /// The rest is to be asked for under another name, behind the records found so far.
        case ask(Forwarder, DNSName, after: [DNSRecord])
    }

    private static let longestChain = 8

    /// - isReady: whether the zone holds the cluster's objects yet.
    func decide(_ question: DNSQuestion, zone: Zone, isReady: Bool) -> Outcome {
        var chain: [DNSRecord] = []
        var name = question.name
        for _ in 0..<Self.longestChain {
            guard let index = configuration.block(for: name) else {
                return chain.isEmpty ? .failed(.refused) : .found(answers: chain, additionals: [], isOwn: true)
            }
            let block = configuration.blocks[index]
            let asked = block.rewrites.isEmpty ? name : NameRewrite.apply(block.rewrites, to: name)
            let inner = DNSQuestion(asked, question.type, recordClass: question.recordClass)
            switch local(inner, block, zone, isReady) {
            case .found(let answers, let additionals, let isOwn):
                return .found(
                    answers: chain + answers.map { Self.renamed($0, asked, name) }, additionals: additionals,
                    isOwn: isOwn)
            case .absent: return chain.isEmpty ? .absent : .found(answers: chain, additionals: [], isOwn: true)
            case .failed(let code):
                return chain.isEmpty ? .failed(code) : .found(answers: chain, additionals: [], isOwn: true)
            case .alias(let records, let target):
                chain += records.map { Self.renamed($0, asked, name) }
                name = target
            case .next:
                guard let forwarder = forwarders[index], forwarder.isFor(asked) else {
                    return chain.isEmpty ? .failed(.refused) : .found(answers: chain, additionals: [], isOwn: true)
                }
                return .ask(forwarder, asked, after: chain)
            }
        }
        return .found(answers: chain, additionals: [], isOwn: true)
    }

    private enum Local {
        case found([DNSRecord], [DNSRecord], isOwn: Bool)
        case alias([DNSRecord], to: DNSName)
        case absent
        case failed(DNSCode)
        case next
    }

    private func local(
        _ question: DNSQuestion, _ block: DNSConfiguration.Block, _ zone: Zone, _ isReady: Bool
    ) -> Local {
        if let hosts = block.hosts, question.recordClass == 1 {
            switch hosts.answer(question) {
            case .found(let records): return .found(records, [], isOwn: true)
            // The table knows nothing of absence, so it cannot say that a name is absent.
            case .absent where question.type != .ptr && !hosts.passing.covers(question.name):
                return .failed(.serverFailure)
            case .absent: break
            }
        }
        guard let cluster = block.cluster else { return .next }
        let isReverse = cluster.reverseZones.contains { question.name.isWithin($0) }
        guard isReverse || question.name.isWithin(zone.domain) else { return .next }
        // Before the first lists every name would seem absent, and the absence would be remembered.
        guard isReady else { return .failed(.serverFailure) }
        switch zone.answer(question) {
        case .found(let answers, let additionals): return .found(answers, additionals, isOwn: true)
        case .alias(let records, let target): return .alias(records, to: target)
        case .noSuchName, .foreign: return cluster.passing.covers(question.name) ? .next : .absent
        }
    }

    /// A record of the name that was asked for in the client's stead, under the client's name.
    static func renamed(_ record: DNSRecord, _ asked: DNSName, _ name: DNSName) -> DNSRecord {
        guard asked != name, record.name == asked else { return record }
        var record = record
        record.name = name
        return record
    }
}
