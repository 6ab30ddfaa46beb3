import Document
import Glibc
import Kinds
import Schema
import Testing

/// Published facts about the API lie outside the repository, in the folder that LAB_REFERENCE names.
enum Reference {
    static let folder: String? = getenv("LAB_REFERENCE").map { String(cString: $0) }

    static func document(_ name: String) throws -> Document {
        let path = (folder ?? "") + "/" + name
        guard let file = fopen(path, "r") else {
            throw DocumentError(message: "cannot open \(path)", line: 0, column: 0)
        }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = fread(&buffer, 1, buffer.count, file)
            if count == 0 { break }
            bytes += buffer[..<count]
        }
        return try Document(json: bytes)
    }
}

@Suite(.enabled(if: Reference.folder != nil, "LAB_REFERENCE names no folder"))
struct ReferenceTests {
    /// Optional groups are not Kubernetes' own.
    private static let registry = Registry(extending: Kinds.registry, withholding: Kinds.optionalGroups)

    /// Every declared type against the published definitions: fields, types, requiredness, list kinds, merge keys.
    @Test func typesAreThoseOfKubernetes() throws {
        let published = try Reference.document("api-types.json")["definitions"] ?? .null
        let ours = Self.registry.openAPIv2()["definitions"] ?? .null
        var differences: [String] = []
        #expect(ours.count > 250)
        for type in ours.members {
            guard let other = published[type.key] else {
                differences.append("\(type.key): not published")
                continue
            }
            let (mine, theirs) = (Self.plain(type.value), Self.plain(other))
            if Self.same(mine, theirs) { continue }
            for name in Set(
                (mine["properties"]?.members ?? []).map(\.key) + (theirs["properties"]?.members ?? []).map(\.key)
            ).sorted() {
                let (a, b) = (mine.at("properties", name), theirs.at("properties", name))
                if !Self.same(a ?? .null, b ?? .null) {
                    differences.append(
                        "\(type.key).\(name): \(a?.jsonText ?? "absent"), published \(b?.jsonText ?? "absent")")
                }
            }
            // These two name every group version that a server has, and the published one had more.
            let isEverywhere = type.key.hasSuffix(".DeleteOptions") || type.key.hasSuffix(".WatchEvent")
            let kinds = isEverywhere ? [] : ["x-kubernetes-group-version-kind"]
            for key in ["required", "x-kubernetes-map-type", "x-kubernetes-unions", "type"] + kinds
            where !Self.same(mine[key] ?? .null, theirs[key] ?? .null) {
                differences.append(
                    "\(type.key) \(key): \(mine[key]?.jsonText ?? "absent"), published \(theirs[key]?.jsonText ?? "absent")"
                )
            }
        }
        #expect(differences == [])
    }

    /// Versions that Kubernetes does not promise to keep, and which it does not serve by default.
    private static func isUnstable(_ version: some StringProtocol) -> Bool {
        version.contains("alpha") || version.contains("beta")
    }

    /// Every published type of a stable version is declared. That its fields are, too, the test above holds.
    @Test func everyStableTypeIsDeclared() throws {
        let published = try Reference.document("api-types.json")["definitions"] ?? .null
        let ours = Set((Self.registry.openAPIv2()["definitions"] ?? .null).members.map(\.key))
        let missing = published.members.map(\.key).filter { name in
            !ours.contains(name) && !name.split(separator: ".").contains(where: Self.isUnstable)
        }
        #expect(published.count > 500)
        #expect(missing.sorted() == [])
    }

    /// Every published resource of a stable version, as discovery shows it.
    @Test func everyStableResourceIsDeclared() throws {
        let published = try Reference.document("discovery.json")
        var count = 0
        for group in published.list("/api", "items") + published.list("/apis", "items") {
            let name = group.text("metadata", "name") ?? ""
            for version in group.list("versions") where !Self.isUnstable(version.text("version") ?? "") {
                for resource in version.list("resources") {
                    count += 1
                    let plural = resource.text("resource") ?? ""
                    let mine = Kinds.registry.resource(
                        group: name, version: version.text("version") ?? "", plural: plural)
                    let declared = mine.map(Self.discovered)
                    #expect(declared == Self.discovered(resource), "\(plural).\(name)")
                }
            }
        }
        #expect(count > 60)
    }

