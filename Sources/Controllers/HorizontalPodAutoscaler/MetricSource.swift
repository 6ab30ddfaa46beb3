import Basics
import Client
import Document
import Kinds

/// One entry of an autoscaler's `metrics`: where to ask for it, and what to make of the answer.
struct MetricSource: Sendable {
    /// What one metric comes to.
    struct Proposal: Sendable, Equatable {
        var replicas: Int
        /// How conditions and events call the metric.
        var name: String
        /// The entry in the status.
        var status: Document
    }

    /// Why it comes to nothing, and what the condition about it is called.
    struct Failure: Error, Sendable {
        var reason: String
        /// As the condition says it.
        var problem: String
        /// As the error of the whole says it.
        var summary: String
    }

    let spec: Document
    let namespace: String
    /// Of the pods that are scaled, as queries write it.
    let selector: String

    private var type: String { spec.text("type") ?? "" }
    /// The member that holds what the type needs.
    private var field: String { type.prefix(1).lowercased() + type.dropFirst() }
    private var source: Document { spec[field] ?? .emptyObject }
    private var target: Document { source["target"] ?? .emptyObject }
    private var metric: String { source.text("metric", "name") ?? "" }

    private func amount(_ field: String) -> Int? { target.quantities()[field]?.milliValue }

    // MARK: Asking

    var path: String? {
        let pods = URLText.escape(selector)
        let selection = source.at("metric", "selector").flatMap { LabelSelector($0) }?.description ?? ""
        let metricSelector = selection.isEmpty ? "" : "metricLabelSelector=\(URLText.escape(selection))"
        let custom = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/\(namespace)"
        switch type {
        case "Resource", "ContainerResource":
            return "/apis/metrics.k8s.io/v1beta1/namespaces/\(namespace)/pods?labelSelector=\(pods)"
        case "Pods":
            let more = metricSelector.isEmpty ? "" : "&" + metricSelector
            return "\(custom)/pods/*/\(URLText.escape(metric))?labelSelector=\(pods)\(more)"
        case "Object":
            let object = source["describedObject"] ?? .emptyObject
            let more = metricSelector.isEmpty ? "" : "?" + metricSelector
            let name = URLText.escape(object.text("name") ?? "")
            if object.text("kind") == "Namespace" { return "\(custom)/metrics/\(URLText.escape(metric))\(more)" }
            return "\(custom)/\(Self.collection(of: object))/\(name)/\(URLText.escape(metric))\(more)"
        case "External":
            let more = selection.isEmpty ? "" : "?labelSelector=\(URLText.escape(selection))"
            return "/apis/external.metrics.k8s.io/v1beta1/namespaces/\(namespace)/\(URLText.escape(metric))\(more)"
        default: return nil
        }
    }

    /// `services`, `ingresses.networking.k8s.io`.
    private static func collection(of object: Document) -> String {
        let parts = (object.text("apiVersion") ?? "v1").split(separator: "/").map { String($0) }
        let (group, version) = parts.count == 2 ? (parts[0], parts[1]) : ("", parts.first ?? "v1")
        let kind = object.text("kind") ?? ""
        let plural =
            Kinds.registry.resource(group: group, version: version, kind: kind)?.plural ?? kind.lowercased() + "s"
        return group.isEmpty ? plural : "\(plural).\(group)"
    }

    // MARK: Judging

    /// - Parameter running: how many replicas the target reports.
    func proposal(
        _ answer: Result<Document, APIStatus>?, _ calculator: ReplicaCalculator, running: Int
    ) throws(Failure) -> Proposal {
        switch type {
        case "Resource": return try resource(answer, calculator, container: nil)
        case "ContainerResource": return try resource(answer, calculator, container: source.text("container") ?? "")
        case "Pods": return try pods(answer, calculator)
        case "Object": return try object(answer, calculator, running)
        case "External": return try external(answer, calculator, running)
        default:
            let problem = "unknown metric source type \"\(type)\""
            throw Failure(reason: "InvalidMetricSourceType", problem: problem, summary: problem)
        }
    }

    private func entry(_ current: Document, _ identity: Document) -> Document {
        var inner = identity
        inner["current"] = current
        var entry: Document = ["type": Document(type)]
        entry[field] = inner
        return entry
    }

    private static func quantity(_ milli: Int) -> Document { Document(Quantity(milli: milli).description) }

