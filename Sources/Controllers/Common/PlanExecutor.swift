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

    init(client: APIClient, recorder: EventRecorder, log: Log) {
        self.client = client
        self.recorder = recorder
        self.log = log
    }

    /// Answers the first failure.
    mutating func execute(_ plan: Plan) async -> (any Error)? {
        var failure: (any Error)?
        for step in plan.steps where failure == nil { failure = await execute(step) }
        for action in plan.finally { failure = await attempt([action]) ?? failure }
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
        let (client, recorder) = (client, recorder)
        let results = await withTaskGroup(of: (Int, Result<Write?, any Error>).self) { group in
            for (index, action) in actions.enumerated() {
                group.addTask {
                    do { return (index, .success(try await Self.perform(action, client, recorder))) } catch {
                        return (index, .failure(error))
                    }
                }
            }
            var results: [(Int, Result<Write?, any Error>)] = []
            for await result in group { results.append(result) }
            return results.sorted { $0.0 < $1.0 }.map(\.1)
        }
        var failure: (any Error)?
        for result in results {
            switch result {
            case .success(let write): if let write { writes.append(write) }
            case .failure(let error): failure = failure ?? error
            }
        }
        return failure
    }

    private static func perform(
        _ action: Action, _ client: APIClient, _ recorder: EventRecorder
    ) async throws -> Write? {
        switch action {
        case .create(let resource, let object, let owner):
            return try await create(resource, object, owner, client, recorder)
        case .update(let resource, let object, let subresource):
            let answer = try await client.update(
                resource, namespace: object.namespace, name: object.name, object, subresource: subresource)
            return Write(resource, answer)
        case .patch(let resource, let namespace, let name, let patch, let subresource):
            do {
                let answer = try await client.patch(
                    resource, namespace: namespace, name: name, patch, subresource: subresource)
                return Write(resource, answer)
            } catch let status as APIStatus where status.isNotFound {
                return nil  // nothing left to bring anywhere
            }
        case .delete(let resource, let object, let owner, let grace, let propagation):
            return try await delete(resource, object, owner, grace, propagation, client, recorder)
        case .event(let object, let type, let reason, let message):
            await recorder.record(object, type: type, reason: reason, message: message)
            return nil
        }
    }

    private static func create(
        _ resource: ResourceType, _ object: Document, _ owner: Document?, _ client: APIClient,
        _ recorder: EventRecorder
    ) async throws -> Write? {
        let kind = resource.kind.lowercased()
        do {
            let created = try await client.create(resource, object)
            if let owner {
                await recorder.record(
                    owner, type: .normal, reason: "SuccessfulCreate", message: "Created \(kind): \(created.name)")
            }
            return Write(resource, created)
        } catch let status as APIStatus {
            // In a namespace that goes away nothing can be created, and nothing needs to be.
            if status.causes.contains(where: { $0.reason == "NamespaceTerminating" }) { return nil }
            if let owner {
                await recorder.record(
                    owner, type: .warning, reason: "FailedCreate", message: "Error creating: \(status.message)")
            }
            throw status
        }
    }

    private static func delete(
        _ resource: ResourceType, _ object: Document, _ owner: Document?, _ grace: Int?, _ propagation: String?,
        _ client: APIClient, _ recorder: EventRecorder
    ) async throws -> Write? {
        var options: Document = [
            "kind": "DeleteOptions", "apiVersion": "v1", "preconditions": ["uid": Document(object.uid)],
        ]
        if let grace { options["gracePeriodSeconds"] = Document(grace) }
        if let propagation { options["propagationPolicy"] = Document(propagation) }
        do {
            _ = try await client.delete(resource, namespace: object.namespace, name: object.name, options: options)
        } catch let status as APIStatus where status.isNotFound {
            return nil
        } catch let status as APIStatus where status.isConflict {
            // Another object under the same name: the one that was meant is gone.
            return nil
        } catch let status as APIStatus {
            if let owner {
                await recorder.record(
                    owner, type: .warning, reason: "FailedDelete", message: "Error deleting: \(status.message)")
            }
            throw status
        }
        if let owner {
            let kind = resource.kind.lowercased()
            await recorder.record(
                owner, type: .normal, reason: "SuccessfulDelete", message: "Deleted \(kind): \(object.name)")
        }
        return Write(resource: resource, key: ObjectKey.of(object), uid: object.uid, version: nil)
    }
}

extension Write {
    fileprivate init?(_ resource: ResourceType, _ answer: Document) {
        guard let version = answer.text("metadata", "resourceVersion") else { return nil }
        self.init(resource: resource, key: ObjectKey.of(answer), uid: answer.uid, version: version)
    }
}
