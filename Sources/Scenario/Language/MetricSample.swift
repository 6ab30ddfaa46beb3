/// One line of Prometheus' text format: a name, labels and a value.
struct MetricSample: Sendable, Equatable {
    var name: String
    var labels: [String: String]
    var value: Double

    var text: String {
        let pairs = labels.sorted { $0.key < $1.key }.map { "\($0.key)=\"\($0.value)\"" }
        let labels = pairs.joined(separator: ",")
        return "\(name)\(labels.isEmpty ? "" : "{\(labels)}") \(value)"
    }

    /// The samples that the subject means. Lines that are none are passed over: comments are such lines too.
    static func read(_ text: String, _ subject: MetricsSubject) -> [MetricSample] {
        text.split(separator: "\n").compactMap { line in
            guard line.hasPrefix(subject.name), let sample = MetricSample(line: line), sample.name == subject.name
            else {
                return nil
            }
            let fits = subject.labels.allSatisfy { name, pattern in
                pattern.match(sample.labels[name] ?? "") != nil || (pattern.text.isEmpty && sample.labels[name] == nil)
            }
            return fits ? sample : nil
        }
    }

    /// `http_requests_total{code="200",method="post"} 1027 1395066363000`; nil where the line is not like this.
    init?(line: Substring) {
        var rest = line.utf8[...]
        let name = rest.prefix { $0 != UInt8(ascii: "{") && $0 != UInt8(ascii: " ") }
        guard !name.isEmpty, name.first != UInt8(ascii: "#") else { return nil }
        rest = rest.dropFirst(name.count)
        var labels: [String: String] = [:]
        if rest.first == UInt8(ascii: "{") {
            rest.removeFirst()
            guard let read = Self.labels(&rest) else { return nil }
            labels = read
        }
        let words = rest.split(separator: UInt8(ascii: " "))
        guard let word = words.first, let value = Self.number(String(Substring(word))) else { return nil }
        self.name = String(Substring(name))
        self.labels = labels
        self.value = value
    }

    private static func number(_ text: String) -> Double? {
        switch text {
        case "+Inf": .infinity
        case "-Inf": -.infinity
        default: Double(text)
        }
    }

    /// Up to the closing brace; nil where there is none.
    private static func labels(_ rest: inout Substring.UTF8View.SubSequence) -> [String: String]? {
        var labels: [String: String] = [:]
        while let first = rest.first {
            if first == UInt8(ascii: "}") {
                rest.removeFirst()
                return labels
            }
            if first == UInt8(ascii: ",") || first == UInt8(ascii: " ") {
                rest.removeFirst()
                continue
            }
            guard let equals = rest.firstIndex(of: UInt8(ascii: "=")) else { return nil }
            let name = String(Substring(rest[..<equals]))
            rest = rest[equals...].dropFirst()
            guard rest.popFirst() == UInt8(ascii: "\"") else { return nil }
            var value: [UInt8] = []
            while let byte = rest.popFirst(), byte != UInt8(ascii: "\"") {
                guard byte == UInt8(ascii: "\\"), let next = rest.popFirst() else {
                    value.append(byte)
                    continue
                }
                value.append(next == UInt8(ascii: "n") ? 10 : next)
            }
            labels[name] = String(decoding: value, as: UTF8.self)
        }
        return nil
    }
}
