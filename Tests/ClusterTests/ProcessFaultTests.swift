import Basics
import Document
import Linux
import Testing

@testable import Cluster

@Suite("Faults of processes, disks and clients")
struct ProcessFaultTests {
    @Test func aFaultIsItsFile() throws {
        let victims: [ProcessFault.Victim] = [
            .component("agent", node: "lab-worker"), .node("lab-worker"),
            .pod(namespace: "a", name: "b", node: "lab-worker", cgroup: "lab/x/kubepods/podb"),
        ]
        for victim in victims {
            let fault = ProcessFault(
                name: "f", verb: .freeze, victim: victim, until: Timestamp(seconds: 1_700_000_000))
            #expect(ProcessFault(try Document(json: fault.document.json)) == fault)
        }
        #expect(
            ProcessFault(["name": "f"]) == nil && ProcessFault(["name": "f", "verb": "tickle", "node": "n"]) == nil)
    }

    private func entry(_ request: FaultRequest) throws -> Document { try ClientFaultRules.entry(request, until: nil) }

    @Test func whatClientsFaultsTake() throws {
        #expect(
            try entry(FaultRequest(kind: "api-slow", at: "user/jane", delay: .milliseconds(200)))
                == ["kind": "api-slow", "at": "user/jane", "delayMilliseconds": 200])
        #expect(try entry(FaultRequest(kind: "api-error", percent: 20)) == ["kind": "api-error", "percent": 20])
        for wrong in [
            FaultRequest(kind: "api-slow"), FaultRequest(kind: "api-slow", delay: .zero),
            FaultRequest(kind: "api-error", percent: 0), FaultRequest(kind: "watch-drop", percent: 3),
            FaultRequest(kind: "watch-drop", delay: .seconds(1)), FaultRequest(kind: "watch-drop", at: "node/a"),
            FaultRequest(kind: "watch-drop", to: "user/a"), FaultRequest(kind: "watch-stale", isOneWay: true),
        ] {
            #expect(throws: UsageError.self, "\(wrong)") { try entry(wrong) }
        }
    }

    @Test func rulesOfAConfigMap() {
        let object: Document = [
            "data": ["a": #"{"kind":"watch-drop"}"#, "b": "no JSON", "c": #"{"kind":"unknown"}"#]
        ]
        #expect(ClientFaultRules.rules(in: object).map(\.name) == ["a"])
        #expect(ClientFaultRules.rules(in: nil).isEmpty)
    }

    @Test func everyKindIsKnownOnce() { #expect(Set(Faults.kinds).count == Faults.kinds.count) }
}
