import Testing

@testable import Scenario

@Suite("Which scenarios are run")
struct SelectionTests {
    private func scenario(_ id: String, tags: [String] = [], more: String = "") throws -> Scenario {
        var scenario = try Scenario(
            yaml: Array("name: \(id)\n\(more)steps:\n  - wait: 1s\n".utf8), file: "\(id).yaml")
        scenario.tags = tags
        return scenario
    }

    private func ids(_ scenarios: [Scenario], _ change: (inout Selection) -> Void) -> [String] {
        var selection = Selection()
        change(&selection)
        return selection.plan(scenarios).runs.map(\.scenario.id)
    }

    @Test func focusSkipAndTagsChoose() throws {
        var held = try scenario("03-c")
        held.behaviours = ["[sig-node] Pods should run"]
        let all = [try scenario("01-a", tags: ["network"]), try scenario("02-b", tags: ["network", "slow"]), held]
        #expect(ids(all) { $0.focus = ["NET"] } == ["01-a", "02-b"])
        #expect(ids(all) { $0.focus = ["01", "pods should"] } == ["01-a", "03-c"])
        #expect(ids(all) { $0.skip = ["02"] } == ["01-a", "03-c"])
        #expect(ids(all) { $0.tags = ["network", "-slow"] } == ["01-a"])
        #expect(ids(all) { $0.tags = ["-slow"] } == ["01-a", "03-c"])
        #expect(ids(all) { $0.only = ["03-c"] } == ["03-c"])
        var selection = Selection()
        selection.tags = ["absent"]
        #expect(selection.plan(all).skipped.map(\.reason) == Array(repeating: "no tag of absent", count: 3))
    }

    @Test func shardsAreDisjointAndWhole() throws {
        let all = try (1...7).map { try scenario("0\($0)-x") }
        var seen: [String] = []
        for number in 1...3 { seen += ids(all) { $0.shard = Selection.Shard("\(number)/3") } }
        #expect(seen.sorted() == all.map(\.id) && seen.count == 7)
        #expect(Selection.Shard("0/3") == nil && Selection.Shard("4/3") == nil && Selection.Shard("x") == nil)
    }

    @Test func aSeedIsAnOrder() throws {
        let all = try (1...9).map { try scenario("0\($0)-x") }
        let first = ids(all) { $0.seed = 7 }
        #expect(first == ids(all) { $0.seed = 7 } && first.sorted() == all.map(\.id))
        #expect(first != ids(all) { $0.seed = 8 } && first != all.map(\.id))
    }

    @Test func repetitionsAndCasesAreRunsOfTheirOwn() throws {
        let table = try scenario(
            "01-x", more: "variables: {a: one}\ncases:\n  - {name: small, size: 1}\n  - {name: big, size: 2, a: two}\n")
        #expect(ids([table]) { _ in } == ["01-x[small]", "01-x[big]"])
        #expect(ids([table]) { $0.repeats = 2 }.count == 4)
        #expect(ids([table]) { $0.only = ["01-x[big]"] } == ["01-x[big]"])
        let big = table.instances[1]
        #expect(big.variables.map(\.name) == ["size", "a"] && big.name == "01-x: big" && big.file == "01-x")
    }

    @Test func requirementsAreRead() {
        #expect(Requirement("nodes>=3") == .nodes(atLeast: 3))
        #expect(Requirement("kubectl") == .program("kubectl") && Requirement("program:jq") == .program("jq"))
        #expect(Requirement("kind:x.io/v1/Y") == .kind("x.io/v1/Y"))
        for wrong in ["nodes>=x", "program:a b", "program:", "wings"] { #expect(Requirement(wrong) == nil) }
    }
}
