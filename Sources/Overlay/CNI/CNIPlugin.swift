import Basics
import Document
import Glibc
import Linux

/// The overlay as a CNI plugin, for container runtimes that are not ours. Attaches as the node's own kubelet does, and
/// takes addresses from the same ledger, so both may work on one node.
public struct CNIPlugin: Sendable {
    public struct Outcome: Sendable, Equatable {
        public var output: [UInt8]
        public var exitCode: Int32
    }

    private static let longestInput = 1 << 20
    /// The node's network namespace; nil for the one that this process is in.
    let node: NetworkNamespace?

    public init(node: NetworkNamespace? = nil) { self.node = node }

    /// The whole of a call: what to print and how to end.
    public func run(environment: [String: String], input: [UInt8]) -> Outcome {
        // An answer has the version of the question, as far as that can be read.
        let asked = input.count <= Self.longestInput ? (try? Document(json: input))?.text("cniVersion") : nil
        let version = asked.flatMap { CNIRequest.versions.contains($0) ? $0 : nil } ?? CNIRequest.versions.last ?? ""
        do {
            guard input.count <= Self.longestInput else {
                throw CNIError(.decoding, "the configuration is longer than \(Self.longestInput) bytes")
            }
            let request = try CNIRequest(environment: environment, input: input)
            let answer = try perform(request)
            return Outcome(output: answer.map { $0.json + [10] } ?? [], exitCode: 0)
        } catch {
            let failure = error as? CNIError ?? CNIError(.inputOutput, "\(error)")
            return Outcome(output: failure.document(version: version).json + [10], exitCode: 1)
        }
    }

    private func perform(_ request: CNIRequest) throws -> Document? {
        switch request.command {
        case .version:
            return [
                "cniVersion": Document(CNIRequest.versions.last ?? ""),
                "supportedVersions": Document(CNIRequest.versions.map { Document($0) }),
            ]
        case .add: return try add(request)
        case .delete:
            try delete(request)
            return nil
        case .check:
            try check(request)
            return nil
        case .collect:
            try collect(request)
            return nil
        case .status:
            try status(request)
            return nil
        }
    }

    // MARK: The ledger

    private func ledger(_ request: CNIRequest) throws -> AddressPool {
        guard let network = request.network else { throw CNIError(.configuration, "no subnet") }
        do {
            return try AddressPool(
                directory: "\(request.stateDirectory)/addresses", network: network, ownsDirectory: false)
        } catch let error as AddressPool.Foreign {
            throw CNIError(.configuration, "\(error)", details: "the subnet is not this node's")
        }
    }

    private func link(_ address: IPAddress, _ request: CNIRequest) throws -> PodLink {
        guard let network = request.network, let interface = request.attachment?.interface else {
            throw CNIError(.configuration, "no subnet")
        }
        return PodLink(
            network: PodNetwork(
                address: address, gateway: network.address(at: 1) ?? network.base, mtu: request.mtu),
            interface: interface)
    }

    private func namespace(_ request: CNIRequest) throws -> NetworkNamespace {
        do { return try NetworkNamespace(path: request.namespace ?? "") } catch {
            throw CNIError(.unknownContainer, "the network namespace cannot be opened", details: "\(error)")
        }
    }

    // MARK: Commands

    private func add(_ request: CNIRequest) throws -> Document {
        guard let attachment = request.attachment else { throw CNIError(.environment, "no container") }
        let container = try namespace(request)
        let node = try RouteSocket(in: self.node)
        var ledger = try ledger(request)
        let before = ledger.address(of: attachment.key)
        if before == nil, try RouteSocket(in: container).link(named: attachment.interface) != nil {
            throw CNIError(.configuration, "the container has a link \(attachment.interface) already")
        }
        let address: IPAddress
        do { address = try ledger.take(for: attachment.key) } catch let error as AddressPool.Exhausted {
            throw CNIError(.tryAgain, "\(error)", details: "addresses come free when containers end, or with GC")
        }
        let link = try link(address, request)
        do { try link.establish(node: node, nodeNamespace: self.node, namespace: container) } catch {
            if before == nil {
                try? PodLink.remove(for: address, node: node)
                _ = try? ledger.release(attachment.key)
            }
            throw error
        }
        return result(link, request)
    }

    private func result(_ link: PodLink, _ request: CNIRequest) -> Document {
        var own: Document = [
            "name": Document(link.interface), "mac": Document("\(link.podMAC)"),
            "sandbox": Document(request.namespace ?? ""),
        ]
        if request.version == "1.1.0" { own["mtu"] = Document(request.mtu) }
        var address: Document = [
            "address": Document("\(link.network.address)/32"), "gateway": Document("\(link.network.gateway)"),
            "interface": 1,
        ]
        if request.version.hasPrefix("0.") { address["version"] = "4" }
        return [
            "cniVersion": Document(request.version),
            "interfaces": [["name": Document(link.name), "mac": Document("\(link.nodeMAC)")], own],
            "ips": [address], "routes": [["dst": "0.0.0.0/0", "gw": Document("\(link.network.gateway)")]], "dns": [:],
        ]
    }

    /// Also of what was never added, and of what is half gone.
    private func delete(_ request: CNIRequest) throws {
        guard let attachment = request.attachment else { return }
        var ledger = try ledger(request)
        try delete(attachment.key, from: &ledger)
    }

    private func delete(_ key: String, from ledger: inout AddressPool) throws {
        guard let address = ledger.address(of: key) else { return }
        try PodLink.remove(for: address, node: try RouteSocket(in: node))
        try ledger.release(key)
    }

    private func check(_ request: CNIRequest) throws {
        guard let attachment = request.attachment else { return }
        guard let previous = request.previous else { throw CNIError(.configuration, "CHECK needs prevResult") }
        guard let address = try ledger(request).address(of: attachment.key) else {
            throw CNIError(.unknownContainer, "the container has no address here")
        }
        let said = previous.list("ips").compactMap { $0.text("address").flatMap { CIDR($0) }?.base }
        guard said.contains(address) else {
            throw CNIError(.notAsMade, "the container's address is \(address), and prevResult has another")
        }
        let link = try link(address, request)
        if let problem = try link.problem(node: RouteSocket(in: node), namespace: namespace(request)) {
            throw CNIError(.notAsMade, problem)
        }
    }

    /// Takes back what belongs to containers that the runtime no longer knows. What is not ours stays.
    private func collect(_ request: CNIRequest) throws {
        var ledger = try ledger(request)
        let valid = Set(request.valid.map(\.key))
        for key in ledger.keys where key.hasPrefix(Overlay.foreignPrefix) && !valid.contains(key) {
            try delete(key, from: &ledger)
        }
    }

    /// Whether an ADD would work now.
    private func status(_ request: CNIRequest) throws {
        let ledger = try ledger(request)
        if ledger.isExhausted { throw CNIError(.notAvailable, "\(AddressPool.Exhausted(network: ledger.network))") }
        let node = try RouteSocket(in: self.node)
        guard try node.link(named: OverlayPlan.linkName)?.isUp == true else {
            throw CNIError(.notAvailable, "the node has no \(OverlayPlan.linkName) link", details: "its agent makes it")
        }
        guard try NetworkSetting.read("ipv4/ip_forward", in: self.node) == "1" else {
            throw CNIError(.notAvailable, "the node does not forward packets")
        }
    }
}
