import Basics
import Document
import Schema
import Testing

@testable import Kinds

@Suite struct WorkloadRulesTests {
    private func resource(_ group: String, _ kind: String, version: String = "v1") throws -> ResourceInfo {
        try #require(Kinds.registry.resource(group: group, version: version, kind: kind))
    }

    /// The object as it would be stored, and what is wrong with it.
    private func create(_ json: String, _ resource: ResourceInfo) throws -> (Document, [String]) {
        var object = try Document(json: json)
        object.set("ns", at: "metadata", "namespace")
        Kinds.applyDefaults(to: &object, resource: resource)
        object.set("u1", at: "metadata", "uid")
        Kinds.rules(for: resource).prepareForCreate(&object, RuleContext(now: Timestamp(seconds: 0)))
        Kinds.applyDefaults(to: &object, resource: resource)
        return (object, Kinds.validateCreate(object, resource: resource).map(\.text))
    }

    // MARK: Schedules

    @Test(
        arguments: [
            "* * * * *", "@daily", "@every 1h30m", "0 0 31 2 *", "*/61 * * * *", "1-5/2,7 * ? JAN-MAR MON",
            "  0 1 * * 0-6  ",
        ])
    func schedulesThatAreUnderstood(_ text: String) { #expect(CronSchedule.problem(in: text) == nil) }

    @Test(
        arguments: [
            ("60 * * * *", "end of range (60) above maximum (59): 60"),
            ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
            ("* 5-3 * * *", "beginning of range (5) beyond end of range (3): 5-3"),
            ("*/0 * * * *", "step of range should be a positive number: */0"),
            ("1-2-3 * * * *", "too many hyphens: 1-2-3"), ("1/2/3 * * * *", "too many slashes: 1/2/3"),
            ("a * * * *", "failed to parse int from a: strconv.Atoi: parsing \"a\": invalid syntax"),
            ("* * *", "expected exactly 5 fields, found 3: [* * *]"), ("@weird", "unrecognized descriptor: @weird"),
            ("@every 5", "failed to parse duration @every 5: time: missing unit in duration \"5\""),
            ("@every 1d", "failed to parse duration @every 1d: time: unknown unit \"d\" in duration \"1d\""),
        ])
    func schedulesThatAreNot(_ text: String, _ problem: String) {
        #expect(CronSchedule.problem(in: text) == problem)
    }

    @Test func timeZonesHaveTheirNames() {
        for name in ["UTC", "Europe/Zurich", "America/Argentina/Buenos_Aires", "US/Pacific", "Etc/GMT+5"] {
            #expect(TimeZones.contains(name), "\(name)")
        }
        for name in ["Mars/Base", "europe/zurich", "Europe", "Europe/", "Zurich", "-"] {
            #expect(!TimeZones.contains(name), "\(name)")
        }
    }

    // MARK: Indexes

    @Test func indexesAreRisingIntervals() throws {
        #expect(try JobIndexes.parse("0,2-4,9", completions: 10).get() == [0...0, 2...4, 9...9])
        #expect(try JobIndexes.parse("", completions: 10).get() == [])
        for (text, problem) in [
            ("x", "cannot convert string to integer for index: \"x\""), ("12", "too large index: \"12\""),
            ("3,2", "non-increasing order, previous: 3, current: 2"),
            ("3-3", "non-increasing order, previous: 3, current: 3"),
            (
                "1-2-3",
                "the fragment \"1-2-3\" violates the requirement that an index interval can have at most two parts "
                    + "separated by '-'"
            ),
        ] {
            guard case .failure(let found) = JobIndexes.parse(text, completions: 10) else {
                Issue.record("\(text) was understood")
                continue
            }
            #expect(found.text == problem)
        }
        #expect(JobIndexes.overlap("0-3,7", "5,7-8", completions: 10) == 7)
        #expect(JobIndexes.overlap("0-3", "4-8", completions: 10) == nil)
    }

    // MARK: Jobs

    private static let pod =
        "{\"spec\":{\"restartPolicy\":\"Never\",\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}"

    @Test func aJobSelectsItsOwnPods() throws {
        let jobs = try resource("batch", "Job")
        let (job, errors) = try create("{\"metadata\":{\"name\":\"j\"},\"spec\":{\"template\":\(Self.pod)}}", jobs)
        #expect(errors == [])
        #expect(job.map("spec", "selector", "matchLabels") == ["batch.kubernetes.io/controller-uid": "u1"])
        #expect(job.map("metadata", "labels")["job-name"] == "j")
        #expect(job.number("spec", "completions") == 1)
        // Who brings labels of the generated names along must have them right.
        let (_, wrong) = try create(
            """
            {"metadata":{"name":"j"},"spec":{"template":{"metadata":{"labels":{"job-name":"other"}},
            "spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"i"}]}}}}
            """, jobs)
        #expect(wrong.contains { $0.hasPrefix("spec.template.metadata.labels[job-name]: Invalid value") })
    }

    @Test func aFailurePolicyIsChecked() throws {
        let (_, errors) = try create(
            """
            {"metadata":{"name":"j"},"spec":{"podFailurePolicy":{"rules":[
              {"action":"FailIndex","onExitCodes":{"operator":"In","values":[3,0,3],"containerName":"x"}},
              {"action":"Ignore"}]},"template":\(Self.pod)}}
            """, try resource("batch", "Job"))
        let rules = "spec.podFailurePolicy.rules"
        #expect(
            errors == [
                "\(rules)[0].action: Invalid value: \"FailIndex\": requires the backoffLimitPerIndex to be set",
                "\(rules)[0].onExitCodes.containerName: Invalid value: \"x\": must be one of the container or "
                    + "initContainer names in the pod template",
                "\(rules)[0].onExitCodes.values[1]: Invalid value: 0: must not be 0 for the In operator",
                "\(rules)[0].onExitCodes.values[2]: Duplicate value: 3",
                "\(rules)[0].onExitCodes.values: Invalid value: [3,0,3]: must be ordered",
                "\(rules)[1]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required",
            ])
    }

