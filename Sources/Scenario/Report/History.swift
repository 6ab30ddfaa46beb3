import Basics
import Client
import Document

/// Asks the server, after a failure, for all that happened in a namespace since it was made: the server still knows
/// every version of every object, so nothing has to be recorded while a scenario runs.
struct History: Sendable {
    let client: APIClient
    let namespace: String
    let begun: Timestamp
    /// Where the namespace's history begins; nil where the namespace was not made.
    let revision: String?

    static let mostVersions = 2_000

    private static let types: [ResourceType] = [
        .events, .pods, .services, .endpointSlices, .configMaps, .secrets, .persistentVolumeClaims,
        .replicationControllers, .deployments, .replicaSets, .statefulSets, .daemonSets, .jobs, .cronJobs,
        .horizontalPodAutoscalers, .podDisruptionBudgets, .ingresses, .networkPolicies, .resourceQuotas,
    ]

    func collect(steps: [StepRecord]) async -> [TimelineEntry] {
        guard let revision else { return [] }
        var versions: [Chronicle.Version] = []
        await withTaskGroup(of: [Chronicle.Version].self) { group in
            for type in Self.types { group.addTask { await replay(type, from: revision) } }
            for await found in group { versions += found }
        }
        return Chronicle(begun: begun, versions: Array(versions.prefix(Self.mostVersions))).entries
    }

    /// What has been, in the server's order: it ends the watch itself when it has nothing more to tell for a second.
    private func replay(_ type: ResourceType, from revision: String) async -> [Chronicle.Version] {
        var versions: [Chronicle.Version] = []
        do {
            let stream = try await client.watch(
                type, namespace: namespace, resourceVersion: revision, timeoutSeconds: 1)
            while let event = try await stream.next(), versions.count < Self.mostVersions {
                switch event {
                case .added(let object), .modified(let object):
                    versions.append(Chronicle.Version(kind: type.kind, object: object, isDeleted: false))
                case .deleted(let object):
                    versions.append(Chronicle.Version(kind: type.kind, object: object, isDeleted: true))
                case .bookmark: continue
                }
            }
            stream.cancel()
        } catch {
            // A kind that the server does not have, or a history that it has forgotten: the rest still tells.
        }
        return versions
    }
}
