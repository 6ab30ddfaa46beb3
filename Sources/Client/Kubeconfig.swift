import Basics
import Document

/// A kubeconfig. Kept as the document it came as, so that whatever lab does not know about in the user's file
/// (other contexts, extensions, exec plug-ins) comes out as it went in.
public struct Kubeconfig: Sendable, Equatable {
    public private(set) var document: Document

    public init() {
        document = [
            "apiVersion": "v1", "kind": "Config", "clusters": [], "contexts": [], "current-context": "",
            "preferences": [:], "users": [],
        ]
    }

    public init(yaml bytes: [UInt8]) throws {
        document = try Document(yaml: bytes)
        guard document.isObject, document.text("kind") ?? "Config" == "Config" else {
            throw KubeconfigError("this is no object of kind Config")
        }
    }

    /// A configuration with one cluster, one user and one context, all of the same name.
    public init(
        name: String, server: String, authority: [UInt8], certificate: [UInt8], key: [UInt8]
    ) {
        self.init()
        document["clusters"] = [
            [
                "cluster": [
                    "certificate-authority-data": Document(Base64.encode(authority)), "server": Document(server),
                ], "name": Document(name),
            ]
        ]
        document["users"] = [
            [
                "name": Document(name),
                "user": [
                    "client-certificate-data": Document(Base64.encode(certificate)),
                    "client-key-data": Document(Base64.encode(key)),
                ],
            ]
        ]
        document["contexts"] = [
            ["context": ["cluster": Document(name), "user": Document(name)], "name": Document(name)]
        ]
        document["current-context"] = Document(name)
    }

    public var yaml: [UInt8] { document.yaml }

    public var currentContext: String? { document.text("current-context").flatMap { $0.isEmpty ? nil : $0 } }

    private static let lists = ["clusters", "users", "contexts"]

    /// The same with another address of the servers.
    public func reaching(_ server: String) -> Kubeconfig {
        var copy = self
        copy.document["clusters"] = Document(
            document.list("clusters").map { entry in
                var entry = entry
                entry.set(Document(server), at: "cluster", "server")
                return entry
            })
        return copy
    }

    /// Takes over the other's entries, in place of ours with the same names, and where `switching` (or where there is
    /// none yet) its current context.
    public mutating func merge(_ other: Kubeconfig, switching: Bool = true) {
        for list in Self.lists {
            var entries = document.list(list)
            for entry in other.document.list(list) {
                if let index = entries.firstIndex(where: { $0.text("name") == entry.text("name") }) {
                    entries[index] = entry
                } else {
                    entries.append(entry)
                }
            }
            document[list] = Document(entries)
        }
        if document["apiVersion"] == nil { document["apiVersion"] = "v1" }
        if document["kind"] == nil { document["kind"] = "Config" }
        if let context = other.currentContext, switching || currentContext == nil {
            document["current-context"] = Document(context)
        }
    }

    /// Removes a context, with its cluster and user where no other context uses them.
    public mutating func remove(context name: String) {
        let contexts = document.list("contexts")
        guard let context = contexts.first(where: { $0.text("name") == name }) else { return }
        let others = contexts.filter { $0.text("name") != name }
        document["contexts"] = Document(others)
        for (list, field) in [("clusters", "cluster"), ("users", "user")] {
            guard let target = context.text("context", field),
                !others.contains(where: { $0.text("context", field) == target })
            else { continue }
            document[list] = Document(document.list(list).filter { $0.text("name") != target })
        }
        if currentContext == name { document["current-context"] = "" }
    }

    /// What the context (the current one where nil) says about reaching a server. Files that it names are meant as seen
    /// from `folder`, the configuration's own.
    public func access(context name: String? = nil, folder: String = "") throws -> Access {
        guard let name = name ?? currentContext else { throw KubeconfigError("it has no current context") }
        func entry(_ list: String, _ name: String) throws -> Document {
            guard let found = document.list(list).first(where: { $0.text("name") == name }) else {
                throw KubeconfigError("it has no entry '\(name)' in \(list)")
            }
            return found
        }
        guard let context = try entry("contexts", name)["context"] else {
            throw KubeconfigError("context '\(name)' is empty")
        }
        let cluster = try entry("clusters", context.text("cluster") ?? "")["cluster"] ?? .emptyObject
        let user = try context.text("user").map { try entry("users", $0)["user"] ?? .emptyObject } ?? .emptyObject
        guard let server = cluster.text("server"), !server.isEmpty else {
            throw KubeconfigError("the cluster of '\(name)' has no server")
        }
        for field in ["auth-provider", "as", "as-uid", "as-groups", "as-user-extra"] where user[field] != nil {
            throw KubeconfigError("the user of '\(name)' authenticates by '\(field)', which is not supported")
        }
        guard cluster.text("proxy-url") == nil else {
            throw KubeconfigError("the cluster of '\(name)' is behind a 'proxy-url', which is not supported")
        }
        func file(_ path: String) -> String { path.hasPrefix("/") || folder.isEmpty ? path : "\(folder)/\(path)" }
        return Access(
            server: server, namespace: context.text("namespace"),
            authority: try Self.material(cluster, "certificate-authority", file),
            certificate: try Self.material(user, "client-certificate", file),
            key: try Self.material(user, "client-key", file),
            token: user.text("token"), tokenFile: user.text("tokenFile").map(file),
            user: user.text("username"), password: user.text("password"),
            plugin: try user["exec"].map { try CredentialPlugin($0, cluster: cluster, file: file) },
            serverName: cluster.text("tls-server-name"),
            skipVerification: cluster.flag("insecure-skip-tls-verify") ?? false)
    }

    private static func material(
        _ entry: Document, _ field: String, _ file: (String) -> String
    ) throws -> Material? {
        if let data = entry.text("\(field)-data") {
            guard let bytes = Base64.decode(data) else { throw KubeconfigError("\(field)-data is not base64") }
            return .bytes(bytes)
        }
        return entry.text(field).map { .file(file($0)) }
    }

    /// PEM text, in the configuration or in a file that it names.
    public enum Material: Sendable, Equatable {
        case bytes([UInt8])
        case file(String)
    }

    /// How one context reaches its server. Nothing here has been read from disk yet.
    public struct Access: Sendable, Equatable {
        public var server: String
        public var namespace: String?
        public var authority: Material?
        public var certificate: Material?
        public var key: Material?
        public var token: String?
        public var tokenFile: String?
        public var user: String?
        public var password: String?
        /// A program that gives what is not in the file.
        public var plugin: CredentialPlugin?
        /// What the server's certificate must carry, where it is not the host.
        public var serverName: String?
        public var skipVerification: Bool
    }
}

public struct KubeconfigError: Error, Sendable, Equatable, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}
