import Document
import Kinds
import Schema
import Testing

/// Views read paths as text; the schema says which paths there are.
@Suite struct ViewTests {
    /// Every path that the views read, by the type at which it starts.
    static let paths: [(group: String, type: String, paths: [String])] = [
        (
            "", "Pod",
            [
                "metadata.name", "metadata.generateName", "metadata.namespace", "metadata.uid",
                "metadata.resourceVersion", "metadata.generation", "metadata.labels", "metadata.annotations",
                "metadata.finalizers", "metadata.ownerReferences.apiVersion", "metadata.ownerReferences.kind",
                "metadata.ownerReferences.name", "metadata.ownerReferences.uid", "metadata.ownerReferences.controller",
                "metadata.ownerReferences.blockOwnerDeletion", "metadata.creationTimestamp",
                "metadata.deletionTimestamp", "metadata.deletionGracePeriodSeconds", "spec.containers",
                "spec.initContainers", "spec.ephemeralContainers", "spec.volumes", "spec.nodeName",
                "spec.schedulerName", "spec.restartPolicy", "spec.terminationGracePeriodSeconds",
                "spec.activeDeadlineSeconds", "spec.serviceAccountName", "spec.automountServiceAccountToken",
                "spec.enableServiceLinks", "spec.hostNetwork", "spec.hostPID", "spec.hostIPC", "spec.hostUsers",
                "spec.shareProcessNamespace", "spec.hostname", "spec.subdomain", "spec.setHostnameAsFQDN",
                "spec.dnsPolicy", "spec.dnsConfig", "spec.hostAliases", "spec.securityContext", "spec.nodeSelector",
                "spec.affinity", "spec.tolerations", "spec.topologySpreadConstraints", "spec.schedulingGates",
                "spec.readinessGates.conditionType", "spec.priority", "spec.priorityClassName",
                "spec.preemptionPolicy", "spec.runtimeClassName", "spec.overhead", "status.phase", "status.reason",
                "status.message", "status.qosClass", "status.podIP", "status.podIPs.ip", "status.hostIP",
                "status.nominatedNodeName", "status.startTime", "status.containerStatuses",
                "status.initContainerStatuses", "status.ephemeralContainerStatuses", "status.conditions.type",
                "status.conditions.status",
            ]
        ),
        (
            "", "Container",
            [
                "name", "image", "imagePullPolicy", "command", "args", "workingDir", "env", "envFrom", "ports",
                "volumeMounts", "resources.requests", "resources.limits", "livenessProbe", "readinessProbe",
                "startupProbe", "lifecycle", "securityContext", "restartPolicy", "terminationMessagePath",
                "terminationMessagePolicy", "stdin", "stdinOnce", "tty",
            ]
        ),
        (
            "", "ContainerStatus",
            [
                "name", "image", "imageID", "containerID", "ready", "started", "restartCount", "state.running",
                "state.waiting", "state.terminated", "lastState.terminated",
            ]
        ),
        (
            "", "Node",
            [
                "spec.unschedulable", "spec.taints", "spec.podCIDR", "spec.podCIDRs", "spec.providerID",
                "status.addresses.type", "status.addresses.address", "status.capacity", "status.allocatable",
                "status.images", "status.daemonEndpoints.kubeletEndpoint.Port",
            ]
        ),
        (
            "", "Service",
            [
                "spec.type", "spec.clusterIP", "spec.clusterIPs", "spec.externalName", "spec.externalIPs",
                "spec.ipFamilies", "spec.selector", "spec.ports.name", "spec.ports.protocol", "spec.ports.port",
                "spec.ports.nodePort", "spec.ports.appProtocol", "spec.ports.targetPort",
                "spec.publishNotReadyAddresses", "spec.sessionAffinity",
                "spec.sessionAffinityConfig.clientIP.timeoutSeconds", "spec.internalTrafficPolicy",
                "spec.externalTrafficPolicy", "spec.healthCheckNodePort", "spec.trafficDistribution",
                "status.loadBalancer.ingress",
            ]
        ),
        (
            "discovery.k8s.io", "EndpointSlice",
            [
                "addressType", "ports", "endpoints.addresses", "endpoints.conditions.ready",
                "endpoints.conditions.serving", "endpoints.conditions.terminating", "endpoints.hostname",
                "endpoints.nodeName", "endpoints.zone", "endpoints.targetRef",
            ]
        ),
        (
            "apps", "Deployment",
            [
                "spec.replicas", "spec.selector", "spec.template", "spec.strategy.type",
                "spec.strategy.rollingUpdate.maxSurge", "spec.strategy.rollingUpdate.maxUnavailable",
                "spec.minReadySeconds", "spec.progressDeadlineSeconds", "spec.revisionHistoryLimit", "spec.paused",
                "status.observedGeneration", "status.collisionCount", "status.readyReplicas",
                "status.availableReplicas", "status.updatedReplicas", "status.replicas",
            ]
        ),
        (
            "apps", "ReplicaSet",
            [
                "spec.replicas", "spec.selector", "spec.template", "spec.minReadySeconds",
                "status.observedGeneration", "status.replicas", "status.readyReplicas", "status.availableReplicas",
                "status.fullyLabeledReplicas",
            ]
        ),
    ]

    @Test func everyPathIsDeclared() throws {
        for (group, name, paths) in Self.paths {
            let type = try #require(Kinds.registry.type(group: group, version: "v1", name: name))
            for path in paths {
                #expect(exists(path.split(separator: ".").map(String.init)[...], in: type.info), "\(name).\(path)")
            }
        }
    }

    private func exists(_ path: ArraySlice<String>, in type: TypeInfo) -> Bool {
        guard let first = path.first, let field = type.field(first) else { return path.isEmpty }
        var shape = field.shape
        while true {
            switch shape {
            case .list(let element): shape = element
            case .object(let inner): return exists(path.dropFirst(), in: inner)
            default: return path.count == 1
            }
        }
    }

    @Test func selectorsMatchAndRead() throws {
        let selector = try LabelSelector(parsing: "a=b, c!=d,e in (f,g),!h,i")
        #expect(selector.matches(["a": "b", "e": "g", "i": ""]))
        #expect(!selector.matches(["a": "b", "e": "g", "i": "", "h": "x"]))
        #expect(!selector.matches(["a": "b", "e": "x", "i": ""]))
        #expect(selector.description == "a=b,c!=d,e in (f,g),!h,i")
        #expect(throws: LabelSelector.ParseError.self) { try LabelSelector(parsing: "a in b") }
        #expect(throws: LabelSelector.ParseError.self) { try LabelSelector(parsing: "a=b,") }
        #expect(try LabelSelector(parsing: "").matches([:]))
        let object = LabelSelector(["matchExpressions": [["key": "a", "operator": "NotIn", "values": ["x"]]]])
        #expect(object?.matches([:]) == true)
        let fields = try FieldSelector(parsing: "metadata.name=a\\,b,status.phase!=Running")
        #expect(fields.matches(["metadata.name": "a,b", "status.phase": "Failed"]))
        #expect(!fields.matches(["metadata.name": "a,b", "status.phase": "Running"]))
    }

    @Test func sharesAreRounded() {
        #expect(IntOrString("25%")?.scaled(to: 10, roundingUp: true) == 3)
        #expect(IntOrString("25%")?.scaled(to: 10, roundingUp: false) == 2)
        #expect(IntOrString(4)?.scaled(to: 10, roundingUp: true) == 4)
        #expect(IntOrString("http")?.scaled(to: 10, roundingUp: true) == nil)
    }
}
