import Basics
import Client
import Document
import Kinds
import Wire

/// Looks at the cluster once for a claim.
struct Observer: Sendable {
    let client: APIClient
    let locator: ResourceLocator
    let namespace: String

    private static let longestText = 8 << 20

    /// What cannot be seen now, because the object is not there or the server does not answer, is an observation too:
    /// the claim decides whether that is what it wants, and `eventually` looks again.
    func observe(_ claim: Claim) async throws -> Observation {
        do {
            switch claim.subject {
            case .object(let target):
                let type = try await locator.type(kind: target.kind, apiVersion: target.apiVersion)
                let name = target.name ?? ""
                return .objects([try await client.get(type, namespace: target.namespace ?? namespace, name: name)])
            case .objects(let target): return .objects(try await list(target))
            case .log(let pod, let container, let previous):
                return try await log(pod, container: container, previous: previous)
            case .answer(let service, let port, let path): return try await answer(service, port, path)
            case .events(let subject): return .objects(try await events(subject))
            case .metrics(let subject):
                let seen = try await text(subject.path, statusMatters: false)
                guard case .text(let text, _) = seen else { return seen }
                return .samples(MetricSample.read(text, subject))
            }
        } catch let error as CancellationError {
            throw error
        } catch let error as StepFailure {
            return .missing(error.problems.joined(separator: "; "))
        } catch let status as APIStatus where status.isNotFound {
            return .missing(status.message)
        }
    }

    func list(_ target: Target) async throws -> [Document] {
        let type = try await locator.type(kind: target.kind, apiVersion: target.apiVersion)
        let list = try await client.list(
            type, namespace: target.namespace ?? namespace, labelSelector: target.labelSelector,
            fieldSelector: target.fieldSelector)
        // Items of a list do not say their kind.
        return list.list("items").map { item in
            var item = item
            if item["kind"] == nil { item["kind"] = Document(type.kind) }
            return item
        }
    }

    private func events(_ subject: EventsSubject) async throws -> [Document] {
        let list = try await client.list(.events, namespace: subject.namespace ?? namespace)
        return list.list("items").filter { event in
            subject.patterns.allSatisfy { field, pattern in
                pattern.match(Self.text(field, of: event)) != nil
            }
        }
    }

    private static func text(_ field: String, of event: Document) -> String {
        switch field {
        case "kind": return event.text("involvedObject", "kind") ?? ""
        case "name": return event.text("involvedObject", "name") ?? ""
        case "from": return event.text("source", "component") ?? event.text("reportingComponent") ?? ""
        default: return event.text(field) ?? ""
        }
    }

    func log(
        _ pod: String, container: String?, previous: Bool = false, tail: Int? = nil
    ) async throws -> Observation {
        var query: [String] = []
        if let container { query.append("container=\(container)") }
        if previous { query.append("previous=true") }
        if let tail { query.append("tailLines=\(tail)") }
        let path = ResourceType.pods.path(namespace: namespace, name: pod, subresource: "log")
        return try await text(path + (query.isEmpty ? "" : "?" + query.joined(separator: "&")), statusMatters: false)
    }

    private func answer(_ service: String, _ port: String, _ path: String) async throws -> Observation {
        let proxy = ResourceType.services.path(namespace: namespace, name: "\(service):\(port)", subresource: "proxy")
        return try await text(proxy + (path.hasPrefix("/") ? path : "/\(path)"), statusMatters: true)
    }

    private func text(_ path: String, statusMatters: Bool) async throws -> Observation {
        var request = Request("GET", path)
        request.headers["Accept"] = "*/*"
        let response = try await client.raw(request)
        let body = String(decoding: try await response.collect(limit: Self.longestText), as: UTF8.self)
        if !statusMatters, response.status != 200 {
            let message = (try? Document(json: body)).flatMap { APIStatus($0) }?.message ?? body
            return .missing("HTTP status \(response.status): \(message)")
        }
        return .text(body, status: response.status)
    }
}
