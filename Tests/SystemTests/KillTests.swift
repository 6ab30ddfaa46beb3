import Basics
import Client
import Document
import Glibc
import Kinds
import Linux
import Synchronization
import Testing
import Wire

/// What the clients of a server know, over all of its lives.
private final class Ledger: Sendable {
    struct Write: Equatable {
        var name: String
        var value: String
        var isCreation: Bool
    }

    struct Seen {
        var revision: Int64
        var type: String
        var name: String
        var value: String
    }

    struct State {
        /// The last acknowledged state of each object; absent after an acknowledged deletion.
        var objects: [String: (revision: Int64, value: String)] = [:]
        /// Writes without an answer: what each object may be instead, nil for gone.
        var pending: [String: String?] = [:]
        /// Every acknowledged write that has a revision of its own.
        var acknowledged: [Int64: Write] = [:]
        var acknowledgements = 0
        /// What the watch has told, in its order.
        var events: [Seen] = []
        /// The watch goes on after it.
        var watched: Int64 = 0
        /// The highest revision that anybody was told.
        var newest: Int64 = 0
        var problems: [String] = []
    }

    let state = Mutex(State())

    func problem(_ text: String) { state.withLock { $0.problems.append(text) } }

    /// Returns how many writes have been acknowledged.
    func acknowledge(_ name: String, _ value: String, _ answer: Document, isCreation: Bool, floor: Int64) -> Int {
        state.withLock { state in
            let revision = Int64(answer.text("metadata", "resourceVersion") ?? "") ?? -1
            if revision <= floor { state.problems.append("\(name) was given revision \(revision), not after \(floor)") }
            let write = Write(name: name, value: value, isCreation: isCreation)
            if let other = state.acknowledged.updateValue(write, forKey: revision) {
                state.problems.append("revision \(revision) was given to \(other) and to \(write)")
            }
            state.objects[name] = (revision, value)
            state.newest = max(state.newest, revision)
            state.acknowledgements += 1
            return state.acknowledgements
        }
    }

    func acknowledgeDeletion(_ name: String) -> Int {
        state.withLock { state in
            state.objects[name] = nil
            state.acknowledgements += 1
            return state.acknowledgements
        }
    }

    func see(_ event: WatchEvent) {
        let type =
            switch event {
            case .added: "ADDED"
            case .modified: "MODIFIED"
            case .deleted: "DELETED"
            case .bookmark: "BOOKMARK"
            }
        state.withLock { state in
            let revision = Int64(event.object.text("metadata", "resourceVersion") ?? "") ?? -1
            let isNews = type == "BOOKMARK" ? revision >= state.watched : revision > state.watched
            if !isNews { state.problems.append("\(type) at \(revision) came after \(state.watched)") }
            state.watched = max(state.watched, revision)
            state.newest = max(state.newest, revision)
            guard type != "BOOKMARK" else { return }
            state.events.append(
                Seen(
                    revision: revision, type: type, name: event.object.text("metadata", "name") ?? "",
                    value: event.object.text("data", "value") ?? ""))
        }
    }
}

/// Kills a real server in the middle of writes, again and again, and holds what it says afterwards against what it had
/// acknowledged. `LAB_KILL_ROUNDS` and `LAB_KILL_WRITES` (over all rounds) ask for more.
@Suite(.enabled(if: Machine.binary != nil, "\(ServerProcess.why)"))
struct KillTests {
    private static func number(_ name: String, _ usual: Int) -> Int {
        getenv(name).flatMap { Int(String(cString: $0)) } ?? usual
    }

