import Basics
import Wire

/// How the DNS server answers: what a Corefile says.
///
/// The order inside a block is fixed, as it is in CoreDNS, however it is written:
///
///     rewrite ▸ hosts ▸ kubernetes ▸ cache ▸ forward
public struct DNSConfiguration: Sendable, Equatable {
    /// One server block: the names it is for, and who answers for them.
    public struct Block: Sendable, Equatable {
        public var zones: [DNSName]
        public var rewrites: [NameRewrite] = []
        public var hosts: HostsTable?
        public var cluster: ClusterNames?
        public var forward: ForwardRule?
        public var cache: CacheLimits?
        public var logsQueries = false

        init(zones: [DNSName]) { self.zones = zones }
    }

    /// Which of the cluster's names a block answers for.
    public struct ClusterNames: Sendable, Equatable {
        /// Reverse zones that the block does not name are for whoever comes next.
        public var reverseZones: [DNSName] = []
        /// Whether `1-2-3-4.NAMESPACE.pod` names exist.
        public var namesPods = false
        public var timeToLive: UInt32 = 5
        public var passing = PassingOn.none
    }

    public var blocks: [Block] = []
    /// Ports of the server's own address; nil where nothing listens.
    public var health: UInt16?
    public var ready: UInt16?
    public var metrics: UInt16?
    /// What was understood and has no effect here, each with its line.
    public var remarks: [CorefileError] = []

    /// What a cluster has where nobody says otherwise.
    public static func standardText(domain: String) -> String {
        """
        .:53 {
            errors
            health
            ready
            kubernetes \(domain) in-addr.arpa ip6.arpa {
                pods insecure
                fallthrough in-addr.arpa ip6.arpa
                ttl 30
            }
            prometheus :9153
            forward . /etc/resolv.conf
            cache 30
            loop
            reload
            loadbalance
        }

        """
    }

    /// - resolvers: what `/etc/resolv.conf` stands for.
    public init(_ text: String, domain: DNSName, resolvers: [Endpoint]) throws(CorefileError) {
        let file = try Corefile(parsing: text)
        guard !file.blocks.isEmpty else { throw CorefileError(1, "there is no server block") }
        var seen: Set<DNSName> = []
        for written in file.blocks {
            var reader = CorefileReader(domain: domain, resolvers: resolvers)
            let block = try reader.block(written)
            for zone in block.zones where !seen.insert(zone).inserted {
                throw CorefileError(written.line, "two blocks are for \(zone)")
            }
            blocks.append(block)
            health = health ?? reader.health
            ready = ready ?? reader.ready
            metrics = metrics ?? reader.metrics
            remarks += reader.remarks
        }
    }

    /// The block with the longest zone that holds the name.
    public func block(for name: DNSName) -> Int? {
        var best: (index: Int, labels: Int)?
        for (index, block) in blocks.enumerated() {
            for zone in block.zones where zone.labels.count > best?.labels ?? -1 && name.isWithin(zone) {
                best = (index, zone.labels.count)
            }
        }
        return best?.index
    }
}

/// For which names that are not found somebody else is asked.
public enum PassingOn: Sendable, Equatable {
    case none
    case zones([DNSName])

    func covers(_ name: DNSName) -> Bool {
        guard case .zones(let zones) = self else { return false }
        return zones.isEmpty || zones.contains { name.isWithin($0) }
    }
}

/// How long answers of others are kept at most, in seconds.
public struct CacheLimits: Sendable, Equatable {
    public var found = 3600
    public var absent = 1800
    public var capacity = 9984
}

/// Where a block's remaining names are asked for.
public struct ForwardRule: Sendable, Equatable {
    public enum Policy: String, Sendable { case random, round_robin, sequential }

    /// Names outside of it are not asked for.
    public var from: DNSName
    public var except: [DNSName] = []
    public var upstreams: [Endpoint]
    public var policy = Policy.random
    public var usesStreams = false
    public var mostConcurrent = 512
}
