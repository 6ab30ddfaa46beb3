import Basics
import Document
import Kinds

/// Why no number of replicas can be told, in the words of the autoscaler's conditions.
struct MetricProblem: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// What one pod was measured to use, in thousandths.
struct PodMetric: Sendable, Equatable {
    var value: Int
    var time = Timestamp(seconds: 0)
    var window = Duration.zero
}

/// How many pods would bring what they use to its target.
struct ReplicaCalculator: Sendable {
    /// A pod that began so recently may still be warming up.
    private static let initialization = Duration.seconds(300)
    /// A pod that is not ready and was ready no later than so after its start never was.
    private static let firstReadiness = Duration.seconds(30)

    /// Usage that is off by less is left alone.
    struct Tolerance: Sendable {
        var up = 0.1
        var down = 0.1

        func contains(_ ratio: Double) -> Bool { (1 - down...1 + up).contains(ratio) }
    }

    var pods: [Document]
    var current: Int
    var tolerance = Tolerance()
    var now: Timestamp

    private struct Groups {
        var ready = 0
        var unready: [String] = []
        var missing: [String] = []
        var ignored: [String] = []
    }

    private static let noPods = MetricProblem("no pods returned by selector while calculating replica count")

    // MARK: Per pod

    /// For a share of what the containers request.
    func utilization(
        _ metrics: [String: PodMetric], target: Int, resource: String, container: String?
    ) throws(MetricProblem) -> (replicas: Int, percent: Int, average: Int) {
        if pods.isEmpty { throw Self.noPods }
        let (groups, usable) = try group(metrics, isCPU: resource == "cpu")
        let requests = try requests(resource, container)
        func ratio(_ metrics: [String: PodMetric]) throws(MetricProblem) -> (ratio: Double, percent: Int, average: Int)
        {
            let known = metrics.filter { requests[$0.key] != nil }
            let used = known.values.reduce(0) { $0 + $1.value }
            let requested = known.keys.reduce(0) { $0 + (requests[$1] ?? 0) }
            guard requested > 0 else { throw MetricProblem("no metrics returned matched known pods") }
            let percent = used * 100 / requested
            return (Double(percent) / Double(target), percent, used / known.count)
        }
        let first = try ratio(usable)
        let replicas = try settle(groups, usable, first.ratio) { (metrics) throws(MetricProblem) in
            try ratio(metrics).ratio
        } fallback: { name in
            // More than all of it where the target is more than that.
            (requests[name] ?? 0) * max(100, target) / 100
        }
        return (replicas, first.percent, first.average)
    }

    /// For an amount per pod.
    func plain(
        _ metrics: [String: PodMetric], target: Int, resource: String?
    ) throws(MetricProblem) -> (replicas: Int, average: Int) {
        if pods.isEmpty { throw Self.noPods }
        let (groups, usable) = try group(metrics, isCPU: resource == "cpu")
        func average(_ metrics: [String: PodMetric]) -> Int {
            metrics.values.reduce(0) { $0 + $1.value } / metrics.count
        }
        let usage = average(usable)
        let replicas = try settle(groups, usable, Double(usage) / Double(target)) { metrics in
            Double(average(metrics)) / Double(target)
        } fallback: { _ in
            target
        }
        return (replicas, usage)
    }

    /// Counts pods that tell nothing against the move: as busy when there would be fewer, as idle when there would be more.
    private func settle(
        _ groups: Groups, _ metrics: [String: PodMetric], _ first: Double,
        ratio: ([String: PodMetric]) throws(MetricProblem) -> Double, fallback: (String) -> Int
    ) throws(MetricProblem) -> Int {
        let countsUnready = !groups.unready.isEmpty && first > 1
        if !countsUnready, groups.missing.isEmpty {
            return tolerance.contains(first) ? current : Self.roundedUp(first * Double(groups.ready))
        }
        var metrics = metrics
        for name in groups.missing where first != 1 { metrics[name] = PodMetric(value: first < 1 ? fallback(name) : 0) }
        if countsUnready { for name in groups.unready { metrics[name] = PodMetric(value: 0) } }
        let second = try ratio(metrics)
        if tolerance.contains(second) || (first < 1 && second > 1) || (first > 1 && second < 1) { return current }
        let replicas = Self.roundedUp(second * Double(metrics.count))
        let turnsRound = (second < 1 && replicas > current) || (second > 1 && replicas < current)
        return turnsRound ? current : replicas
    }