    @Test func whatWasAcknowledgedOutlivesTheServer() async throws {
        let rounds = Self.number("LAB_KILL_ROUNDS", 3)
        let writes = Self.number("LAB_KILL_WRITES", 300)
        let server = ServerProcess("kill")
        defer { server.remove() }
        let ledger = Ledger()
        for round in 0...rounds {
            try server.start()
            let access = try server.access
            let pid = server.pid
            // The kill falls at another moment of the writing each time.
            let target = ledger.state.withLock { $0.acknowledgements } + max(1, writes / rounds) + round % 7
            try await EventLoop.runOnThread { loop in
                let client = try RawClient(access, world: .live(loop))
                let floor = try await Self.verify(client, ledger, round: round)
                guard round < rounds else { return }
                try await Self.write(client.api, ledger, round: round, floor: floor) { count in
                    if count == target { kill(pid, SIGKILL) }
                }
            }
            let problems = ledger.state.withLock { $0.problems }
            #expect(problems.isEmpty, "round \(round): \(problems.prefix(10).joined(separator: "\n"))")
            if !problems.isEmpty { return }
            let outcome = server.stop(round < rounds ? SIGKILL : SIGTERM)
            if round == rounds { #expect(outcome?.code == 0, "\(String(describing: outcome))") }
        }
        let state = ledger.state.withLock { ($0.acknowledgements, $0.events.count) }
        #expect(state.0 >= writes && state.1 > state.0 / 2, "\(state)")
        print("kill: \(rounds) kills, \(state.0) writes acknowledged, \(state.1) events seen")
    }

    /// Several writers and a watcher, until the server is gone. `acknowledged` hears each count as it is reached.
    private static func write(
        _ client: APIClient, _ ledger: Ledger, round: Int, floor: Int64,
        acknowledged: @escaping @Sendable (Int) -> Void
    ) async throws {
        try await withThrowingTaskGroup { group in
            for number in 0..<6 {
                group.addTask {
                    var writer = Writer(client: client, ledger: ledger, round: round, number: number, floor: floor)
                    while let count = try await writer.step() { acknowledged(count) }
                }
            }
            group.addTask {
                do { try await watch(client, ledger) { _ in false } } catch let status as APIStatus {
                    throw status
                } catch {
                    // The server is gone.
                }
            }
            try await group.waitForAll()
        }
    }

    private static func watch(_ client: APIClient, _ ledger: Ledger, until isLast: (WatchEvent) -> Bool) async throws {
        let from = ledger.state.withLock { $0.watched }
        let stream = try await client.watch(.configMaps, namespace: "default", resourceVersion: "\(from)")
        defer { stream.cancel() }
        while let event = try await stream.next() {
            ledger.see(event)
            if isLast(event) { return }
        }
    }

    /// Compares the server with the ledger, and settles what was open. Returns the revision at which the server stands.
    private static func verify(_ client: RawClient, _ ledger: Ledger, round: Int) async throws -> Int64 {
        let list = try await client.api.list(.configMaps, namespace: "default")
        let revision = Int64(list.text("metadata", "resourceVersion") ?? "") ?? -1
        if round == 0 {
            ledger.state.withLock { $0.watched = revision }
            return revision
        }
        var found: [String: (revision: Int64, value: String)] = [:]
        for item in list.list("items") {
            found[item.text("metadata", "name") ?? ""] = (
                Int64(item.text("metadata", "resourceVersion") ?? "") ?? -1, item.text("data", "value") ?? ""
            )
        }
        ledger.state.withLock { state in
            if revision < state.newest {
                state.problems.append("the revision went from \(state.newest) to \(revision)")
            }
            compare(found, &state)
        }
        // The watch goes on where it was cut off, and has told everything once it tells of a write made now.
        let name = "sentinel-\(round)"
        let made = try await client.api.create(.configMaps, object(name, "sentinel"))
        _ = ledger.acknowledge(name, "sentinel", made, isCreation: true, floor: revision)
        try await client.within {
            try await watch(client.api, ledger) { $0.object.text("metadata", "name") == name }
        }
        ledger.state.withLock { compareEvents(&$0) }
        return revision
    }

    private static func compare(_ found: [String: (revision: Int64, value: String)], _ state: inout Ledger.State) {
        for name in Set(found.keys).union(state.objects.keys).union(state.pending.keys) {
            let known = state.objects[name]
            let now = found[name]
            let isAsKnown = known?.revision == now?.revision && known?.value == now?.value
            if !isAsKnown {
                // An unanswered write may have happened, as a whole.
                let wanted = state.pending[name]
                let happened =
                    wanted.map { $0 == now?.value && (now?.revision ?? .max) > (known?.revision ?? 0) } ?? false
                if !happened {
                    let known = String(describing: known)
                    state.problems.append("\(name) is \(String(describing: now)), acknowledged was \(known)")
                }
            }
            state.objects[name] = now
        }
        state.pending = [:]
    }

    /// Everything acknowledged came exactly once, and the events lead to what the server has now.
    private static func compareEvents(_ state: inout Ledger.State) {
        var byRevision: [Int64: Ledger.Seen] = [:]
        var replayed: [String: Int64] = [:]
        for event in state.events {
            byRevision[event.revision] = event
            let isThere = replayed[event.name] != nil
            if isThere == (event.type == "ADDED") {
                state.problems.append("\(event) although the object is \(isThere ? "there" : "not there")")
            }
            replayed[event.name] = event.type == "DELETED" ? nil : event.revision
        }
        for (revision, write) in state.acknowledged {
            let event = byRevision[revision]
            let type = write.isCreation ? "ADDED" : "MODIFIED"
            if event?.name != write.name || event?.value != write.value || event?.type != type {
                state.problems.append("\(write) at \(revision) was seen as \(String(describing: event))")
            }
        }
        let objects = state.objects.mapValues(\.revision)
        if replayed != objects { state.problems.append("the events lead to other objects than the list has") }
    }

    static func object(_ name: String, _ value: String) -> Document {
        [
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": ["name": Document(name), "namespace": "default"],
            "data": ["value": Document(value), "filler": Document(String(repeating: "x", count: 600))],
        ]
    }
}

/// Creates, updates, patches and deletes objects that no other writer touches.
private struct Writer {
    let client: APIClient
    let ledger: Ledger
    let floor: Int64
    private let prefix: String
    private var random: SystemRandomNumberGenerator
    private var counter = 0

