import Basics
import Cluster
import Glibc
import Images
import Linux
import Synchronization

/// What the commands of images share, and those that speak with registries.
extension ImageCommands {
    static func store(_ environment: Environment, for what: String) throws -> ImageStore {
        try environment.requireRoot(for: what)
        try Files.makeDirectories(environment.host.layout.images)
        return try ImageStore(root: environment.host.layout.images)
    }

    static let runPull: CommandBody = { arguments, environment in
        let store = try store(environment, for: "pulling images")
        for reference in arguments.operands {
            let settings = try settings(arguments, environment, for: reference)
            let board = TransferBoard(
                environment.console, clock: environment.world.clock, isSilent: arguments.has("quiet"))
            let client = RegistryClient(settings: settings, world: environment.world)
            let puller = ImagePuller(store: store, client: client, blocking: environment.host.blocking)
            let full = try normalize(reference)
            if !arguments.has("quiet") { environment.console.err("Pulling \(full)") }
            let outcome = try await interruptible(environment) {
                try await puller.pull(reference, platform: arguments["platform"], progress: { board.tell($0) })
            }
            client.close()
            board.end()
            if arguments.has("quiet") {
                environment.console.out(outcome.image.digest)
            } else {
                let state = outcome.wasCurrent ? "Image is up to date" : "Downloaded"
                environment.console.out("Digest: \(outcome.image.digest)\nStatus: \(state) for \(full)")
            }
        }
    }

    static let runPush: CommandBody = { arguments, environment in
        let store = try store(environment, for: "reading the content store")
        let source = arguments.operands[0]
        let target = arguments.operands.count > 1 ? arguments.operands[1] : source
        let settings = try settings(arguments, environment, for: target)
        let board = TransferBoard(environment.console, clock: environment.world.clock, isSilent: arguments.has("quiet"))
        let client = RegistryClient(settings: settings, world: environment.world)
        let pusher = ImagePusher(store: store, client: client, blocking: environment.host.blocking)
        if !arguments.has("quiet") { environment.console.err("Pushing \(try normalize(target))") }
        let digest = try await interruptible(environment) {
            try await pusher.push(source, to: target, progress: { board.tell($0) })
        }
        client.close()
        board.end()
        environment.console.out(arguments.has("quiet") ? digest : "Digest: \(digest)")
    }

    private static func normalize(_ reference: String) throws -> String {
        do { return try ImageStore.normalize(reference) } catch {
            throw UsageError("\(error)", remedy: "write it like nginx:1.27 or registry.example:5000/team/app:v1")
        }
    }

    /// What has come stays for the next attempt.
    private static func interruptible<T: Sendable>(
        _ environment: Environment, _ body: @escaping @Sendable () async throws -> T
    ) async throws -> T {
        try await environment.interruptible("the same command goes on where this one stopped", body)
    }

    private static func settings(
        _ arguments: Arguments, _ environment: Environment, for reference: String
    ) throws -> RegistrySettings {
        if let file = arguments["authfile"], !Files.exists(file) {
            throw Failure("there is no file \(file)", remedy: "--authfile names a file like ~/.docker/config.json")
        }
        let own = try arguments["authfile"].map { try CredentialSet(path: $0) }
        var settings = try ImageService.settings(home: environment.host.layout.home, credentials: own)
        let full = try normalize(reference)
        let host = String(full.prefix { $0 != "/" })
        if let pair = arguments["creds"] {
            guard let colon = pair.firstIndex(of: ":") else {
                throw UsageError("--creds needs a user and a password", remedy: "--creds USER:PASSWORD")
            }
            settings.credentials = CredentialSet(
                host: host,
                RegistryCredentials(
                    username: String(pair[..<colon]), password: String(pair[pair.index(after: colon)...])))
        }
        if arguments.has("insecure") || arguments["ca-file"] != nil {
            settings.set(registry: host, authorities: arguments["ca-file"], insecure: arguments.has("insecure"))
        }
        return settings
    }
}

/// What is going on with each layer: lines that change on a terminal, one line for each end elsewhere.
final class TransferBoard: Sendable {
    private static let pause = Duration.milliseconds(100)
    private static let barWidth = 30

    private struct State {
        var order: [String] = []
        var latest: [String: TransferProgress] = [:]
        var drawn = 0
        var drawnAt: Duration?
    }

    private let console: Console
    private let clock: any WorldClock
    private let isTerminal = isatty(2) == 1
    private let isSilent: Bool
    private let state = Mutex(State())

    init(_ console: Console, clock: any WorldClock, isSilent: Bool) {
        self.console = console
        self.clock = clock
        self.isSilent = isSilent
    }

    func tell(_ progress: TransferProgress) {
        guard !isSilent else { return }
        state.withLock { state in
            let before = state.latest.updateValue(progress, forKey: progress.id)
            if before == nil { state.order.append(progress.id) }
            if isTerminal {
                draw(&state, always: before?.phase != progress.phase)
            } else if before?.phase != progress.phase, Self.isLast(progress.phase) {
                console.err("\(progress.id): \(progress.phase.rawValue)")
            }
        }
    }

    func end() {
        state.withLock { if isTerminal, !isSilent { draw(&$0, always: true) } }
    }

    private static func isLast(_ phase: TransferProgress.Phase) -> Bool {
        [.present, .pulled, .known, .mounted, .pushed].contains(phase)
    }

    private func draw(_ state: inout State, always: Bool) {
        let now = clock.uptime
        guard always || now - (state.drawnAt ?? .zero) >= Self.pause else { return }
        state.drawnAt = now
        var text = state.drawn > 0 ? "\u{1B}[\(state.drawn)A" : ""
        for id in state.order {
            guard let progress = state.latest[id] else { continue }
            text += "\r\u{1B}[K\(Self.line(progress))\n"
        }
        state.drawn = state.order.count
        Console.write(text, to: 2)
    }

    static func line(_ progress: TransferProgress) -> String {
        guard [.downloading, .uploading].contains(progress.phase), progress.total > 0 else {
            return "\(progress.id): \(progress.phase.rawValue)"
        }
        let filled = Int(Int64(barWidth) * min(progress.done, progress.total) / progress.total)
        let bar = String(repeating: "=", count: filled) + (filled < barWidth ? ">" : "")
        let padding = String(repeating: " ", count: max(0, barWidth - bar.count))
        return
            "\(progress.id): \(progress.phase.rawValue) [\(bar)\(padding)] \(Size.text(progress.done))/\(Size.text(progress.total))"
    }
}

/// Bytes as people read them: `7.8 MB`.
enum Size {
    static func text(_ bytes: Int64) -> String {
        let units = ["B", "kB", "MB", "GB", "TB"]
        var tenths = bytes * 10
        var unit = 0
        while tenths >= 10_000, unit < units.count - 1 {
            tenths /= 1000
            unit += 1
        }
        return unit == 0 || tenths >= 1000
            ? "\(tenths / 10) \(units[unit])" : "\(tenths / 10).\(tenths % 10) \(units[unit])"
    }
}
