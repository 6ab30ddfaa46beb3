import Document

/// Another server's resources in the aggregated form, made from its list in the legacy form.
enum RemoteResources {
    static func aggregated(_ remote: Aggregator.Remote) -> [Document] {
        var order: [String] = []
        var entries: [String: Document] = [:]
        var parts: [String: [Document]] = [:]
        for resource in remote.resources {
            let name = resource.text("name") ?? ""
            let pieces = name.split(separator: "/", maxSplits: 1).map(String.init)
            guard let plural = pieces.first else { continue }
            let kind: Document = [
                "group": resource["group"] ?? Document(remote.group),
                "version": resource["version"] ?? Document(remote.version), "kind": resource["kind"] ?? "",
            ]
            let verbs = resource["verbs"] ?? []
            if pieces.count == 2 {
                parts[plural, default: []].append([
                    "subresource": Document(pieces[1]), "responseKind": kind, "verbs": verbs,
                ])
                continue
            }
            var entry: Document = [
                "resource": Document(plural), "responseKind": kind,
                "scope": resource.flag("namespaced") == true ? "Namespaced" : "Cluster",
                "singularResource": resource["singularName"] ?? "", "verbs": verbs,
            ]
            for field in ["shortNames", "categories"] where !resource.list(field).isEmpty {
                entry[field] = resource[field]
            }
            order.append(plural)
            entries[plural] = entry
        }
        return order.compactMap { plural in
            guard var entry = entries[plural] else { return nil }
            if let list = parts[plural] { entry["subresources"] = Document(list) }
            return entry
        }
    }
}
