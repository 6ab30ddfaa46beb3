import Basics
import Document

extension NodeStats {
    // MARK: /stats/summary

    var summary: Document {
        var node: Document = [
            "nodeName": Document(nodeName), "cpu": cpu(usage), "memory": memory(usage, capacity: memoryCapacity),
            "network": network(interfaces),
        ]
        if let fileSystem {
            node["fs"] = fields(fileSystem)
            node["runtime"] = ["imageFs": fields(fileSystem), "containerFs": fields(fileSystem)]
        }
        if let startedAt { node["startTime"] = Document(startedAt.rfc3339()) }
        return ["node": node, "pods": Document(pods.map(fields))]
    }

    private var stamp: Document { Document(time.rfc3339()) }

    private func fields(_ pod: Pod) -> Document {
        var fields: Document = [
            "podRef": [
                "name": Document(pod.name), "namespace": Document(pod.namespace), "uid": Document(pod.uid),
            ],
            "containers": Document(pod.containers.map(self.fields)), "cpu": cpu(pod.usage),
            "memory": memory(pod.usage, capacity: nil),
            "process_stats": ["process_count": Document(Int(pod.usage.pids))],
        ]
        if let startedAt = pod.startedAt { fields["startTime"] = Document(startedAt.rfc3339()) }
        if !pod.interfaces.isEmpty { fields["network"] = network(pod.interfaces) }
        return fields
    }

    private func fields(_ container: Container) -> Document {
        var fields: Document = [
            "name": Document(container.name), "cpu": cpu(container.usage),
            "memory": memory(container.usage, capacity: nil),
        ]
        if let startedAt = container.startedAt { fields["startTime"] = Document(startedAt.rfc3339()) }
        if let fileSystem {
            var logs = self.fields(fileSystem)
            logs["usedBytes"] = Document(Int(container.logBytes))
            fields["logs"] = logs
        }
        return fields
    }

    private func cpu(_ usage: Usage) -> Document {
        var fields: Document = ["time": stamp, "usageCoreNanoSeconds": Document(Int(usage.cpuNanoseconds))]
        if let rate = usage.nanoCores { fields["usageNanoCores"] = Document(Int(rate)) }
        return fields
    }

    private func memory(_ usage: Usage, capacity: Int64?) -> Document {
        var fields: Document = [
            "time": stamp, "usageBytes": Document(Int(usage.memoryBytes)),
            "workingSetBytes": Document(Int(usage.workingSetBytes)),
        ]
        if let capacity { fields["availableBytes"] = Document(Int(max(0, capacity - usage.workingSetBytes))) }
        return fields
    }

    private func network(_ interfaces: [Interface]) -> Document {
        func fields(_ interface: Interface) -> Document {
            [
                "name": Document(interface.name), "rxBytes": Document(Int(interface.receivedBytes)),
                "rxErrors": Document(Int(interface.receiveErrors)), "txBytes": Document(Int(interface.sentBytes)),
                "txErrors": Document(Int(interface.sendErrors)),
            ]
        }
        let first = interfaces.first { $0.name == "eth0" } ?? interfaces.first
        var all = first.map(fields) ?? .emptyObject
        all["time"] = stamp
        all["interfaces"] = Document(interfaces.map(fields))
        return all
    }

    private func fields(_ fileSystem: FileSystem) -> Document {
        [
            "time": stamp, "availableBytes": Document(Int(fileSystem.available)),
            "capacityBytes": Document(Int(fileSystem.capacity)), "usedBytes": Document(Int(fileSystem.used)),
            "inodesFree": Document(Int(fileSystem.inodesFree)), "inodes": Document(Int(fileSystem.inodes)),
            "inodesUsed": Document(Int(fileSystem.inodes - fileSystem.inodesFree)),
        ]
    }

    // MARK: /metrics/resource

