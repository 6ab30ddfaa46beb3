import Glibc
import Linux
import Testing

@testable import Testbox

@Suite struct FileBehaviourTests {
    @Test func behavioursAreRead() throws {
        #expect(try Behaviour(["write", "/a", "two", "words"]) == .file(.write(path: "/a", text: "two words")))
        #expect(try Behaviour(["read", "/a"]) == .file(.read(path: "/a")))
        #expect(try Behaviour(["show", "/a"]) == .file(.show(path: "/a")))
        #expect(throws: UsageError.self) { try Behaviour(["write", "/a"]) }
    }

    @Test func filesAreWrittenAndShown() throws {
        var template = Array("/tmp/testbox-XXXXXX".utf8CString)
        let directory = String(cString: try #require(mkdtemp(&template)))
        defer { try? Files.removeTree(directory) }
        try FileBehaviour.write(path: "\(directory)/a", text: "hello").run()
        #expect(try Files.text("\(directory)/a") == "hello\n")
        chmod("\(directory)/a", 0o640)
        let shown = try FileBehaviour.description(of: "\(directory)/a")
        #expect(shown.hasPrefix("file mode=640 uid=\(getuid()) gid=\(getgid()) on "))
        #expect(throws: SystemError.self) { try FileBehaviour.read(path: "\(directory)/none").run() }
    }
}
