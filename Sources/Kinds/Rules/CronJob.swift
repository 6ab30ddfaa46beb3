import Document
import Schema

extension KindRules {
    static let cronJob: KindRules = {
        var rules = workload
        rules.applyDefaults = { PodTemplates.complete(&$0, at: "spec", "jobTemplate", "spec", "template") }
        rules.validateNew = { job in
            let name = job.text("metadata", "name") ?? ""
            var errors = CronJobs.validateZones(job, old: nil)
            // A job's name is the cron job's and eleven characters of time, and may have 63.
            if name.utf8.count > 52 {
                errors.append(.invalid("metadata.name", Document(name), "must be no more than 52 characters"))
            }
            return errors
        }
        rules.validateCreate = { CronJobs.validate($0) }
        rules.validateUpdate = { CronJobs.validateZones($0, old: $1) }
        rules.warnings = { new, old in
            var warnings = old == nil ? Workloads.nameWarnings(new) : []
            if let schedule = new.text("spec", "schedule"), schedule.contains("TZ") {
                warnings.append(
                    "CRON_TZ or TZ used in spec.schedule is not officially supported, see "
                        + "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details")
            }
            return warnings
        }
        rules.cells = { WorkloadColumns.cronJob($0, now: $1) }
        return rules
    }()
}

enum CronJobs {
    static func validate(_ job: Document) -> [FieldError] {
        let spec = job["spec"] ?? .emptyObject
        var errors: [FieldError] = []
        let schedule = spec.text("schedule") ?? ""
        if schedule.isEmpty {
            errors.append(.required("spec.schedule"))
        } else if let problem = CronSchedule.problem(in: schedule) {
            errors.append(.invalid("spec.schedule", Document(schedule), problem))
        }
        if let deadline = spec.number("startingDeadlineSeconds"), deadline < 0 {
            errors.append(
                .invalid(
                    "spec.startingDeadlineSeconds", Document(deadline), "must be greater than or equal to 0"))
        }
        let policies = ["Allow", "Forbid", "Replace"]
        if let policy = spec.text("concurrencyPolicy"), !policies.contains(policy) {
            errors.append(.notSupported("spec.concurrencyPolicy", Document(policy), policies))
        }
        errors += template(spec["jobTemplate"] ?? .emptyObject)
        for field in ["successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
            guard let limit = spec.number(field), limit < 0 else { continue }
            errors.append(.invalid("spec." + field, Document(limit), "must be greater than or equal to 0"))
        }
        return errors
    }

    private static func template(_ template: Document) -> [FieldError] {
        let path = "spec.jobTemplate.spec"
        let spec = template["spec"] ?? .emptyObject
        var errors = JobSpec(spec, path: path).errors
        if let selector = spec["selector"] {
            errors.append(.invalid(path + ".selector", selector, "`selector` will be auto-generated"))
        }
        if spec.flag("manualSelector") == true {
            errors.append(.notSupported(path + ".manualSelector", true, ["nil", "false"]))
        }
        return errors
    }

    /// Time zones stand in a field of their own; schedules that name one from before that field may keep it.
    static func validateZones(_ new: Document, old: Document?) -> [FieldError] {
        let schedule = new.text("spec", "schedule") ?? ""
        let zone = new.at("spec", "timeZone")
        var errors: [FieldError] = []
        if schedule.contains("TZ") {
            let isKept = old?.text("spec", "schedule")?.contains("TZ") == true
            if !isKept {
                errors.append(
                    .invalid(
                        "spec.schedule", Document(schedule),
                        "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"))
            } else if zone != nil {
                errors.append(
                    .invalid(
                        "spec.schedule", Document(schedule),
                        "cannot use both timeZone field and TZ or CRON_TZ in schedule"))
            }
        }
        if let zone, old?.at("spec", "timeZone") != zone { errors += timeZone(zone) }
        return errors
    }

    private static func timeZone(_ zone: Document) -> [FieldError] {
        let path = "spec.timeZone"
        let name = zone.string ?? ""
        if name.isEmpty { return [.invalid(path, zone, "timeZone must be nil or non-empty string")] }
        var errors: [FieldError] = []
        if name.lowercased() == "local" {
            errors.append(
                .invalid(
                    path, zone,
                    "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"))
        }
        if name != "Local", !TimeZones.contains(name) {
            errors.append(.invalid(path, zone, "unknown time zone \(name)"))
        }
        return errors
    }
}
