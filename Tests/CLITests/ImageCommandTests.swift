import Kinds
import Testing

@testable import CLI

@Suite struct ImageCommandTests {
    @Test func everyCommandHasItsImplementation() {
        #expect(Set(ImageCommands.all.map(\.name)) == Set(ImageCommands.implementations.keys))
    }

    @Test(arguments: [["nonsense"], ["pull"], ["pull", "--wat", "x"], ["tag", "a"], ["list", "x"]])
    func misuseIsToldAsMisuse(words: [String]) {
        // Refused before anything of the machine is touched.
        #expect(ImageProgram.run(words, build: .unknown) == Program.Exit.misuse)
    }

    @Test(arguments: [["--help"], ["help"], [], ["rm", "--help"], ["ls", "--help"]])
    func helpIsThere(words: [String]) { #expect(ImageProgram.run(words, build: .unknown) == Program.Exit.success) }

    @Test(arguments: [
        (Int64(0), "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (7_849_000, "7.8 MB"), (156_000_000, "156 MB"),
        (2_500_000_000, "2.5 GB"),
    ])
    func sizes(bytes: Int64, text: String) { #expect(Size.text(bytes) == text) }
}
