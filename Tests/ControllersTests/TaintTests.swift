import Basics
import Document
import Testing

@testable import Controllers

private let now = Timestamp(seconds: 1_700_000_000)
private let situation = Situation(now: now)

@Suite struct TaintTests {
    /// People's taints do not say since when they are there.
    @Test func theTimeOfAnUndatedTaintRunsOut() {
        var pod: Document = ["metadata": ["name": "a", "namespace": "default", "uid": "u"], "spec": ["nodeName": "n"]]
        pod.set(
            [["key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 10]],
            at: "spec", "tolerations")
        let node: Document = ["spec": ["taints": [["key": "k", "effect": "NoExecute"]]]]
        func plan(waiting seconds: Int?) -> Plan {
            TaintEvictionController.plan(
                pod, on: node, situation, waitingSince: seconds.map { now + .seconds(-$0) })
        }
        #expect(plan(waiting: nil).lookAgain == .seconds(10))
        #expect(plan(waiting: 4).lookAgain == .seconds(6))
        let over = plan(waiting: 10)
        #expect(over.lookAgain == nil && !over.actions.isEmpty)
    }
}
