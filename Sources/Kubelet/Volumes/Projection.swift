import Basics
import Client
import Document
import Glibc

/// The files of `configMap`, `secret`, `downwardAPI` and `projected` volumes, gathered from the API.
struct Projection {
    let pod: Document
    let fields: DownwardFields
    let objects: ReferencedObjects
    let tokens: TokenSource

    struct Result {
        var files: [String: AtomicDirectory.File] = [:]
        /// When a token has to be fetched anew.
        var refreshAt: Timestamp?
    }

    private var namespace: String { pod.text("metadata", "namespace") ?? "default" }
    private var uid: String { pod.text("metadata", "uid") ?? "" }

    /// Nil for volumes of other kinds.
    func files(of volume: Document) async throws -> Result? {
        var result = Result()
        if let source = volume["configMap"] {
            result.files = try await object(
                source, name: source.text("name") ?? "", isSecret: false, mode: Self.mode(source))
        } else if let source = volume["secret"] {
            result.files = try await object(
                source, name: source.text("secretName") ?? "", isSecret: true, mode: Self.mode(source))
        } else if let source = volume["downwardAPI"] {
            result.files = try downward(source, mode: Self.mode(source))
        } else if let projected = volume["projected"] {
            let mode = Self.mode(projected)
            for source in projected.list("sources") { try await add(source, mode: mode, to: &result) }
        } else {
            return nil
        }
        if let group = pod.number("spec", "securityContext", "fsGroup") {
            for name in result.files.keys {
                result.files[name]?.group = UInt32(truncatingIfNeeded: group)
                result.files[name]?.mode |= 0o440
            }
        }
        return result
    }

    private static func mode(_ source: Document) -> mode_t {
        mode_t(truncatingIfNeeded: source.number("defaultMode") ?? 0o644)
    }

    private func add(_ source: Document, mode: mode_t, to result: inout Result) async throws {
        if let map = source["configMap"] {
            let files = try await object(map, name: map.text("name") ?? "", isSecret: false, mode: mode)
            result.files.merge(files) { $1 }
        } else if let secret = source["secret"] {
            let files = try await object(secret, name: secret.text("name") ?? "", isSecret: true, mode: mode)
            result.files.merge(files) { $1 }
        } else if let own = source["downwardAPI"] {
            result.files.merge(try downward(own, mode: mode)) { $1 }
        } else if let token = source["serviceAccountToken"] {
            let fetched = try await tokens.token(for: pod, token)
            // A token is for those who run in the pod alone, where it is known who that is.
            let owner = commonUser
            let hasGroup = pod.at("spec", "securityContext", "fsGroup") != nil
            result.files[token.text("path") ?? "token"] = AtomicDirectory.File(
                bytes: Array(fetched.token.utf8), mode: owner != nil || hasGroup ? 0o600 : mode, owner: owner)
            result.refreshAt = min(result.refreshAt ?? fetched.refreshAt, fetched.refreshAt)
        } else {
            let kind = source.members.first?.key ?? "empty"
            throw VolumeProblem("projected source \"\(kind)\" is not supported by this node agent")
        }
    }

    /// The user as whom all containers of the pod run; nil where they differ or leave it to their images.
    private var commonUser: UInt32? {
        let whole = pod.number("spec", "securityContext", "runAsUser")
        var users: Set<Int?> = []
        for list in ["initContainers", "containers", "ephemeralContainers"] {
            for container in pod.list("spec", list) {
                users.insert(container.number("securityContext", "runAsUser") ?? whole)
            }
        }
        guard users.count == 1, let user = users.first ?? nil else { return nil }
        return UInt32(truncatingIfNeeded: user)
    }

    private func object(
        _ source: Document, name: String, isSecret: Bool, mode: mode_t
    ) async throws -> [String: AtomicDirectory.File] {
        let key = ReferencedObjects.Key(
            resource: isSecret ? .secrets : .configMaps, namespace: namespace, name: name)
        guard let object = try await objects.get(key, user: uid) else {
            if source.flag("optional") == true { return [:] }
            throw VolumeProblem("\(isSecret ? "secret" : "configmap") \"\(name)\" not found")
        }
        var data: [String: [UInt8]] = [:]
        for (key, value) in object.map("data") { data[key] = isSecret ? Base64.decode(value) ?? [] : Array(value.utf8) }
        for (key, value) in object.map("binaryData") { data[key] = Base64.decode(value) ?? [] }
        guard let items = source["items"], items.count > 0 else {
            return data.mapValues { AtomicDirectory.File(bytes: $0, mode: mode) }
        }
        var files: [String: AtomicDirectory.File] = [:]
        for item in items.elements {
            let key = item.text("key") ?? ""
            guard let bytes = data[key] else {
                if source.flag("optional") == true { continue }
                throw VolumeProblem("references non-existent \(isSecret ? "secret" : "config") key: \(key)")
            }
            let own = item.number("mode").map { mode_t(truncatingIfNeeded: $0) }
            files[item.text("path") ?? key] = AtomicDirectory.File(bytes: bytes, mode: own ?? mode)
        }
        return files
    }

    private func downward(_ source: Document, mode: mode_t) throws -> [String: AtomicDirectory.File] {
        var files: [String: AtomicDirectory.File] = [:]
        for item in source.list("items") {
            let value: String?
            if let path = item.text("fieldRef", "fieldPath") {
                value = fields.field(path)
            } else if let reference = item["resourceFieldRef"] {
                let wanted = reference.text("containerName")
                let containers = pod.list("spec", "containers") + pod.list("spec", "initContainers")
                value = containers.first { $0.text("name") == wanted }.flatMap {
                    fields.resource(reference, container: $0)
                }
            } else {
                value = nil
            }
            guard let value, let path = item.text("path") else {
                throw VolumeProblem("downwardAPI item \"\(item.text("path") ?? "")\" refers to nothing known")
            }
            let own = item.number("mode").map { mode_t(truncatingIfNeeded: $0) }
            files[path] = AtomicDirectory.File(bytes: Array(value.utf8), mode: own ?? mode)
        }
        return files
    }
}

struct VolumeProblem: Error, Sendable, Equatable, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}
