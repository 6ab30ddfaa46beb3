import Basics
import Document
import Schema
import Testing

@testable import Kinds

@Suite struct StorageAndNetworkTests {
    private static func errors(
        _ group: String, _ kind: String, _ object: Document, old: Document? = nil
    ) throws -> [String] {
        let resource = try #require(Kinds.registry.resource(group: group, version: "v1", kind: kind))
        func complete(_ object: Document) -> Document {
            var object = object
            if object.at("metadata", "name") == nil { object.set("a", at: "metadata", "name") }
            if resource.namespaced { object.set("ns", at: "metadata", "namespace") }
            Kinds.applyDefaults(to: &object, resource: resource)
            return object
        }
        let found =
            old.map { old in
                Kinds.validateUpdate(complete(object), old: complete(old), resource: resource)
            } ?? Kinds.validateCreate(complete(object), resource: resource)
        return found.map(\.text)
    }

    private static func ingress(_ spec: Document) throws -> [String] {
        try errors("networking.k8s.io", "Ingress", ["spec": spec])
    }

    @Test func ingressesNeedOneBackendAndOnePort() throws {
        let service: Document = ["name": "s", "port": ["number": 80]]
        #expect(try Self.ingress(["defaultBackend": ["service": service]]) == [])
        #expect(
            try Self.ingress([:]) == [
                "spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"
            ])
        #expect(
            try Self.ingress(["defaultBackend": ["service": ["name": "s"]]]) == [
                "spec.defaultBackend: Required value: port name or number is required"
            ])
        let path: Document = ["path": "x", "pathType": "Exact", "backend": ["service": service]]
        #expect(
            try Self.ingress(["rules": [["host": "1.2.3.4", "http": ["paths": [path]]]]]) == [
                "spec.rules[0].host: Invalid value: \"1.2.3.4\": must be a DNS name, not an IP address",
                "spec.rules[0].http.paths[0].path: Invalid value: \"x\": must be an absolute path",
            ])
        #expect(
            try Self.ingress(["rules": [["host": "*.a.example", "http": ["paths": [path]]]]]).count == 1)
        #expect(try Self.ingress(["rules": [["host": "a.*.example"]]]).count == 1)
    }

    @Test func policiesSayTheirDirections() throws {
        let resource = try #require(
            Kinds.registry.resource(group: "networking.k8s.io", version: "v1", kind: "NetworkPolicy"))
        var policy: Document = ["spec": ["podSelector": [:], "egress": [[:]]]]
        Kinds.applyDefaults(to: &policy, resource: resource)
        #expect(policy.at("spec", "policyTypes") == ["Ingress", "Egress"])
        let wrong: Document = [
            "spec": ["podSelector": [:], "ingress": [["from": [["ipBlock": ["cidr": "10.0.0.1/8"]]]]]]
        ]
        #expect(
            try Self.errors("networking.k8s.io", "NetworkPolicy", wrong) == [
                "spec.ingress[0].from[0].ipBlock.cidr: Invalid value: \"10.0.0.1/8\": must not have bits set beyond "
                    + "the prefix length"
            ])
    }

    @Test func rangesOfServicesOnlyGrowByTheOtherFamily() throws {
        func change(_ old: Document, _ new: Document) throws -> [String] {
            try Self.errors(
                "networking.k8s.io", "ServiceCIDR", ["spec": ["cidrs": new]], old: ["spec": ["cidrs": old]])
        }
        #expect(try change(["10.1.0.0/24"], ["10.1.0.0/24", "fd00::/112"]) == [])
        #expect(
            try change(["10.1.0.0/24"], ["10.2.0.0/24"]) == [
                "spec.cidrs[0]: Invalid value: \"10.2.0.0/24\": field is immutable"
            ])
        #expect(
            try change(["10.1.0.0/24", "fd00::/112"], ["10.1.0.0/24"]) == [
                "spec.cidrs: Invalid value: [\"10.1.0.0/24\"]: field is immutable"
            ])
    }

    @Test(
        arguments: [
            ("10.9.8.7", nil), ("010.9.8.7", "must not have leading 0s"),
            ("::ffff:1.2.3.4", "must not be an IPv4-mapped IPv6 address"),
            ("FD00::0001", "must be in canonical form (\"fd00::1\")"),
            ("x", "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
        ] as [(String, String?)])
    func addressesHaveOneForm(_ text: String, _ reason: String?) {
        #expect(AddressSyntax.address(text, canonical: true) == reason)
    }

    @Test func classesDoNotChange() throws {
        let old: Document = ["provisioner": "p", "parameters": ["a": "b"]]
        #expect(
            try Self.errors("storage.k8s.io", "StorageClass", ["provisioner": "p", "parameters": ["a": "c"]], old: old)
                == ["parameters: Invalid value: {\"a\":\"c\"}: field is immutable"])
        #expect(
            try Self.errors("storage.k8s.io", "StorageClass", ["provisioner": ""]) == ["provisioner: Required value"])
    }

    @Test func volumesWrittenIntoAttachmentsKeepTheirForm() throws {
        let resource = try #require(
            Kinds.registry.resource(group: "storage.k8s.io", version: "v1", kind: "VolumeAttachment"))
        let inline: Document = ["accessModes": ["ReadWriteOnce"], "csi": ["driver": "d", "volumeHandle": "h"]]
        var attachment: Document = [
            "spec": ["attacher": "a", "nodeName": "n", "source": ["inlineVolumeSpec": inline]]
        ]
        Kinds.applyDefaults(to: &attachment, resource: resource)
        #expect(attachment.at("spec", "source", "inlineVolumeSpec")?.means(inline) == true)
        attachment.set(["storage": "1Gi"], at: "spec", "source", "inlineVolumeSpec", "capacity")
        #expect(
            try Self.errors("storage.k8s.io", "VolumeAttachment", attachment) == [
                "spec.source.inlineVolumeSpec.capacity: Forbidden: may not be specified in the context of inline volumes"
            ])
    }

    @Test func volumesHaveOneSourceAndDefaults() throws {
        let resource = try #require(Kinds.registry.resource(group: "", version: "v1", kind: "PersistentVolume"))
        var volume: Document = [
            "spec": ["capacity": ["storage": "1Gi"], "accessModes": ["ReadWriteOnce"], "hostPath": ["path": "/x"]]
        ]
        #expect(try Self.errors("", "PersistentVolume", volume) == [])
        Kinds.applyDefaults(to: &volume, resource: resource)
        #expect(volume.text("spec", "persistentVolumeReclaimPolicy") == "Retain")
        #expect(volume.text("spec", "volumeMode") == "Filesystem")
        volume.set(["server": "s", "path": "/p"], at: "spec", "nfs")
        #expect(
            try Self.errors("", "PersistentVolume", volume) == [
                "spec.nfs: Forbidden: may not specify more than 1 volume type"
            ])
    }

    @Test func claimsNameTheirSourceTwice() {
        var claim: Document = [
            "spec": ["dataSource": ["apiGroup": .null, "kind": "PersistentVolumeClaim", "name": "x"]]
        ]
        PersistentVolumeClaimRules.alignSources(&claim, old: nil)
        #expect(claim.at("spec", "dataSourceRef") == claim.at("spec", "dataSource"))
        var odd: Document = ["spec": ["dataSource": ["apiGroup": "x.example", "kind": "Odd", "name": "x"]]]
        PersistentVolumeClaimRules.alignSources(&odd, old: nil)
        #expect(odd["spec"] == [:])
    }

    @Test func boundClaimsGrowAndNothingElse() throws {
        let old: Document = [
            "spec": [
                "accessModes": ["ReadWriteOnce"], "resources": ["requests": ["storage": "2Gi"]], "volumeName": "v",
            ], "status": ["phase": "Bound", "capacity": ["storage": "1Gi"]],
        ]
        var new = old
        new.set("3Gi", at: "spec", "resources", "requests", "storage")
        #expect(try Self.errors("", "PersistentVolumeClaim", new, old: old) == [])
        new.set("1Gi", at: "spec", "resources", "requests", "storage")
        #expect(
            try Self.errors("", "PersistentVolumeClaim", new, old: old) == [
                "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"
            ])
        new = old
        new.set("w", at: "spec", "volumeName")
        let refused = try Self.errors("", "PersistentVolumeClaim", new, old: old)
        #expect(refused.count == 1 && refused.first?.contains("- \"VolumeName\": \"v\"") == true)
    }

    @Test func eventsOfTheirOwnGroupAreStrict() throws {
        let event: Document = [
            "eventTime": "2020-01-02T03:04:05.123456Z", "action": "A", "reason": "R", "type": "Normal",
            "reportingController": "x.example/c", "reportingInstance": "i",
            "regarding": ["kind": "Pod", "name": "p", "namespace": "ns"],
        ]
        #expect(try Self.errors("events.k8s.io", "Event", event) == [])
        var late = event
        late["eventTime"] = nil
        #expect(try Self.errors("events.k8s.io", "Event", late) == ["eventTime: Required value"])
        var changed = event
        changed["note"] = "n"
        #expect(
            try Self.errors("events.k8s.io", "Event", changed, old: event) == [
                "message: Invalid value: \"n\": field is immutable"
            ])
        #expect(
            try Self.errors("", "Event", ["involvedObject": ["kind": "Pod", "name": "p", "namespace": "other"]]) == [
                "involvedObject.namespace: Invalid value: \"other\": does not match event.namespace"
            ])
    }

    @Test(arguments: [
        ("2020-01-02T03:04:05Z", #"cannot parse "Z" as ".000000""#),
        ("yesterday", #"cannot parse "yesterday" as "2006""#),
        ("2020-13-02T03:04:05.000000Z", "month out of range"), ("2020-02-30T03:04:05.000000Z", "day out of range"),
        ("2020-01-02T03:04:05.1234567Z", #"cannot parse "7Z" as "Z07:00""#),
    ])
    func timesAreReadAsGoReadsThem(_ text: String, _ reason: String) throws {
        let lease = try #require(Kinds.registry.type(group: "coordination.k8s.io", version: "v1", name: "Lease"))
        let object: Document = ["spec": ["renewTime": Document(text)]]
        let told = try #require(Kinds.registry.decodingError(in: object, type: lease))
        #expect(told.hasPrefix("parsing time \"\(text)\"") && told.hasSuffix(reason))
        let right: Document = ["spec": ["renewTime": "2020-01-02T03:04:05.123456+02:00"]]
        #expect(Kinds.registry.decodingError(in: right, type: lease) == nil)
    }
}
