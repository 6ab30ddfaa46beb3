import Client
import Document
import Wire

/// Finds the URL of a kind: the built-in ones by heart, all others from the server's discovery.
actor ResourceLocator {
    private let client: APIClient
    private var discovered: [String: [ResourceType]] = [:]

    init(client: APIClient) { self.client = client }

    private static let known: [ResourceType] = [
        .configMaps, .endpoints, .events, .limitRanges, .namespaces, .nodes, .persistentVolumeClaims,
        .persistentVolumes, .pods, .podTemplates, .replicationControllers, .resourceQuotas, .secrets, .serviceAccounts,
        .services, .controllerRevisions, .daemonSets, .deployments, .replicaSets, .statefulSets, .jobs, .cronJobs,
        .horizontalPodAutoscalers, .podDisruptionBudgets, .endpointSlices, .leases, .ingresses, .networkPolicies,
        .storageClasses, .csiDrivers, .csiNodes, .csiStorageCapacities, .volumeAttributesClasses, .volumeAttachments,
        .priorityClasses, .runtimeClasses, .certificateSigningRequests, .customResourceDefinitions,
        .roles, .roleBindings, .clusterRoles, .clusterRoleBindings,
    ]

    func type(kind: String, apiVersion: String?) async throws -> ResourceType {
        let fitting = Self.known.first {
            $0.kind == kind && (apiVersion == nil || $0.apiVersion == apiVersion)
        }
        if let fitting { return fitting }
        guard let apiVersion else { throw StepFailure("the kind \(kind) needs an apiVersion") }
        if discovered[apiVersion] == nil { discovered[apiVersion] = try await discover(apiVersion) }
        guard let found = discovered[apiVersion]?.first(where: { $0.kind == kind }) else {
            // A definition may have been created since: what is absent is asked for again next time.
            discovered[apiVersion] = nil
            throw StepFailure("the server has no kind \(kind) in \(apiVersion)")
        }
        return found
    }

    private func discover(_ apiVersion: String) async throws -> [ResourceType] {
        let path = apiVersion.contains("/") ? "/apis/\(apiVersion)" : "/api/\(apiVersion)"
        let response = try await client.raw(Request("GET", path))
        let body = try await response.collect(limit: 16 << 20)
        guard response.status == 200 else { return [] }
        let parts = apiVersion.split(separator: "/").map(String.init)
        return try Document(json: body).list("resources").compactMap { entry in
            guard let plural = entry.text("name"), !plural.contains("/"), let kind = entry.text("kind") else {
                return nil
            }
            return ResourceType(
                group: parts.count > 1 ? parts[0] : "", version: parts.last ?? apiVersion, plural: plural, kind: kind,
                namespaced: entry.flag("namespaced") ?? true)
        }
    }
}
