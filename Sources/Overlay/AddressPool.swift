import Basics
import Glibc
import Linux

/// The pod addresses of one node: one file per taken address, whose content is the pod's key.
///
/// The file appears in one step with its content, and only where there was none, so an address has one owner
/// whatever crashes when.
public struct AddressPool {
    public struct Exhausted: Error, CustomStringConvertible {
        public let network: CIDR
        public var description: String { "every address of the pod network \(network) is taken" }
    }

    /// An address in the ledger that its network does not have.
    public struct Foreign: Error, CustomStringConvertible {
        public let address: String
        public let network: CIDR
        public var description: String { "the taken address \(address) does not belong to the pod network \(network)" }
    }

    private let directory: String
    public let network: CIDR
    private var owners: [IPAddress: String] = [:]
    private var addresses: [String: IPAddress] = [:]
    /// Where the search goes on, so that a freed address rests as long as possible before it is used again.
    private var next: UInt64

    /// The first and the last address of the network are never given out, nor is the gateway.
    private static let reservedAtStart: UInt64 = 2
    private static let attempts = 3

    /// `ownsDirectory` is false for whoever works beside the node's agent: it throws rather than sweeps.
    public init(directory: String, network: CIDR, ownsDirectory: Bool = true) throws {
        self.directory = directory
        self.network = network
        next = Self.reservedAtStart
        try Files.makeDirectories(directory)
        for name in try Files.list(directory) {
            // Other names are leftovers of an interrupted take; addresses of another network have lost their meaning.
            guard let address = IPAddress(name), network.contains(address),
                case let owner = try Files.text("\(directory)/\(name)"), !owner.isEmpty, addresses[owner] == nil
            else {
                if ownsDirectory {
                    try remove(name)
                } else if let address = IPAddress(name), !network.contains(address) {
                    throw Foreign(address: name, network: network)
                }
                continue
            }
            owners[address] = owner
            addresses[owner] = address
            next = max(next, address.low - network.base.low + 1)
        }
    }

    /// Whether a ledger says so, for whoever does not know its network.
    public static func isOwner(_ podKey: String, in directory: String) throws -> Bool {
        guard Files.exists(directory) else { return false }
        return try Files.list(directory).contains {
            IPAddress($0) != nil && (try? Files.text("\(directory)/\($0)")) == podKey
        }
    }

    public var count: Int { owners.count }
    public var isExhausted: Bool { UInt64(owners.count) >= usable }
    private var size: UInt64 { 1 << UInt64(32 - network.prefix) }
    private var usable: UInt64 { size - Self.reservedAtStart - 1 }
    public var keys: [String] { addresses.keys.sorted() }

    public func address(of podKey: String) -> IPAddress? { addresses[podKey] }

    /// The pod's address: the one that it has, or a free one.
    public mutating func take(for podKey: String) throws -> IPAddress {
        if let address = addresses[podKey] { return address }
        for _ in 0..<usable {
            if next < Self.reservedAtStart || next > size - 2 { next = Self.reservedAtStart }
            let candidate = network.address(at: next)
            next += 1
            guard let candidate, owners[candidate] == nil, try claim(candidate, podKey) else { continue }
            owners[candidate] = podKey
            addresses[podKey] = candidate
            return candidate
        }
        throw Exhausted(network: network)
    }

    /// Gives the pod's address back; answers which it was.
    @discardableResult
    public mutating func release(_ podKey: String) throws -> IPAddress? {
        guard let address = addresses[podKey] else { return nil }
        try remove("\(address)")
        addresses[podKey] = nil
        owners[address] = nil
        return address
    }

    /// False where the file exists already.
    private func claim(_ address: IPAddress, _ podKey: String) throws -> Bool {
        // Named by the process, as another one may take at the same time; an agent that starts sweeps such files away,
        // and then it is tried again.
        let temporary = "\(directory)/.taking-\(address)-\(getpid())"
        defer { unlink(temporary) }
        for _ in 0..<Self.attempts {
            try Files.write(Array(podKey.utf8), to: temporary)
            if link(temporary, "\(directory)/\(address)") == 0 { return true }
            if errno == EEXIST { return false }
            guard errno == ENOENT else { break }
        }
        throw SystemError("take pod address", "\(address)", errno: errno)
    }

    private func remove(_ name: String) throws {
        guard unlink("\(directory)/\(name)") == 0 || errno == ENOENT else {
            throw SystemError("give back pod address", "\(directory)/\(name)", errno: errno)
        }
    }
}
