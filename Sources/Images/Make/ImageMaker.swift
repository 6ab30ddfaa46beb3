import Document
import Glibc
import Linux

extension ImageStore {
    /// Assembles what a file describes: a layer of the packages, then one of the files. The same inputs make the same
    /// bytes, so making an image again changes nothing.
    public func make(
        _ definition: ImageDefinition, relativeTo folder: String, cache: String, as name: String? = nil,
        progress: (@Sendable (String) -> Void)? = nil
    ) throws -> Image {
        let name = try name.map { try Reference($0).description } ?? definition.name
        let lock = try StoreLock(layout.contentLock, .shared)
        defer { withExtendedLifetime(lock) {} }
        let workspace = try Workspace(in: layout)
        var parts = try base(definition)
        if !definition.packages.isEmpty {
            progress?("packages \(definition.packages.joined(separator: ", "))")
            let archives = try DebianPackages(cache: cache, workspace: workspace.path)
                .fetch(definition.packages, without: definition.without)
            try add(to: &parts, in: workspace, "packages \(definition.packages.joined(separator: " "))") { builder in
                if definition.base == nil { try builder.addBase() }
                builder.isMerged = true
                for archive in archives {
                    progress?(String(archive.split(separator: "/").last ?? ""))
                    try builder.add(package: archive)
                }
            }
        }
        if !definition.files.isEmpty || !definition.users.isEmpty || parts.layers.isEmpty {
            progress?("files")
            try add(to: &parts, in: workspace, "files") { builder in
                builder.isMerged = !definition.packages.isEmpty
                if definition.base == nil || !definition.users.isEmpty { try builder.addAccounts(definition.users) }
                for file in definition.files { try builder.add(file, relativeTo: folder) }
            }
        }
        let digest = try write(parts, definition)
        return try commit(manifest: digest, names: [name], repoDigests: [String]())
    }

    private struct Parts {
        var layers: [Descriptor] = []
        var diffIDs: [Digest] = []
        var config = Document.emptyObject
        var history: [Document] = []
        /// Directories of the layers that were made just now.
        var known: [String: ArchiveEntry] = [:]
    }

    private func base(_ definition: ImageDefinition) throws -> Parts {
        guard let base = definition.base else { return Parts() }
        guard let details = try details(base) else {
            throw ImageError(base, "no such image, and \(definition.name) is built on it")
        }
        let manifest = try Manifest(details.manifest, in: base)
        let configuration = try ImageConfiguration(details.configuration, in: base)
        return Parts(
            layers: manifest.layers, diffIDs: configuration.diffIDs, config: configuration.config,
            history: details.configuration.list("history"))
    }

    private func add(
        to parts: inout Parts, in workspace: Workspace, _ what: String, _ body: (inout LayerBuilder) throws -> Void
    ) throws {
        let path = "\(workspace.path)/new.tar"
        var builder = try LayerBuilder(path, over: parts.known)
        try body(&builder)
        try builder.finish()
        parts.known = builder.known
        let plain = DigestingSource(try FileSource(path), limit: ContentStore.mostUnpacked, name: path)
        let digest = try plain.finish()
        if !content.hasLayer(digest) { try content.unpack(path, diffID: digest, in: workspace, for: what) }
        try content.adopt(path, as: digest)
        parts.layers.append(
            Descriptor(digest: digest, size: plain.count, mediaType: "application/vnd.oci.image.layer.v1.tar"))
        parts.diffIDs.append(digest)
        parts.history.append(["created_by": Document("lab image make: \(what)")])
    }

    private func write(_ parts: Parts, _ definition: ImageDefinition) throws -> Digest {
        var config = parts.config
        for member in definition.config.members { config[member.key] = member.value }
        if config["Env"] == nil {
            config["Env"] = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
        }
        let document: Document = [
            "architecture": Document(Platform.here.architecture), "os": Document(Platform.here.os), "config": config,
            "rootfs": ["type": "layers", "diff_ids": Document(parts.diffIDs.map(\.description))],
            "history": Document(parts.history),
        ]
        let bytes = document.json
        let manifest = Manifest(
            config: Descriptor(
                digest: try content.add(bytes), size: Int64(bytes.count),
                mediaType: "application/vnd.oci.image.config.v1+json"), layers: parts.layers)
        return try content.add(manifest.document.json)
    }
}

extension LayerBuilder {
    /// Users that files of Debian's packages belong to, and those that the definition adds.
    fileprivate mutating func addAccounts(_ users: [ImageDefinition.User]) throws {
        typealias User = ImageDefinition.User
        var all = [
            User(name: "root", uid: 0, gid: 0, home: "/root", shell: "/bin/sh"),
            User(name: "daemon", uid: 1, gid: 1, home: "/usr/sbin"),
            User(name: "www-data", uid: 33, gid: 33, home: "/var/www"),
            User(name: "nobody", uid: 65_534, gid: 65_534),
        ]
        all.removeAll { known in users.contains { $0.name == known.name } }
        all += users
        try text(
            "etc/passwd",
            all.map { "\($0.name):x:\($0.uid):\($0.gid):\($0.name):\($0.home):\($0.shell)\n" }.joined())
        let groups = [("tty", 5), ("adm", 4), ("nogroup", 65_534)]
        try text(
            "etc/group",
            all.filter { $0.gid != 65_534 }.map { "\($0.name):x:\($0.gid):\n" }.joined()
                + groups.map { "\($0.0):x:\($0.1):\n" }.joined())
    }
}
