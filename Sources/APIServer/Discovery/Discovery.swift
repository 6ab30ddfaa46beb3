import Basics
import Document
import Schema
import Wire

/// What there is, told in the two forms that clients ask for: one document a group version (legacy),
/// and everything at once (aggregated). Pure: a list of resources in, documents out.
public struct Discovery: Sendable {
    /// Group versions in the order in which clients shall prefer them.
    let groupVersions: [(group: String, version: String)]
    let resources: [ResourceInfo]
    /// What other servers answer for.
    let remotes: [Aggregator.Remote]
    let serverAddress: String

    init(
        groupVersions: [(group: String, version: String)], resources: [ResourceInfo],
        remotes: [Aggregator.Remote] = [], serverAddress: String
    ) {
        self.groupVersions = groupVersions
        self.resources = resources
        self.remotes = remotes.sorted {
            $0.versionPriority == $1.versionPriority
                ? VersionPriority.comesBefore($0.version, $1.version) : $0.versionPriority > $1.versionPriority
        }
        self.serverAddress = serverAddress
    }

    public static let aggregatedType =
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

    private func members(of group: String, _ version: String) -> [ResourceInfo] {
        resources.filter { $0.group == group && $0.version == version }.sorted { $0.plural < $1.plural }
    }

    private var groups: [String] {
        var seen: Set<String> = [""]
        var groups = groupVersions.map(\.group).filter { seen.insert($0).inserted }
        // Groups of other servers stand where their rank puts them among ours.
        for remote in remotes.sorted(by: { $0.groupPriority > $1.groupPriority })
        where seen.insert(remote.group).inserted {
            let place = groups.firstIndex { rank($0) < remote.groupPriority } ?? groups.endIndex
            groups.insert(remote.group, at: place)
        }
        return groups
    }

    private func rank(_ group: String) -> Int {
        guard groupVersions.contains(where: { $0.group == group }) else {
            return remotes.filter { $0.group == group }.map(\.groupPriority).max() ?? 0
        }
        // Upstream lists its own registrations' group before all others.
        return group == "apiregistration.k8s.io" ? .max : LocalServices.groupPriority(group)
    }

    private func versions(of group: String) -> [String] {
        groupVersions.filter { $0.group == group }.map(\.version)
            + remotes.filter { $0.group == group }.map(\.version)
    }

    private static let terminatingVerbs = ["delete", "deletecollection", "get", "list", "watch"]

    private func verbs(of resource: ResourceInfo) -> [String] {
        resource.isTerminating ? Self.terminatingVerbs : resource.verbs
    }

    // MARK: Legacy

    /// `GET /api`
    public var coreVersions: Document {
        [
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [["clientCIDR": "0.0.0.0/0", "serverAddress": Document(serverAddress)]],
        ]
    }

    /// `GET /apis`
    public var groupList: Document {
        [
            "kind": "APIGroupList", "apiVersion": "v1",
            "groups": Document(groups.compactMap { group(named: $0, standalone: false) }),
        ]
    }

    /// `GET /apis/GROUP`; nil where there is no such group.
    public func group(named name: String, standalone: Bool = true) -> Document? {
        let versions = versions(of: name)
        guard let preferred = versions.first, !name.isEmpty else { return nil }
        func entry(_ version: String) -> Document {
            ["groupVersion": Document("\(name)/\(version)"), "version": Document(version)]
        }
        var result = Document.emptyObject
        if standalone {
            result["kind"] = "APIGroup"
            result["apiVersion"] = "v1"
        }
        result["name"] = Document(name)
        result["versions"] = Document(versions.map(entry))
        result["preferredVersion"] = entry(preferred)
        return result
    }

    /// `GET /api/v1`, `GET /apis/GROUP/VERSION`; nil where there is no such version.
    public func resourceList(group: String, version: String) -> Document? {
        guard groupVersions.contains(where: { $0.group == group && $0.version == version }) else { return nil }
        var list: [Document] = []
        for resource in members(of: group, version) {
            if !resource.verbs.isEmpty { list.append(legacy(resource)) }
            let parts = resource.subresources
            for subresource in resource.custom == nil ? parts.sorted(by: { $0.name < $1.name }) : parts {
                list.append(legacy(subresource, of: resource))
            }
        }
        var result: Document = ["kind": "APIResourceList"]
        if !group.isEmpty { result["apiVersion"] = "v1" }
        result["groupVersion"] = Document(group.isEmpty ? version : "\(group)/\(version)")
        result["resources"] = Document(list)
        return result
    }

