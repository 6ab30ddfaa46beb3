import Basics

/// What a pod that policies have isolated in one direction may still exchange: the union of all rules about it.
///
/// Each kind of permission is a set of its own in the kernel, so that asking costs a few look-ups however many
/// policies there are.
public struct PolicyContent: Sendable, Equatable {
    public struct PeerPort: Sendable, Hashable {
        public var address: IPAddress
        public var transport: UInt8
        public var port: UInt16
    }

    public var allowsEverything = false
    /// Pods with which everything is allowed.
    public var peers: Set<IPAddress> = []
    public var peerPorts: Set<PeerPort> = []
    /// Ports that everybody may use.
    public var ports: Set<PortRange> = []
    /// Ranges of addresses by the ports that are open to them, merged.
    public var blocks: [PortRange: [AddressRange]] = [:]

    public init() {}

    /// - Parameters:
    ///   - addresses: the pods that a selector picks.
    ///   - own: the pod's own named ports, which rules about who comes in mean.
    ///   - portsOfPeers: pods by a named port of theirs, which rules about where to go mean.
    mutating func add(
        _ rule: PolicyRule, direction: PolicyDirection, own: [PolicyPod.PortName: UInt16],
        addresses: (PeerSelector) -> [IPAddress],
        portsOfPeers: (PeerSelector, PolicyPod.PortName) -> [(IPAddress, UInt16)]
    ) {
        guard let ports = rule.ports else {
            guard let selectors = rule.peers else {
                allowsEverything = true
                return
            }
            for selector in selectors { peers.formUnion(addresses(selector)) }
            add(rule.blocks, .everything)
            return
        }
        for port in ports {
            switch port {
            case .numbers(let range): add(rule, range, addresses)
            case .named(let name) where direction == .ingress:
                if let number = own[name] { add(rule, PortRange(name.transport, number, number), addresses) }
            case .named(let name):
                // Only a pod has names for its ports, so a block of addresses has none of that name.
                for selector in rule.peers ?? [.everyPod] {
                    for (address, number) in portsOfPeers(selector, name) {
                        peerPorts.insert(PeerPort(address: address, transport: name.transport, port: number))
                    }
                }
            }
        }
    }

    private mutating func add(_ rule: PolicyRule, _ range: PortRange, _ addresses: (PeerSelector) -> [IPAddress]) {
        guard let selectors = rule.peers else {
            ports.insert(range)
            return
        }
        for selector in selectors {
            let found = addresses(selector)
            if range.isSingle {
                for address in found {
                    peerPorts.insert(PeerPort(address: address, transport: range.transport, port: range.first))
                }
            } else {
                add(found.map { AddressRange($0, $0) }, range)
            }
        }
        add(rule.blocks, range)
    }

    private mutating func add(_ ranges: [AddressRange], _ ports: PortRange) {
        if ranges.isEmpty { return }
        blocks[ports, default: []] += ranges
    }

    /// Brings what was added into its one form, so that equal permissions are equal values.
    mutating func finish() {
        if allowsEverything {
            self = PolicyContent()
            allowsEverything = true
        }
        blocks = blocks.mapValues { AddressRange.merged($0) }
    }
}
