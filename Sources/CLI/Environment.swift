import Basics
import Cluster
import Glibc
import Kinds
import Linux
import Runtime

/// What every command gets: the world, the machine, the console.
public struct Environment: Sendable {
    let console: Console
    let build: BuildOrigin
    let world: World
    let host: Host
    let loop: EventLoop

    init(loop: EventLoop, build: BuildOrigin) async throws {
        self.build = build
        let world = World.live(loop)
        let console = Console(clock: world.clock)
        // Made before the first thread, so that every thread inherits the blocked signals.
        let signals = try await SignalSource([SIGINT, SIGTERM], loop: loop)
        let variables = Variables()
        self.world = world
        self.loop = loop
        self.console = console
        host = Host(
            layout: Layout(home: variables["LAB_HOME"] ?? "/var/lib/lab"), world: world,
            runtime: LinuxSupervisor(), blocking: BlockingPool(),
            log: Log(component: "lab", clock: world.clock, sink: { console.err($0) }),
            interruption: { _ = try await signals.next() })
    }

    /// The same machine for work on the side: somebody else listens for interruptions already, and only one may.
    var hostOnTheSide: Host {
        let clock = world.clock
        return Host(
            layout: host.layout, world: world, runtime: host.runtime, blocking: host.blocking, log: host.log,
            interruption: { while true { try await clock.sleep(for: .seconds(3_600)) } })
    }

    /// An interrupt cancels the body. `remedy` says how to go on after that.
    func interruptible<T: Sendable>(
        _ remedy: String, _ body: @escaping @Sendable () async throws -> T
    ) async throws -> T {
        try await withThrowingTaskGroup(of: T.self) { group in
            group.addTask { try await body() }
            group.addTask {
                try await host.interruption()
                throw Failure("interrupted", remedy: remedy)
            }
            defer { group.cancelAll() }
            guard let first = try await group.next() else { throw CancellationError() }
            return first
        }
    }

    var isRoot: Bool { geteuid() == 0 }
    var processID: Int32 { getpid() }

    /// Making namespaces, mounts and cgroups takes root.
    func requireRoot(for what: String) throws {
        guard geteuid() == 0 else {
            throw Failure("\(what) needs root", remedy: "run it with sudo")
        }
    }
}

/// The process's environment variables.
struct Variables {
    subscript(name: String) -> String? {
        guard let value = getenv(name) else { return nil }
        let text = String(cString: value)
        return text.isEmpty ? nil : text
    }
}

/// The user's kubeconfig: the first file of `$KUBECONFIG`, or `~/.kube/config` of whoever called sudo.
enum UserKubeconfig {
    struct Place: Equatable {
        var path: String
        /// Under sudo the file shall belong to the user, not to root.
        var owner: (uid: uid_t, gid: gid_t)?

        static func == (a: Place, b: Place) -> Bool {
            a.path == b.path && a.owner?.uid == b.owner?.uid && a.owner?.gid == b.owner?.gid
        }
    }

    static func place(flag: String?, variables: Variables = Variables()) -> Place {
        if let flag { return Place(path: flag, owner: nil) }
        if let list = variables["KUBECONFIG"], let first = list.split(separator: ":").first {
            return Place(path: String(first), owner: sudoer(variables).map { ($0.uid, $0.gid) })
        }
        if let user = sudoer(variables) {
            return Place(path: "\(user.home)/.kube/config", owner: (user.uid, user.gid))
        }
        return Place(path: "\(variables["HOME"] ?? "/root")/.kube/config", owner: nil)
    }

    private static func sudoer(_ variables: Variables) -> (uid: uid_t, gid: gid_t, home: String)? {
        guard geteuid() == 0, let name = variables["SUDO_USER"], name != "root", let entry = getpwnam(name) else {
            return nil
        }
        return (entry.pointee.pw_uid, entry.pointee.pw_gid, String(cString: entry.pointee.pw_dir))
    }
}
