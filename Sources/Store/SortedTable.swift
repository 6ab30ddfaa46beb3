/// Records in key order, in chunks so that an insertion moves a few hundred entries and not all of them.
struct SortedTable: Sendable {
    private static let fullChunk = 512

    /// Each chunk is sorted and not empty; the chunks are in order.
    private var chunks: [[Record]] = []
    private(set) var count = 0

    init() {}

    /// Where `key` is, or where it belongs. The chunk is `chunks.count` only when the table is empty.
    private func place(of key: String) -> (chunk: Int, index: Int, found: Bool) {
        guard !chunks.isEmpty else { return (0, 0, false) }
        var low = 0
        var high = chunks.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if chunks[middle][0].key <= key { low = middle } else { high = middle }
        }
        let index = Self.lowerBound(chunks[low], key)
        return (low, index, index < chunks[low].count && chunks[low][index].key == key)
    }

    private static func lowerBound(_ chunk: [Record], _ key: String) -> Int {
        var low = 0
        var high = chunk.count
        while low < high {
            let middle = (low + high) / 2
            if chunk[middle].key < key { low = middle + 1 } else { high = middle }
        }
        return low
    }

    subscript(key: String) -> Record? {
        let place = place(of: key)
        return place.found ? chunks[place.chunk][place.index] : nil
    }

    mutating func set(_ record: Record) {
        let place = place(of: record.key)
        if place.found {
            chunks[place.chunk][place.index] = record
            return
        }
        count += 1
        if chunks.isEmpty {
            chunks.append([record])
            return
        }
        chunks[place.chunk].insert(record, at: place.index)
        if chunks[place.chunk].count > Self.fullChunk {
            let half = chunks[place.chunk].count / 2
            let upper = Array(chunks[place.chunk][half...])
            chunks[place.chunk].removeSubrange(half...)
            chunks.insert(upper, at: place.chunk + 1)
        }
    }

    mutating func remove(_ key: String) {
        let place = place(of: key)
        guard place.found else { return }
        count -= 1
        chunks[place.chunk].remove(at: place.index)
        if chunks[place.chunk].isEmpty { chunks.remove(at: place.chunk) }
    }

    /// Up to `limit` records with the prefix whose key lies after `after`, and how many more there are.
    func records(prefix: String, after: String?, limit: Int?) -> (records: [Record], remaining: Int) {
        let start = after.map { max($0, prefix) } ?? prefix
        var found: [Record] = []
        var remaining = 0
        let place = place(of: start)
        var index = place.index
        var chunk = place.chunk
        while chunk < chunks.count {
            let entries = chunks[chunk]
            while index < entries.count {
                let record = entries[index]
                guard record.key.utf8.starts(with: prefix.utf8) else {
                    // `start` may sort before the first key of the prefix, never after its last.
                    return (found, remaining)
                }
                if record.key != after {
                    if let limit, found.count >= limit { remaining += 1 } else { found.append(record) }
                }
                index += 1
            }
            chunk += 1
            index = 0
        }
        return (found, remaining)
    }
}
