import Basics
import Document
import Testing

@testable import Kubelet

@Suite struct ProbeTests {
    private static let home = ProbeTarget(
        isSecure: false, host: IPAddress("10.0.0.1") ?? .loopback, port: 8080, path: "/a/b?c=d")

    private func followed(_ location: String) -> String {
        switch Self.home.next(location) {
        case .away: "away"
        case .follow(let target, let keepsHost): "\(keepsHost ? "kept " : "")\(target.url)"
        }
    }

    @Test(arguments: [
        ("/x", "kept http://10.0.0.1:8080/x"), ("x?y", "kept http://10.0.0.1:8080/a/x?y"),
        ("?y", "kept http://10.0.0.1:8080/a/b?y"), ("../x/./y", "kept http://10.0.0.1:8080/x/y"),
        ("/x#part", "kept http://10.0.0.1:8080/x"), ("", "kept http://10.0.0.1:8080/a/b?c=d"),
        ("http://10.0.0.1:8081/x", "http://10.0.0.1:8081/x"), ("HTTPS://10.0.0.1/", "https://10.0.0.1:443/"),
        ("http://10.0.0.1?q", "http://10.0.0.1:80/?q"), ("//10.0.0.1:1/x", "http://10.0.0.1:1/x"),
        ("http://user:word@10.0.0.1/", "http://10.0.0.1:80/"), ("http://10.0.0.2/", "away"),
        ("http://example.org/", "away"), ("http://10.0.0.1:99999/", "away"), ("ftp://10.0.0.1/", "away"),
        ("http://", "away"), ("http://[10.0.0.1", "away"),
    ])
    func redirectsStayOnTheHost(_ location: String, _ expected: String) { #expect(followed(location) == expected) }

    @Test func answersAreReadAsFarAsTheyGo() {
        func answer(_ text: String) -> ProbeAnswer? { ProbeAnswer(Array(text.utf8)) }
        let full = answer("HTTP/1.1 302 Found\r\nlocation:  /x\r\nContent-Length: 2\r\n\r\nok")
        #expect(full?.status == 302 && full?.location == "/x" && full?.body == "ok" && full?.isComplete == true)
        #expect(answer("HTTP/1.1 302 Found\r\nContent-Length: 2\r\n\r\no")?.isComplete == false)
        #expect(answer("HTTP/1.1 302 Found\r\nContent-Length: 2\r\n")?.isComplete == false)
        #expect(answer("HTTP/1.0 204")?.status == 204)
        for garbage in ["", "\r\n", "SSH-2.0-x\r\n", "HTTP/1.1\r\n", "HTTP/1.1 abc OK\r\n"] {
            #expect(answer(garbage) == nil, "\(garbage)")
        }
    }

    @Test func aWarningCountsAsWellAndIsTold() {
        var state = ProbeState(.liveness, ["successThreshold": 1], now: Timestamp(seconds: 0))
        let changed = state.count(.warning("away"), now: Timestamp(seconds: 1))
        #expect(changed)
        #expect(state.verdict == true)
    }

    @Test func aProcessMayBeginBeforeAProbeCanEndIt() {
        func due(_ kind: ProbeKind, _ probe: Document) -> Timestamp {
            ProbeState(kind, probe, now: Timestamp(seconds: 10)).due
        }
        #expect(due(.liveness, [:]) == Timestamp(seconds: 11))
        #expect(due(.liveness, ["periodSeconds": 1, "initialDelaySeconds": 3]) == Timestamp(seconds: 13))
        #expect(due(.startup, ["failureThreshold": 1]) == Timestamp(seconds: 11))
        // These are asked again before anything happens, so an early answer is only gained.
        #expect(due(.startup, [:]) == Timestamp(seconds: 10))
        #expect(due(.readiness, ["failureThreshold": 1]) == Timestamp(seconds: 10))
    }

    @Test func statusesOfOthersArePutRightAndTheirPartsLeft() {
        let ready: Document = ["type": "Ready", "status": "True"]
        let mine: Document = ["phase": "Running", "podIP": "10.0.0.1", "conditions": [ready]]
        func isOverwritten(_ change: (inout Document) -> Void) -> Bool {
            var seen = mine
            change(&seen)
            return StatusPatch.isOverwritten(mine, by: seen)
        }
        #expect(!isOverwritten { _ in })
        #expect(isOverwritten { $0["podIP"] = nil })
        #expect(isOverwritten { $0["message"] = "theirs" })
        #expect(isOverwritten { $0["conditions"] = [["type": "Ready", "status": "False"]] })
        #expect(!isOverwritten { $0["conditions"] = [ready, ["type": "example.com/gate", "status": "True"]] })
        #expect(!isOverwritten { $0["resourceClaimStatuses"] = [["name": "claim"]] })
        // Who declares a pod to be over has the last word.
        #expect(!isOverwritten { $0["phase"] = "Failed" })
        #expect(StatusPatch.ownPart(of: ["phase": "Running", "nominatedNodeName": "n"]) == ["phase": "Running"])
    }
}
