import Document

/// One measured figure: a name, samples, and what the house has promised.
struct Row: Sendable {
    var name: String
    var unit: String
    var samples: [Double]
    var budget: Double?
    /// What kube-apiserver and etcd take for the same.
    var upstream: Double?
    /// Less is better, but for rates.
    var moreIsBetter = false

    init(
        _ name: String, _ unit: String, _ samples: [Double], budget: Double? = nil, upstream: Double? = nil,
        moreIsBetter: Bool = false
    ) {
        self.name = name
        self.unit = unit
        self.samples = samples.sorted()
        self.budget = budget
        self.upstream = upstream
        self.moreIsBetter = moreIsBetter
    }

    func percentile(_ fraction: Double) -> Double {
        samples.isEmpty ? 0 : samples[min(samples.count - 1, Int(Double(samples.count) * fraction))]
    }

    var median: Double { percentile(0.5) }

    var document: Document {
        [
            "name": Document(name), "unit": Document(unit), "median": Document(median),
            "p99": Document(percentile(0.99)), "min": Document(samples.first ?? 0), "runs": Document(samples.count),
        ]
    }
}

enum Report {
    static func table(_ rows: [Row], earlier: Document?) -> String {
        var lines = [
            [
                "what", "median", "p99", "best", "runs", "unit", "budget", "upstream → ratio",
                earlier == nil ? "" : "before → ratio",
            ]
        ]
        for row in rows {
            let before = earlier?.elements.first { $0.text("name") == row.name }?.at("median")?.double
            lines.append([
                row.name, text(row.median), text(row.percentile(0.99)),
                text(row.moreIsBetter ? row.samples.last ?? 0 : row.samples.first ?? 0), String(row.samples.count),
                row.unit, row.budget.map { "\(row.moreIsBetter ? "≥" : "≤") \(text($0))" } ?? "",
                row.upstream.map { "\(text($0)) → \(text(row.median / $0))" } ?? "",
                before.map { "\(text($0)) → \($0 == 0 ? "?" : text(row.median / $0))" } ?? "",
            ])
        }
        let widths = lines[0].indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
        return lines.map { line in
            zip(line, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }.joined(separator: "  ")
        }.joined(separator: "\n")
    }

    /// Three digits that count.
    static func text(_ value: Double) -> String {
        let scale: Double = abs(value) >= 100 ? 1 : abs(value) >= 10 ? 10 : abs(value) >= 1 ? 100 : 1000
        let rounded = (value * scale).rounded() / scale
        let text = "\(rounded)"
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }
}
