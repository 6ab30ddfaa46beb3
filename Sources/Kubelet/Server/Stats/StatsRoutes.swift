import Document
import Wire

extension KubeletServer {
    func summary() async -> Response {
        do {
            var headers = Headers()
            headers["Content-Type"] = "application/json"
            return Response(status: 200, headers: headers, body: .bytes(try await stats().summary.json))
        } catch { return Self.text(500, "\(error)") }
    }

    func resourceMetrics(_ kind: String) async -> Response {
        do {
            switch kind {
            case "resource": return Self.text(200, try await stats().resourceMetrics)
            case "cadvisor": return Self.text(200, try await stats().containerMetrics)
            default: return Self.text(404, "404 page not found")
            }
        } catch { return Self.text(500, "\(error)") }
    }

    private func stats() async throws -> NodeStats {
        let pods = pods.all
        var sandboxes: [String: Int32] = [:]
        var running: [String: [String: Int]] = [:]
        for pod in pods {
            guard let uid = pod.text("metadata", "uid"), let worker = workers[uid] else { continue }
            worker.state.withLock { state in
                sandboxes[uid] = state.sandbox?.pid
                running[uid] = state.running
            }
        }
        let collector = StatsCollector(configuration: configuration, machine: machine, rates: rates)
        let (pids, attempts, now) = (sandboxes, running, world.clock.now)
        return try await pool.run { try collector.collect(pods, sandboxes: pids, running: attempts, now: now) }
    }
}
