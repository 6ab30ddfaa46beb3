import Document
import Schema
import Testing

@testable import Kinds

@Suite struct InternalFormTests {
    private static let claim: Document = [
        "accessModes": ["ReadWriteMany", "ReadOnlyMany"], "resources": ["requests": ["storage": "1536Mi"]],
        "selector": ["matchLabels": ["app": "a"]], "storageClassName": "fast", "volumeMode": "Block",
    ]

    @Test func differencesHaveThreeLinesAroundThem() {
        var changed = Self.claim
        changed["accessModes"] = ["ReadWriteMany"]
        let expected = """
            @@ -1,7 +1,6 @@
             {
              "AccessModes": [
            -  "ReadWriteMany",
            -  "ReadOnlyMany"
            +  "ReadWriteMany"
              ],
              "Selector": {
               "matchLabels": {

            """
        #expect(InternalForm.difference(Self.claim, changed, as: "PersistentVolumeClaimSpec") == expected)
        #expect(InternalForm.difference(Self.claim, Self.claim, as: "PersistentVolumeClaimSpec") == "")
    }

    @Test func changesFarApartAreHunksOfTheirOwn() {
        let old = (1...30).map(String.init)
        var new = old
        new[2] = "x"
        new.remove(at: 24)
        let expected = """
            @@ -1,6 +1,6 @@
             1
             2
            -3
            +x
             4
             5
             6
            @@ -22,7 +22,6 @@
             22
             23
             24
            -25
             26
             27
             28

            """
        #expect(UnifiedDiff.text(old, new) == expected)
        #expect(UnifiedDiff.text([], ["a"]) == "@@ -0,0 +1 @@\n+a\n")
    }

    @Test func absentFieldsAreShownAsTheirZero() {
        let shown = InternalForm.value(["resource": "things", "name": "z"], as: "ParentReference")
        #expect(shown.jsonText == #"{"Group":"","Resource":"things","Namespace":"","Name":"z"}"#)
        let driver = InternalForm.value(["name": "d", "nodeID": "n"], as: "CSINodeDriver")
        #expect(driver.jsonText == #"{"Name":"d","NodeID":"n","TopologyKeys":null,"Allocatable":null}"#)
        let inline: Document = ["source": ["inlineVolumeSpec": ["nfs": ["server": "s", "path": "/p"]]]]
        let spec = InternalForm.value(inline, as: "VolumeAttachmentSpec")
        #expect(spec["Attacher"] == "")
        #expect(
            spec.at("Source", "InlineVolumeSpec", "NFS")?.jsonText == #"{"Server":"s","Path":"/p","ReadOnly":false}"#)
        #expect(spec.at("Source", "InlineVolumeSpec", "CSI") == .some(.null))
    }

    /// Every member that a structure shows is one that the API's own type has, and none is forgotten.
    @Test func structuresShowWhatTheirTypesDeclare() throws {
        // Parts of types, and types that the API keeps elsewhere.
        let parts: Set = ["PersistentVolumeSource", "TemplateMetadata"]
        let moved: Set = ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers"]
        var checked = 0
        for name in InternalForm.names where !parts.contains(name) {
            let type = try #require(
                [
                    ("", "v1"), ("networking.k8s.io", "v1"), ("storage.k8s.io", "v1"), ("resource.k8s.io", "v1"),
                    ("meta", "v1"),
                ]
                .lazy
                .compactMap { Kinds.registry.type(group: $0.0, version: $0.1, name: name) }.first, "\(name)")
            var members = Set(InternalForm.members(of: name))
            if name == "PodSpec" { members.formUnion(moved.union(["serviceAccount"])) }
            if name == "PodSecurityContext" { members.subtract(moved) }
            #expect(members == Set(type.info.fields.map(\.name)), "\(name)")
            checked += 1
        }
        #expect(checked > 90)
    }
}
