import Basics
import Client
import Document
import Kinds
import Linux
import Wire

/// The node agent's HTTP API. `access` decides who may ask.
struct KubeletServer: Sendable {
    let configuration: KubeletConfiguration
    let pods: Informer
    let pool: BlockingPool
    let world: World
    let machine: Machine
    let loop: EventLoop?
    let workers: WorkerTable
    let access: ServerAccess
    let rates: UsageRates

    func handle(_ request: Request) async -> Response {
        let parts = request.target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let path = parts[0].split(separator: "/").map { Percent.decode(String($0)) }
        let query = parts.count == 2 ? Self.fields(String(parts[1])) : []
        if let refusal = await access.refusal(request, path: path) { return refusal }
        switch path.first {
        case "healthz" where path.count == 1: return Self.text(200, "ok")
        case "pods" where path.count == 1: return list()
        case "metrics" where path.count == 1: return Self.text(200, metrics)
        case "metrics" where path.count == 2: return await resourceMetrics(path[1])
        case "stats" where path == ["stats", "summary"]: return await summary()
        case "containerLogs" where path.count == 4: return logs(path[1], path[2], path[3], query)
        case "exec", "attach", "portForward", "run":
            do { return try await streams(request, path, query) } catch let refusal as StreamRefusal {
                var response = Self.text(refusal.status, refusal.message)
                for field in refusal.headers.fields { response.headers.add(field.name, field.value) }
                return response
            } catch { return Self.text(500, "\(error)") }
        case "checkpoint": return Self.text(501, "\(path[0]) is not supported by this node agent yet")
        default: return Self.text(404, "404 page not found")
        }
    }

    static func text(_ status: Int, _ text: String) -> Response {
        var headers = Headers()
        headers["Content-Type"] = "text/plain; charset=utf-8"
        return Response(status: status, headers: headers, body: .bytes(Array(text.utf8)))
    }

    private static func fields(_ query: String) -> [(name: String, value: String)] {
        query.split(separator: "&").map { field in
            let parts = field.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            return (Percent.decode(parts[0]), parts.count == 2 ? Percent.decode(parts[1]) : "")
        }
    }

    private func list() -> Response {
        let answer: Document = ["kind": "PodList", "apiVersion": "v1", "metadata": [:], "items": Document(pods.all)]
        var headers = Headers()
        headers["Content-Type"] = "application/json"
        return Response(status: 200, headers: headers, body: .bytes(answer.json))
    }

    private var metrics: String {
        let all = pods.all
        let running = workers.runningCount
        return """
            # HELP kubelet_running_pods Number of pods that have a running pod sandbox
            # TYPE kubelet_running_pods gauge
            kubelet_running_pods \(running)
            # HELP kubelet_desired_pods The number of pods the kubelet is being instructed to run.
            # TYPE kubelet_desired_pods gauge
            kubelet_desired_pods \(all.count)
            # HELP kubelet_working_pods Number of pods the kubelet is actually running.
            # TYPE kubelet_working_pods gauge
            kubelet_working_pods \(workers.count)
            # HELP machine_cpu_cores Number of logical CPU cores.
            # TYPE machine_cpu_cores gauge
            machine_cpu_cores \(machine.cpuMillis / 1000)
            # HELP machine_memory_bytes Amount of memory installed on the machine.
            # TYPE machine_memory_bytes gauge
            machine_memory_bytes \(machine.memoryBytes)

            """
    }

    private func logs(
        _ namespace: String, _ name: String, _ container: String, _ fields: [(name: String, value: String)]
    ) -> Response {
        guard let pod = pods.get(namespace: namespace, name: name) else {
            return Self.text(404, "pod \"\(name)\" not found in namespace \"\(namespace)\"")
        }
        let query: LogQuery
        do { query = try LogQuery(fields, now: world.clock.now) } catch { return Self.text(400, "\(error)") }
        guard let status = Self.status(of: container, in: pod) else {
            return Self.text(400, "container \(container) is not valid for pod \(name)")
        }
        let newest = newestAttempt(pod, container) ?? -1
        let attempt = query.previous ? newest - 1 : newest
        let file = configuration.logFile(pod, container: container, attempt: attempt)
        guard attempt >= 0, Files.exists(file) else {
            if query.previous {
                return Self.text(
                    400, "previous terminated container \"\(container)\" in pod \"\(name)\" not found")
            }
            let reason = status.text("state", "waiting", "reason") ?? "ContainerCreating"
            return Self.text(
                400, "container \"\(container)\" in pod \"\(name)\" is waiting to start: \(reason)")
        }
        let reader = LogReader(
            path: file, query: query, kept: configuration.keptLogs, pool: pool, clock: world.clock, loop: loop,
            isLive: {
                guard !query.previous, let now = pods.get(namespace: namespace, name: name),
                    now.text("metadata", "uid") == pod.text("metadata", "uid"),
                    let status = Self.status(of: container, in: now)
                else { return false }
                // The status may be older than the process whose log this is.
                let count = status.number("restartCount") ?? 0
                return count < attempt
                    || (count == attempt && status.at("state", "terminated") == nil
                        && status.text("lastState", "terminated", "containerID")?.hasSuffix("/\(attempt)") != true)
            })
        var headers = Headers()
        headers["Content-Type"] = "text/plain; charset=utf-8"
        return Response(status: 200, headers: headers, body: .stream { try await reader.send(to: $0) })
    }

    /// The container's status, or an empty object for one that has none yet; nil for one that the pod has not.
    private static func status(of container: String, in pod: Document) -> Document? {
        for (list, statuses) in [
            ("containers", "containerStatuses"), ("initContainers", "initContainerStatuses"),
            ("ephemeralContainers", "ephemeralContainerStatuses"),
        ] where pod.list("spec", list).contains(where: { $0.text("name") == container }) {
            return pod.list("status", statuses).first { $0.text("name") == container } ?? .emptyObject
        }
        return nil
    }

    private func newestAttempt(_ pod: Document, _ container: String) -> Int? {
        let names = (try? Files.list("\(configuration.logDirectory(of: pod))/\(container)")) ?? []
        return names.compactMap { $0.hasSuffix(".log") ? Int($0.dropLast(4)) : nil }.max()
    }
}

/// Percent-encoding in paths and queries.
enum Percent {
    static func decode(_ text: String) -> String {
        guard text.utf8.contains(37) || text.utf8.contains(43) else { return text }
        let bytes = Array(text.utf8)
        var out: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index] == 37, index + 2 < bytes.count,
                let byte = UInt8(String(decoding: bytes[(index + 1)...(index + 2)], as: UTF8.self), radix: 16)
            {
                out.append(byte)
                index += 3
            } else {
                out.append(bytes[index])
                index += 1
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}