    @Test func aSuspendedJobsPodsMayStillBePlaced() throws {
        let jobs = try resource("batch", "Job")
        let (old, _) = try create(
            "{\"metadata\":{\"name\":\"j\"},\"spec\":{\"suspend\":true,\"template\":\(Self.pod)}}", jobs)
        var new = old
        new.set(["disk": "ssd"], at: "spec", "template", "spec", "nodeSelector")
        #expect(Kinds.validateUpdate(new, old: old, resource: jobs) == [])
        var running = old
        running.set(false, at: "spec", "suspend")
        #expect(
            Kinds.validateUpdate(new, old: running, resource: jobs).map(\.path) == ["spec.template.spec"])
    }

    // MARK: Autoscalers

    /// What the older form has no field for survives it.
    @Test func autoscalersKeepEverythingInTheOlderForm() throws {
        let newer = try Document(
            json: """
                {"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler",
                 "metadata":{"name":"h","annotations":{"own":"kept"}},
                 "spec":{"minReplicas":1,"maxReplicas":5,"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"d"},
                  "metrics":[
                   {"type":"Object","object":{"metric":{"name":"o","selector":{"matchLabels":{"a":"b"}}},
                     "describedObject":{"kind":"Ingress","name":"i"},"target":{"type":"Value","value":"2k"}}},
                   {"type":"External","external":{"metric":{"name":"q"},"target":{"type":"AverageValue","averageValue":"30"}}},
                   {"type":"ContainerResource","containerResource":{"name":"memory","container":"c",
                     "target":{"type":"Utilization","averageUtilization":40}}},
                   {"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":60}}}],
                  "behavior":{"scaleDown":{"selectPolicy":"Max","policies":[{"type":"Pods","value":1,"periodSeconds":9}]}}},
                 "status":{"desiredReplicas":2,"currentReplicas":1,
                  "currentMetrics":[{"type":"Resource","resource":{"name":"cpu","current":{"averageUtilization":7,"averageValue":"70m"}}}],
                  "conditions":[{"type":"AbleToScale","status":"True","reason":"R"}]}}
                """)
        let older = AutoscalerConversion.older(newer)
        #expect(older.number("spec", "targetCPUUtilizationPercentage") == 60)
        #expect(older.number("status", "currentCPUUtilizationPercentage") == 7)
        #expect(older.at("spec", "metrics") == nil)
        #expect(older.map("metadata", "annotations").count == 5)
        let back = AutoscalerConversion.newer(older)
        for path in [["spec", "behavior"], ["status"], ["metadata"], ["spec", "scaleTargetRef"]] {
            #expect(back.at(path: path)?.means(newer.at(path: path) ?? .null) == true, "\(path)")
        }
        let (kept, given) = (back.list("spec", "metrics"), newer.list("spec", "metrics"))
        #expect(kept.count == given.count)
        for metric in given { #expect(kept.contains { $0.means(metric) }, "\(metric.jsonText)") }
    }

    @Test func anOlderAutoscalerIsJudgedAsTheNewer() throws {
        let (_, errors) = try create(
            """
            {"metadata":{"name":"h"},"spec":{"maxReplicas":3,"targetCPUUtilizationPercentage":0,
            "scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"d"}}}
            """, try resource("autoscaling", "HorizontalPodAutoscaler"))
        #expect(
            errors == ["spec.metrics[0].resource.target.averageUtilization: Invalid value: 0: must be greater than 0"])
    }

    // MARK: Bounds

    @Test func limitsAreCompletedFromEachOther() throws {
        let (range, errors) = try create(
            """
            {"metadata":{"name":"l"},"spec":{"limits":[{"type":"Container","max":{"cpu":"2"},"min":{"memory":"1Mi"}},
            {"type":"Pod","max":{"cpu":"4"}}]}}
            """, try resource("", "LimitRange"))
        #expect(errors == [])
        let items = range.list("spec", "limits")
        #expect(items[0].map("default") == ["cpu": "2"])
        #expect(items[0].map("defaultRequest") == ["cpu": "2", "memory": "1Mi"])
        #expect(items[1]["default"] == nil)
    }

    @Test func ratiosMustBePossible() throws {
        let (_, errors) = try create(
            """
            {"metadata":{"name":"l"},"spec":{"limits":[{"type":"Pod","max":{"cpu":"4"},"min":{"cpu":"2"},
            "maxLimitRequestRatio":{"cpu":"3"}}]}}
            """, try resource("", "LimitRange"))
        #expect(
            errors == [
                "spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: \"3\": ratio 3 is greater than max/min = "
                    + "2.000000"
            ])
    }

    @Test func quotasCountInThousandthsAndWholes() throws {
        let quotas = try resource("", "ResourceQuota")
        let (quota, errors) = try create(
            "{\"metadata\":{\"name\":\"q\"},\"spec\":{\"hard\":{\"cpu\":\"100u\",\"pods\":\"1500m\"}}}", quotas)
        #expect(quota.map("spec", "hard")["cpu"] == "1m")
        #expect(errors == ["spec.hard[pods]: Invalid value: \"1500m\": must be an integer"])
    }

    // MARK: Sets

    @Test func aDaemonSetCountsChangesOfItsTemplate() throws {
        let sets = try resource("apps", "DaemonSet")
        let (old, errors) = try create(
            """
            {"metadata":{"name":"d"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":
            {"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}
            """, sets)
        #expect(errors == [])
        let key = "deprecated.daemonset.template.generation"
        #expect(old.map("metadata", "annotations")[key] == "1")
        var new = old
        new.set(5, at: "spec", "minReadySeconds")
        new.set("7", at: "metadata", "annotations", key)
        Kinds.rules(for: sets).prepareForUpdate(&new, old, RuleContext(now: Timestamp(seconds: 0)))
        #expect(new.map("metadata", "annotations")[key] == "1")
        new.set("2", at: "spec", "template", "metadata", "labels", "v")
        Kinds.rules(for: sets).prepareForUpdate(&new, old, RuleContext(now: Timestamp(seconds: 0)))
        #expect(new.map("metadata", "annotations")[key] == "2")
    }

    @Test func aStatefulSetsClaimsAreVolumesOfItsPods() throws {
        let (set, errors) = try create(
            """
            {"metadata":{"name":"s"},"spec":{"selector":{"matchLabels":{"a":"b"}},
            "volumeClaimTemplates":[{"metadata":{"name":"data"},"spec":{"accessModes":["ReadWriteOnce"],
            "resources":{"requests":{"storage":"1Gi"}}}}],
            "template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i",
            "volumeMounts":[{"name":"data","mountPath":"/d"}]}]}}}}
            """, try resource("apps", "StatefulSet"))
        #expect(errors == [])
        #expect(set.list("spec", "volumeClaimTemplates").first?.text("kind") == "PersistentVolumeClaim")
        #expect(set.at("spec", "template", "spec", "volumes") == nil)
    }
}
