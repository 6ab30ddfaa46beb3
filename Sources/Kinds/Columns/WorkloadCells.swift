import Basics
import Document

extension WorkloadColumns {
    static func daemonSet(_ set: Document, now: Timestamp) -> [Document] {
        let counts = [
            "desiredNumberScheduled", "currentNumberScheduled", "numberReady", "updatedNumberScheduled",
            "numberAvailable",
        ].map { Document(set.number("status", $0) ?? 0) }
        return counts + [Cells.labels(set.map("spec", "template", "spec", "nodeSelector")), Cells.age(set, now: now)]
            + Cells.containers(set.at("spec", "template")) + [Cells.selector(set.at("spec", "selector"))]
    }

    static func statefulSet(_ set: Document, now: Timestamp) -> [Document] {
        let ready = "\(set.number("status", "readyReplicas") ?? 0)/\(set.number("spec", "replicas") ?? 0)"
        return [Document(ready), Cells.age(set, now: now)] + Cells.containers(set.at("spec", "template"))
    }

    static func replicationController(_ controller: Document, now: Timestamp) -> [Document] {
        [
            Document(controller.number("spec", "replicas") ?? 0),
            Document(controller.number("status", "replicas") ?? 0),
            Document(controller.number("status", "readyReplicas") ?? 0), Cells.age(controller, now: now),
        ] + Cells.containers(controller.at("spec", "template")) + [Cells.labels(controller.map("spec", "selector"))]
    }

    /// The object that manages another, as `kind.group/name`.
    static func controller(of object: Document) -> Document {
        guard let owner = object.list("metadata", "ownerReferences").first(where: { $0.flag("controller") == true })
        else { return Cells.none }
        let version = owner.text("apiVersion") ?? ""
        let group = version.contains("/") ? "." + (version.split(separator: "/").first ?? "") : ""
        return Document("\(owner.text("kind") ?? "")\(group)".lowercased() + "/\(owner.text("name") ?? "")")
    }

    static func job(_ job: Document, now: Timestamp) -> [Document] {
        let succeeded = job.number("status", "succeeded") ?? 0
        let parallelism = job.number("spec", "parallelism") ?? 0
        let completions =
            job.number("spec", "completions").map { "\(succeeded)/\($0)" }
            ?? "\(succeeded)/1" + (parallelism > 1 ? " of \(parallelism)" : "")
        var duration = ""
        if let start = job.time("status", "startTime") {
            let end = job.time("status", "completionTime") ?? now
            duration = Cells.age(seconds: Int((end - start).wholeSeconds))
        }
        return [Document(state(of: job)), Document(completions), Document(duration), Cells.age(job, now: now)]
            + Cells.containers(job.at("spec", "template")) + [Cells.selector(job.at("spec", "selector"))]
    }

    private static func state(of job: Document) -> String {
        func has(_ condition: String) -> Bool {
            job.list("status", "conditions").contains {
                $0.text("type") == condition && $0.text("status") == "True"
            }
        }
        if has("Complete") { return "Complete" }
        if has("Failed") { return "Failed" }
        if job.text("metadata", "deletionTimestamp") != nil { return "Terminating" }
        return ["Suspended", "FailureTarget", "SuccessCriteriaMet"].first(where: has) ?? "Running"
    }

    static func cronJob(_ job: Document, now: Timestamp) -> [Document] {
        let last = job.text("status", "lastScheduleTime")
        let suspended = job.flag("spec", "suspend")
        let template = job.at("spec", "jobTemplate", "spec") ?? .emptyObject
        return [
            job.at("spec", "schedule") ?? "", job.at("spec", "timeZone") ?? Cells.none,
            suspended.map { $0 ? "True" : "False" } ?? "<unset>", Document(job.list("status", "active").count),
            last.map { Document(Cells.since($0, now: now)) } ?? Cells.none, Cells.age(job, now: now),
        ] + Cells.containers(template["template"]) + [Cells.selector(template["selector"])]
    }
}

