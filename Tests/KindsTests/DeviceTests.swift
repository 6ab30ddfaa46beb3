import Basics
import Document
import Schema
import Testing

@testable import Kinds

/// The rules of device classes, claims and slices.
@Suite struct DeviceTests {
    private static func resource(_ kind: String) throws -> ResourceInfo {
        try #require(Kinds.registry.resource(group: "resource.k8s.io", version: "v1", kind: kind))
    }

    private static func complete(_ object: Document, _ resource: ResourceInfo) -> Document {
        var object = object
        object["apiVersion"] = "resource.k8s.io/v1"
        object["kind"] = Document(resource.kind)
        Kinds.applyDefaults(to: &object, resource: resource)
        return object
    }

    private static func texts(_ kind: String, _ spec: Document) throws -> [String] {
        let resource = try resource(kind)
        let object = complete(
            ["metadata": resource.namespaced ? ["name": "a", "namespace": "n"] : ["name": "a"], "spec": spec],
            resource)
        return Kinds.validateCreate(object, resource: resource).map(\.text)
    }

    private static func claim(_ requests: Document, _ more: Document = .emptyObject) -> Document {
        var devices = more
        devices["requests"] = requests
        return ["devices": devices]
    }

    @Test func requestsGetAModeAndACount() throws {
        let resource = try Self.resource("ResourceClaim")
        let claim = Self.complete(
            [
                "metadata": ["name": "a", "namespace": "n"],
                "spec": Self.claim([
                    ["name": "r", "exactly": ["deviceClassName": "c"]],
                    [
                        "name": "s",
                        "firstAvailable": [
                            ["name": "x", "deviceClassName": "c", "allocationMode": "All"],
                            ["name": "y", "deviceClassName": "c", "count": 3],
                        ],
                    ],
                ]),
            ], resource)
        let requests = claim.list("spec", "devices", "requests")
        #expect(requests[0].text("exactly", "allocationMode") == "ExactCount")
        #expect(requests[0].number("exactly", "count") == 1)
        #expect(requests[1].list("firstAvailable")[0].number("count") == nil)
        #expect(requests[1].list("firstAvailable")[1].number("count") == 3)
        #expect(Kinds.validateCreate(claim, resource: resource).isEmpty)
    }

    @Test(
        arguments: [
            (
                [["name": "r"]],
                "spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required"
            ),
            (
                [["name": "r", "exactly": ["deviceClassName": "c", "allocationMode": "All", "count": 2]]],
                "spec.devices.requests[0].exactly.count: Invalid value: 2: must not be specified when allocationMode is 'All'"
            ),
            (
                [["name": "r", "exactly": ["deviceClassName": ""]]],
                "spec.devices.requests[0].exactly.deviceClassName: Required value"
            ),
            (
                [
                    ["name": "r", "exactly": ["deviceClassName": "c"]],
                    ["name": "r", "exactly": ["deviceClassName": "c"]],
                ],
                "spec.devices.requests[1]: Duplicate value: \"r\""
            ),
            (
                [["name": "r", "exactly": ["deviceClassName": "c", "selectors": [[:]]]]],
                "spec.devices.requests[0].exactly.selectors[0].cel: Required value"
            ),
            (
                [
                    [
                        "name": "r",
                        "exactly": ["deviceClassName": "c", "tolerations": [["operator": "Exists", "value": "v"]]],
                    ]
                ],
                "spec.devices.requests[0].exactly.tolerations[0].value: Invalid value: \"v\": must be empty for operator `Exists`"
            ),
        ] as [(Document, String)])
    func wrongRequests(requests: Document, text: String) throws {
        #expect(try Self.texts("ResourceClaim", Self.claim(requests)) == [text])
    }