    private func legacy(_ resource: ResourceInfo) -> Document {
        var entry: Document = [
            "name": Document(resource.plural), "singularName": Document(resource.singular),
            "namespaced": Document(resource.namespaced), "kind": Document(resource.kind),
            "verbs": Document(verbs(of: resource)),
        ]
        if !resource.shortNames.isEmpty { entry["shortNames"] = Document(resource.shortNames) }
        if !resource.categories.isEmpty { entry["categories"] = Document(resource.categories) }
        if resource.verbs.contains("list") { entry["storageVersionHash"] = Document(Self.storageHash(resource)) }
        return entry
    }

    /// Changes when objects are stored in another version, so that a migration knows when it is due.
    private static func storageHash(_ resource: ResourceInfo) -> String {
        var (group, version) = (resource.group, resource.custom?.storageVersion ?? resource.version)
        switch (resource.group, resource.kind) {
        case ("events.k8s.io", "Event"): (group, version) = ("", "v1")
        case ("autoscaling", "HorizontalPodAutoscaler"): version = "v2"
        default: break
        }
        return Base64.encode(Array(Digest.sha256(Array("\(group)/\(version)/\(resource.kind)".utf8)).prefix(8)))
    }

    private func legacy(_ subresource: SubresourceInfo, of resource: ResourceInfo) -> Document {
        var entry: Document = [
            "name": Document("\(resource.plural)/\(subresource.name)"), "singularName": "",
            "namespaced": Document(resource.namespaced),
        ]
        if !subresource.version.isEmpty, subresource.group != resource.group || subresource.version != resource.version
        {
            if !subresource.group.isEmpty { entry["group"] = Document(subresource.group) }
            entry["version"] = Document(subresource.version)
        }
        entry["kind"] = Document(subresource.kind)
        entry["verbs"] = Document(subresource.verbs)
        return entry
    }

    // MARK: Aggregated

    /// `GET /api` (core) or `GET /apis` (the rest), when the client accepts the aggregated form.
    public func aggregated(core: Bool) -> Document {
        let items = (core ? [""] : groups).map { group -> Document in
            var versions = groupVersions.filter { $0.group == group }.map { entry -> Document in
                [
                    "version": Document(entry.version),
                    "resources": Document(members(of: group, entry.version).map(aggregated)),
                    "freshness": "Current",
                ]
            }
            for remote in remotes where remote.group == group {
                versions.append([
                    "version": Document(remote.version), "resources": Document(RemoteResources.aggregated(remote)),
                    "freshness": remote.finding.isAvailable ? "Current" : "Stale",
                ])
            }
            var metadata = Document.emptyObject
            if !group.isEmpty { metadata["name"] = Document(group) }
            return ["metadata": metadata, "versions": Document(versions)]
        }
        return [
            "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": [:],
            "items": Document(items),
        ]
    }

    private func aggregated(_ resource: ResourceInfo) -> Document {
        // Empty is the list's own; only what definitions add is spelled out.
        let (group, version) = resource.custom == nil ? ("", "") : (resource.group, resource.version)
        var entry: Document = [
            "resource": Document(resource.plural),
            "responseKind": [
                "group": Document(group), "version": Document(version), "kind": Document(resource.kind),
            ],
            "scope": resource.namespaced ? "Namespaced" : "Cluster",
            "singularResource": Document(resource.singular), "verbs": Document(verbs(of: resource)),
        ]
        if !resource.shortNames.isEmpty { entry["shortNames"] = Document(resource.shortNames) }
        if !resource.categories.isEmpty { entry["categories"] = Document(resource.categories) }
        let subresources = resource.subresources.sorted { $0.name < $1.name }.map { subresource -> Document in
            let own =
                subresource.version.isEmpty
                || (subresource.group == resource.group && subresource.version == resource.version)
            return [
                "subresource": Document(subresource.name),
                "responseKind": [
                    "group": Document(own ? group : subresource.group),
                    "version": Document(own ? version : subresource.version), "kind": Document(subresource.kind),
                ],
                "verbs": Document(subresource.verbs),
            ]
        }
        if !subresources.isEmpty { entry["subresources"] = Document(subresources) }
        return entry
    }
}
