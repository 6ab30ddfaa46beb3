import Document
import Kinds
import Schema
import Testing

@Suite struct RegistryTests {
    @Test func everyGroupIsUnderstood() {
        #expect(Kinds.registry.mistakes == [])
        #expect(Kinds.registry.resource(group: "", version: "v1", plural: "pods")?.hasStatus == true)
        #expect(Kinds.registry.resource(group: "apps", version: "v1", kind: "Deployment")?.generation == true)
        let scale = Kinds.registry.resource(group: "apps", version: "v1", plural: "deployments")?.subresource("scale")
        #expect(scale?.kind == "Scale")
        #expect(scale?.type != nil)
    }
}
