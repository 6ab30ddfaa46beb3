import Basics
import Client
import Document
import Glibc
import Linux

/// Makes a persistent volume of this node usable for a pod.
struct PersistentVolumeSetup: Sendable {
    let configuration: KubeletConfiguration
    let client: APIClient
    let pool: BlockingPool

    /// Where the volume is on this node.
    func path(of claimed: ClaimedVolume, pod: Document) async throws -> String {
        try await checkNode(claimed)
        let volume = claimed.volume
        if !volume.list("spec", "mountOptions").isEmpty {
            throw VolumeProblem(
                "MountVolume.MountOptionSupport check failed for volume \"\(claimed.name)\" : mount options are not "
                    + "supported for this volume type")
        }
        if let source = volume.at("spec", "hostPath") {
            let path = source.text("path") ?? ""
            let type = claimed.isBlock ? "BlockDevice" : source.text("type") ?? ""
            try await pool.run { try HostPath.check(path, type: type) }
            return path
        }
        if let path = volume.text("spec", "local", "path") {
            let group = pod.number("spec", "securityContext", "fsGroup").map { UInt32(truncatingIfNeeded: $0) }
            let onlyOnMismatch = pod.text("spec", "securityContext", "fsGroupChangePolicy") == "OnRootMismatch"
            let isOwn = DirectoryKeeper.path(of: volume, root: configuration.volumeDirectory) == path
            if isOwn, claimed.isBlock {
                let bytes = DirectoryKeeper.size(of: volume)
                try await pool.run { try BlockFile.prepare(path, bytes: bytes) }
                return path
            }
            try await pool.run {
                if isOwn, !Files.exists(path) { try Self.make(path) }
                try Self.check(path, claimed)
                if let group, !claimed.isBlock, !claimed.readOnly {
                    try Ownership.give(path, to: group, onlyOnMismatch: onlyOnMismatch)
                }
            }
            return path
        }
        if let driver = volume.text("spec", "csi", "driver") {
            throw VolumeProblem(
                "MountVolume.MountDevice failed for volume \"\(claimed.name)\" : kubernetes.io/csi: "
                    + "attacher.MountDevice failed to create newCsiDriverClient: driver name \(driver) not found in "
                    + "the list of registered CSI drivers")
        }
        let kinds = ["nfs", "iscsi", "fc", "rbd", "cephfs", "glusterfs", "flexVolume", "azureFile", "azureDisk"]
        let kind = kinds.first { volume.at("spec", $0) != nil } ?? "unknown"
        throw VolumeProblem("volumes of kind \"\(kind)\" are not supported by this node agent")
    }

    /// Everybody may write: which user a container has is the pod's matter.
    private static func make(_ path: String) throws {
        try Files.makeDirectories(path)
        guard chmod(path, 0o777) == 0 else { throw SystemError("chmod", path, errno: errno) }
    }

    private static func check(_ path: String, _ claimed: ClaimedVolume) throws {
        let name = claimed.name
        guard path.hasPrefix("/"), !path.split(separator: "/").contains("..") else {
            throw VolumeProblem("local path \"\(path)\" is no absolute path without \"..\"")
        }
        var status = stat()
        guard stat(path, &status) == 0 else {
            throw VolumeProblem(
                claimed.isBlock
                    ? "MapVolume.EvalHostSymlinks failed for volume \"\(name)\" : path \"\(path)\" does not exist"
                    : "MountVolume.NewMounter initialization failed for volume \"\(name)\" : path \"\(path)\" does not "
                        + "exist")
        }
        let kind = status.st_mode & S_IFMT
        if claimed.isBlock, kind != S_IFBLK {
            throw VolumeProblem(
                "MapVolume.MapPodDevice failed for volume \"\(name)\" : path \"\(path)\" is not a block device")
        }
        if !claimed.isBlock, kind == S_IFBLK {
            throw VolumeProblem(
                "file systems on the block device \"\(path)\" are not mounted by this node agent: mount it on the node "
                    + "and name the directory")
        }
    }

    /// A volume that says where it can be reached is used nowhere else, whoever chose the node.
    private func checkNode(_ claimed: ClaimedVolume) async throws {
        guard let selector = claimed.volume.at("spec", "nodeAffinity", "required") else { return }
        let node = try await client.get(.nodes, name: configuration.nodeName)
        if NodeTerms.match(selector, name: configuration.nodeName, labels: node.map("metadata", "labels")) { return }
        throw VolumeProblem(
            "MountVolume.NodeAffinity check failed for volume \"\(claimed.name)\" : no matching NodeSelectorTerms")
    }
}

/// A node selector: one of its terms has to hold, and of a term every requirement.
enum NodeTerms {
    static func match(_ selector: Document, name: String, labels: [String: String]) -> Bool {
        selector.list("nodeSelectorTerms").contains { term in
            let expressions = term.list("matchExpressions")
            let fields = term.list("matchFields")
            if expressions.isEmpty, fields.isEmpty { return false }
            return expressions.allSatisfy { holds($0, labels[$0.text("key") ?? ""]) }
                && fields.allSatisfy { holds($0, $0.text("key") == "metadata.name" ? name : nil) }
        }
    }

    private static func holds(_ requirement: Document, _ value: String?) -> Bool {
        let values = requirement.list("values").compactMap(\.string)
        switch requirement.text("operator") {
        case "In": return value.map { values.contains($0) } ?? false
        case "NotIn": return value.map { !values.contains($0) } ?? true
        case "Exists": return value != nil
        case "DoesNotExist": return value == nil
        case "Gt", "Lt":
            guard let number = value.flatMap({ Int64($0) }), let bound = values.first.flatMap({ Int64($0) }) else {
                return false
            }
            return requirement.text("operator") == "Gt" ? number > bound : number < bound
        default: return false
        }
    }
}

/// The group that a pod's processes have beside their own owns its volumes.
enum Ownership {
    /// Gives everything below `path` to the group, readable and writable, and lets new files inherit it.
    static func give(_ path: String, to group: UInt32, onlyOnMismatch: Bool) throws {
        var status = stat()
        guard lstat(path, &status) == 0 else { throw SystemError("stat", path, errno: errno) }
        let isGiven = status.st_gid == group && status.st_mode & 0o2770 == 0o2770
        if onlyOnMismatch, isGiven { return }
        try walk(path, group)
    }

    /// Contents first: should this be cut off, the root does not look as if all were done.
    private static func walk(_ path: String, _ group: UInt32) throws {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            if errno == ENOENT { return }
            throw SystemError("stat", path, errno: errno)
        }
        let kind = status.st_mode & S_IFMT
        if kind == S_IFDIR { for name in try Files.list(path) { try walk("\(path)/\(name)", group) } }
        if status.st_gid != group {
            guard lchown(path, .max, group) == 0 || errno == ENOENT else {
                throw SystemError("chown", path, errno: errno)
            }
        }
        if kind == S_IFLNK { return }
        let wanted = (status.st_mode & 0o7777) | (kind == S_IFDIR ? 0o2770 : 0o660)
        guard wanted != status.st_mode & 0o7777 || status.st_gid != group else { return }
        guard chmod(path, wanted) == 0 || errno == ENOENT else { throw SystemError("chmod", path, errno: errno) }
    }
}
