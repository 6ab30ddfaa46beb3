import Basics
import Document
import Kinds
import Schema
import Store
import Synchronization
import Wire

/// What a process uses of its machine, as far as it can tell.
public struct ProcessStatistics: Sendable {
    public var cpuSeconds: Double
    public var residentBytes: Int
    public var virtualBytes: Int
    public var openFiles: Int
    public var mostFiles: Int
    /// Seconds since 1970.
    public var started: Double

    public init(
        cpuSeconds: Double, residentBytes: Int, virtualBytes: Int, openFiles: Int, mostFiles: Int, started: Double
    ) {
        self.cpuSeconds = cpuSeconds
        self.residentBytes = residentBytes
        self.virtualBytes = virtualBytes
        self.openFiles = openFiles
        self.mostFiles = mostFiles
        self.started = started
    }
}

/// What the server counts, in the names that Kubernetes gives it.
final class ServerMetrics: Sendable {
    /// What a request is counted as.
    struct Key: Hashable {
        var verb: String
        var group: String
        var version: String
        var resource: String
        var subresource: String
        var scope: String
        var dryRun: String

        var labels: String {
            func quoted(_ text: String) -> String { "\"\(ServerMetrics.escaped(text))\"" }
            return
                "component=\"apiserver\",dry_run=\(quoted(dryRun)),group=\(quoted(group)),resource=\(quoted(resource))"
                + ",scope=\(quoted(scope)),subresource=\(quoted(subresource)),verb=\(quoted(verb))"
                + ",version=\(quoted(version))"
        }
    }

    private struct Histogram {
        var counts = [Int](repeating: 0, count: ServerMetrics.bounds.count + 1)
        var sum = 0.0

        mutating func add(_ seconds: Double) {
            counts[ServerMetrics.bounds.firstIndex { seconds <= $0 } ?? ServerMetrics.bounds.count] += 1
            sum += seconds
        }
    }

    private struct State {
        var requests: [Key: [Int: Int]] = [:]
        var durations: [Key: Histogram] = [:]
        var longRunning: [Key: Int] = [:]
        var inFlight = (mutating: 0, readOnly: 0)
    }

    fileprivate static let bounds = [
        0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
    ]

    private let state = Mutex(State())
    /// Clients choose verbs and resources; beyond this many combinations no new ones are counted apart.
    private static let limit = 4_096

    // MARK: Counting

    private static let verbs = [
        "get": "GET", "list": "LIST", "watch": "WATCH", "create": "POST", "update": "PUT", "patch": "PATCH",
        "delete": "DELETE", "deletecollection": "DELETECOLLECTION",
    ]
    private static let connections: Set = ["proxy", "exec", "attach", "portforward", "log"]

    private static func key(_ request: Request, _ info: RequestInfo) -> Key {
        var verb = verbs[info.verb] ?? info.method
        if info.isResource, ["proxy", "exec", "attach", "portforward"].contains(info.subresource) { verb = "CONNECT" }
        if verb == "PATCH", request.headers["Content-Type"]?.hasPrefix("application/apply-patch") == true {
            verb = "APPLY"
        }
        var scope = ""
        if info.isResource {
            scope = !info.name.isEmpty || verb == "POST" ? "resource" : info.namespace.isEmpty ? "cluster" : "namespace"
        }
        return Key(
            verb: verb, group: info.group, version: info.version, resource: info.resource,
            subresource: info.subresource, scope: scope, dryRun: info.query["dryRun"] == "All" ? "All" : "")
    }

    private static func mutates(_ method: String) -> Bool { !["GET", "HEAD", "OPTIONS"].contains(method) }

    func begin(_ request: Request) {
        state.withLock { state in
            if Self.mutates(request.method) { state.inFlight.mutating += 1 } else { state.inFlight.readOnly += 1 }
        }
    }

    /// Counts an answer. What goes on streaming after its head is counted as running until it ends.
    func end(_ request: Request, _ info: RequestInfo, _ response: Response, duration: Duration) -> Response {
        var key = Self.key(request, info)
        // What is not served has names that the client made up.
        if response.status == 404, info.name.isEmpty { key.resource = "" }
        let isLong = key.verb == "WATCH" || (info.isResource && Self.connections.contains(info.subresource))
        state.withLock { state in
            if Self.mutates(request.method) { state.inFlight.mutating -= 1 } else { state.inFlight.readOnly -= 1 }
            guard state.requests[key] != nil || state.requests.count < Self.limit else { return }
            state.requests[key, default: [:]][response.status, default: 0] += 1
            if !isLong { state.durations[key, default: Histogram()].add(duration.inSeconds) }
        }
        guard isLong, case .stream(let produce) = response.body else { return response }
        var counted = response
        let running = key
        counted.body = .stream { [self] writer in
            run(running, by: 1)
            defer { run(running, by: -1) }
            try await produce(writer)
        }
        return counted
    }

    private func run(_ key: Key, by step: Int) {
        state.withLock { state in
            let left = (state.longRunning[key] ?? 0) + step
            guard state.longRunning[key] != nil || state.longRunning.count < Self.limit else { return }
            state.longRunning[key] = left
        }
    }

    // MARK: Telling

