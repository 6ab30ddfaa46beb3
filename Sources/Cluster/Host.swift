import Basics
import Linux
import Runtime

/// What the cluster commands need of the machine they run on.
public struct Host: Sendable {
    public let layout: Layout
    public let world: World
    public let runtime: any SandboxRuntime
    public let blocking: BlockingPool
    public let log: Log
    /// Returns when the user wants to stop (an interrupt or a termination signal).
    public let interruption: @Sendable () async throws -> Void

    public init(
        layout: Layout, world: World, runtime: any SandboxRuntime, blocking: BlockingPool, log: Log,
        interruption: @escaping @Sendable () async throws -> Void
    ) {
        self.layout = layout
        self.world = world
        self.runtime = runtime
        self.blocking = blocking
        self.log = log
        self.interruption = interruption
    }

    public var index: ClusterIndex { ClusterIndex(layout: layout, runtime: runtime) }

    /// `hosts`, `hostname`, `resolv.conf`, `passwd`: the few files that programs look for in a node's `/etc`.
    func writeNameFiles(for blueprint: NodeBlueprint, nodes: [String]) throws {
        let etc = "\(blueprint.layout.root)/etc"
        var hosts = "127.0.0.1 localhost\n::1 localhost\n"
        for (index, node) in nodes.enumerated() { hosts += "\(Addresses.node(index)) \(node)\n" }
        try Files.write(Array(hosts.utf8), to: "\(etc)/hosts")
        try Files.write(Array("\(blueprint.name)\n".utf8), to: "\(etc)/hostname")
        try Files.write(Array("root:x:0:0:root:/root:/bin/lab\n".utf8), to: "\(etc)/passwd")
        try Files.write(Array("root:x:0:\n".utf8), to: "\(etc)/group")
        let resolvers = (try? Files.read("/etc/resolv.conf")) ?? []
        try Files.write(resolvers, to: "\(etc)/resolv.conf")
    }
}
