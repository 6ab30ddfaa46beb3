import Basics
import Client
import Document
import Kinds

/// Does what a plan says, and keeps what it wrote.
struct PlanExecutor {
    let client: APIClient
    let recorder: EventRecorder
    let log: Log
    private(set) var writes: [Write] = []
    /// Told at the very end: nobody's work waits for an event.
    private var announcements: [Announcement] = []

    fileprivate struct Announcement: Sendable {
        var subject: Document
        var type: EventRecorder.EventType
        var reason: String
        var message: String
    }

    private struct Outcome: Sendable {
        var write: Write?
        var failure: (any Error)?
        var announcement: Announcement?
    }

    init(client: APIClient, recorder: EventRecorder, log: Log) {
        self.client = client
        self.recorder = recorder
        self.log = log
    }

    /// Answers the first failure.
    mutating func execute(_ plan: Plan) async -> (any Error)? {
        var failure: (any Error)?
        for step in plan.steps where failure == nil { failure = await execute(step) }
        for action in plan.finally {
            let late = await attempt([action])
            failure = failure ?? late
        }
        for event in announcements {
            await recorder.record(event.subject, type: event.type, reason: event.reason, message: event.message)
        }
        announcements = []
        return failure
    }

    private mutating func execute(_ step: Step) async -> (any Error)? {
        switch step {
        case .inOrder(let actions):
            for action in actions { if let failure = await attempt([action]) { return failure } }
            return nil
        case .together(let actions):
            return await attempt(actions)
        case .slowStart(let actions):
            var rest = actions[...]
            var size = 1
            while !rest.isEmpty {
                if let failure = await attempt(Array(rest.prefix(size))) { return failure }
                rest = rest.dropFirst(size)
                size *= 2
            }
            return nil
        }
    }

    /// Performs all of `actions` at the same time.
    private mutating func attempt(_ actions: [Action]) async -> (any Error)? {
        let client = client
        let outcomes = await withTaskGroup(of: (Int, [Outcome]).self) { group in
            for (index, action) in actions.enumerated() {
                group.addTask { (index, await Self.performWhole(action, client)) }
            }
            var outcomes: [(Int, [Outcome])] = []
            for await outcome in group { outcomes.append(outcome) }
            return outcomes.sorted { $0.0 < $1.0 }.flatMap(\.1)
        }
        writes += outcomes.compactMap(\.write)
        announcements += outcomes.compactMap(\.announcement)
        return outcomes.lazy.compactMap(\.failure).first
    }

    private static func performWhole(_ action: Action, _ client: APIClient) async -> [Outcome] {
        guard case .unit(let parts, let notice) = action else { return [await perform(action, client)] }
        var outcomes: [Outcome] = []
        var failure: (any Error)?
        for part in parts where failure == nil {
            let partial = await performWhole(part, client)
            outcomes += partial
            failure = partial.lazy.compactMap(\.failure).first
        }
        if let announcement = notice?.announcement(of: failure) { outcomes.append(Outcome(announcement: announcement)) }
        return outcomes
    }

    private static func perform(_ action: Action, _ client: APIClient) async -> Outcome {
        do {
            switch action {
            case .create(let resource, let object, let owner):
                return await create(resource, object, owner, client)
            case .update(let resource, let object, let subresource):
                let answer = try await client.update(
                    resource, namespace: object.namespace, name: object.name, object, subresource: subresource)
                return Outcome(write: Write(resource, answer))
            case .patch(let resource, let namespace, let name, let patch, let subresource):
                let answer = try await client.patch(
                    resource, namespace: namespace, name: name, patch, subresource: subresource)
                return Outcome(write: Write(resource, answer))
            case .strategicPatch(let resource, let namespace, let name, let patch, let subresource):
                let answer = try await client.patch(
                    resource, namespace: namespace, name: name, patch, type: .strategic, subresource: subresource)
                return Outcome(write: Write(resource, answer))
            case .delete(let resource, let object, let owner, let grace, let propagation):
                return await delete(resource, object, owner, grace, propagation, client)
            case .event(let object, let type, let reason, let message):
                return Outcome(
                    announcement: Announcement(subject: object, type: type, reason: reason, message: message))
            case .checkUnused(let claim):
                try await ClaimUse.checkUnused(claim, client)
                return Outcome()
            case .unit: return Outcome()  // taken apart before it comes here
            }
        } catch let status as APIStatus where status.isNotFound && action.isPatch {
            return Outcome()  // nothing left to bring anywhere
        } catch {
            return Outcome(failure: error)
        }
    }

