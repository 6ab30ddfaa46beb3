import Document
import Kinds
import Schema
import Wire

extension APIServer {
    /// What the aggregator writes, through the same registry as everybody.
    var aggregatorWriter: Aggregator.Writer {
        Aggregator.Writer(
            create: { [self] service in
                _ = try await resources.create(service, try call("POST", service), dryRun: false)
            },
            setStatus: { [self] name, change in
                let main = try call("PATCH", Self.service(named: name))
                let status = main.about(main.resource, name: name, subresource: "status")
                _ = try await resources.change(status, dryRun: false) { change($0.withoutRevision) }
            },
            delete: { [self] name in
                _ = try await resources.delete(
                    try call("DELETE", Self.service(named: name)), name: name, DeleteOptions())
            })
    }

    private static func service(named name: String) -> Document {
        ["apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": ["name": Document(name)]]
    }
}
