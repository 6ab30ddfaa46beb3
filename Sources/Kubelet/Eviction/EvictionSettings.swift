import Basics
import Document

/// What a node watches of itself.
public enum EvictionSignal: String, Sendable, CaseIterable {
    case memoryAvailable = "memory.available"
    case nodeAvailable = "nodefs.available"
    case nodeInodesFree = "nodefs.inodesFree"
    case imagesAvailable = "imagefs.available"
    case imagesInodesFree = "imagefs.inodesFree"
    case processesAvailable = "pid.available"

    var pressure: NodePressure {
        switch self {
        case .memoryAvailable: .memory
        case .processesAvailable: .pid
        default: .disk
        }
    }

    /// As messages name what is short.
    var resource: String {
        switch self {
        case .memoryAvailable: "memory"
        case .processesAvailable: "pids"
        case .nodeInodesFree, .imagesInodesFree: "inodes"
        default: "ephemeral-storage"
        }
    }
}

/// A line that the available amount must not fall below.
public struct EvictionThreshold: Sendable, Equatable {
    public enum Amount: Sendable, Equatable {
        case exactly(Int64)
        /// Thousandths of a percent of what there is in all.
        case share(Int64)
    }

    public var signal: EvictionSignal
    public var amount: Amount
    /// So long it has to be below before pods have to go; nil: they go at once, without time to end in.
    public var grace: Duration?

    public init(_ signal: EvictionSignal, _ amount: Amount, grace: Duration? = nil) {
        (self.signal, self.amount, self.grace) = (signal, amount, grace)
    }

    func bytes(of capacity: Int64) -> Int64 {
        switch amount {
        case .exactly(let bytes): bytes
        case .share(let share): Int64(Double(capacity) * Double(share) / 100_000)
        }
    }

    /// `100Mi` or `10%`.
    init(_ signal: String, _ text: String, grace: Duration?) throws(KubeletSettingsFile.Problem) {
        guard let signal = EvictionSignal(rawValue: signal) else {
            throw KubeletSettingsFile.Problem("unknown eviction signal \"\(signal)\"")
        }
        if text.hasSuffix("%"), let percent = Double(text.dropLast()), (0...100).contains(percent) {
            self.init(signal, .share(Int64(percent * 1000)), grace: grace)
        } else if let amount = Quantity.milli(text), amount >= 0 {
            self.init(signal, .exactly(amount / 1000), grace: grace)
        } else {
            throw KubeletSettingsFile.Problem("eviction threshold \"\(text)\" of \(signal.rawValue) is no amount")
        }
    }
}

extension EvictionThreshold {
    func isMet(by sample: EvictionSample) -> Bool {
        sample.amounts[signal].map { $0.available < bytes(of: $0.capacity) } ?? false
    }
}

public struct EvictionSettings: Sendable, Equatable {
    /// The disk is the whole machine's, on which a cluster of nodes is a guest: how full it may be is not theirs to say
    /// unless they are told.
    public var hard = [EvictionThreshold(.memoryAvailable, .exactly(100 << 20))]
    public var soft: [EvictionThreshold] = []
    /// The most that a pod gets to end in for a soft threshold.
    public var longestPodGrace = Duration.zero
    /// So long a condition stays after its cause has gone.
    public var transition = Duration.seconds(300)

    public init() {}

    var all: [EvictionThreshold] { hard + soft }
}

/// One look at what is available.
struct EvictionSample: Sendable, Equatable {
    struct Amount: Sendable, Equatable {
        var available: Int64
        var capacity: Int64
    }

    var amounts: [EvictionSignal: Amount] = [:]
}

/// What looks at the node add up to.
struct EvictionState: Sendable {
    private(set) var pressure: Set<NodePressure> = []
    private var firstMet: [Int: Timestamp] = [:]
    private var lastMet: [NodePressure: Timestamp] = [:]
    let settings: EvictionSettings

    init(_ settings: EvictionSettings) { self.settings = settings }

    /// The threshold for which a pod has to go now, memory before all else; nil: none.
    mutating func observe(_ sample: EvictionSample, now: Timestamp) -> EvictionThreshold? {
        var due: [EvictionThreshold] = []
        for (index, threshold) in settings.all.enumerated() {
            guard threshold.isMet(by: sample) else {
                firstMet[index] = nil
                continue
            }
            let since = firstMet[index] ?? now
            firstMet[index] = since
            lastMet[threshold.signal.pressure] = now
            if now >= since + (threshold.grace ?? .zero) { due.append(threshold) }
        }
        pressure = Set(
            NodePressure.allCases.filter { kind in
                lastMet[kind].map { now < $0 + settings.transition || $0 == now } ?? false
            })
        let order: [NodePressure] = [.memory, .disk, .pid]
        return due.enumerated().min { one, other in
            func place(_ entry: (offset: Int, element: EvictionThreshold)) -> Int {
                (order.firstIndex(of: entry.element.signal.pressure) ?? 3) * 1000 + entry.offset
            }
            return place(one) < place(other)
        }?.element
    }
}

/// What one pod uses and was promised, of what is short.
struct EvictionCandidate: Sendable, Equatable {
    struct Container: Sendable, Equatable {
        var name: String
        var usage: Int64
        var request: Int64
    }

    var uid: String
    var priority: Int
    var usage: Int64
    var request: Int64
    var containers: [Container] = []

    /// Who goes first: whoever uses more than was promised; of those the least important; of those the greediest.
    static func ranked(_ candidates: [EvictionCandidate], for signal: EvictionSignal) -> [EvictionCandidate] {
        candidates.sorted { one, other in
            if signal != .processesAvailable {
                let (first, second) = (one.usage > one.request, other.usage > other.request)
                if first != second { return first }
            }
            if one.priority != other.priority { return one.priority < other.priority }
            let first = signal == .processesAvailable ? one.usage : one.usage - one.request
            let second = signal == .processesAvailable ? other.usage : other.usage - other.request
            return first != second ? first > second : one.uid < other.uid
        }
    }

    func message(_ threshold: EvictionThreshold, _ sample: EvictionSample) -> String {
        let resource = threshold.signal.resource
        func shown(_ amount: Int64) -> String {
            ["pids", "inodes"].contains(resource) ? "\(amount)" : Quantity.binary(amount)
        }
        var text = "The node was low on resource: \(resource). "
        if let amount = sample.amounts[threshold.signal] {
            text += "Threshold quantity: \(shown(threshold.bytes(of: amount.capacity))), "
            text += "available: \(shown(amount.available)). "
        }
        for container in containers where container.usage > container.request {
            text += "Container \(container.name) was using \(shown(container.usage)), request is "
            text += "\(shown(container.request)), has larger consumption of \(resource). "
        }
        return text
    }
}

extension Quantity {
    /// The largest binary unit of which it is a whole number, as Kubernetes writes bytes.
    static func binary(_ bytes: Int64) -> String {
        var rest = bytes
        var unit = 0
        let units = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]
        while rest != 0, rest % 1024 == 0, unit + 1 < units.count {
            rest /= 1024
            unit += 1
        }
        return "\(rest)\(units[unit])"
    }
}
