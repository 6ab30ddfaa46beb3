import APIServer
import Basics
import Client
import Linux

/// A fault as somebody asks for it, on the command line or in a scenario.
public struct FaultRequest: Sendable, Equatable {
    public var kind: String
    public var at: String?
    public var to: String?
    /// Its kind and a number where not given.
    public var name: String?
    public var lasts: Duration?
    public var percent: Int?
    /// Thousands of bits a second.
    public var kilobits: Int?
    public var delay: Duration?
    public var isOneWay: Bool

    public init(
        kind: String, at: String? = nil, to: String? = nil, name: String? = nil, lasts: Duration? = nil,
        percent: Int? = nil, kilobits: Int? = nil, delay: Duration? = nil, isOneWay: Bool = false
    ) {
        self.kind = kind
        self.at = at
        self.to = to
        self.name = name
        self.lasts = lasts
        self.percent = percent
        self.kilobits = kilobits
        self.delay = delay
        self.isOneWay = isOneWay
    }
}

/// All faults of a cluster, of whatever kind.
public struct Faults: Sendable {
    public static let kinds =
        ["partition", "loss", "rate", "reset", "dns"] + ProcessFaults.kinds + ClientFaultRules.kinds

    private let network: FaultInjector
    private let processes: ProcessFaults
    private let clients: ClientFaultRules
    private let clock: any WorldClock

    public init(cluster: String, host: Host) throws {
        network = try FaultInjector(cluster: cluster, host: host)
        processes = ProcessFaults(cluster: cluster, host: host)
        clock = host.world.clock
        let kubeconfig = try Kubeconfig(yaml: try Files.read(host.layout.cluster(cluster).kubeconfig))
        let transport = try Connect.transport(kubeconfig.access(), world: host.world)
        clients = ClientFaultRules(client: APIClient(transport: transport, userAgent: ClientFaults.sparedAgent))
    }

    /// Answers the name.
    public func add(_ request: FaultRequest) async throws -> String {
        guard Self.kinds.contains(request.kind) else {
            if ["delay", "jitter"].contains(request.kind) {
                throw UsageError(
                    "packets cannot be delayed: that needs the kernel's netem, which lab does not use",
                    remedy: "known are \(Self.kinds.joined(separator: ", "))")
            }
            throw UsageError(
                "'\(request.kind)' is no kind of fault", remedy: "known are \(Self.kinds.joined(separator: ", "))")
        }
        let taken = Set(try await list().map(\.name))
        if let name = request.name, taken.contains(name) {
            throw Failure("there is a fault '\(name)' already", remedy: "remove it, or give this one another --name")
        }
        let free = (1...).lazy.map { "\(request.kind)-\($0)" }.first { !taken.contains($0) }
        let name = request.name ?? free ?? request.kind
        try Fault.check(name: name)
        if let lasts = request.lasts, lasts <= .zero { throw UsageError("'\(name)' would be over already", remedy: "") }
        let until = request.lasts.map { clock.now + $0 }
        if ProcessFaults.kinds.contains(request.kind) {
            try await processes.add(request, name: name, until: until)
        } else if ClientFaultRules.kinds.contains(request.kind) {
            try await clients.add(name, try ClientFaultRules.entry(request, until: until))
        } else {
            try await network.add(try Self.networkFault(request, name: name, until: until))
        }
        return name
    }

    private static func networkFault(
        _ request: FaultRequest, name: String, until: Timestamp?
    ) throws(UsageError) -> Fault {
        let kind: Fault.Kind
        switch request.kind {
        case "partition": kind = .partition
        case "reset": kind = .reset
        case "dns": kind = .dns
        case "rate":
            guard let kilobits = request.kilobits else {
                throw UsageError("the fault 'rate' needs a rate", remedy: "such as 1mbit")
            }
            kind = .rate(kilobits: kilobits)
        default:
            guard let percent = request.percent else {
                throw UsageError("the fault 'loss' needs a percent", remedy: "such as 20")
            }
            kind = .loss(percent: percent)
        }
        if request.percent != nil, request.kind != "loss" {
            throw UsageError("'\(request.kind)' has no percent", remedy: "leave it out")
        }
        if request.kilobits != nil, request.kind != "rate" {
            throw UsageError("only 'rate' has a rate", remedy: "leave it out")
        }
        if request.delay != nil { throw UsageError("'\(request.kind)' has no delay", remedy: "leave it out") }
        guard let at = request.at else {
            throw UsageError(
                "'\(request.kind)' needs a place", remedy: "such as 'lab fault add partition node/worker node/worker2'")
        }
        var to: Fault.Place?
        if let other = request.to { to = try Fault.Place(other) }
        return try Fault(
            name: name, kind: kind, from: try Fault.Place(at), to: to, oneWay: request.isOneWay, until: until)
    }

    /// Those in force, by name. A cluster whose API does not answer has its other faults told.
    public func list() async throws -> [FaultEntry] {
        var entries = try await network.list().map { fault in
            FaultEntry(
                name: fault.name, kind: fault.summary, at: fault.from.text, to: fault.to?.text ?? "(everybody)",
                isOneWay: fault.oneWay, until: fault.until)
        }
        entries += try await processes.list()
        if !entries.contains(where: Self.silencesAPI) {
            // The server keeps them itself: where none answers, none are in force.
            do { entries += try await clients.list(now: clock.now) } catch let error where Connect.isSilence(error) {}
        }
        return entries.sorted { $0.name < $1.name }
    }

    /// With such a fault nobody need wait for the API's answer.
    private static func silencesAPI(_ entry: FaultEntry) -> Bool {
        (entry.kind == "stop" || entry.kind == "freeze")
            && (entry.at.hasPrefix("component/apiserver")
                || entry.at.hasPrefix("node/") && entry.at.hasSuffix("control-plane"))
    }

    /// Answers whether there was such a fault.
    public func remove(_ name: String) async throws -> Bool {
        if try await processes.remove(name) { return true }
        if try await network.remove(name: name) { return true }
        return try await clients.remove(name)
    }
}
