import Basics
import Linux
import Runtime
import Synchronization
import Wire

/// Carries a program's streams to and from a client.
struct RemoteCommand: Sendable {
    let loop: EventLoop
    let clock: any WorldClock

    /// After a program has ended, how long its output may be silent before it is taken for finished: somebody whom the
    /// program has left behind may hold it open for ever.
    private static let silence = Duration.milliseconds(500)

    private enum Event {
        case inputEnded
        case outputEnded
        case exited(Int)
        case silent
        case other
    }

    /// Runs a program beside a container's own until it ends or the client leaves, which ends it.
    func exec(
        _ command: [String], _ container: String, in worker: PodWorker, _ options: RemoteCommandOptions,
        _ remote: RemoteStreams
    ) async throws {
        let opened: ExecRunner.Opened
        do {
            opened = try await worker.open(
                command, container, streams: options.streams, terminal: options.terminal ? TerminalSize() : nil)
        } catch let error as CancellationError {
            throw error
        } catch {
            return try await remote.finish(.failure("error executing command in container: \(error)"))
        }
        let code: Int
        do {
            code = try await carry(opened.streams, remote) { try await worker.exec.end(of: opened) }
        } catch {
            await worker.exec.release(opened)
            throw error
        }
        await worker.exec.release(opened)
        try await remote.finish(code == 0 ? .success : .exit(code: code, command: command))
    }

    private func carry(
        _ streams: ProcessStreams, _ remote: RemoteStreams, end: @escaping @Sendable () async throws -> Int
    ) async throws -> Int {
        let progress = Progress()
        return try await withThrowingTaskGroup(of: Event.self) { group in
            var open = try await startOutputs(streams, remote, progress, &group)
            let input = try await adopt(streams.input)
            group.addTask { await self.carryInput(remote, to: input) }
            group.addTask { await self.carrySizes(remote, to: streams.terminal) }
            group.addTask { .exited(try await end()) }
            defer { group.cancelAll() }
            var code: Int?
            while let event = try await group.next() {
                switch event {
                case .exited(let number):
                    code = number
                    group.addTask { try await self.waitForSilence(progress) }
                case .outputEnded: open -= 1
                case .silent: open = 0
                case .inputEnded, .other: break
                }
                if let code, open == 0 { return code }
            }
            throw CancellationError()
        }
    }

    /// Joins a container's own streams until its output ends or the client leaves, which changes nothing for it.
    func attach(
        _ container: String, in worker: PodWorker, _ options: RemoteCommandOptions, _ remote: RemoteStreams
    ) async throws {
        let attached: PodWorker.Attached
        do { attached = try await worker.attach(container, streams: options.streams) } catch let error
            as CancellationError
        {
            throw error
        } catch {
            return try await remote.finish(.failure("error attaching to container: \(error)"))
        }
        let progress = Progress()
        try await withThrowingTaskGroup(of: Event.self) { group in
            var open = try await startOutputs(attached.streams, remote, progress, &group)
            let input = try await adopt(attached.streams.input)
            if remote.input != nil { group.addTask { await self.carryInput(remote, to: input) } }
            group.addTask { await self.carrySizes(remote, to: attached.streams.terminal) }
            defer { group.cancelAll() }
            while let event = try await group.next() {
                switch event {
                case .outputEnded: open -= 1
                case .inputEnded:
                    // Without input to end, its end means that the client wants to leave.
                    guard attached.endsInput else { return }
                    await attached.closeInput()
                case .exited, .silent, .other: continue
                }
                if open == 0 { return }
            }
        }
        // The attachment ends with these.
        withExtendedLifetime(attached.streams) {}
        try await remote.finish(.success)
    }

    // MARK: Directions

    private func adopt(_ descriptor: Descriptor?) async throws -> SocketStream? {
        guard let descriptor else { return nil }
        return try await SocketStream.adopt(fd: descriptor.take(), loop: loop)
    }

    /// How many outputs are being carried.
    private func startOutputs(
        _ streams: ProcessStreams, _ remote: RemoteStreams, _ progress: Progress,
        _ group: inout ThrowingTaskGroup<Event, any Error>
    ) async throws -> Int {
        var count = 0
        for (near, far) in [(streams.output, remote.output), (streams.errors, remote.errors)] {
            guard let far, let stream = try await adopt(near) else { continue }
            count += 1
            group.addTask {
                defer { stream.close() }
                while true {
                    let bytes = try await stream.read(atMost: 32 << 10)
                    if bytes.isEmpty { return .outputEnded }
                    try await progress.during { try await far.write(bytes) }
                }
            }
        }
        return count
    }

    /// Ends when the client's input does. What the program does not take any more is read and dropped, so that what
    /// comes behind it on the same connection still arrives.
    private func carryInput(_ remote: RemoteStreams, to stream: SocketStream?) async -> Event {
        var stream = stream
        defer { stream?.close() }
        while let bytes = try? await remote.input?.read(atMost: 32 << 10), !bytes.isEmpty {
            do { try await stream?.write(bytes) } catch {
                stream?.close()
                stream = nil
            }
        }
        return .inputEnded
    }

    private func carrySizes(_ remote: RemoteStreams, to terminal: Descriptor?) async -> Event {
        var sizes = TerminalSizes()
        while let bytes = try? await remote.sizes?.read(atMost: 4 << 10), !bytes.isEmpty {
            for size in sizes.take(bytes) { try? terminal?.resize(to: size) }
        }
        return .other
    }

    private func waitForSilence(_ progress: Progress) async throws -> Event {
        while true {
            let before = progress.count
            try await clock.sleep(for: Self.silence)
            if !progress.isBusy, progress.count == before { return .silent }
        }
    }
}

/// Whether output is on its way to the client.
private final class Progress: Sendable {
    private let state = Mutex((count: 0, busy: 0))

    var count: Int { state.withLock { $0.count } }
    var isBusy: Bool { state.withLock { $0.busy > 0 } }

    func during(_ body: @Sendable () async throws -> Void) async throws {
        state.withLock {
            $0.count += 1
            $0.busy += 1
        }
        defer { state.withLock { $0.busy -= 1 } }
        try await body()
    }
}