    init(client: APIClient, ledger: Ledger, round: Int, number: Int, floor: Int64) {
        self.client = client
        self.ledger = ledger
        self.floor = floor
        prefix = "w\(number)"
        random = SystemRandomNumberGenerator()
        counter = round * 1_000_000
    }

    /// One write. Returns the number of acknowledged ones, nil once the server is gone.
    mutating func step() async throws -> Int? {
        counter += 1
        let name = "\(prefix)-\(Int.random(in: 0..<12, using: &random))"
        let value = "\(prefix)@\(counter)"
        let known = ledger.state.withLock { $0.objects[name] }
        let choice = Int.random(in: 0..<4, using: &random)
        do {
            guard let known else {
                let answer = try await client.create(.configMaps, KillTests.object(name, value))
                return ledger.acknowledge(name, value, answer, isCreation: true, floor: floor)
            }
            switch choice {
            case 0:
                _ = try await client.delete(.configMaps, namespace: "default", name: name)
                return ledger.acknowledgeDeletion(name)
            case 1:
                let patch: Document = ["data": ["value": Document(value)]]
                let answer = try await client.patch(.configMaps, namespace: "default", name: name, patch)
                return ledger.acknowledge(name, value, answer, isCreation: false, floor: floor)
            default:
                var object = KillTests.object(name, value)
                object.set(Document("\(known.revision)"), at: "metadata", "resourceVersion")
                let answer = try await client.update(.configMaps, name: name, object)
                return ledger.acknowledge(name, value, answer, isCreation: false, floor: floor)
            }
        } catch let status as APIStatus {
            ledger.problem("\(name): \(status)")
            return nil
        } catch {
            let isDeletion = known != nil && choice == 0
            ledger.state.withLock { $0.pending[name] = .some(isDeletion ? nil : value) }
            return nil
        }
    }
}
