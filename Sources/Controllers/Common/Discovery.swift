import Client
import Document
import Kinds
import Wire

/// What the server serves now, custom resources and aggregated groups included.
struct Discovery: Sendable {
    struct Resource: Sendable, Hashable {
        var type: ResourceType
        var verbs: [String]
    }

    /// Groups that could not be read, with the reason.
    var failures: [String] = []
    var failedGroups: [String] = []
    var resources: [Resource] = []

    /// Reads the preferred version of every group.
    init(_ client: APIClient) async throws {
        try await add(Self.get(client, "/api/v1"), group: "", version: "v1")
        for group in try await Self.get(client, "/apis").list("groups") {
            guard let name = group.text("name"),
                let version = group.text("preferredVersion", "version") ?? group.list("versions").first?.text("version")
            else { continue }
            do {
                add(try await Self.get(client, "/apis/\(name)/\(version)"), group: name, version: version)
            } catch let status as APIStatus {
                failures.append("\(name)/\(version): \(status.message)")
                failedGroups.append(name)
            }
        }
    }

    private mutating func add(_ list: Document, group: String, version: String) {
        for entry in list.list("resources") {
            guard let name = entry.text("name"), !name.contains("/"), let kind = entry.text("kind") else { continue }
            let type = ResourceType(
                group: group, version: version, plural: name, kind: kind, namespaced: entry.flag("namespaced") ?? false)
            resources.append(Resource(type: type, verbs: entry.list("verbs").compactMap(\.string)))
        }
    }

    private static func get(_ client: APIClient, _ path: String) async throws -> Document {
        let answer = try await client.raw(Request("GET", path))
        let document = try Document(json: try await answer.collect(limit: 16 << 20))
        if let status = APIStatus(document), answer.status >= 400 { throw status }
        return document
    }
}
