/// How often a measured value fell between which bounds.
public struct Histogram: Sendable, Equatable {
    /// Upper bounds, smallest first; what lies above the last is counted too.
    public let bounds: [Double]
    public private(set) var counts: [Int]
    public private(set) var sum = 0.0

    public init(bounds: [Double]) {
        self.bounds = bounds
        counts = [Int](repeating: 0, count: bounds.count + 1)
    }

    /// `first`, and each following bound `factor` times the one before.
    public init(first: Double, factor: Double, count: Int) {
        var bounds: [Double] = []
        var bound = first
        for _ in 0..<count {
            bounds.append(bound)
            bound *= factor
        }
        self.init(bounds: bounds)
    }

    public var count: Int { counts.reduce(0, +) }

    public mutating func add(_ value: Double) {
        counts[bounds.firstIndex { value <= $0 } ?? bounds.count] += 1
        sum += value
    }
}

/// Something that is counted, and can be read by Prometheus.
public protocol MetricsSource: Sendable {
    func write(to text: inout MetricsText)
}

/// The text format of Prometheus: for each family a `# HELP` and a `# TYPE` line, then its samples.
public struct MetricsText: Sendable {
    public static let contentType = "text/plain; version=0.0.4; charset=utf-8"
    public enum Kind: String, Sendable { case counter, gauge, histogram }
    public typealias Labels = [(name: String, value: String)]

    public private(set) var text = ""

    public init() {}

    /// One sample for each set of labels; nothing at all where there are none.
    public mutating func family(
        _ name: String, _ kind: Kind, _ help: String, _ samples: [(labels: Labels, value: Double)]
    ) {
        if samples.isEmpty { return }
        head(name, kind, help)
        for sample in samples { line(name, sample.labels, sample.value) }
    }

    public mutating func histograms(
        _ name: String, _ help: String, _ samples: [(labels: Labels, value: Histogram)]
    ) {
        if samples.isEmpty { return }
        head(name, .histogram, help)
        for (labels, histogram) in samples {
            var below = 0
            for (bound, count) in zip(histogram.bounds, histogram.counts) {
                below += count
                line(name + "_bucket", labels + [(name: "le", value: Self.number(bound))], Double(below))
            }
            line(name + "_bucket", labels + [(name: "le", value: "+Inf")], Double(histogram.count))
            line(name + "_sum", labels, histogram.sum)
            line(name + "_count", labels, Double(histogram.count))
        }
    }

    private mutating func head(_ name: String, _ kind: Kind, _ help: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
    }

    private mutating func line(_ name: String, _ labels: Labels, _ value: Double) {
        text += name
        if !labels.isEmpty {
            text += "{" + labels.map { "\($0.name)=\"\(Self.escaped($0.value))\"" }.joined(separator: ",") + "}"
        }
        text += " \(Self.number(value))\n"
    }

    private static func number(_ value: Double) -> String {
        if let whole = Int64(exactly: value), abs(whole) < 1 << 53 { return String(whole) }
        return "\(value)"
    }

    private static func escaped(_ text: String) -> String {
        var out = ""
        for character in text.unicodeScalars {
            switch character {
            case "\\": out += "\\\\"
            case "\"": out += "\\\""
            case "\n": out += "\\n"
            default: out.unicodeScalars.append(character)
            }
        }
        return out
    }
}
