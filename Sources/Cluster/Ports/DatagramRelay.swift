import Basics
import Synchronization

/// Carries the datagrams of a port of the host to an address in the cluster's network, and the answers back.
///
/// Every client has a socket of its own towards the cluster, so that answers find their way. It is given up after
/// `idleTime` without a datagram in either direction, or for a new client when all are taken.
final class DatagramRelay: Sendable {
    static let mostFlows = 1_024
    static let idleTime = Duration.seconds(60)

    private let socket: any DatagramSocket
    private let target: Endpoint
    private let connecting: any Network
    private let clock: any WorldClock
    private let log: Log
    private let most: Int
    private let flows = Mutex<[Endpoint: Flow]>([:])

    private final class Flow: Sendable {
        let socket: any DatagramSocket
        let lastUse: Mutex<Duration>

        init(_ socket: any DatagramSocket, now: Duration) {
            self.socket = socket
            lastUse = Mutex(now)
        }
    }

    init(
        socket: any DatagramSocket, target: Endpoint, connecting: any Network, clock: any WorldClock, log: Log,
        most: Int = DatagramRelay.mostFlows
    ) {
        self.socket = socket
        self.target = target
        self.connecting = connecting
        self.clock = clock
        self.log = log
        self.most = most
    }

    var count: Int { flows.withLock { $0.count } }

    func run() async throws {
        defer {
            socket.close()
            for flow in flows.withLock({ $0.values.map(\.socket) }) { flow.close() }
        }
        try await withThrowingDiscardingTaskGroup { group in
            while true {
                let datagram = try await socket.receive()
                if let flow = flows.withLock({ $0[datagram.peer] }) {
                    await pass(datagram.bytes, flow)
                    continue
                }
                makeRoom()
                guard let flow = await open() else { continue }
                flows.withLock { $0[datagram.peer] = flow }
                group.addTask { await self.answer(datagram.peer, flow) }
                await pass(datagram.bytes, flow)
            }
        }
    }

    private func open() async -> Flow? {
        guard case .ip(let address, _) = target else { return nil }
        let any: IPAddress = address.isIPv6 ? IPAddress(v6High: 0, low: 0) : .any
        do {
            return Flow(try await connecting.datagrams(on: .ip(any, port: 0)), now: clock.uptime)
        } catch {
            log.debug("no socket for another client: \(error)")
            return nil
        }
    }

    /// The client that has been silent longest makes room for a new one.
    private func makeRoom() {
        let oldest = flows.withLock { flows -> Flow? in
            guard flows.count >= most else { return nil }
            let found = flows.min { $0.value.lastUse.withLock { $0 } < $1.value.lastUse.withLock { $0 } }
            return found.flatMap { flows.removeValue(forKey: $0.key) }
        }
        oldest?.socket.close()
    }

    private func pass(_ bytes: [UInt8], _ flow: Flow) async {
        flow.lastUse.withLock { $0 = clock.uptime }
        // What cannot be sent is lost, as datagrams are.
        do { try await flow.socket.send(Datagram(bytes: bytes, peer: target)) } catch {
            log.debug("\(target): \(error)")
        }
    }

    /// Brings answers back to one client until it has been silent for long enough.
    private func answer(_ client: Endpoint, _ flow: Flow) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                while let datagram = try? await flow.socket.receive() {
                    // Nobody else was asked.
                    guard datagram.peer == self.target else { continue }
                    flow.lastUse.withLock { $0 = self.clock.uptime }
                    do { try await self.socket.send(Datagram(bytes: datagram.bytes, peer: client)) } catch {
                        self.log.debug("\(client): \(error)")
                    }
                }
            }
            group.addTask {
                while true {
                    let rest = flow.lastUse.withLock { $0 } + Self.idleTime - self.clock.uptime
                    guard rest > .zero else { return }
                    do { try await self.clock.sleep(for: rest) } catch { return }
                }
            }
            await group.next()
            group.cancelAll()
        }
        flow.socket.close()
        flows.withLock { if $0[client] === flow { $0[client] = nil } }
    }
}
