import Basics
import Wire

/// Records given by hand, as in `/etc/hosts`: addresses and their names.
public struct HostsTable: Sendable, Equatable {
    public private(set) var addresses: [DNSName: [IPAddress]] = [:]
    public private(set) var names: [IPAddress: [DNSName]] = [:]
    public var timeToLive: UInt32 = 3600
    public var answersReverse = true
    public var passing = PassingOn.none

    public init() {}

    public mutating func add(_ address: IPAddress, _ name: DNSName) {
        if addresses[name]?.contains(address) != true { addresses[name, default: []].append(address) }
        if names[address]?.contains(name) != true { names[address, default: []].append(name) }
    }

    public enum Verdict: Sendable, Equatable {
        /// The name is in the table; `records` is empty where it has nothing of the type.
        case found([DNSRecord])
        case absent
    }

    public func answer(_ question: DNSQuestion) -> Verdict {
        func records(_ data: [DNSData]) -> [DNSRecord] {
            data.map { DNSRecord(question.name, timeToLive: timeToLive, $0) }
        }
        if question.type == .ptr, let address = Zone.reverseAddress(question.name) {
            guard answersReverse, let found = names[address] else { return .absent }
            return .found(records(found.map { .ptr($0) }))
        }
        guard let found = addresses[question.name] else { return .absent }
        return .found(records(found.map { DNSData.address($0) }.filter { $0.type == question.type }))
    }
}
