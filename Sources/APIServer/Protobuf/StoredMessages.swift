import Document
import Schema
import Synchronization

/// Stored objects as the items of protobuf lists. Those that were made last are kept, because clients that ask for protobuf list
/// the same objects again, and making a message costs ten times what sending it does.
///
/// A message belongs to the very bytes that it was made from: the store never changes a value in place, and holding on
/// to the bytes keeps their address from being used for others.
enum StoredMessages {
    fileprivate struct Key: Hashable {
        var address: UInt
        var type: TypeID
    }

    fileprivate struct Entry {
        var stored: [UInt8]
        var item: [UInt8]

        /// The stored bytes are the store's own, as long as the object does not change.
        var size: Int { item.count + 256 }
    }

    /// Two generations: when the young one is full the old one goes, so what is used stays.
    fileprivate struct Kept {
        fileprivate var young: [Key: Entry] = [:]
        fileprivate var old: [Key: Entry] = [:]
        fileprivate var youngSize = 0
    }

    /// Bytes of one generation.
    private static let limit = 16 << 20
    private static let kept = Mutex(Kept())

    /// One item of a list, with what stands before it there.
    static func item(of stored: [UInt8], _ resource: ResourceInfo) throws -> [UInt8] {
        let address = stored.withUnsafeBufferPointer { UInt(bitPattern: $0.baseAddress) }
        let key = Key(address: address, type: TypeID(resource.type.info))
        if let found = kept.withLock({ $0.find(key, limit: limit) }) { return found }
        let object = try Document(json: ObjectCodec.item(stored, resource))
        let message = try ProtobufEncoder.message(object, type: resource.type.info)
        var item: [UInt8] = []
        item.reserveCapacity(message.count + 6)
        ProtobufWire.bytes(2, message, to: &item)
        kept.withLock { $0.add(Entry(stored: stored, item: item), key, limit: limit) }
        return item
    }
}

extension StoredMessages.Kept {
    fileprivate mutating func find(_ key: StoredMessages.Key, limit: Int) -> [UInt8]? {
        if let entry = young[key] { return entry.item }
        guard let entry = old.removeValue(forKey: key) else { return nil }
        add(entry, key, limit: limit)
        return entry.item
    }

    fileprivate mutating func add(_ entry: StoredMessages.Entry, _ key: StoredMessages.Key, limit: Int) {
        if youngSize + entry.size > limit {
            old = young
            young = [:]
            youngSize = 0
        }
        if young.updateValue(entry, forKey: key) == nil { youngSize += entry.size }
    }
}