    var resourceMetrics: String {
        var text = MetricText(milliseconds: time.nanoseconds / 1_000_000)
        let containers = pods.flatMap { pod in
            pod.containers.map { (labels: [("container", $0.name)] + Self.labels(pod), container: $0) }
        }
        text.family(
            "container_cpu_usage_seconds_total", "counter",
            "[STABLE] Cumulative cpu time consumed by the container in core-seconds"
        ) {
            containers.map { ($0.labels, Self.seconds($0.container.usage.cpuNanoseconds)) }
        }
        text.family(
            "container_memory_working_set_bytes", "gauge", "[STABLE] Current working set of the container in bytes"
        ) {
            containers.map { ($0.labels, "\($0.container.usage.workingSetBytes)") }
        }
        text.family(
            "container_start_time_seconds", "gauge", "[STABLE] Start time of the container since unix epoch in seconds"
        ) {
            containers.compactMap { entry in
                entry.container.startedAt.map { (entry.labels, Self.seconds($0.nanoseconds)) }
            }
        }
        text.family(
            "node_cpu_usage_seconds_total", "counter",
            "[STABLE] Cumulative cpu time consumed by the node in core-seconds"
        ) {
            [([], Self.seconds(usage.cpuNanoseconds))]
        }
        text.family("node_memory_working_set_bytes", "gauge", "[STABLE] Current working set of the node in bytes") {
            [([], "\(usage.workingSetBytes)")]
        }
        text.family(
            "pod_cpu_usage_seconds_total", "counter", "[STABLE] Cumulative cpu time consumed by the pod in core-seconds"
        ) {
            pods.map { (Self.labels($0), Self.seconds($0.usage.cpuNanoseconds)) }
        }
        text.family("pod_memory_working_set_bytes", "gauge", "[STABLE] Current working set of the pod in bytes") {
            pods.map { (Self.labels($0), "\($0.usage.workingSetBytes)") }
        }
        text.plain(
            "resource_scrape_error", "gauge",
            "[STABLE] 1 if there was an error while getting container metrics, 0 otherwise", "0")
        return text.text
    }

    // MARK: /metrics/cadvisor

    var containerMetrics: String {
        var text = MetricText(milliseconds: time.nanoseconds / 1_000_000)
        let groups = pods.flatMap { pod in
            [(labels: [("container", "")] + Self.labels(pod), usage: pod.usage)]
                + pod.containers.map { (labels: [("container", $0.name)] + Self.labels(pod), usage: $0.usage) }
        }
        text.family("container_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed in seconds.") {
            groups.map { ($0.labels + [("cpu", "total")], Self.seconds($0.usage.cpuNanoseconds)) }
        }
        text.family(
            "container_memory_usage_bytes", "gauge",
            "Current memory usage in bytes, including all memory regardless of when it was accessed"
        ) {
            groups.map { ($0.labels, "\($0.usage.memoryBytes)") }
        }
        text.family("container_memory_working_set_bytes", "gauge", "Current working set in bytes.") {
            groups.map { ($0.labels, "\($0.usage.workingSetBytes)") }
        }
        text.family("container_processes", "gauge", "Number of processes running inside the container.") {
            groups.map { ($0.labels, "\($0.usage.pids)") }
        }
        let links = pods.flatMap { pod in
            pod.interfaces.map { (labels: [("interface", $0.name)] + Self.labels(pod), link: $0) }
        }
        text.family("container_network_receive_bytes_total", "counter", "Cumulative count of bytes received") {
            links.map { ($0.labels, "\($0.link.receivedBytes)") }
        }
        text.family("container_network_transmit_bytes_total", "counter", "Cumulative count of bytes transmitted") {
            links.map { ($0.labels, "\($0.link.sentBytes)") }
        }
        text.plain("machine_memory_bytes", "gauge", "Amount of memory installed on the machine.", "\(memoryCapacity)")
        return text.text
    }

    private static func labels(_ pod: Pod) -> [(String, String)] { [("namespace", pod.namespace), ("pod", pod.name)] }
    private static func seconds(_ nanoseconds: Int64) -> String { "\(Double(nanoseconds) / 1e9)" }
}

/// Metrics as Prometheus reads them, each sample with its time.
private struct MetricText {
    let milliseconds: Int64
    private(set) var text = ""

    init(milliseconds: Int64) { self.milliseconds = milliseconds }

    mutating func family(
        _ name: String, _ type: String, _ help: String, _ samples: () -> [([(String, String)], String)]
    ) {
        let samples = samples()
        guard !samples.isEmpty else { return }
        head(name, type, help)
        for (labels, value) in samples {
            // Names of objects and links have nothing that would have to be escaped.
            let list = labels.map { "\($0.0)=\"\($0.1)\"" }.joined(separator: ",")
            text += "\(name)\(labels.isEmpty ? "" : "{\(list)}") \(value) \(milliseconds)\n"
        }
    }

    mutating func plain(_ name: String, _ type: String, _ help: String, _ value: String) {
        head(name, type, help)
        text += "\(name) \(value)\n"
    }

    private mutating func head(_ name: String, _ type: String, _ help: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }
}
