import Glibc

/// nftables of one network namespace, spoken to directly: no `nft` is needed, and a change costs what it changes,
/// not what the rule set holds.
public final class Nftables {
    let socket: NetlinkSocket

    public init(_ socket: NetlinkSocket) { self.socket = socket }

    public convenience init(in namespace: NetworkNamespace? = nil) throws {
        self.init(try NetlinkSocket(.netfilter, in: namespace))
    }

    /// Does everything in the batch, or throws and does nothing.
    public func commit(_ batch: NftBatch) throws {
        guard !batch.isEmpty else { return }
        let (datagram, numbers) = batch.finished()
        try socket.transaction(datagram, numbers: numbers, acknowledged: 1, "nftables: change") { number in
            let index = Int(number) - 1
            return batch.objects.indices.contains(index)
                ? "table \(batch.table): \(batch.objects[index])" : "table \(batch.table)"
        }
    }

    /// Whether a table of the IPv4 family exists.
    public func hasTable(_ name: String) throws -> Bool {
        do {
            try socket.request(type: 10 << 8 | 1, "nftables: get table", name) {
                $0.raw([2, 0, 0, 0])
                $0.attribute(1, text: name)
            }
            return true
        } catch let error as NetlinkError where error.errno == ENOENT {
            return false
        }
    }

    /// The IPv4 family's tables by their names, each with the comment that was kept with it.
    public func tables() throws -> [String: String?] {
        var found: [String: String?] = [:]
        for message in try socket.dump(
            type: 10 << 8 | 1, "nftables: list tables", body: { $0.raw([2, 0, 0, 0]) })
        {
            guard let attributes = message.attributes(after: 4), let name = attributes[1]?.text else { continue }
            let data = attributes[6].map { Array($0.payload) } ?? []
            let isComment = data.count > 2 && data[0] == 0 && Int(data[1]) <= data.count - 2
            found[name] =
                .some(isComment ? String(decoding: data[2..<2 + Int(data[1])].prefix { $0 != 0 }, as: UTF8.self) : nil)
        }
        return found
    }
}
