import Basics
import Testing

@testable import Testbox

@Suite("Testbox")
struct TestboxTests {
    @Test func understandsItsWords() throws {
        #expect(try Behaviour(["serve"]) == .serve(port: 8080))
        #expect(try Behaviour(["serve", "--port=90"]) == .serve(port: 90))
        #expect(
            try Behaviour(["get", "http://[::1]:81/x?y", "--timeout", "0.5", "--repeat", "3"])
                == .get(url: URL("http://[::1]:81/x?y"), timeout: .milliseconds(500), count: 3))
        #expect(try Behaviour(["echo", "--a", "b"]) == .echo("--a b"))
        #expect(try Behaviour(["lookup", "web", "srv"]) == .lookup(name: "web", type: "SRV"))
        #expect(try Behaviour(["exit", "255"]) == .exit(255))
    }

    @Test(arguments: [
        [], ["dance"], ["serve", "x"], ["serve", "--port", "70000"], ["serve", "--colour", "red"], ["get"],
        ["exit", "256"],
        ["get", "https://x"], ["get", "http://"], ["get", "http://x:y/"], ["sleep", "-1"], ["sleep", "inf"],
        ["eat", "x"],
        ["get", "http://x", "--repeat", "0"], ["serve", "--port"],
    ])
    func refusesOthers(words: [String]) {
        #expect(throws: UsageError.self) { try Behaviour(words) }
    }

    @Test func readsURLs() throws {
        let url = try URL("http://[fd00::1]:81/a?b")
        #expect(url.host == "fd00::1" && url.port == 81 && url.target == "/a?b" && url.authority == "[fd00::1]:81")
        let short = try URL("http://web?x")
        #expect(short.host == "web" && short.port == 80 && short.target == "/?x")
    }
}
