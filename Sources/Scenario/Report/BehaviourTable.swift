import Document

/// Which behaviours of Kubernetes' conformance programme are held by which scenarios, and which by none.
public struct BehaviourTable: Sendable {
    public struct Row: Sendable, Equatable {
        public var behaviour: String
        /// Their ids.
        public var scenarios: [String]
    }

    public let rows: [Row]

    /// `behaviours` is the text of `behaviours.txt`.
    public init(behaviours: String, scenarios: [Scenario]) {
        var holders: [String: [String]] = [:]
        for scenario in scenarios.sorted(by: { $0.file < $1.file }) {
            for behaviour in scenario.behaviours where holders[behaviour]?.last != scenario.file {
                holders[behaviour, default: []].append(scenario.file)
            }
        }
        rows = behaviours.split(separator: "\n").map {
            Row(behaviour: String($0), scenarios: holders[String($0)] ?? [])
        }
    }

    public var held: Int { rows.count { !$0.scenarios.isEmpty } }

    /// `[sig-node] Pods should …` is of the area `sig-node`.
    static func area(of behaviour: String) -> String {
        guard behaviour.hasPrefix("["), let end = behaviour.firstIndex(of: "]") else { return "other" }
        return String(behaviour[behaviour.index(after: behaviour.startIndex)..<end])
    }

    static func title(of behaviour: String) -> String {
        guard behaviour.hasPrefix("["), let end = behaviour.firstIndex(of: "]") else { return behaviour }
        return String(behaviour[behaviour.index(after: end)...].drop { $0 == " " })
    }

    var areas: [(name: String, rows: [Row])] {
        var order: [String] = []
        var byArea: [String: [Row]] = [:]
        for row in rows {
            let area = Self.area(of: row.behaviour)
            if byArea[area] == nil { order.append(area) }
            byArea[area, default: []].append(row)
        }
        return order.map { ($0, byArea[$0] ?? []) }
    }

    // MARK: As text

    /// `outcomes` are the words of a run, by scenario; a behaviour has passed when all that hold it have.
    public func verdict(_ row: Row, _ outcomes: [String: String]) -> String {
        if row.scenarios.isEmpty { return "not held" }
        let words = row.scenarios.map { outcomes[$0] ?? "not run" }
        return ["failed", "stopped", "not run"].first(where: words.contains) ?? "passed"
    }

    /// The table as a page of the repository.
    public var markdown: String {
        var out = """
            # Behaviours

            The \(rows.count) behaviours of Kubernetes' conformance programme (`behaviours.txt`), and the scenarios that hold
            them: \(held) are held, \(rows.count - held) are not yet. A scenario names a behaviour only if it fails when the
            behaviour is broken. `make behaviours` writes this page.

            | area | held | of |
            |---|---|---|

            """
        for (area, rows) in areas {
            out += "| \(area) | \(rows.count { !$0.scenarios.isEmpty }) | \(rows.count) |\n"
        }
        for (area, rows) in areas {
            out += "\n## \(area)\n\n| behaviour | scenarios |\n|---|---|\n"
            for row in rows {
                let links = row.scenarios.map { "[\($0)](\($0).yaml)" }.joined(separator: ", ")
                out += "| \(Self.escaped(Self.title(of: row.behaviour))) | \(links.isEmpty ? "—" : links) |\n"
            }
        }
        return out
    }

    /// In a table's cell.
    private static func escaped(_ text: String) -> String {
        text.split(separator: "|", omittingEmptySubsequences: false).joined(separator: "\\|")
            .split(separator: "<", omittingEmptySubsequences: false).joined(separator: "&lt;")
    }

    public func document(_ outcomes: [String: String]) -> Document {
        [
            "held": Document(held), "all": Document(rows.count),
            "behaviours": Document(
                rows.map {
                    [
                        "name": Document($0.behaviour), "scenarios": Document($0.scenarios),
                        "result": Document(verdict($0, outcomes)),
                    ]
                }),
        ]
    }
}