    private func resource(
        _ answer: Result<Document, APIStatus>?, _ calculator: ReplicaCalculator, container: String?
    ) throws(Failure) -> Proposal {
        let name = source.text("name") ?? ""
        let kind = container == nil ? "resource" : "container resource"
        let subject = container == nil ? "\(name) resource" : "\(container ?? "") container"
        let aim = amount("averageValue") != nil ? "usage" : "utilization"
        do throws(MetricProblem) {
            var identity: Document = ["name": Document(name)]
            if let container { identity["container"] = Document(container) }
            let metrics = try Self.prefixing("unable to get metrics for resource \(name): ") {
                () throws(MetricProblem) in try podMetrics(answer, name, container)
            }
            if let target = amount("averageValue") {
                let (replicas, average) = try calculator.plain(metrics, target: target, resource: name)
                return Proposal(
                    replicas: replicas, name: "\(name) resource",
                    status: entry(["averageValue": Self.quantity(average)], identity))
            }
            guard let target = target.number("averageUtilization") else {
                throw MetricProblem(
                    "invalid resource metric source: neither an average utilization target nor an average value (usage) "
                        + "target was set")
            }
            let found = try calculator.utilization(metrics, target: target, resource: name, container: container)
            return Proposal(
                replicas: found.replicas, name: "\(name) \(kind) utilization (percentage of request)",
                status: entry(
                    [
                        "averageUtilization": Document(found.percent), "averageValue": Self.quantity(found.average),
                    ], identity))
        } catch {
            let problem = "failed to get \(name) \(aim): \(error)"
            throw Failure(
                reason: container == nil ? "FailedGetResourceMetric" : "FailedGetContainerResourceMetric",
                problem: problem, summary: "failed to get \(subject) metric value: \(problem)")
        }
    }

    private func pods(
        _ answer: Result<Document, APIStatus>?, _ calculator: ReplicaCalculator
    ) throws(Failure) -> Proposal {
        do throws(MetricProblem) {
            let items = try Self.prefixing("unable to get metric \(metric): ") { () throws(MetricProblem) in
                try Self.custom(answer).list("items")
            }
            var metrics: [String: PodMetric] = [:]
            for item in items {
                metrics[item.text("describedObject", "name") ?? ""] = PodMetric(
                    value: item.quantities()["value"]?.milliValue ?? 0,
                    time: item.time("timestamp") ?? calculator.now,
                    window: .seconds(item.number("windowSeconds") ?? 60))
            }
            let (replicas, average) = try calculator.plain(
                metrics, target: max(1, amount("averageValue") ?? 1), resource: nil)
            return Proposal(
                replicas: replicas, name: "pods metric \(metric)",
                status: entry(["averageValue": Self.quantity(average)], identity()))
        } catch {
            throw Failure(
                reason: "FailedGetPodsMetric", problem: error.description,
                summary: "failed to get pods metric value: \(error)")
        }
    }

    private func object(
        _ answer: Result<Document, APIStatus>?, _ calculator: ReplicaCalculator, _ running: Int
    ) throws(Failure) -> Proposal {
        let object = source["describedObject"] ?? .emptyObject
        do throws(MetricProblem) {
            let usage: Int
            do throws(MetricProblem) {
                guard let item = try Self.custom(answer).list("items").first else {
                    throw MetricProblem("no metrics returned from custom metrics API")
                }
                usage = item.quantities()["value"]?.milliValue ?? 0
            } catch {
                throw MetricProblem(
                    "unable to get metric \(metric): \(object.text("kind") ?? "") on \(namespace) "
                        + "\(object.text("name") ?? "")/\(error)")
            }
            if let target = amount("value") {
                return Proposal(
                    replicas: try calculator.shared(usage: usage, target: max(1, target)),
                    name: "\(object.text("kind") ?? "") metric \(metric)",
                    status: entry(["value": Self.quantity(usage)], identity(of: object)))
            }
            guard let target = amount("averageValue") else {
                throw MetricProblem(
                    "invalid object metric source: neither a value target nor an average value target was set")
            }
            let (replicas, average) = calculator.divided(usage: usage, target: max(1, target), running: running)
            return Proposal(
                replicas: replicas, name: "external metric \(metric)(nil)",
                status: entry(["averageValue": Self.quantity(average)], identity(of: object)))
        } catch {
            throw Failure(
                reason: "FailedGetObjectMetric", problem: error.description,
                summary: "failed to get object metric value: \(error)")
        }
    }