    @Test func constraintsNameRequestsAndOneAttribute() throws {
        let requests: Document = [
            ["name": "r", "firstAvailable": [["name": "x", "deviceClassName": "c"]]]
        ]
        func texts(_ constraint: Document) throws -> [String] {
            try Self.texts("ResourceClaim", Self.claim(requests, ["constraints": [constraint]]))
        }
        #expect(try texts(["requests": ["r", "r/x"], "matchAttribute": "d.example/model"]).isEmpty)
        #expect(
            try texts(["requests": ["r/y"], "matchAttribute": "d.example/model"]) == [
                "spec.devices.constraints[0].requests[0]: Invalid value: \"r/y\": must be the name of a request in the "
                    + "claim or the name of a request and a subrequest separated by '/'"
            ])
        #expect(
            try texts(["matchAttribute": "model"]) == [
                "spec.devices.constraints[0].matchAttribute: Invalid value: \"model\": a fully qualified name must be a "
                    + "domain and a name separated by a slash"
            ])
        #expect(try texts([:]).count == 1)
    }

    @Test func claimsNeverChange() throws {
        let resource = try Self.resource("ResourceClaim")
        func claim(_ count: Int) -> Document {
            Self.complete(
                [
                    "metadata": ["name": "a", "namespace": "n"],
                    "spec": Self.claim([["name": "r", "exactly": ["deviceClassName": "c", "count": Document(count)]]]),
                ], resource)
        }
        #expect(Kinds.validateUpdate(claim(2), old: claim(2), resource: resource).isEmpty)
        #expect(
            Kinds.validateUpdate(claim(2), old: claim(1), resource: resource).map(\.text) == [
                "spec: Invalid value: {\"Devices\":{\"Requests\":[{\"Name\":\"r\",\"Exactly\":{\"DeviceClassName\":\"c\","
                    + "\"Selectors\":null,\"AllocationMode\":\"ExactCount\",\"Count\":2,\"AdminAccess\":null,"
                    + "\"Tolerations\":null,\"Capacity\":null},\"FirstAvailable\":null}],\"Constraints\":null,"
                    + "\"Config\":null}}: field is immutable"
            ])
    }

    @Test func whatIsAllocatedStaysAndReportsGoWithIt() throws {
        let resource = try Self.resource("ResourceClaim")
        var old = Self.complete(
            [
                "metadata": ["name": "a", "namespace": "n"],
                "spec": Self.claim([["name": "r", "exactly": ["deviceClassName": "c"]]]),
            ], resource)
        func allocation(_ device: String) -> Document {
            [
                "devices": [
                    "results": [["request": "r", "driver": "d.example", "pool": "p", "device": Document(device)]]
                ]
            ]
        }
        let report: Document = ["driver": "d.example", "pool": "p", "device": "x", "conditions": []]
        var new = old
        new["status"] = ["allocation": allocation("x"), "devices": [report]]
        #expect(Kinds.validateStatusUpdate(new, old: old, resource: resource).isEmpty)
        #expect(ClaimStatus.state(new) == "allocated")
        old = new
        new["status"] = ["allocation": allocation("y"), "devices": [report]]
        #expect(
            Kinds.validateStatusUpdate(new, old: old, resource: resource).map(\.path) == [
                "status.devices[0]", "status.allocation",
            ])
        new["status"] = ["devices": [report]]
        ClaimStatus.dropDeallocated(&new, old: old)
        #expect(new.at("status", "devices") == nil)
        new["status"] = ["reservedFor": [["resource": "pods", "name": "p", "uid": "u"]]]
        #expect(
            Kinds.validateStatusUpdate(new, old: old, resource: resource).map(\.text) == [
                "status.reservedFor: Forbidden: may not be specified when `allocated` is not set"
            ])
    }

    private static func slice(_ devices: Document, _ more: Document = .emptyObject) -> Document {
        var spec: Document = [
            "driver": "d.example", "nodeName": "n", "pool": ["name": "p", "generation": 1, "resourceSliceCount": 1],
            "devices": devices,
        ]
        for member in more.members { spec[member.key] = member.value.isNull ? Optional.none : member.value }
        return spec
    }

    @Test(
        arguments: [
            (
                [], ["nodeName": nil],
                "spec: Required value: exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
            ),
            (
                [], ["allNodes": true],
                "spec: Invalid value: \"{`nodeName`, `allNodes`}\": exactly one of `nodeName`, `nodeSelector`, `allNodes`, "
                    + "`perDeviceNodeSelection` is required, but multiple fields are set"
            ),
            (
                [["name": "d", "attributes": ["v": ["version": "1.2"]]]], [:],
                "spec.devices[0].attributes[v].version: Invalid value: \"1.2\": must be a string compatible with semver.org spec 2.0.0"
            ),
            (
                [["name": "d", "attributes": ["v": [:]]]], [:],
                "spec.devices[0].attributes[v]: Invalid value: \"\": exactly one value must be specified"
            ),
            (
                [["name": "d", "nodeName": "x"]], [:],
                "spec.devices[0]: Invalid value: null: `nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec"
            ),
            (
                [["name": "d", "capacity": ["mem": ["value": "1Gi", "requestPolicy": ["default": "1"]]]]], [:],
                "spec.devices[0].capacity[mem].requestPolicy: Forbidden: allowMultipleAllocations must be true"
            ),
            (
                [
                    [
                        "name": "d", "allowMultipleAllocations": true,
                        "capacity": [
                            "mem": [
                                "value": "10",
                                "requestPolicy": ["default": "3", "validRange": ["min": "2", "step": "2"]],
                            ]
                        ],
                    ]
                ], [:],
                "spec.devices[0].capacity[mem].requestPolicy.validRange.step: Invalid value: \"3\": value is not a multiple of a "
                    + "given step (2) from (2)"
            ),
            (
                [["name": "d", "bindingConditions": ["a"]]], [:],
                "spec.devices[0].bindingFailureConditions: Invalid value: null: bindingFailureConditions are required to use bindingConditions"
            ),
            (
                [["name": "d", "taints": [["key": "k", "effect": "X"]]]], [:],
                "spec.devices[0].taints[0].effect: Unsupported value: \"X\": supported values: \"NoExecute\", \"NoSchedule\", \"None\""
            ),
        ] as [(Document, Document, String)])
    func wrongSlices(devices: Document, more: Document, text: String) throws {
        #expect(try Self.texts("ResourceSlice", Self.slice(devices, more)) == [text])
    }

    @Test func slicesHaveLimits() throws {
        func many(_ count: Int) -> Document { Document((0..<count).map { ["name": Document("d\($0)")] as Document }) }
        #expect(try Self.texts("ResourceSlice", Self.slice(many(128))).isEmpty)
        #expect(
            try Self.texts("ResourceSlice", Self.slice(many(129))) == [
                "spec.devices: Too many: 129: must have at most 128 items"
            ])
        var tainted = many(65).elements
        tainted[0]["taints"] = [["key": "k", "effect": "NoSchedule"]]
        #expect(
            try Self.texts("ResourceSlice", Self.slice(Document(tainted))) == [
                "spec.devices: Too many: 65: must have at most 64 items"
            ])
    }

    @Test func taintsGetTheirTime() throws {
        var slice: Document = ["spec": Self.slice([["name": "d", "taints": [["key": "k", "effect": "NoExecute"]]]])]
        ResourceSlices.stampTaints(&slice, RuleContext(now: Timestamp(seconds: 1_800_000_000)))
        let taint = slice.list("spec", "devices").first?.list("taints").first
        #expect(taint?.text("timeAdded") == Timestamp(seconds: 1_800_000_000).description)
    }

    @Test(arguments: ["1.2.3", "1.2.3-a.1+b.02", "0.0.0", "1.0.0-0a"]) func versions(text: String) {
        #expect(ResourceNames.isSemanticVersion(text))
    }

    @Test(arguments: ["1.2", "01.2.3", "1.2.3-", "1.2.3-01", "1.2.3+", "a.b.c", ""]) func wrongVersions(text: String) {
        #expect(!ResourceNames.isSemanticVersion(text))
    }
}
