import Basics
import Document
import Kinds
import Synchronization

/// Tells users what happened to an object. An event that repeats raises the count of the first one.
///
/// Events are advice: recording never fails the caller, and an object that floods is cut off
/// (25 events at once, then one in five minutes).
public struct EventRecorder: Sendable {
    public enum EventType: String, Sendable { case normal = "Normal", warning = "Warning" }

    private let client: APIClient
    private let component: String
    private let host: String?
    private let world: World
    private let memory = EventMemory()

    public init(_ client: APIClient, component: String, host: String? = nil, world: World) {
        self.client = client
        self.component = component
        self.host = host
        self.world = world
    }

    public func record(_ object: Document, type: String, reason: String, message: String) async {
        await record(object, type: EventType(rawValue: type) ?? .normal, reason: reason, message: message)
    }

    /// `fieldPath` names a part of the object, such as `spec.containers{web}`.
    public func record(
        _ object: Document, type: EventType, reason: String, message: String, fieldPath: String? = nil
    ) async {
        let now = world.clock.now
        let reference = Self.reference(to: object, fieldPath: fieldPath)
        let subject = reference.jsonText
        guard memory.admit(subject, at: now) else { return }
        let identity = "\(subject)|\(type.rawValue)|\(reason)|\(message)"
        let namespace = object.text("metadata", "namespace") ?? "default"
        do {
            if let earlier = memory.earlier(identity) {
                let patch: Document = ["count": Document(earlier.count + 1), "lastTimestamp": Document(now.rfc3339())]
                do {
                    _ = try await client.patch(.events, namespace: namespace, name: earlier.name, patch)
                    return memory.remember(identity, name: earlier.name, count: earlier.count + 1)
                } catch let status as APIStatus where status.isNotFound {
                    memory.forget(identity)  // the event has expired: begin anew
                }
            }
            let event = self.event(reference, namespace, type, reason, message, at: now)
            let created = try await client.create(.events, namespace: namespace, event)
            memory.remember(identity, name: created.text("metadata", "name") ?? "", count: 1)
        } catch {
            // Nothing depends on an event; whoever is watching sees the object itself.
        }
    }

    private func event(
        _ reference: Document, _ namespace: String, _ type: EventType, _ reason: String, _ message: String,
        at now: Timestamp
    ) -> Document {
        var source: Document = ["component": Document(component)]
        if let host { source["host"] = Document(host) }
        let stamp = String(UInt64(bitPattern: now.nanoseconds), radix: 16)
        let name = "\(reference.text("name") ?? "").\(stamp)\(Identifier.suffix(3, from: world.random))"
        return [
            "kind": "Event", "apiVersion": "v1",
            "metadata": ["name": Document(name), "namespace": Document(namespace)],
            "involvedObject": reference, "reason": Document(reason), "message": Document(Self.bounded(message)),
            "source": source, "firstTimestamp": Document(now.rfc3339()), "lastTimestamp": Document(now.rfc3339()),
            "count": 1, "type": Document(type.rawValue), "eventTime": .null,
            "reportingComponent": Document(component), "reportingInstance": Document(host ?? ""),
        ]
    }

    /// The API refuses messages above 1,024 bytes.
    private static func bounded(_ message: String) -> String {
        if message.utf8.count <= 1_024 { return message }
        var end = message.utf8.index(message.startIndex, offsetBy: 1_020)
        while end.samePosition(in: message) == nil { end = message.utf8.index(before: end) }
        return message[..<end] + "…"
    }

    static func reference(to object: Document, fieldPath: String?) -> Document {
        var reference = Document.emptyObject
        reference["kind"] = object["kind"]
        reference["namespace"] = object.at("metadata", "namespace")
        reference["name"] = object.at("metadata", "name")
        reference["uid"] = object.at("metadata", "uid")
        reference["apiVersion"] = object["apiVersion"]
        if let fieldPath { reference["fieldPath"] = Document(fieldPath) }
        return reference
    }
}

/// What a recorder remembers of its events, bounded: beyond the limit the oldest are forgotten
/// and would be created anew.
private final class EventMemory: Sendable {
    struct Entry {
        var name: String
        var count: Int
    }

    struct Allowance {
        var tokens: Double
        var updated: Timestamp
    }

    private struct State {
        var entries: [String: Entry] = [:]
        var allowances: [String: Allowance] = [:]
    }

    private static let limit = 4_096
    private static let burst = 25.0
    private static let secondsPerEvent = 300.0
    private let state = Mutex(State())

    func admit(_ subject: String, at now: Timestamp) -> Bool {
        state.withLock { state in
            if state.allowances.count >= Self.limit { state.allowances = [:] }
            var allowance = state.allowances[subject] ?? Allowance(tokens: Self.burst, updated: now)
            let gained = (now - allowance.updated).inSeconds / Self.secondsPerEvent
            allowance = Allowance(tokens: min(Self.burst, allowance.tokens + max(0, gained)), updated: now)
            let isAdmitted = allowance.tokens >= 1
            if isAdmitted { allowance.tokens -= 1 }
            state.allowances[subject] = allowance
            return isAdmitted
        }
    }

    func earlier(_ identity: String) -> Entry? { state.withLock { $0.entries[identity] } }

    func remember(_ identity: String, name: String, count: Int) {
        state.withLock { state in
            if state.entries.count >= Self.limit { state.entries = [:] }
            state.entries[identity] = Entry(name: name, count: count)
        }
    }

    func forget(_ identity: String) { state.withLock { $0.entries[identity] = nil } }
}