    private static func create(
        _ resource: ResourceType, _ object: Document, _ owner: Document?, _ client: APIClient
    ) async -> Outcome {
        do {
            let created = try await client.create(resource, object)
            let announcement = owner.map {
                Announcement(
                    subject: $0, type: .normal, reason: "SuccessfulCreate",
                    message: "Created \(resource.kind.lowercased()): \(created.name)")
            }
            return Outcome(write: Write(resource, created), announcement: announcement)
        } catch {
            // In a namespace that goes away nothing can be created, and nothing needs to be.
            let causes = (error as? APIStatus)?.causes ?? []
            if causes.contains(where: { $0.reason == "NamespaceTerminating" }) { return Outcome() }
            let announcement = owner.map {
                Announcement(
                    subject: $0, type: .warning, reason: "FailedCreate", message: "Error creating: \(error)")
            }
            return Outcome(failure: error, announcement: announcement)
        }
    }

    private static func delete(
        _ resource: ResourceType, _ object: Document, _ owner: Document?, _ grace: Int?, _ propagation: String?,
        _ client: APIClient
    ) async -> Outcome {
        var options: Document = [
            "kind": "DeleteOptions", "apiVersion": "v1", "preconditions": ["uid": Document(object.uid)],
        ]
        if let grace { options["gracePeriodSeconds"] = Document(grace) }
        if let propagation { options["propagationPolicy"] = Document(propagation) }
        do {
            _ = try await client.delete(resource, namespace: object.namespace, name: object.name, options: options)
        } catch let status as APIStatus where status.isNotFound {
            return Outcome()
        } catch let status as APIStatus where status.isConflict {
            // Another object may have the name now; otherwise the object is still there to be deleted.
            let current = try? await client.get(resource, namespace: object.namespace, name: object.name)
            return Outcome(failure: current?.uid == object.uid ? status : nil)
        } catch {
            let announcement = owner.map {
                Announcement(
                    subject: $0, type: .warning, reason: "FailedDelete", message: "Error deleting: \(error)")
            }
            return Outcome(failure: error, announcement: announcement)
        }
        let write = Write(resource: resource, key: ObjectKey.of(object), uid: object.uid, version: nil)
        let announcement = owner.map {
            Announcement(
                subject: $0, type: .normal, reason: "SuccessfulDelete",
                message: "Deleted \(resource.kind.lowercased()): \(object.name)")
        }
        return Outcome(write: write, announcement: announcement)
    }
}

extension Notice {
    /// A name that is taken is no news: the next look shows by whom.
    fileprivate func announcement(of failure: (any Error)?) -> PlanExecutor.Announcement? {
        guard let failure else {
            return .init(subject: owner, type: .normal, reason: "Successful" + verb, message: success)
        }
        if (failure as? APIStatus)?.isAlreadyExists == true { return nil }
        return .init(subject: owner, type: .warning, reason: "Failed" + verb, message: "\(self.failure)\(failure)")
    }
}

extension Action {
    fileprivate var isPatch: Bool {
        switch self {
        case .patch, .strategicPatch: true
        default: false
        }
    }
}

extension Write {
    fileprivate init?(_ resource: ResourceType, _ answer: Document) {
        guard let version = answer.text("metadata", "resourceVersion") else { return nil }
        self.init(resource: resource, key: ObjectKey.of(answer), uid: answer.uid, version: version)
    }
}
