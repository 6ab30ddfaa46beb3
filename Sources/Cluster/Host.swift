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
}