    private static func header(_ name: String, _ type: String, _ help: String) -> String {
        "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }

    func exposition() -> String {
        let (requests, durations, running, inFlight) = state.withLock {
            ($0.requests, $0.durations, $0.longRunning, $0.inFlight)
        }
        var text = Self.header("apiserver_request_total", "counter", "Requests answered, by kind of request and code.")
        text += requests.flatMap { key, codes in
            codes.map { "apiserver_request_total{code=\"\($0.key)\",\(key.labels)} \($0.value)\n" }
        }.sorted().joined()
        text += Self.header(
            "apiserver_request_duration_seconds", "histogram", "Time until a request was answered, in seconds.")
        for (labels, histogram) in durations.map({ ($0.key.labels, $0.value) }).sorted(by: { $0.0 < $1.0 }) {
            text += Self.lines(histogram, labels)
        }
        text += Self.header("apiserver_current_inflight_requests", "gauge", "Requests that are being answered.")
        text += "apiserver_current_inflight_requests{request_kind=\"mutating\"} \(inFlight.mutating)\n"
        text += "apiserver_current_inflight_requests{request_kind=\"readOnly\"} \(inFlight.readOnly)\n"
        text += Self.header("apiserver_longrunning_requests", "gauge", "Watches and streams that are open.")
        text += running.map { "apiserver_longrunning_requests{\($0.key.labels)} \($0.value)\n" }.sorted().joined()
        return text
    }

    private static func lines(_ histogram: Histogram, _ labels: String) -> String {
        let name = "apiserver_request_duration_seconds"
        var text = ""
        var total = 0
        for (index, bound) in bounds.enumerated() {
            total += histogram.counts[index]
            let shown = bound == bound.rounded() ? String(Int(bound)) : String(bound)
            text += "\(name)_bucket{\(labels),le=\"\(shown)\"} \(total)\n"
        }
        total += histogram.counts[bounds.count]
        return text + "\(name)_bucket{\(labels),le=\"+Inf\"} \(total)\n\(name)_sum{\(labels)} \(histogram.sum)\n"
            + "\(name)_count{\(labels)} \(total)\n"
    }

    /// How many objects there are of each resource.
    static func objects(in store: any Store, of resources: [ResourceInfo]) async -> String {
        var (stored, counted) = ("", "")
        var seen: Set<String> = []
        for resource in resources where resource.verbs.contains("list") {
            let prefix = ObjectCodec.prefix(resource)
            guard seen.insert(prefix).inserted,
                let page = try? await store.list(prefix: prefix, after: nil, limit: 1, at: nil)
            else { continue }
            let count = page.records.count + page.remaining
            stored += "apiserver_storage_objects{resource=\"\(resource.qualifiedName)\"} \(count)\n"
            counted +=
                "apiserver_resource_objects{group=\"\(resource.group)\",resource=\"\(resource.plural)\"} \(count)\n"
        }
        return header("apiserver_storage_objects", "gauge", "Objects in the store, by resource.") + stored
            + header("apiserver_resource_objects", "gauge", "Objects in the store, by group and resource.") + counted
    }

    static func process(_ statistics: ProcessStatistics) -> String {
        let entries = [
            ("cpu_seconds_total", "counter", "CPU time used, in seconds.", "\(statistics.cpuSeconds)"),
            ("max_fds", "gauge", "Files that may be open.", "\(statistics.mostFiles)"),
            ("open_fds", "gauge", "Files that are open.", "\(statistics.openFiles)"),
            ("resident_memory_bytes", "gauge", "Resident memory.", "\(statistics.residentBytes)"),
            ("start_time_seconds", "gauge", "Start of the process, in seconds since 1970.", "\(statistics.started)"),
            ("virtual_memory_bytes", "gauge", "Virtual memory.", "\(statistics.virtualBytes)"),
        ]
        return entries.map { name, type, help, value in
            header("process_\(name)", type, help) + "process_\(name) \(value)\n"
        }.joined()
    }

    static func health(_ checks: [String: [(String, Bool)]]) -> String {
        header("kubernetes_healthcheck", "gauge", "1 where a check is good, by name and kind of check.")
            + checks.flatMap { type, list in
                list.map { "kubernetes_healthcheck{name=\"\($0.0)\",type=\"\(type)\"} \($0.1 ? 1 : 0)\n" }
            }.sorted().joined()
    }

    static func build(_ version: Document) -> String {
        let fields = [
            ("build_date", "buildDate"), ("compiler", "compiler"), ("git_commit", "gitCommit"),
            ("git_tree_state", "gitTreeState"), ("git_version", "gitVersion"), ("go_version", "goVersion"),
            ("major", "major"), ("minor", "minor"), ("platform", "platform"),
        ]
        let labels = fields.map { "\($0.0)=\"\(escaped(version.text($0.1) ?? ""))\"" }.joined(separator: ",")
        return header("kubernetes_build_info", "gauge", "Which build this is.") + "kubernetes_build_info{\(labels)} 1\n"
    }

    fileprivate static func escaped(_ text: String) -> String {
        guard text.utf8.contains(where: { $0 == 34 || $0 == 92 || $0 == 10 }) else { return text }
        return String(text.flatMap { $0 == "\"" || $0 == "\\" ? "\\\($0)" : $0 == "\n" ? "\\n" : String($0) })
    }
}