    private static func discovered(_ resource: ResourceInfo) -> [String] {
        let parts = resource.subresources.map { part in
            "/\(part.name) \(part.verbs.sorted().joined(separator: ","))"
        }
        return [
            resource.kind, resource.singular, resource.namespaced ? "Namespaced" : "Cluster",
            resource.verbs.sorted().joined(separator: ","), resource.shortNames.joined(separator: ","),
            resource.categories.joined(separator: ","),
        ] + parts.sorted()
    }

    private static func discovered(_ resource: Document) -> [String] {
        func words(_ value: Document, _ field: String) -> [String] { value.list(field).compactMap(\.string) }
        let parts = resource.list("subresources").map { part in
            "/\(part.text("subresource") ?? "") \(words(part, "verbs").sorted().joined(separator: ","))"
        }
        return [
            resource.text("responseKind", "kind") ?? "", resource.text("singularResource") ?? "",
            resource.text("scope") ?? "", words(resource, "verbs").sorted().joined(separator: ","),
            words(resource, "shortNames").joined(separator: ","), words(resource, "categories").joined(separator: ","),
        ] + parts.sorted()
    }

    /// Without descriptions and enumerations, which the published facts leave out.
    private static func plain(_ schema: Document) -> Document {
        if schema.isArray { return Document(schema.elements.map(plain)) }
        guard schema.isObject else { return schema }
        return Document(
            members: schema.members.compactMap { member in
                let isNote = member.value.isObject == false && ["description", "enum"].contains(member.key)
                return isNote ? Optional<(String, Document)>.none : (member.key, plain(member.value))
            })
    }

    private static func same(_ a: Document, _ b: Document) -> Bool {
        if a.isObject, b.isObject {
            return a.count == b.count
                && a.members.allSatisfy { member in b[member.key].map { same(member.value, $0) } ?? false }
        }
        if a.isArray, b.isArray {
            // The order of required fields and of kinds says nothing.
            let (left, right) = (a.elements.map(\.jsonText).sorted(), b.elements.map(\.jsonText).sorted())
            if left == right { return true }
            return a.count == b.count && zip(a.elements, b.elements).allSatisfy(same)
        }
        return a == b
    }

    @Test func defaultRolesAreThoseOfKubernetes() throws {
        let published = try Reference.document("rbac-bootstrap.json")
        let ours = Kinds.bootstrapRBAC()
        var expected = 0
        for (list, kind) in [
            ("clusterroles", "ClusterRole"), ("roles", "Role"), ("clusterrolebindings", "ClusterRoleBinding"),
            ("rolebindings", "RoleBinding"),
        ] {
            for object in published.list(list) {
                expected += 1
                let metadata = object["metadata"] ?? .null
                let mine = ours.first {
                    $0.text("kind") == kind && $0.text("metadata", "name") == metadata.text("name")
                        && $0.text("metadata", "namespace") == metadata.text("namespace")
                }
                #expect(Self.same(mine?["metadata"] ?? .null, metadata))
                for field in ["rules", "subjects", "roleRef", "aggregationRule"] {
                    let (a, b) = (mine?[field] ?? .null, object[field] ?? .null)
                    let empty = a.count == 0 && b.count == 0
                    #expect(empty || Self.same(a, b), "\(kind) \(metadata.text("name") ?? "") \(field)")
                }
            }
        }
        #expect(ours.count == expected)
    }

    @Test func columnsAreThoseOfKubernetes() throws {
        let published = try Reference.document("tables.json")
        for resource in Self.registry.resources {
            let root = resource.group.isEmpty ? "/api/v1/" : "/apis/\(resource.group)/\(resource.version)/"
            guard let columns = published[root + resource.plural] else { continue }
            // Kinds that say nothing are shown in two columns.
            let own =
                resource.columns.isEmpty
                ? [
                    TableColumn(name: "Name", type: "string", format: "name"),
                    TableColumn(name: "Created At", type: "date"),
                ]
                : resource.columns
            let mine = own.map { "\($0.name)|\($0.type)|\($0.format)|\($0.priority)" }
            let theirs = columns.elements.map {
                "\($0.text("name") ?? "")|\($0.text("type") ?? "")|\($0.text("format") ?? "")|\($0.number("priority") ?? 0)"
            }
            #expect(mine == theirs, "\(resource.plural)")
        }
    }
}
