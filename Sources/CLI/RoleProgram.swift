import Basics
import Client
import Cluster
import Document
import Glibc
import Images
import Kinds
import Linux
import Runtime

/// `lab role NAME`: what the supervisors start. Not for people, so it is not in the help.
enum RoleProgram {
    /// For a role that puts things in order when it is asked to end.
    private static let timeToEnd = Duration.seconds(2)

    static func run(_ words: [String], build: BuildOrigin) -> Int32 {
        let syntax = CommandSyntax(
            "role", operands: "NAME", fewest: 1, most: 1, "Run one part of a cluster.",
            flags: [
                .init("config", .one, "FILE", "the node's record"),
                .init("ports", .one, "FILE", "forward: the ports to carry"),
                .init("control", .one, "SOCKET", "forward: where to be asked for changes"),
                .init("namespace", .one, "FD", "forward, images: descriptor of the host's network namespace"),
                .init("listen", .one, "SOCKET", "images: where to be asked"),
                .init("store", .one, "DIR", "images, registry: the content store"),
                .init("port", .one, "N", "registry: where to listen"),
                .init("home", .one, "DIR", "images, fault: where lab keeps things"),
                .init("cluster", .one, "NAME", "fault: the cluster"),
                .init("mend", .none, "", "fault: only end it"),
            ])
        return Program.report {
            let arguments = try Arguments(words, for: syntax)
            let role = arguments.operands[0]
            try EventLoop.run { loop in
                let world = World.live(loop)
                let log = Log(component: role, clock: world.clock) { line in
                    try? Files.writeAll(Array((line + "\n").utf8), to: 2, name: "log")
                }
                let signals = try await SignalSource([SIGTERM, SIGINT], loop: loop)
                if role == "fault" { return try await fault(arguments, signals, world: world, log: log) }
                try await withThrowingTaskGroup { group in
                    let stop = Wakeup()
                    group.addTask {
                        async let _ = settle(world.clock)
                        try await perform(role, arguments, stop, build: build, loop: loop, world: world, log: log)
                    }
                    group.addTask {
                        let signal = try await signals.next()
                        log.info("ending on signal \(signal)")
                        stop.wake()
                        if role == "manager" { try await world.clock.sleep(for: timeToEnd) }
                    }
                    // Whichever ends first ends the other: the work failed, or it is asked to stop.
                    try await group.next()
                    group.cancelAll()
                }
            }
        }
    }

    /// A part of a cluster runs for days in what it needed for its first second, unless it gives that back.
    private static func settle(_ clock: any WorldClock) async throws {
        try await clock.sleep(for: .seconds(10))
        ProcessMemory.giveBackWhatTheStartUsed()
    }

    private static func perform(
        _ role: String, _ arguments: Arguments, _ stop: Wakeup, build: BuildOrigin, loop: EventLoop, world: World,
        log: Log
    ) async throws {
        if role == "forward" { return try await forward(arguments, loop: loop, world: world, log: log) }
        if role == "registry" { return try await registry(arguments, world: world, log: log) }
        if role == "images" { return try await images(arguments, loop: loop, world: world, log: log) }
        guard let path = arguments["config"] else { throw UsageError("--config is missing", remedy: "") }
        let record = try NodeRecord(try Document(json: try Files.read(path)))
        switch role {
        case "apiserver":
            try await APIServerRole(record: record, build: build, loop: loop, world: world, log: log).run()
        case "manager": try await ManagerRole(record: record, world: world, log: log, stop: stop).run()
        case "agent": try await AgentRole(record: record, loop: loop, world: world, log: log).run()
        default:
            throw UsageError("unknown role '\(role)'", remedy: "apiserver, manager, agent, forward, images, registry")
        }
    }

    private static func forward(_ arguments: Arguments, loop: EventLoop, world: World, log: Log) async throws {
        guard let file = arguments["ports"], let control = arguments["control"],
            let namespace = arguments["namespace"].flatMap(Int32.init)
        else { throw UsageError("forward needs --ports, --control and --namespace", remedy: "") }
        let carrier = PortCarrier(
            file: file, control: .unix(control), outside: LiveNetwork(loop: loop, namespace: namespace),
            inside: world.network, clock: world.clock, log: log)
        try await carrier.run()
    }
}

extension RoleProgram {
    /// Breaks something until its time is over or it is asked to end, and mends it then.
    private static func fault(
        _ arguments: Arguments, _ signals: SignalSource, world: World, log: Log
    ) async throws {
        guard let file = arguments["config"] else { throw UsageError("--config is missing", remedy: "") }
        let host = Host(
            layout: Layout(home: arguments["home"] ?? "/var/lib/lab"), world: world, runtime: LinuxSupervisor(),
            blocking: BlockingPool(), log: log, interruption: {})
        let keeper = FaultKeeper(file: file, cluster: arguments["cluster"], host: host)
        if !arguments.has("mend") {
            let lasts = try await keeper.begin()
            try await withThrowingTaskGroup { group in
                if let lasts { group.addTask { try await world.clock.sleep(for: lasts) } }
                group.addTask { _ = try await signals.next() }
                try await group.next()
                group.cancelAll()
            }
        }
        try await keeper.end()
    }

    private static func registry(_ arguments: Arguments, world: World, log: Log) async throws {
        guard let port = arguments["port"].flatMap(UInt16.init), let store = arguments["store"] else {
            throw UsageError("registry needs --port and --store", remedy: "")
        }
        let listener = try await world.network.listen(on: .ip(.loopback, port: port))
        let server = try RegistryServer(
            store: ImageStore(root: store), world: world, blocking: BlockingPool(), log: log)
        try await server.run(on: listener)
    }

    private static func images(_ arguments: Arguments, loop: EventLoop, world: World, log: Log) async throws {
        guard let socket = arguments["listen"], let store = arguments["store"], let home = arguments["home"],
            let namespace = arguments["namespace"].flatMap(Int32.init)
        else { throw UsageError("images needs --listen, --store, --home and --namespace", remedy: "") }
        var outside = world
        outside.network = LiveNetwork(loop: loop, namespace: namespace)
        try await ImageService(socket: socket, store: store, home: home, world: outside, log: log).run()
    }
}