    private func group(
        _ metrics: [String: PodMetric], isCPU: Bool
    ) throws(MetricProblem) -> (Groups, usable: [String: PodMetric]) {
        var groups = Groups()
        for pod in pods {
            if pod.isTerminating || pod.phase == "Failed" {
                groups.ignored.append(pod.name)
            } else if pod.phase == "Pending" {
                groups.unready.append(pod.name)
            } else if let metric = metrics[pod.name] {
                if isCPU, isWarmingUp(pod, metric) { groups.unready.append(pod.name) } else { groups.ready += 1 }
            } else {
                groups.missing.append(pod.name)
            }
        }
        var usable = metrics
        for name in groups.ignored + groups.unready { usable[name] = nil }
        if usable.isEmpty {
            throw MetricProblem("did not receive metrics for targeted pods (pods might be unready)")
        }
        return (groups, usable)
    }

    /// What a pod computes before it serves says nothing about its load.
    private func isWarmingUp(_ pod: Document, _ metric: PodMetric) -> Bool {
        guard let condition = pod.condition("Ready"), let start = pod.time("status", "startTime") else { return true }
        let isUnready = condition.text("status") == "False"
        let since = condition.time("lastTransitionTime") ?? start
        if start + Self.initialization > now { return isUnready || metric.time < since + metric.window }
        return isUnready && start + Self.firstReadiness > since
    }

    private func requests(_ resource: String, _ container: String?) throws(MetricProblem) -> [String: Int] {
        var requests: [String: Int] = [:]
        for pod in pods {
            if container == nil, let whole = pod.quantities("spec", "resources", "requests")[resource] {
                requests[pod.name] = whole.milliValue
                continue
            }
            let sidecars = pod.list("spec", "initContainers").filter { $0.text("restartPolicy") == "Always" }
            var sum = 0
            for each in pod.list("spec", "containers") + sidecars {
                let name = each.text("name") ?? ""
                if let container, container != name { continue }
                guard let amount = each.quantities("resources", "requests")[resource] else {
                    throw MetricProblem("missing request for \(resource) in container \(name) of Pod \(pod.name)")
                }
                sum += amount.milliValue
            }
            requests[pod.name] = sum
        }
        return requests
    }

    // MARK: For all pods together

    /// For one number that falls as pods are added.
    func shared(usage: Int, target: Int) throws(MetricProblem) -> Int {
        let ratio = Double(usage) / Double(target)
        if current == 0 { return Self.roundedUp(ratio) }
        if tolerance.contains(ratio) { return current }
        if pods.isEmpty { throw MetricProblem("unable to calculate ready pods: \(Self.noPods)") }
        return Self.roundedUp(ratio * Double(pods.count { $0.phase == "Running" && $0.isReadyPod }))
    }

    /// For one number of which each of `running` pods takes its part.
    func divided(usage: Int, target: Int, running: Int) -> (replicas: Int, average: Int) {
        let ratio = Double(usage) / (Double(target) * Double(running))
        let replicas = tolerance.contains(ratio) ? running : Self.roundedUp(Double(usage) / Double(target))
        return (replicas, running == 0 ? usage : Self.roundedUp(Double(usage) / Double(running)))
    }

    private static func roundedUp(_ value: Double) -> Int {
        // No target can have more replicas than these anyway.
        value.isFinite ? Int(min(value, 2_147_483_647).rounded(.up)) : 2_147_483_647
    }
}
