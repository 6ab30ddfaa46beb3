import Basics
import Document
import Kinds
import Schema

extension Resources {
    /// `componentstatuses`: how the parts of the control plane are, looked up for each request.
    ///
    /// The store is asked for its revision. Scheduler and controllers cannot be asked from here: they count as healthy
    /// while they hold the lease by which their kind elects its leader.
    func componentStatuses(_ call: Call) async throws -> Answer {
        guard call.info.verb == "get" || call.info.verb == "list" else { throw APIStatus.methodNotAllowed }
        let components = try await [
            leader("controller-manager", lease: "kube-controller-manager"), storeStatus(),
            leader("scheduler", lease: "kube-scheduler"),
        ]
        guard call.name.isEmpty else {
            guard let found = components.first(where: { $0.text("metadata", "name") == call.name }) else {
                throw APIStatus.notFound(call.resource, call.name)
            }
            return .object(ObjectCodec.bytes(found))
        }
        let selection = try Selection(call.info.query, resource: call.resource)
        let chosen = components.filter { selection.isEmpty || selection.matches($0, resource: call.resource) }
        return .init(content: .list(chosen.map(ObjectCodec.bytes), metadata: .emptyObject))
    }

    private func storeStatus() async -> Document {
        _ = await store.revision
        return Self.component("etcd-0", healthy: true, "ok")
    }

    private func leader(_ name: String, lease: String) async throws -> Document {
        let found = try await object("leases", group: "coordination.k8s.io", namespace: "kube-system", name: lease)
        let renewed = found?.time("spec", "renewTime")
        let seconds = found?.number("spec", "leaseDurationSeconds") ?? 0
        if let renewed, renewed + .seconds(seconds) >= world.clock.now {
            return Self.component(name, healthy: true, "ok")
        }
        let why =
            renewed.map { "the lease kube-system/\(lease) was last renewed at \($0)" }
            ?? "nobody holds the lease kube-system/\(lease)"
        return Self.component(name, healthy: false, why)
    }

    private static func component(_ name: String, healthy: Bool, _ message: String) -> Document {
        [
            "metadata": ["name": Document(name)],
            "conditions": [
                ["type": "Healthy", "status": healthy ? "True" : "False", "message": Document(message)]
            ],
        ]
    }
}
