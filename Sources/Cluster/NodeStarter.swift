import Basics
import Linux
import Runtime

/// Brings one node up: its supervisor, its link to the fabric, its services.
struct NodeStarter: Sendable {
    let blueprint: NodeBlueprint
    let host: Host

    /// How long a fresh supervisor may take to answer on its socket.
    static let patience = Duration.seconds(20)

    func start(in fabric: Fabric) async throws {
        _ = try await fabric.sandbox.start(try blueprint.process())
        let node = try await waitForSupervisor()
        let index = Int(blueprint.address.low - Addresses.node(0).low)
        try fabric.connect(nodeSupervisor: node.pid, address: blueprint.address, index: index)
        for service in blueprint.services { _ = try await node.start(service) }
    }

    /// The supervisor's program runs, but its socket appears only after its own plan.
    private func waitForSupervisor() async throws -> any Sandbox {
        let deadline = host.world.clock.uptime + Self.patience
        var pause = Duration.milliseconds(1)
        while true {
            if let node = try await host.runtime.attach(stateDirectory: blueprint.layout.state) { return node }
            guard host.world.clock.uptime < deadline else {
                throw Failure(
                    "the supervisor of node \(blueprint.name) does not answer",
                    remedy: "its output is in \(blueprint.layout.directory)/supervisor.log")
            }
            try await host.world.clock.sleep(for: pause)
            pause = min(pause * 2, .milliseconds(50))
        }
    }
}