    private func external(
        _ answer: Result<Document, APIStatus>?, _ calculator: ReplicaCalculator, _ running: Int
    ) throws(Failure) -> Proposal {
        let selection = source.at("metric", "selector").flatMap { LabelSelector($0) }?.description ?? "nil"
        do throws(MetricProblem) {
            let usage: Int
            do throws(MetricProblem) {
                usage = try Self.external(answer, metric)
            } catch {
                let why = "unable to get external metric \(namespace)/\(metric)/\(selection): \(error)"
                throw MetricProblem(
                    amount("averageValue") != nil
                        ? "failed to get \(metric) external metric: \(why)"
                        : "failed to get external metric \(metric): \(why)")
            }
            let name = "external metric \(metric)(\(selection))"
            if let target = amount("averageValue") {
                let (replicas, average) = calculator.divided(usage: usage, target: max(1, target), running: running)
                return Proposal(
                    replicas: replicas, name: name,
                    status: entry(["averageValue": Self.quantity(average)], identity()))
            }
            guard let target = amount("value") else {
                throw MetricProblem(
                    "invalid external metric source: neither a value target nor an average value target was set")
            }
            return Proposal(
                replicas: try calculator.shared(usage: usage, target: max(1, target)), name: name,
                status: entry(["value": Self.quantity(usage)], identity()))
        } catch {
            throw Failure(
                reason: "FailedGetExternalMetric", problem: error.description,
                summary: "failed to get \(metric) external metric value: \(error)")
        }
    }

    private func identity(of object: Document? = nil) -> Document {
        var identity = Document.emptyObject
        if let object { identity["describedObject"] = object }
        identity["metric"] = source["metric"]
        return identity
    }

    // MARK: What the metrics APIs answer

    private static func prefixing<Value>(
        _ prefix: String, _ body: () throws(MetricProblem) -> Value
    ) throws(MetricProblem) -> Value {
        do throws(MetricProblem) { return try body() } catch { throw MetricProblem(prefix + error.description) }
    }

    /// The server's words, or where it serves no such API, the sentence that clients know.
    private static func read(
        _ answer: Result<Document, APIStatus>?, _ api: String, _ subject: String
    ) throws(MetricProblem) -> Document {
        switch answer {
        case .success(let document): return document
        case .failure(let status):
            let text: String
            switch status.code {
            case 404: text = "the server could not find the requested resource (get \(subject))"
            case 503: text = "the server is currently unable to handle the request (get \(subject))"
            default: text = status.message
            }
            throw MetricProblem("unable to fetch metrics from \(api) metrics API: \(text)")
        case nil: throw MetricProblem("unable to fetch metrics from \(api) metrics API: too many metrics")
        }
    }

    private static func custom(_ answer: Result<Document, APIStatus>?) throws(MetricProblem) -> Document {
        if case .failure(let status) = answer, status.code == 404 {
            throw MetricProblem(
                "unable to fetch metrics from custom metrics API: no custom metrics API (custom.metrics.k8s.io) "
                    + "registered")
        }
        return try read(answer, "custom", "custom.metrics.k8s.io")
    }

    private static func external(
        _ answer: Result<Document, APIStatus>?, _ metric: String
    ) throws(MetricProblem) -> Int {
        let items = try read(answer, "external", "\(metric).external.metrics.k8s.io").list("items")
        if items.isEmpty { throw MetricProblem("no metrics returned from external metrics API") }
        return items.reduce(0) { $0 + ($1.quantities()["value"]?.milliValue ?? 0) }
    }

    private func podMetrics(
        _ answer: Result<Document, APIStatus>?, _ resource: String, _ container: String?
    ) throws(MetricProblem) -> [String: PodMetric] {
        let items = try Self.read(answer, "resource", "pods.metrics.k8s.io").list("items")
        if items.isEmpty { throw MetricProblem("no metrics returned from resource metrics API") }
        var metrics: [String: PodMetric] = [:]
        for item in items {
            var containers = item.list("containers")
            if let container {
                containers = containers.filter { $0.text("name") == container }
                if containers.isEmpty {
                    throw MetricProblem(
                        "container \(container) not present in metrics for pod \(item.namespace ?? "")/\(item.name)")
                }
            }
            let amounts = containers.compactMap { $0.quantities("usage")[resource]?.milliValue }
            // Half of a pod says nothing.
            guard !amounts.isEmpty, amounts.count == containers.count else { continue }
            metrics[item.name] = PodMetric(
                value: amounts.reduce(0, +), time: item.time("timestamp") ?? Timestamp(seconds: 0),
                window: Self.span(item.text("window") ?? ""))
        }
        return metrics
    }

    /// `30s`, `1m0s`, `15.5s`.
    private static func span(_ text: String) -> Duration {
        var total = Duration.zero
        var number = ""
        for character in text {
            switch character {
            case "0"..."9", ".": number.append(character)
            case "h", "m", "s":
                let unit: Double = character == "h" ? 3_600 : character == "m" ? 60 : 1
                total += .milliseconds(Int64((Double(number) ?? 0) * unit * 1_000))
                number = ""
            default: return total
            }
        }
        return total
    }
}
