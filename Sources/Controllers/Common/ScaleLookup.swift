import Client
import Document
import Kinds

/// Finds the `scale` of an object of any kind, built in or custom, by asking the server.
struct ScaleLookup {
    /// What is known so far.
    enum Finding {
        /// Ask this first.
        case question(path: String)
        case scale(Document, ResourceType)
        /// The kind exists and cannot be scaled.
        case unscalable(ResourceType)
        case missing(APIStatus)
        /// The server knows no such kind, or not now.
        case unknownKind(APIStatus)
    }

    /// Kinds of which it is known without asking how they are called.
    private static let known: [ResourceType] = [.deployments, .replicaSets, .statefulSets, .replicationControllers]

    static func find(
        apiVersion: String, kind: String, namespace: String?, name: String, _ answers: Answers
    ) -> Finding {
        let parts = apiVersion.split(separator: "/", maxSplits: 1).map { String($0) }
        let (group, version) = parts.count == 2 ? (parts[0], parts[1]) : ("", apiVersion)
        let resource: ResourceType
        if let known = known.first(where: { $0.apiVersion == apiVersion && $0.kind == kind }) {
            resource = known
        } else {
            let path = group.isEmpty ? "/api/\(version)" : "/apis/\(group)/\(version)"
            guard let answer = answers[path] else { return .question(path: path) }
            let list: Document
            switch answer {
            case .success(let document): list = document
            case .failure(let status): return .unknownKind(status)
            }
            let entries = list.list("resources")
            guard
                let entry = entries.first(where: { $0.text("kind") == kind && $0.text("name")?.contains("/") == false }
                ),
                let plural = entry.text("name")
            else {
                return .unknownKind(
                    APIStatus(
                        code: 404, reason: "NotFound",
                        message: "no matches for kind \"\(kind)\" in version \"\(apiVersion)\""))
            }
            resource = ResourceType(
                group: group, version: version, plural: plural, kind: kind,
                namespaced: entry.flag("namespaced") ?? true)
            if !entries.contains(where: { $0.text("name") == plural + "/scale" }) { return .unscalable(resource) }
        }
        let path = resource.path(namespace: namespace, name: name, subresource: "scale")
        switch answers[path] {
        case .success(let scale): return .scale(scale, resource)
        case .failure(let status): return .missing(status)
        case nil: return .question(path: path)
        }
    }
}
