import Basics
import Wire

/// Gives the directives of one block their meaning. What is not known, or would be without effect unnoticed, is refused.
struct CorefileReader {
    let domain: DNSName
    let resolvers: [Endpoint]
    var health: UInt16?
    var ready: UInt16?
    var metrics: UInt16?
    var remarks: [CorefileError] = []

    static let known = [
        "cache", "errors", "forward", "health", "hosts", "kubernetes", "loadbalance", "log", "loop", "prometheus",
        "ready", "reload", "rewrite",
    ]

    typealias Directive = Corefile.Directive

    mutating func block(_ written: Corefile.Block) throws(CorefileError) -> DNSConfiguration.Block {
        var zones: [DNSName] = []
        for zone in written.zones { zones.append(try Self.zone(zone, line: written.line)) }
        var block = DNSConfiguration.Block(zones: zones)
        var seen: Set<String> = []
        for directive in written.directives {
            if directive.name != "rewrite", !seen.insert(directive.name).inserted {
                throw CorefileError(directive.line, "a second '\(directive.name)' in the same block")
            }
            try read(directive, into: &block)
        }
        return block
    }

    private mutating func read(
        _ directive: Directive, into block: inout DNSConfiguration.Block
    ) throws(CorefileError) {
        switch directive.name {
        // Done in any case: failures are logged, loops are found, changes are taken over.
        case "errors", "loop", "reload": for property in directive.properties { remark(property) }
        case "loadbalance":
            guard directive.arguments.first ?? "round_robin" == "round_robin", directive.properties.isEmpty else {
                throw CorefileError(directive.line, "the only order of answers here is round_robin")
            }
        case "health":
            health = try port(directive, standard: 8080)
            for property in directive.properties { remark(property) }
        case "ready": ready = try port(directive, standard: 8181)
        case "prometheus": metrics = try port(directive, standard: 9153)
        case "log":
            guard directive.properties.isEmpty, directive.arguments.allSatisfy({ $0 == "." }) else {
                throw CorefileError(directive.line, "'log' takes no format and no classes here: all queries are logged")
            }
            block.logsQueries = true
        case "cache": block.cache = try cache(directive)
        case "forward": block.forward = try forward(directive)
        case "hosts": block.hosts = try hosts(directive)
        case "kubernetes": block.cluster = try cluster(directive, zones: block.zones)
        case "rewrite": block.rewrites.append(try rewrite(directive))
        default:
            throw CorefileError(
                directive.line, "'\(directive.name)' is not known; known are \(Self.known.joined(separator: ", "))")
        }
    }

    private mutating func remark(_ property: Directive) {
        remarks.append(CorefileError(property.line, "'\(property.name)' has no effect here"))
    }

    // MARK: Words

    /// `ZONE`, `ZONE:53`, `dns://ZONE:53`, and networks as reverse zones.
    static func zone(_ text: String, line: Int) throws(CorefileError) -> DNSName {
        var rest = text[...]
        if rest.hasPrefix("dns://") { rest = rest.dropFirst(6) }
        if rest.contains("://") { throw CorefileError(line, "'\(text)': only plain DNS is served") }
        if let colon = rest.lastIndex(of: ":"), UInt16(rest[rest.index(after: colon)...]) != nil {
            guard rest[colon...] == ":53" else { throw CorefileError(line, "'\(text)': the server's port is 53") }
            rest = rest[..<colon]
        }
        guard let name = rest.isEmpty ? .root : DNSName(rest) else {
            throw CorefileError(line, "'\(text)' is no zone")
        }
        return name
    }

    private func zones(_ words: some Sequence<String>, line: Int) throws(CorefileError) -> [DNSName] {
        var zones: [DNSName] = []
        for word in words { zones.append(try Self.zone(word, line: line)) }
        return zones
    }

    private func passing(_ property: Directive) throws(CorefileError) -> PassingOn {
        .zones(try zones(property.arguments, line: property.line).filter { $0 != .root })
    }

