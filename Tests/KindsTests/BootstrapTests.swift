import Basics
import Document
import Kinds
import Schema
import Testing

@Suite struct BootstrapTests {
    @Test func whatAClusterStartsWithIsValid() throws {
        let objects =
            Kinds.bootstrapRBAC() + Kinds.bootstrapNamespaceObjects() + Kinds.bootstrapPriorityClasses()
        #expect(objects.count > 100)
        for object in objects {
            let version = object.text("apiVersion") ?? ""
            let parts = version.split(separator: "/").map(String.init)
            let resource = try #require(
                Kinds.registry.resource(
                    group: parts.count == 2 ? parts[0] : "", version: parts.last ?? "", kind: object.text("kind") ?? "")
            )
            var complete = object
            Kinds.applyDefaults(to: &complete, resource: resource)
            #expect(Kinds.validateCreate(complete, resource: resource) == [])
            #expect(Kinds.registry.unknownFields(in: object, type: resource.type) == [])
        }
    }

    @Test func anAdministratorMayDoEverything() throws {
        let role = try #require(Kinds.bootstrapRBAC().first { $0.text("metadata", "name") == "cluster-admin" })
        #expect(
            role["rules"]?.jsonText
                == #"[{"verbs":["*"],"apiGroups":["*"],"resources":["*"]},{"verbs":["*"],"nonResourceURLs":["*"]}]"#)
    }
}
