import Basics
import Document

/// The row of a pod: what its containers do, in one word.
enum PodColumns {
    static func cells(_ pod: Document, now: Timestamp) -> [Document] {
        let summary = summary(pod, now: now)
        let addresses = pod.list("status", "podIPs").compactMap { $0.text("ip") }
        return [
            Document("\(summary.ready)/\(summary.total)"), Document(summary.reason), Document(summary.restarts),
            Cells.age(pod, now: now), Cells.orNone(addresses.first ?? pod.text("status", "podIP")),
            Cells.orNone(pod.text("spec", "nodeName")), Cells.orNone(pod.text("status", "nominatedNodeName")),
            readinessGates(pod),
        ]
    }

    private struct Summary {
        var ready = 0
        var total = 0
        var restartCount = 0
        var lastRestart: Timestamp?
        var reason = ""
        var restarts = "0"

        mutating func count(restartsOf status: Document) {
            restartCount += status.number("restartCount") ?? 0
            if let text = status.text("lastState", "terminated", "finishedAt"), let time = Timestamp(rfc3339: text) {
                lastRestart = max(lastRestart ?? time, time)
            }
        }
    }

    private static func summary(_ pod: Document, now: Timestamp) -> Summary {
        var summary = Summary()
        let sidecars = Set(
            pod.list("spec", "initContainers").filter { $0.text("restartPolicy") == "Always" }
                .compactMap { $0.text("name") })
        summary.total = pod.list("spec", "containers").count + sidecars.count
        summary.reason = pod.text("status", "reason") ?? ""
        if summary.reason.isEmpty { summary.reason = pod.text("status", "phase") ?? "" }
        for condition in pod.list("status", "conditions")
        where condition.text("type") == "PodScheduled" && condition.text("reason") == "SchedulingGated" {
            summary.reason = "SchedulingGated"
        }
        var sidecarCounts = Summary()
        let initializing = initialize(pod, sidecars, &summary, &sidecarCounts)
        if !initializing || isTrue(pod, "Initialized") {
            summary.restartCount = sidecarCounts.restartCount
            summary.lastRestart = sidecarCounts.lastRestart
            run(pod, &summary)
        }
        if pod.at("metadata", "deletionTimestamp")?.string != nil {
            if pod.text("status", "reason") == "NodeLost" {
                summary.reason = "Unknown"
            } else if !["Succeeded", "Failed"].contains(pod.text("status", "phase") ?? "") {
                summary.reason = "Terminating"
            }
        }
        summary.restarts = String(summary.restartCount)
        if summary.restartCount > 0, let last = summary.lastRestart {
            summary.restarts += " (\(Cells.since(last.description, now: now)) ago)"
        }
        return summary
    }

    /// The state of the init containers; true while they are what the pod waits for.
    private static func initialize(
        _ pod: Document, _ sidecars: Set<String>, _ summary: inout Summary, _ sidecarCounts: inout Summary
    ) -> Bool {
        let total = pod.list("spec", "initContainers").count
        for (index, status) in pod.list("status", "initContainerStatuses").enumerated() {
            summary.count(restartsOf: status)
            let isSidecar = sidecars.contains(status.text("name") ?? "")
            if isSidecar { sidecarCounts.count(restartsOf: status) }
            let state = status["state"] ?? .emptyObject
            if let terminated = state["terminated"] {
                let code = terminated.number("exitCode") ?? 0
                if code == 0 { continue }
                summary.reason = "Init:" + reason(of: terminated)
                return true
            }
            if isSidecar, status.flag("started") == true {
                if status.flag("ready") == true { summary.ready += 1 }
                continue
            }
            if let reason = state.text("waiting", "reason"), !reason.isEmpty, reason != "PodInitializing" {
                summary.reason = "Init:" + reason
            } else {
                summary.reason = "Init:\(index)/\(total)"
            }
            return true
        }
        return false
    }

    private static func reason(of terminated: Document) -> String {
        if let reason = terminated.text("reason"), !reason.isEmpty { return reason }
        if let signal = terminated.number("signal"), signal != 0 { return "Signal:\(signal)" }
        return "ExitCode:\(terminated.number("exitCode") ?? 0)"
    }

    private static func run(_ pod: Document, _ summary: inout Summary) {
        var hasRunning = false
        for status in pod.list("status", "containerStatuses").reversed() {
            summary.count(restartsOf: status)
            let state = status["state"] ?? .emptyObject
            if let reason = state.text("waiting", "reason"), !reason.isEmpty {
                summary.reason = reason
            } else if let terminated = state["terminated"] {
                summary.reason = reason(of: terminated)
            } else if status.flag("ready") == true, state["running"] != nil {
                hasRunning = true
                summary.ready += 1
            }
        }
        // One container finished while another still runs: the pod as a whole has not.
        if summary.reason == "Completed", hasRunning {
            summary.reason = isTrue(pod, "Ready") ? "Running" : "NotReady"
        }
    }

    private static func isTrue(_ pod: Document, _ type: String) -> Bool {
        pod.list("status", "conditions").contains { $0.text("type") == type && $0.text("status") == "True" }
    }

    private static func readinessGates(_ pod: Document) -> Document {
        let gates = pod.list("spec", "readinessGates")
        if gates.isEmpty { return Cells.none }
        let met = gates.filter { isTrue(pod, $0.text("conditionType") ?? "") }.count
        return Document("\(met)/\(gates.count)")
    }
}
