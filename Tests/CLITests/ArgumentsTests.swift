import Cluster
import Scenario
import Testing

@testable import CLI

@Suite struct ArgumentsTests {
    func parse(_ words: String...) throws -> Arguments { try Arguments(words, for: Commands.create) }

    @Test func flagsStandAnywhereAndInBothForms() throws {
        let arguments = try parse("--workers", "3", "blue", "--wait=2m", "--image-archive", "a", "--image-archive=b")
        #expect(arguments.operands == ["blue"])
        #expect(arguments["workers"] == "3")
        #expect(arguments["wait"] == "2m")
        #expect(arguments.values["image-archive"] == ["a", "b"])
    }

    @Test(arguments: [
        (["--wrokers", "3"], "unknown flag '--wrokers'"),
        (["-w"], "unknown flag '-w'"),
        (["--workers"], "--workers needs a value: --workers N"),
        (["--workers=1", "--workers=2"], "--workers is given twice"),
        (["a", "b"], "unexpected argument 'b'"),
    ])
    func misuseIsNamed(words: [String], message: String) {
        let error = #expect(throws: UsageError.self) { try Arguments(words, for: Commands.create) }
        #expect(error?.message == message)
        #expect(error?.remedy.isEmpty == false)
    }

    @Test func someFlagsHaveALetter() throws {
        let syntax = CommandSyntax("save", most: 1, "s", flags: [.init("output", short: "o", .one, "FILE", "where to")])
        #expect(try Arguments(["-o", "a.tar", "image"], for: syntax)["output"] == "a.tar")
        #expect(throws: UsageError.self) { try Arguments(["-o", "a", "--output", "b"], for: syntax) }
        #expect(throws: UsageError.self) { try Arguments(["--o", "a"], for: syntax) }
        #expect(syntax.help.contains("  -o, --output FILE  where to"))
    }

    @Test func twoDashesEndTheFlags() throws {
        let arguments = try Arguments(["--", "--x"], for: Commands.load)
        #expect(arguments.operands == ["--x"])
    }

    @Test func aMissingOperandIsNamed() {
        #expect(throws: UsageError.self) { try Arguments([], for: Commands.load) }
    }

    @Test(arguments: [
        ("90s", Duration.seconds(90)), ("2m30s", .seconds(150)), ("1h", .seconds(3600)), ("500ms", .milliseconds(500)),
        ("0", .zero),
    ])
    func durationsReadLikeGo(text: String, expected: Duration) throws {
        #expect(try Duration.parse(text) == expected)
    }

    @Test(arguments: ["", "5", "s", "5x", "-5s", "1.5s", "99999999999h"])
    func otherDurationsAreRefused(text: String) {
        #expect(throws: UsageError.self) { try Duration.parse(text) }
    }
}

@Suite struct FaultWordsTests {
    /// The language has its own list, since it knows nothing of clusters.
    @Test func scenariosAndTheCommandKnowTheSameFaults() { #expect(FaultDeed.kinds == Faults.kinds) }
}
