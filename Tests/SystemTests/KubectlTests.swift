import Glibc
import Linux
import Testing

/// kubectl against an API server of its own: what a person types, and what they must see.
@Suite(
    .serialized, .enabled(if: APIProcess.binary != nil, "there is no binary: build it, or name it in LAB_BINARY"),
    .enabled(if: Machine.hasKubectl, "there is no kubectl in the PATH"))
struct KubectlTests {
    static let folder = APIProcess.root + "/Fixtures/kubectl"
    static let files = (try? Files.list(folder))?.filter { $0.hasSuffix(".cases") }.sorted() ?? []

    @Test(arguments: files)
    func session(file: String) throws {
        let transcript = Transcript(try Files.text("\(Self.folder)/\(file)"))
        #expect(!transcript.steps.isEmpty, "\(file)")
        let ran = try APIProcess.run(
            ["timeout", "120", "bash", "-c", "cd \"$SCRATCH\" && . ./.session"],
            files: [".session": transcript.script], extra: ["FIXTURES": Self.folder, "TZ": "UTC"])
        for problem in transcript.problems(in: ran.out) { Issue.record("\(file), \(problem)") }
    }

    @Test func thereAreSessions() { #expect(Self.files.count >= 10) }
}

struct TranscriptTests {
    private let session = Transcript("Prose.\n\n  $ cat <<X\n  > a\n  > X\n  a\n  $ false\n  [1]\n\n  $ true\n")

    @Test func aSessionIsReadIntoItsSteps() {
        #expect(
            session.steps == [
                .init(line: 3, command: "cat <<X\na\nX", expected: ["a"]),
                .init(line: 7, command: "false", expected: ["[1]"]),
                .init(line: 10, command: "true"),
            ])
    }

    @Test func whatItPrintsIsComparedStepByStep() {
        #expect(session.problems(in: Shell.run(["bash", "-c", session.script]).out) == [])
        let other = Transcript("  $ printf a\n  b\n  $ exit 3\n  $ true\n")
        let problems = other.problems(in: Shell.run(["bash", "-c", other.script]).out)
        #expect(problems.count == 2)
        #expect(problems.first == "line 1: $ printf a\n--- expected\nb\n--- printed\na")
        #expect(problems.last == "line 3: did not end\n$ exit 3")
    }

    @Test func linesMayBePatterns() {
        #expect(Transcript.matches(["a * c (glob)", "...", "z"], ["a b c", "x", "y", "z"]))
        #expect(Transcript.matches(["*a*a* (glob)"], ["baab"]))
        #expect(!Transcript.matches(["a* (glob)"], ["ba"]))
        #expect(!Transcript.matches(["...", "z"], ["z", "y"]))
        #expect(!Transcript.matches(["a*"], ["ab"]))
        #expect(!Transcript.matches(["a"], []))
    }
}
