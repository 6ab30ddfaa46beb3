import Basics
import Store
import Synchronization

/// What the server counts, in the names that Kubernetes gives it.
final class ServerMetrics: Sendable {
    private struct Key: Hashable {
        var verb: String
        var group: String
        var version: String
        var resource: String
        var subresource: String
        var code: Int
    }

    private struct State {
        var requests: [Key: Int] = [:]
        /// Seconds and count for each verb.
        var durations: [String: (seconds: Double, count: Int)] = [:]
    }

    private let state = Mutex(State())
    /// Clients choose verbs and resources; beyond this many combinations no new ones are counted apart.
    private static let limit = 4_096

    func count(_ info: RequestInfo, status: Int, duration: Duration) {
        var key = Key(
            verb: info.verb.uppercased(), group: info.group, version: info.version, resource: info.resource,
            subresource: info.subresource, code: status)
        // What is not served has names that the client made up.
        if status == 404, info.name.isEmpty { key.resource = "" }
        state.withLock { state in
            if state.requests[key] != nil || state.requests.count < Self.limit { state.requests[key, default: 0] += 1 }
            if key.verb != "WATCH" {
                let old = state.durations[key.verb] ?? (0, 0)
                state.durations[key.verb] = (old.seconds + duration.inSeconds, old.count + 1)
            }
        }
    }

    func exposition(revision: Revision) -> String {
        let (requests, durations) = state.withLock { ($0.requests, $0.durations) }
        var text =
            "# HELP apiserver_request_total Counter of apiserver requests.\n# TYPE apiserver_request_total counter\n"
        let lines = requests.map { key, count in
            "apiserver_request_total{code=\"\(key.code)\",group=\"\(Self.escaped(key.group))\",resource=\""
                + "\(Self.escaped(key.resource))\",subresource=\"\(Self.escaped(key.subresource))\",verb=\"\(key.verb)\","
                + "version=\"\(Self.escaped(key.version))\"} \(count)\n"
        }
        text += lines.sorted().joined()
        text += "# HELP apiserver_request_duration_seconds Response latency in seconds.\n"
        text += "# TYPE apiserver_request_duration_seconds summary\n"
        for (verb, value) in durations.sorted(by: { $0.key < $1.key }) {
            text += "apiserver_request_duration_seconds_sum{verb=\"\(verb)\"} \(value.seconds)\n"
            text += "apiserver_request_duration_seconds_count{verb=\"\(verb)\"} \(value.count)\n"
        }
        text += "# HELP lab_store_revision The newest revision of the store.\n# TYPE lab_store_revision gauge\n"
        return text + "lab_store_revision \(revision)\n"
    }

    private static func escaped(_ text: String) -> String {
        String(text.flatMap { $0 == "\"" || $0 == "\\" ? "\\\($0)" : $0 == "\n" ? "\\n" : String($0) })
    }
}