    private func number(
        _ directive: Directive, _ word: String?, _ range: ClosedRange<Int>
    ) throws(CorefileError) -> Int {
        guard let number = word.flatMap({ Int($0) }), range.contains(number) else {
            throw CorefileError(
                directive.line,
                "'\(directive.name)' needs a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// `:8080`, or with an address in front, which is the server's own whatever is written.
    private mutating func port(_ directive: Directive, standard: UInt16) throws(CorefileError) -> UInt16 {
        guard let word = directive.arguments.first else { return standard }
        guard directive.arguments.count == 1, let colon = word.lastIndex(of: ":"),
            let port = UInt16(word[word.index(after: colon)...]), port > 0
        else { throw CorefileError(directive.line, "'\(directive.name)' takes an address such as :\(standard)") }
        if !["", "0.0.0.0", "[::]"].contains(word[..<colon]) {
            remarks.append(CorefileError(directive.line, "the address is the DNS server's, not \(word[..<colon])"))
        }
        return port
    }

    // MARK: Directives

    private func cache(_ directive: Directive) throws(CorefileError) -> CacheLimits {
        var limits = CacheLimits()
        var words = directive.arguments[...]
        if let first = words.first, Int(first) != nil {
            limits.found = try number(directive, words.popFirst(), 1...86_400)
            limits.absent = min(limits.absent, limits.found)
        }
        guard words.allSatisfy({ $0 == "." }) else {
            throw CorefileError(directive.line, "a cache for some zones only: give those a block of their own")
        }
        for property in directive.properties {
            guard ["success", "denial"].contains(property.name), property.arguments.count <= 2 else {
                throw CorefileError(property.line, "a cache knows 'success CAPACITY [TTL]' and 'denial CAPACITY [TTL]'")
            }
            let capacity = try number(property, property.arguments.first, 1...100_000)
            if property.name == "success" { limits.capacity = capacity }
            if property.arguments.count > 1 {
                let seconds = try number(property, property.arguments[1], 1...86_400)
                if property.name == "success" { limits.found = seconds } else { limits.absent = seconds }
            }
        }
        return limits
    }

    private mutating func forward(_ directive: Directive) throws(CorefileError) -> ForwardRule {
        guard directive.arguments.count >= 2 else {
            throw CorefileError(directive.line, "write 'forward ZONE ADDRESS…' or 'forward ZONE /etc/resolv.conf'")
        }
        var upstreams: [Endpoint] = []
        for word in directive.arguments.dropFirst() {
            if word == "/etc/resolv.conf" {
                upstreams += resolvers
            } else {
                upstreams.append(try Self.resolver(word, line: directive.line))
            }
        }
        guard upstreams.count <= 15 else { throw CorefileError(directive.line, "more than 15 resolvers") }
        var rule = ForwardRule(
            from: try Self.zone(directive.arguments[0], line: directive.line), upstreams: upstreams)
        for property in directive.properties {
            switch property.name {
            case "except": rule.except += try zones(property.arguments, line: property.line)
            case "force_tcp": rule.usesStreams = true
            case "prefer_udp": rule.usesStreams = false
            case "max_concurrent": rule.mostConcurrent = try number(property, property.arguments.first, 1...4_096)
            case "policy":
                guard let policy = property.arguments.first.flatMap(ForwardRule.Policy.init(rawValue:)) else {
                    throw CorefileError(property.line, "a policy is random, round_robin or sequential")
                }
                rule.policy = policy
            // Connections are not kept and resolvers not watched: the next one is asked where one fails.
            case "max_fails", "expire", "health_check", "failfast_all_unhealthy_upstreams": remark(property)
            default: throw CorefileError(property.line, "'\(property.name)' is not known of forward")
            }
        }
        return rule
    }

    /// `ADDRESS`, `ADDRESS:PORT`, `[ADDRESS]:PORT`, each with `dns://` or not.
    static func resolver(_ word: String, line: Int) throws(CorefileError) -> Endpoint {
        var text = word[...]
        if text.hasPrefix("dns://") { text = text.dropFirst(6) }
        if text.contains("://") { throw CorefileError(line, "'\(word)': resolvers are asked by plain DNS only") }
        var port: UInt16 = 53
        if IPAddress(text) == nil, let colon = text.lastIndex(of: ":") {
            guard let number = UInt16(text[text.index(after: colon)...]), number > 0 else {
                throw CorefileError(line, "'\(word)' has no valid port")
            }
            port = number
            text = text[..<colon]
        }
        if text.hasPrefix("["), text.hasSuffix("]") { text = text.dropFirst().dropLast() }
        guard let address = IPAddress(text) else {
            throw CorefileError(line, "'\(word)' is no address of a resolver")
        }
        return .ip(address, port: port)
    }

    private mutating func hosts(_ directive: Directive) throws(CorefileError) -> HostsTable {
        guard directive.arguments.isEmpty else {
            throw CorefileError(directive.line, "'hosts' reads no file here: write the records between its braces")
        }
        var table = HostsTable()
        for property in directive.properties {
            if let address = IPAddress(property.name) {
                for name in try zones(property.arguments, line: property.line) { table.add(address, name) }
                continue
            }
            switch property.name {
            case "fallthrough": table.passing = try passing(property)
            case "ttl": table.timeToLive = UInt32(try number(property, property.arguments.first, 1...65_535))
            case "no_reverse": table.answersReverse = false
            case "reload": remark(property)
            default: throw CorefileError(property.line, "'\(property.name)' is neither an address nor known of hosts")
            }
        }
        return table
    }

    private mutating func cluster(
        _ directive: Directive, zones own: [DNSName]
    ) throws(CorefileError) -> DNSConfiguration.ClusterNames {
        let named = directive.arguments.isEmpty ? own : try zones(directive.arguments, line: directive.line)
        let reverse = named.filter { $0.isWithin(Zone.reverse4) || $0.isWithin(Zone.reverse6) }
        guard let other = named.first(where: { $0 != domain && !reverse.contains($0) && $0 != .root }) else {
            return try cluster(directive, reverse: named.contains(.root) ? [Zone.reverse4, Zone.reverse6] : reverse)
        }
        throw CorefileError(directive.line, "\(other) is not the cluster's domain, which is \(domain)")
    }

    private mutating func cluster(
        _ directive: Directive, reverse: [DNSName]
    ) throws(CorefileError) -> DNSConfiguration.ClusterNames {
        var names = DNSConfiguration.ClusterNames()
        names.reverseZones = reverse
        for property in directive.properties {
            switch property.name {
            case "pods":
                switch property.arguments.first {
                case "insecure": names.namesPods = true
                case "disabled": names.namesPods = false
                default: throw CorefileError(property.line, "'pods' is insecure or disabled here")
                }
            case "ttl": names.timeToLive = UInt32(try number(property, property.arguments.first, 0...3_600))
            case "fallthrough": names.passing = try passing(property)
            default: throw CorefileError(property.line, "'\(property.name)' is not known of kubernetes")
            }
        }
        return names
    }

    private func rewrite(_ directive: Directive) throws(CorefileError) -> NameRewrite {
        var words = directive.arguments[...]
        var continues = false
        if let first = words.first, ["stop", "continue"].contains(first) {
            continues = first == "continue"
            words = words.dropFirst()
        }
        guard words.popFirst() == "name", directive.properties.isEmpty else {
            throw CorefileError(directive.line, "only names are rewritten: 'rewrite [continue|stop] name …'")
        }
        // The answer gets the asked name back in any case.
        if words.suffix(2) == ["answer", "auto"] { words = words.dropLast(2) }
        var match = NameRewrite.Match.exact
        if words.count == 3, let kind = words.popFirst() {
            guard let known = NameRewrite.Match(rawValue: kind) else {
                throw CorefileError(directive.line, "a name is matched by exact, prefix, suffix or substring here")
            }
            match = known
        }
        guard words.count == 2, let from = words.popFirst()?.lowercased(), let to = words.popFirst()?.lowercased()
        else {
            throw CorefileError(directive.line, "write 'rewrite name [exact|prefix|suffix|substring] FROM TO'")
        }
        func full(_ text: String) -> String { text.hasSuffix(".") ? text : text + "." }
        let isWhole = match == .exact || match == .suffix
        return NameRewrite(
            match: match, from: isWhole ? full(from) : from, to: isWhole ? full(to) : to, continues: continues)
    }
}
