import Basics
import Client
import Document
import Synchronization

/// Events wait here so that no pod waits for them. Beyond the bound the newest are dropped: events are hints.
final class EventQueue: Sendable {
    private struct Item: Sendable {
        var object: Document
        var type: String
        var reason: String
        var message: String
        var fieldPath: String?
    }

    private static let limit = 2048
    private let recorder: EventRecorder
    private let items = Mutex<[Item]>([])
    private let arrival = Wakeup()

    init(_ recorder: EventRecorder) { self.recorder = recorder }

    func add(_ object: Document, type: String, reason: String, message: String, fieldPath: String? = nil) {
        items.withLock { items in
            guard items.count < Self.limit else { return }
            items.append(Item(object: object, type: type, reason: reason, message: message, fieldPath: fieldPath))
        }
        arrival.wake()
    }

    func run() async throws {
        while true {
            let ticket = arrival.ticket
            let batch = items.withLock { items in
                defer { items = [] }
                return items
            }
            for item in batch {
                try Task.checkCancellation()
                await recorder.record(
                    item.object, type: EventRecorder.EventType(rawValue: item.type) ?? .normal, reason: item.reason,
                    message: item.message, fieldPath: item.fieldPath)
            }
            if batch.isEmpty { try await arrival.wait(since: ticket) }
        }
    }
}
