import Basics
import Glibc
import Linux
import Wire

/// The behaviours, over an injected world.
struct Testbox: Sendable {
    let world: World
    let signals: SignalSource?

    func run(_ behaviour: Behaviour) async throws -> Int32 {
        switch behaviour {
        case .exit(let code): return code
        case .cat: return copyInput()
        case .echo(let text):
            Output.line(text)
            return 0
        case .file(let behaviour):
            try behaviour.run()
            return 0
        case .eat(let megabytes): return try await eat(megabytes)
        case .awaitText(let path, let text): return try await awaitText(path, text)
        case .awaitNothing(let path): return try await awaitNothing(path)
        case .fill(let path, let megabytes, let pause):
            try FileBehaviour.fill(path, megabytes: megabytes)
            return try await untilSignal { try await world.clock.sleep(for: pause) }
        case .sleep(let duration): return try await untilSignal { try await world.clock.sleep(for: duration) }
        case .burn(let duration): return try await untilSignal { try await burn(duration) }
        case .serve(let port, let healthy, let datagrams):
            return try await serve(port, healthy: healthy, datagrams: datagrams)
        case .health(let port, let status): return try await serveHealth(port, status)
        case .hooks(let port, let directory, let names):
            return try await serveHooks(port, directory: directory, names: names)
        case .group(let port, let group, let version, let authority, let names):
            return try await serveGroup(
                port, FlunderGroup(group: group, version: version), authority: authority, names: names)
        case .keep(let keeper): return try await keep(keeper)
        case .checkToken(let issuer): return try await checkToken(issuer: issuer)
        case .get(let url, let timeout, let count): return try await get(url, timeout: timeout, count: count)
        case .ask(let host, let port, let timeout, let count):
            return try await ask(host, port, timeout: timeout, count: count)
        case .fetch(let fetch): return try await self.fetch(fetch)
        case .lookup(let name, let type, let overTCP): return try await lookup(name, type, overTCP: overTCP)
        }
    }

    /// Runs `body` until it ends or a signal asks to stop, which is an orderly end.
    private func untilSignal(_ body: @escaping @Sendable () async throws -> Void) async throws -> Int32 {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await body() }
            if let signals { group.addTask { _ = try await signals.next() } }
            try await group.next()
            group.cancelAll()
        }
        return 0
    }

    private static let patience: Duration = .seconds(60)

    /// Waits until a file has the text, for what changes with some delay.
    private func awaitText(_ path: String, _ text: String) async throws -> Int32 {
        let end = world.clock.uptime + Self.patience
        while world.clock.uptime < end {
            if (try? Files.text(path))?.split(separator: "\n").contains(where: { $0 == text }) ?? false { return 0 }
            try await world.clock.sleep(for: .milliseconds(100))
        }
        Output.error("testbox: \(path) does not have the line \"\(text)\"")
        return 1
    }

    /// Waits until there is nothing at the path.
    private func awaitNothing(_ path: String) async throws -> Int32 {
        let end = world.clock.uptime + Self.patience
        while world.clock.uptime < end {
            if !Files.exists(path) { return 0 }
            try await world.clock.sleep(for: .milliseconds(100))
        }
        Output.error("testbox: \(path) is still there")
        return 1
    }

    /// One processor's whole time, in slices, so that a signal is heard.
    private func burn(_ duration: Duration) async throws {
        let end = world.clock.uptime + duration
        var work: UInt64 = 1
        while world.clock.uptime < end {
            let slice = world.clock.uptime + .milliseconds(20)
            while world.clock.uptime < slice {
                for _ in 0..<10_000 { work = work &* 6_364_136_223_846_793_005 &+ 1 }
            }
            try await world.clock.sleep(for: .zero)
            try Task.checkCancellation()
        }
        // The result is looked at, so that the work cannot be left out.
        if work == 0 { Output.line("") }
    }

    /// Takes memory and touches every page of it, then keeps it until a signal comes.
    private func eat(_ megabytes: Int) async throws -> Int32 {
        let count = megabytes << 20
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: max(count, 1), alignment: 4096)
        defer { memory.deallocate() }
        for offset in stride(from: 0, to: count, by: 4096) { memory[offset] = 1 }
        Output.line("ate \(megabytes) MiB")
        if let signals { _ = try await signals.next() }
        return 0
    }
}
