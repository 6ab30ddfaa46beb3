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

    // MARK: Volumes

    /// What is wrong with a pod that has this volume, or mounts one so.
    private func errors(volume: String, mount: String? = nil) throws -> [String] {
        let mounts = mount.map { #","volumeMounts":[{"name":"v","mountPath":"/m",\#($0)}]"# } ?? ""
        let pod = try created(
            #"{"metadata":{"name":"p","namespace":"n"},"spec":{"volumes":[{"name":"v",\#(volume)}],"containers":[{"name":"c","image":"i:1"\#(mounts)}]}}"#
        )
        return Kinds.validateCreate(pod, resource: try resource()).map(\.text)
    }

    private static let claim = #""spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}"#

    @Test(arguments: [
        #""projected":{"sources":[{"serviceAccountToken":{"path":"t"}},{"configMap":{"name":"c","items":[{"key":"k","path":"a"}]}},{"downwardAPI":{"items":[{"path":"b","fieldRef":{"fieldPath":"metadata.labels['a']"}}]}}]}"#,
        #""downwardAPI":{"items":[{"path":"a","resourceFieldRef":{"containerName":"c","resource":"limits.cpu"}}]}"#,
        #""ephemeral":{"volumeClaimTemplate":{"metadata":{"labels":{"a":"b"},"creationTimestamp":null},\#(claim)}}"#,
        #""hostPath":{"path":"/x","type":"FileOrCreate"}"#, #""image":{"reference":"i:1"}"#,
        #""csi":{"driver":"Csi.example","nodePublishSecretRef":{"name":"s"}}"#,
        #""iscsi":{"targetPortal":"10.0.0.1","iqn":"iqn.2001-04.com.example:storage","lun":0}"#,
    ])
    func volumesThatAreRight(_ volume: String) throws { #expect(try errors(volume: volume) == []) }

    @Test(
        arguments: [
            (
                #""projected":{"sources":[{"serviceAccountToken":{"path":"a/../b","expirationSeconds":599}}]}"#,
                [
                    "projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 599: may not specify a "
                        + "duration less than 10 minutes",
                    "projected.path: Invalid value: \"a/../b\": must not contain '..'",
                ]
            ),
            (
                #""projected":{"sources":[{"serviceAccountToken":{"path":"","expirationSeconds":4294967297}}]}"#,
                [
                    "projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 4294967297: may not specify a "
                        + "duration larger than 2^32 seconds", "projected.path: Required value",
                ]
            ),
            (
                #""projected":{"sources":[{"secret":{"name":"s","items":[{"key":"k","path":"a"}]}},{"configMap":{"name":"c","items":[{"key":"k","path":"a"},{"key":"l","path":"..b"}]}}]}"#,
                [
                    "projected.sources[1].configMap.items[1].path: Invalid value: \"..b\": must not start with '..'",
                    "projected: Invalid value: \"c\": conflicting duplicate paths",
                ]
            ),
            (
                #""projected":{"sources":[{"secret":{"name":"s"},"configMap":{"name":"c"}}]}"#,
                ["projected.sources[0]: Forbidden: may not specify more than 1 volume type per source"]
            ),
            (
                #""downwardAPI":{"items":[{"path":"a"}]}"#,
                ["downwardAPI: Required value: one of fieldRef and resourceFieldRef is required"]
            ),
            (
                #""downwardAPI":{"items":[{"path":"a","mode":512,"fieldRef":{"fieldPath":"spec.nodeName"},"resourceFieldRef":{"containerName":"c","resource":"limits.cpu"}}]}"#,
                [
                    "downwardAPI.fieldRef.fieldPath: Unsupported value: \"spec.nodeName\": supported values: "
                        + "\"metadata.annotations\", \"metadata.labels\", \"metadata.name\", \"metadata.namespace\", "
                        + "\"metadata.uid\"",
                    "downwardAPI: Invalid value: \"resource\": fieldRef and resourceFieldRef can not be specified "
                        + "simultaneously",
                    "downwardAPI.mode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive",
                ]
            ),
            (
                #""downwardAPI":{"items":[{"path":"a","resourceFieldRef":{"containerName":"c","resource":"limits.x"}}]}"#,
                [
                    "downwardAPI.resourceFieldRef.resource: Unsupported value: \"limits.x\": supported values: "
                        + "\"limits.cpu\", \"limits.ephemeral-storage\", \"limits.memory\", \"requests.cpu\", "
                        + "\"requests.ephemeral-storage\", \"requests.memory\""
                ]
            ),
            (
                #""ephemeral":{"volumeClaimTemplate":{"metadata":{"name":"x"},"spec":{}}}"#,
                [
                    "ephemeral.volumeClaimTemplate.metadata.name: Forbidden: cannot be set",
                    "ephemeral.volumeClaimTemplate.spec.accessModes: Required value: at least 1 access mode is required",
                    "ephemeral.volumeClaimTemplate.spec.resources[storage]: Required value",
                ]
            ),
            (#""ephemeral":{}"#, ["ephemeral.volumeClaimTemplate: Required value"]),
            (
                #""hostPath":{"path":"/a/../b","type":"Foo"}"#,
                [
                    "hostPath.path: Invalid value: \"/a/../b\": must not contain '..'",
                    "hostPath.type: Unsupported value: \"Foo\": supported values: \"\", \"BlockDevice\", \"CharDevice\", "
                        + "\"Directory\", \"DirectoryOrCreate\", \"File\", \"FileOrCreate\", \"Socket\"",
                ]
            ),
            (
                #""image":{"pullPolicy":"Foo"}"#,
                [
                    "image.reference: Required value",
                    "image.pullPolicy: Unsupported value: \"Foo\": supported values: \"Always\", \"IfNotPresent\", "
                        + "\"Never\"",
                ]
            ),
            (
                #""csi":{"driver":"a_b","nodePublishSecretRef":{}}"#,
                [
                    "csi.driver: Invalid value: \"a_b\": a lowercase RFC 1123 subdomain must consist of lower case "
                        + "alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. "
                        + "'example.com', regex used for validation is "
                        + "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
                    "csi.nodePublishSecretRef.name: Required value",
                ]
            ),
            (
                #""fc":{"targetWWNs":["a"],"wwids":["b"]}"#,
                [
                    "fc.targetWWNs: Invalid value: [\"a\"]: targetWWNs and wwids can not be specified simultaneously",
                    "fc.lun: Required value: lun is required if targetWWNs is specified",
                ]
            ),
            (
                #""iscsi":{"targetPortal":"10.0.0.1","iqn":"iqn.x","lun":0,"initiatorName":"x"}"#,
                [
                    "iscsi.iqn: Invalid value: \"iqn.x\": must be valid format",
                    "iscsi.initiatorname: Invalid value: \"x\": must be valid format starting with iqn, eui, or naa",
                ]
            ),
            (
                #""flexVolume":{"driver":"d","options":{"x.kubernetes.io/a":"b"}}"#,
                [
                    "flexVolume.options[x.kubernetes.io/a]: Invalid value: \"x.kubernetes.io/a\": kubernetes.io and k8s.io "
                        + "namespaces are reserved"
                ]
            ),
            (
                #""gcePersistentDisk":{"pdName":"d","partition":256}"#,
                ["persistentDisk.partition: Invalid value: 256: must be between 1 and 255, inclusive"]
            ),
        ] as [(String, [String])])
    func volumesThatAreNot(_ volume: String, _ wanted: [String]) throws {
        #expect(try errors(volume: volume) == wanted.map { "spec.volumes[0]." + $0 })
    }

    @Test func mountsAreReadOnlyToTheBottomWhereTheyAreReadOnly() throws {
        let path = "spec.containers[0].volumeMounts.recursiveReadOnly: "
        func told(_ mount: String) throws -> [String] { try errors(volume: #""emptyDir":{}"#, mount: mount) }
        #expect(try told(#""readOnly":true,"recursiveReadOnly":"Enabled","mountPropagation":"None""#) == [])
        #expect(try told(#""recursiveReadOnly":"Disabled""#) == [])
        #expect(
            try told(#""recursiveReadOnly":"Foo""#) == [
                path + "Unsupported value: \"Foo\": supported values: \"Disabled\", \"Enabled\", \"IfPossible\""
            ])
        #expect(
            try told(#""recursiveReadOnly":"IfPossible","mountPropagation":"HostToContainer""#) == [
                path + "Forbidden: may only be specified when readOnly is true",
                path + "Forbidden: may only be specified when mountPropagation is None or not specified",
            ])
    }

    @Test func templatesMayLeaveTheImageOpen() throws {
        let deployment = try #require(Kinds.registry.resource(group: "apps", version: "v1", kind: "Deployment"))
        var object = try Document(
            json:
                #"{"metadata":{"name":"d","namespace":"n"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"volumes":[{"name":"v","image":{}}],"containers":[{"name":"c","image":"i"}]}}}}"#
        )
        Kinds.applyDefaults(to: &object, resource: deployment)
        #expect(Kinds.validateCreate(object, resource: deployment) == [])
    }
}
