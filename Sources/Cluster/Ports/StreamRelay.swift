import Basics

/// Carries the connections of a port of the host to an address in the cluster's network.
struct StreamRelay: Sendable {
    let listener: any Listener
    let target: Endpoint
    let connecting: any Network
    let log: Log

    /// More connections than that wait in the kernel's backlog.
    static let mostConnections = 4_096
    static let chunk = 64 << 10

    /// Serves until the listener is closed or the task is cancelled, which cuts every connection off.
    func run() async throws {
        defer { listener.close() }
        try await withThrowingDiscardingTaskGroup { group in
            let slots = Slots(count: Self.mostConnections)
            while true {
                await slots.take()
                let client = try await listener.accept()
                group.addTask {
                    await self.carry(client)
                    await slots.give()
                }
            }
        }
    }

    private func carry(_ client: any Connection) async {
        defer { client.close() }
        guard let server = try? await connecting.connect(to: target) else {
            log.debug("\(target) does not answer")
            return
        }
        defer { server.close() }
        await withTaskGroup { group in
            group.addTask { await Self.copy(from: client, to: server) }
            group.addTask { await Self.copy(from: server, to: client) }
            // A direction that ended cleanly half-closes the other side; an error ends both.
            for await clean in group where !clean {
                client.close()
                server.close()
                group.cancelAll()
            }
        }
    }

    private static func copy(from source: any Connection, to sink: any Connection) async -> Bool {
        do {
            while true {
                let bytes = try await source.read(atMost: chunk)
                if bytes.isEmpty {
                    try await sink.finishWriting()
                    return true
                }
                try await sink.write(bytes)
            }
        } catch {
            return false
        }
    }
}

/// A counting semaphore for tasks.
actor Slots {
    private var free: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(count: Int) { free = count }

    func take() async {
        if free > 0 {
            free -= 1
            return
        }
        await withCheckedContinuation { waiting.append($0) }
    }

    func give() {
        if waiting.isEmpty { free += 1 } else { waiting.removeFirst().resume() }
    }
}
