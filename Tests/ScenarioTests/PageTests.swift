import Linux
import Testing

@testable import Scenario

/// The pages of `Conformance/` that are printed are as they would be printed now: `make behaviours` writes them.
@Suite("Printed pages")
struct PageTests {
    private static let folder =
        "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/") + "/Conformance"

    @Test func theReferenceAndTheSchemaAreTheGrammars() throws {
        #expect(try Files.text("\(Self.folder)/LANGUAGE.md") == ScenarioLanguage.reference, "run 'make behaviours'")
        #expect(
            try Files.text("\(Self.folder)/scenario.schema.json") == ScenarioLanguage.schema + "\n",
            "run 'make behaviours'")
    }

    @Test func thePageOfBehavioursIsAsTheScenariosSay() throws {
        let scenarios = try Files.list(Self.folder).filter { $0.hasSuffix(".yaml") }.sorted().map { file in
            try Scenario(yaml: try Files.read("\(Self.folder)/\(file)"), file: file)
        }
        let table = BehaviourTable(behaviours: try Files.text("\(Self.folder)/behaviours.txt"), scenarios: scenarios)
        #expect(try Files.text("\(Self.folder)/BEHAVIOURS.md") == table.markdown, "run 'make behaviours'")
    }
}
