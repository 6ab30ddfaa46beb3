import Document
import Scenario

/// `lab conformance --list`
struct ScenarioList {
    private let scenarios: [Scenario]

    init(_ scenarios: [Scenario], _ selection: Selection) {
        self.scenarios = scenarios.filter { scenario in scenario.instances.contains { selection.wants($0) } }
    }

    func tell(_ arguments: Arguments, _ console: Console) {
        if arguments.has("json") {
            return console.out(Document(scenarios.map(document)).jsonText)
        }
        let rows = scenarios.map { scenario in
            [
                scenario.id, scenario.tags.joined(separator: ","),
                scenario.behaviours.isEmpty ? "-" : "\(scenario.behaviours.count)",
                scenario.instances.count > 1 ? "\(scenario.name) (\(scenario.instances.count) cases)" : scenario.name,
            ]
        }
        console.out(Table.text(["SCENARIO", "TAGS", "BEHAVIOURS", "NAME"], rows))
    }

    private func document(_ scenario: Scenario) -> Document {
        [
            "id": Document(scenario.id), "name": Document(scenario.name),
            "description": Document(scenario.description), "tags": Document(scenario.tags),
            "behaviours": Document(scenario.behaviours), "cases": Document(scenario.instances.map(\.id)),
            "serial": Document(scenario.isSerial),
        ]
    }
}

/// `lab conformance --behaviours`
struct BehaviourList {
    private let table: BehaviourTable
    private let outcomes: [String: String]

    init(_ scenarios: [Scenario], _ history: RunHistory) {
        table = BehaviourTable(behaviours: ScenarioFiles.behaviours(), scenarios: scenarios)
        outcomes = history.lastOutcomes
    }

    func tell(_ arguments: Arguments, _ console: Console) {
        // The page says what is held, not how somebody's last run was: it changes with the scenarios alone.
        if arguments.has("page") { return console.text(table.markdown) }
        if arguments.has("json") { return console.out(table.document(outcomes).jsonText) }
        let rows = table.rows.map { row in
            [
                row.behaviour, row.scenarios.isEmpty ? "-" : row.scenarios.joined(separator: ","),
                table.verdict(row, outcomes),
            ]
        }
        console.out(Table.text(["BEHAVIOUR", "SCENARIOS", "LAST RESULT"], rows))
        console.err("\(table.held) of \(table.rows.count) behaviours are held")
    }
}
