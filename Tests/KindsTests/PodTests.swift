import Basics
import Document
import Kinds
import Schema
import Testing

@Suite struct PodTests {
    private func resource() throws -> ResourceInfo {
        try #require(Kinds.registry.resource(group: "", version: "v1", kind: "Pod"))
    }

    private func created(_ text: String) throws -> Document {
        var pod = try Document(json: text)
        Kinds.applyDefaults(to: &pod, resource: try resource())
        Kinds.rules(for: try resource()).prepareForCreate(&pod, RuleContext(now: Timestamp(seconds: 0)))
        return pod
    }

    @Test func aSmallPodIsCompleted() throws {
        let pod = try created(
            #"{"metadata":{"name":"p","namespace":"n"},"spec":{"hostNetwork":false,"containers":[{"name":"c","image":"i:1","ports":[{"containerPort":80}],"livenessProbe":{"httpGet":{"port":80}},"resources":{"limits":{"cpu":"0.5","memory":"1024Mi"}}}]}}"#
        )
        let container = try #require(pod.list("spec", "containers").first)
        #expect(container.text("imagePullPolicy") == "IfNotPresent")
        #expect(container.at("ports")?[0].text("protocol") == "TCP")
        #expect(container.number("livenessProbe", "periodSeconds") == 10)
        #expect(container.text("livenessProbe", "httpGet", "path") == "/")
        #expect(container.map("resources", "requests") == ["cpu": "500m", "memory": "1Gi"])
        #expect(pod.at("spec", "hostNetwork") == nil)
        #expect(pod.text("spec", "dnsPolicy") == "ClusterFirst")
        #expect(pod.text("status", "qosClass") == "Guaranteed")
        #expect(Kinds.validateCreate(pod, resource: try resource()) == [])
        var again = pod
        Kinds.applyDefaults(to: &again, resource: try resource())
        #expect(again == pod)
    }

    @Test func imagesMayChangeAndNothingElse() throws {
        let old = try created(
            #"{"metadata":{"name":"p","namespace":"n"},"spec":{"containers":[{"name":"c","image":"i:1"}]}}"#)
        var new = old
        var container = old.list("spec", "containers")[0]
        container["image"] = "i:2"
        new.set([container], at: "spec", "containers")
        #expect(Kinds.validateUpdate(new, old: old, resource: try resource()) == [])
        new.set("other", at: "spec", "schedulerName")
        let errors = Kinds.validateUpdate(new, old: old, resource: try resource())
        #expect(errors.map(\.path) == ["spec"])
        #expect(errors.map(\.reason) == ["FieldValueForbidden"])
    }

    @Test(arguments: [
        (#"{"phase":"Pending"}"#, "0/1", "Pending", "0"),
        (#"{"phase":"Pending","initContainerStatuses":[{"name":"i","state":{"running":{}}}]}"#, "0/1", "Init:0/1", "0"),
        (
            #"{"phase":"Pending","initContainerStatuses":[{"name":"i","state":{"terminated":{"exitCode":1}}}]}"#, "0/1",
            "Init:ExitCode:1", "0"
        ),
        (
            #"{"phase":"Pending","containerStatuses":[{"name":"c","state":{"waiting":{"reason":"CrashLoopBackOff"}},"restartCount":4}]}"#,
            "0/1", "CrashLoopBackOff", "4"
        ),
        (
            #"{"phase":"Running","containerStatuses":[{"name":"c","ready":true,"state":{"running":{}},"restartCount":2,"lastState":{"terminated":{"exitCode":1,"finishedAt":"1970-01-01T00:01:00Z"}}}]}"#,
            "1/1", "Running", "2 (9m ago)"
        ),
        (#"{"phase":"Failed","reason":"Evicted"}"#, "0/1", "Evicted", "0"),
    ])
    func rowsSayWhatThePodDoes(status: String, ready: String, reason: String, restarts: String) throws {
        var pod = try created(
            #"{"metadata":{"name":"p","creationTimestamp":"1970-01-01T00:00:00Z"},"spec":{"initContainers":[{"name":"i","image":"i"}],"containers":[{"name":"c","image":"i"}]}}"#
        )
        pod["status"] = try Document(json: status)
        let cells = Kinds.tableCells(pod, resource: try resource(), now: Timestamp(seconds: 600))
        #expect(cells.count == (try resource()).columns.count)
        #expect(cells[..<5].map { $0.string ?? "" } == ["p", ready, reason, restarts, "10m"])
    }

    @Test func everyKindFillsItsRow() throws {
        for resource in Kinds.registry.resources where !resource.columns.isEmpty {
            guard Kinds.rules(for: resource).cells != nil else { continue }
            var object: Document = ["metadata": ["name": "x", "namespace": "n"]]
            Kinds.applyDefaults(to: &object, resource: resource)
            let cells = Kinds.tableCells(object, resource: resource, now: Timestamp(seconds: 0))
            // Rows of addresses have an age although no column says so.
            let extra = resource.plural == "ipaddresses" ? 1 : 0
            #expect(cells.count == resource.columns.count + extra, "\(resource.plural)")
        }
    }
}
