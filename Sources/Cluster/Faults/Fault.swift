import Basics
import Document

/// Something that goes wrong in a cluster's network on purpose.
public struct Fault: Sendable, Equatable {
    public enum Kind: Sendable, Equatable {
        /// Nothing passes.
        case partition
        /// So many of a hundred packets are lost.
        case loss(percent: Int)
        /// What goes beyond so many thousand bits a second is lost, in each direction for itself.
        case rate(kilobits: Int)
        /// TCP connections are reset; everything else passes.
        case reset
        /// Questions to the cluster's DNS go unanswered.
        case dns
    }

    /// One side of what is disturbed.
    public enum Place: Sendable, Equatable {
        case node(String)
        case pod(namespace: String, name: String)
        case service(namespace: String, name: String)

        /// `node/NAME`, `pod/NAMESPACE/NAME`, `service/NAMESPACE/NAME`.
        public init(_ text: String) throws(UsageError) {
            let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
            let wrong = UsageError(
                "'\(text)' names no place in a cluster",
                remedy: "write node/NAME, pod/NAMESPACE/NAME or service/NAMESPACE/NAME")
            guard !parts.contains("") else { throw wrong }
            switch (parts.first, parts.count) {
            case ("node", 2): self = .node(parts[1])
            case ("pod", 3): self = .pod(namespace: parts[1], name: parts[2])
            case ("service", 3): self = .service(namespace: parts[1], name: parts[2])
            default: throw wrong
            }
        }

        public var text: String {
            switch self {
            case .node(let name): "node/\(name)"
            case .pod(let namespace, let name): "pod/\(namespace)/\(name)"
            case .service(let namespace, let name): "service/\(namespace)/\(name)"
            }
        }
    }

    public var name: String
    public var kind: Kind
    public var from: Place
    /// Nil for everybody.
    public var to: Place?
    /// Only what `from` sends.
    public var oneWay: Bool
    /// When it ends by itself.
    public var until: Timestamp?

    public init(
        name: String, kind: Kind, from: Place, to: Place? = nil, oneWay: Bool = false, until: Timestamp? = nil
    ) throws(UsageError) {
        self.name = name
        self.kind = kind
        self.from = from
        self.to = to
        self.oneWay = oneWay
        self.until = until
        try check()
    }

    private static let longestName = 40
    private static let rates = 8...10_000_000

    /// `64kbit`, `10mbit`, `1gbit`, in thousands of bits a second.
    public static func kilobits(_ text: String) throws(UsageError) -> Int {
        let wrong = UsageError("'\(text)' is no rate", remedy: "write a number and kbit, mbit or gbit, such as 10mbit")
        for (unit, factor) in [("kbit", 1), ("mbit", 1_000), ("gbit", 1_000_000)] where text.hasSuffix(unit) {
            guard let number = Int(text.dropLast(4)), number > 0, number <= rates.upperBound / factor else {
                throw wrong
            }
            return number * factor
        }
        throw wrong
    }

    static func check(name: String) throws(UsageError) {
        let isWord = name.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == 45 }
        guard isWord, !name.isEmpty, name.utf8.count <= longestName else {
            throw UsageError("'\(name)' is no name for a fault", remedy: "use at most 40 of a-z, 0-9 and '-'")
        }
    }

    private func check() throws(UsageError) {
        try Self.check(name: name)
        if case .loss(let percent) = kind, !(1...100).contains(percent) {
            throw UsageError("\(percent) percent cannot be lost", remedy: "use a number from 1 to 100")
        }
        if case .rate(let kilobits) = kind, !Self.rates.contains(kilobits) {
            throw UsageError("\(kilobits) kbit/s is no rate for a fault", remedy: "use 8kbit to 10gbit")
        }
        if to == from { throw UsageError("both sides are \(from.text)", remedy: "name two places, or one alone") }
        if case .service = from {
            throw UsageError("a service sends nothing", remedy: "name it second: 'partition pod/NS/POD \(from.text)'")
        }
        if oneWay, case .service? = to {
            throw UsageError(
                "a service is cut off in both directions or in none", remedy: "leave out --one-way, or name a pod")
        }
        if kind == .dns, to != nil {
            throw UsageError("DNS fails for one place", remedy: "name only who asks")
        }
    }

    // MARK: As it is kept

    /// What is kept beside the fault's table.
    var comment: String {
        var document: Document = ["from": Document(from.text)]
        if let to { document["to"] = Document(to.text) }
        if oneWay { document["oneWay"] = true }
        if let until { document["until"] = Document(until.rfc3339()) }
        switch kind {
        case .partition: document["kind"] = "partition"
        case .loss(let percent):
            document["kind"] = "loss"
            document["percent"] = Document(percent)
        case .rate(let kilobits):
            document["kind"] = "rate"
            document["kilobits"] = Document(kilobits)
        case .reset: document["kind"] = "reset"
        case .dns: document["kind"] = "dns"
        }
        return document.jsonText
    }

    /// Nil where it is nothing that `comment` wrote.
    init?(name: String, comment: String) {
        guard let document = try? Document(json: Array(comment.utf8)),
            let from = document.text("from").flatMap({ try? Place($0) })
        else { return nil }
        let kind: Kind
        switch document.text("kind") {
        case "partition": kind = .partition
        case "loss": kind = .loss(percent: document.number("percent") ?? 100)
        case "rate": kind = .rate(kilobits: document.number("kilobits") ?? 0)
        case "reset": kind = .reset
        case "dns": kind = .dns
        default: return nil
        }
        let fault = try? Fault(
            name: name, kind: kind, from: from, to: document.text("to").flatMap { try? Place($0) },
            oneWay: document.flag("oneWay") ?? false,
            until: document.text("until").flatMap { Timestamp(rfc3339: $0) })
        guard let fault else { return nil }
        self = fault
    }

    public var summary: String {
        switch kind {
        case .partition: "partition"
        case .loss(let percent): "loss \(percent)%"
        case .rate(let kilobits): "rate \(kilobits)kbit"
        case .reset: "reset"
        case .dns: "dns"
        }
    }
}