enum PolicyColumns {
    static func budget(_ budget: Document, now: Timestamp) -> [Document] {
        func bound(_ field: String) -> Document {
            budget.at("spec", field).map { Document($0.string ?? $0.jsonText) } ?? "N/A"
        }
        let least = bound("minAvailable")
        return [
            least, least == "N/A" ? bound("maxUnavailable") : "N/A",
            Document(budget.number("status", "disruptionsAllowed") ?? 0), Cells.age(budget, now: now),
        ]
    }

    static func quota(_ quota: Document, now: Timestamp) -> [Document] {
        var (requests, limits): ([String], [String]) = ([], [])
        for member in (quota.at("status", "hard")?.members ?? []).sorted(by: { $0.key < $1.key }) {
            let used = quota.text("status", "used", member.key) ?? "0"
            let text = "\(member.key): \(used)/\(member.value.string ?? "")"
            if member.key.hasPrefix("limits.") { limits.append(text) } else { requests.append(text) }
        }
        return [
            Document(requests.joined(separator: ", ")), Document(limits.joined(separator: ", ")),
            Cells.age(quota, now: now),
        ]
    }

    static func component(_ component: Document) -> [Document] {
        guard let condition = component.list("conditions").first(where: { $0.text("type") == "Healthy" }) else {
            return ["Unknown", "", ""]
        }
        return [
            condition.text("status") == "True" ? "Healthy" : "Unhealthy", condition["message"] ?? "",
            condition["error"] ?? "",
        ]
    }
}

enum AutoscalerColumns {
    private static let shownMetrics = 2

    static func cells(_ autoscaler: Document, now: Timestamp) -> [Document] {
        let target = autoscaler.at("spec", "scaleTargetRef") ?? .emptyObject
        let least = autoscaler.number("spec", "minReplicas")
        return [
            Document("\(target.text("kind") ?? "")/\(target.text("name") ?? "")"), Document(metrics(autoscaler)),
            Document(least.map(String.init) ?? "<unset>"), autoscaler.at("spec", "maxReplicas") ?? 0,
            autoscaler.at("status", "currentReplicas") ?? 0, Cells.age(autoscaler, now: now),
        ]
    }

    private static func metrics(_ autoscaler: Document) -> String {
        let specs = autoscaler.list("spec", "metrics")
        let statuses = autoscaler.list("status", "currentMetrics")
        if specs.isEmpty { return "<none>" }
        let texts = specs.enumerated().map { index, spec in
            metric(spec, index < statuses.count ? statuses[index] : .emptyObject)
        }
        let shown = texts.prefix(shownMetrics).joined(separator: ", ")
        return texts.count > shownMetrics ? "\(shown) + \(texts.count - shownMetrics) more..." : shown
    }

    /// One metric as `measured/wanted`.
    private static func metric(_ spec: Document, _ status: Document) -> String {
        let sources = [
            "External": "external", "Pods": "pods", "Object": "object", "Resource": "resource",
            "ContainerResource": "containerResource",
        ]
        guard let source = sources[spec.text("type") ?? ""] else { return "<unknown type>" }
        let target = spec.at(source, "target") ?? .emptyObject
        let current = status.at(source, "current") ?? .emptyObject
        let isResource = source == "resource" || source == "containerResource"
        let start = isResource ? "\(spec.text(source, "name") ?? ""): " : ""
        if let average = target.text("averageValue") {
            let end = isResource || source == "pods" ? "" : " (avg)"
            return "\(start)\(current.text("averageValue") ?? "<unknown>")/\(average)\(end)"
        }
        if isResource {
            let measured = current.number("averageUtilization").map { "\($0)%" } ?? "<unknown>"
            return "\(start)\(measured)/\(target.number("averageUtilization").map { "\($0)%" } ?? "<auto>")"
        }
        return "\(current.text("value") ?? "<unknown>")/\(target.text("value") ?? "")"
    }
}
