import Glibc
import Linux
import Testing

@testable import Testbox

@Suite struct SurveyTests {
    @Test func behavioursAreRead() throws {
        #expect(try Behaviour(["survey", "/a", "/b"]) == .file(.survey(paths: ["/a", "/b"])))
        #expect(try Behaviour(["await-nothing", "/a"]) == .awaitNothing(path: "/a"))
        #expect(
            try Behaviour(["write", "/a", "text", "--mode", "666"])
                == .file(.write(path: "/a", text: "text", mode: 0o666)))
        for wrong in [
            ["survey"], ["await-nothing"], ["write", "/a", "b", "--mode", "8"], ["read", "/a", "--mode", "1"],
        ] {
            #expect(throws: UsageError.self) { try Behaviour(wrong) }
        }
    }

    @Test func bytesAreShownOnOneLine() {
        #expect(Survey.shown(Array("blue\n".utf8)) == "blue")
        #expect(Survey.shown(Array("a\nb\n\n".utf8)) == "a\\x0ab\\x0a")
        #expect(Survey.shown([0xDE, 0xAD, 0x07]) == "\\xde\\xad\\x07")
        #expect(Survey.shown([]) == "")
    }

    @Test func everyPathHasALine() throws {
        var template = Array("/tmp/testbox-XXXXXX".utf8CString)
        let directory = String(cString: try #require(mkdtemp(&template)))
        defer { try? Files.removeTree(directory) }
        chmod(directory, 0o751)
        try FileBehaviour.write(path: "\(directory)/a", text: "hello", mode: 0o624).run()
        let lines = Survey.lines(of: ["\(directory)/a", directory, "\(directory)/none", "\(directory)/a/below"])
        let owner = "uid=\(getuid()) gid=\(getgid())"
        #expect(lines.count == 5)
        #expect(lines[0].hasPrefix("as \(owner) groups="))
        #expect(lines[1].hasPrefix("\(directory)/a: hello (file mode=624 \(owner) on "))
        #expect(lines[2].hasPrefix("\(directory): (directory mode=751 \(owner) on "))
        #expect(lines[3] == "\(directory)/none: missing")
        #expect(lines[4] == "\(directory)/a/below: missing")
    }
}
