import Cluster
import Document
import Testing

@testable import CLI

@Suite struct RuntimeArgumentsTests {
    private func parse(_ words: [String]) throws -> (RuntimeArguments, RuntimeArguments) {
        var rest = words[...]
        let global = try RuntimeArguments(&rest, RuntimeCommands.global)
        let first = rest.popFirst()
        let name = try #require(first)
        let syntax = try #require(RuntimeCommands.all.first { $0.name == name })
        return (global, try RuntimeArguments(&rest, syntax))
    }

    @Test func takesFlagsAsManagersGiveThem() throws {
        let (global, create) = try parse([
            "--root", "/r", "--log=/l", "--log-format", "json", "--rootless=false", "create", "--bundle", "/b",
            "--pid-file=/p", "--no-pivot", "--console-socket", "/s", "id",
        ])
        #expect(global["root"] == "/r" && global["log"] == "/l" && global["log-format"] == "json")
        #expect(create["bundle"] == "/b" && create["pid-file"] == "/p" && create.has("no-pivot"))
        #expect(create.operands == ["id"])
        let (_, exec) = try parse(["exec", "-e", "A=1", "-e", "B=2", "-d", "-u", "1:2", "id", "ls", "-l", "--help"])
        #expect(exec.all("env") == ["A=1", "B=2"] && exec.has("detach") && exec["user"] == "1:2")
        #expect(exec.operands == ["id", "ls", "-l", "--help"])
        let (_, delete) = try parse(["delete", "id", "--force"])
        #expect(delete.has("force") && delete.operands == ["id"])
        let (_, kept) = try parse(["run", "--keep=false", "id"])
        #expect(!kept.has("keep"))
    }

    @Test(
        arguments: [
            ["create"], ["create", "a", "b"], ["create", "--bundel", "x", "a"], ["create", "a", "--bundle"],
            ["update", "--cpu-quota", "much", "a"], ["run", "--keep=perhaps", "a"], ["kill"],
        ])
    func refusesMisuse(words: [String]) { #expect(throws: UsageError.self) { try parse(words) } }

    @Test(
        arguments: [
            ("9", 9), ("KILL", 9), ("SIGKILL", 9), ("sigterm", 15), ("RTMIN+3", 37), ("SIGRTMAX-1", 63), ("0", 0),
        ] as [(String, Int32)])
    func readsSignals(text: String, number: Int32) throws { #expect(try RuntimeInspection.signal(text) == number) }

    @Test(arguments: ["", "SIG", "65", "-1", "RTMIN+99", "SIGFLY"])
    func refusesOtherSignals(text: String) { #expect(throws: UsageError.self) { try RuntimeInspection.signal(text) } }

    @Test(
        arguments: [("64m", 64 << 20), ("1g", 1 << 30), ("-1", -1), ("512", 512), ("2KiB", 2_048)] as [(String, Int64)])
    func readsSizes(text: String, bytes: Int64) throws { #expect(try RuntimeUpdate.bytes(text, "memory") == bytes) }

    @Test(arguments: ["", "m", "1.5g", "-2", "99999999999g"])
    func refusesOtherSizes(text: String) {
        #expect(throws: UsageError.self) { try RuntimeUpdate.bytes(text, "memory") }
    }

    @Test func indentsLikeAPerson() {
        let document: Document = ["a": [1, 2], "b": [:], "c": []]
        #expect(document.indented(by: " ") == "{\n \"a\": [\n  1,\n  2\n ],\n \"b\": {},\n \"c\": []\n}")
    }
}
